//! `pfgm import`

use anyhow::{Context, Result, bail};
use pfgm::{
    Model,
    config::Config,
    import::{READABLE, Readable, Request},
};

use crate::{
    args::{ImportArgs, TrainArgs},
    render::{display, line},
    resolve,
};

pub fn run(args: &ImportArgs) -> Result<()> {
    if args.list {
        list();
        return Ok(());
    }
    let Some(file) = &args.file else { bail!("give a file, a folder, or hf:OWNER/NAME") };
    if !file.exists() && !file.to_string_lossy().starts_with("hf:") {
        bail!("{}: no such file; give a PyTorch checkpoint", file.display());
    }
    let request = Request {
        method: args.method.map(Into::into),
        size: args.size.as_deref().map(size).transpose()?,
        extra_dims: args.extra_dims.as_deref().map(|d| resolve::extra_dims("--extra-dims", d)).transpose()?,
        images: args.images.as_deref().map(range).transpose()?,
        like: args.like.as_deref().map(like).transpose()?,
        autoencoder: args.autoencoder.as_deref().map(resolve::absolute),
    };
    let model = Model::import_with(file, &request, &pfgm::device::open("cpu")?)?;
    let folder = resolve::run_folder(args.out.as_deref(), "", None)?;
    model.save(&folder)?;
    let spec = model.spec();
    let text = toml::to_string(&spec.config).context("the configuration cannot be written as TOML")?;
    line(text.trim_end());
    for assumption in model.assumptions() {
        line(format!("assumed   {assumption}"));
    }
    line(format!(
        "imported  {} weights after {} steps, images of {}, D = {}: {}",
        model.weights(),
        model.step(),
        spec.data.shape,
        spec.extra_dims(),
        display(&Model::latest_checkpoint(&folder)?)
    ));
    line(format!("next      pfgm sample {} -n 16", display(&folder)));
    Ok(())
}

fn list() {
    for Readable { files, networks, says } in READABLE {
        line(files);
        line(format!("  networks  {networks}"));
        line(format!("  says      {says}"));
    }
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
