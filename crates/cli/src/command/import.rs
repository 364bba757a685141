//! `pfgm import`

use anyhow::{Context, Result, bail};
use pfgm::{
    checkpoint::{self, Checkpoint, Group},
    config::Config,
    import::{Request, import},
};

use crate::{
    args::{ImportArgs, TrainArgs},
    render::{self, display, line},
    resolve,
};

pub fn run(args: &ImportArgs) -> Result<()> {
    if !args.file.is_file() {
        bail!("{}: no such file; give a checkpoint of PyTorch", args.file.display());
    }
    let request = Request {
        method: args.method.map(Into::into),
        size: args.size.as_deref().map(size).transpose()?,
        extra_dims: args.extra_dims.as_deref().map(|d| resolve::extra_dims("--extra-dims", d)).transpose()?,
        images: args.images.as_deref().map(range).transpose()?,
        like: args.like.as_deref().map(like).transpose()?,
    };
    let imported = import(&args.file, &request)?;
    let folder = resolve::run_folder(Some(&args.out), "", None)?;
    render::make_folder(&folder.join("checkpoints"))?;
    let text = toml::to_string(&imported.record.config).context("the configuration cannot be written as TOML")?;
    render::write(&folder.join("config.toml"), text.as_bytes())?;
    let path = checkpoint::path_of(&folder, imported.step);
    let weights: usize = imported.average.iter().map(|weight| weight.values.len()).sum();
    Checkpoint::new(imported.step, imported.record.clone(), [(Group::Average, imported.average)]).write(&path)?;
    let record = &imported.record;
    line(text.trim_end());
    for assumption in &imported.assumed {
        line(format!("assumed   {assumption}"));
    }
    line(format!(
        "imported  {} weights after {} steps, images of {}, D = {}: {}",
        weights,
        imported.step,
        record.data.shape,
        record.extra_dims(),
        display(&path)
    ));
    line(format!("next      pfgm sample {} -n 16", display(&folder)));
    Ok(())
}

fn like(what: &str) -> Result<Config> {
    Ok(resolve::plan(&TrainArgs { what: Some(what.to_owned()), ..TrainArgs::default() })?.config)
}

fn size(text: &str) -> Result<[usize; 2]> {
    let sides: Vec<usize> = text.split('x').filter_map(|side| side.parse().ok()).collect();
    match sides[..] {
        [height, width] if height > 0 && width > 0 => Ok([height, width]),
        _ => bail!("--size {text}: write height and width, as in 32x32"),
    }
}

fn range(text: &str) -> Result<(f64, f64)> {
    let ends: Vec<f64> = text.split(',').filter_map(|end| end.parse().ok()).collect();
    match ends[..] {
        [low, high] if high > low && high.is_finite() && low.is_finite() => Ok((low, high)),
        _ => bail!("--images {text}: write the lowest and the highest value, as in 0,1"),
    }
}
