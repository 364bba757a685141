//! `pfgm cascade train`: one run after another, each resumable.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use pfgm::{parallel::Solo, train::checkpoint};

use super::file::{File, Stage};
use crate::{
    args::{TrainArgs, cascade::CascadeTrainArgs},
    command::train::{self, Ended, program},
    distributed::Ranks,
    output::{self, line, shown},
    resolve,
};

/// What a cascade's folder keeps of its file.
pub const FILE: &str = "cascade.toml";

pub fn run(args: &CascadeTrainArgs) -> Result<()> {
    let (device, ranks): (_, Ranks) = (pfgm::device::open(&args.device)?, Arc::new(Solo));
    let (folder, file) = if args.resume { kept(args)? } else { (PathBuf::new(), File::read(args)?) };
    let stages = file.stages()?;
    if args.dry_run {
        for stage in stages {
            line(format!("# {}", stage.name));
            train::begin(named(stage), true, |_| Ok(PathBuf::new()), &device, &ranks)?;
        }
        return Ok(());
    }
    let folder = if args.resume { folder } else { resolve::run_folder(args.out.as_deref(), &file.name)? };
    output::write(&folder.join(FILE), file.text()?.as_bytes())?;
    for stage in stages {
        if train_stage(stage, &folder, &device, &ranks)? == Ended::Stopped {
            line(format!("go on with   {} cascade train {} --resume", program(), shown(&folder)));
            return Ok(());
        }
    }
    line(format!("next         {} cascade sample {} -n 64", program(), shown(&folder)));
    Ok(())
}

/// The folder of a cascade that goes on, and its file with the changes that are asked for.
fn kept(args: &CascadeTrainArgs) -> Result<(PathBuf, File)> {
    let is_folder = Path::new(&args.what).is_dir();
    let folder = match &args.out {
        Some(_) if is_folder => bail!("--out: a cascade is resumed in its own folder; leave --out away"),
        Some(out) => out.clone(),
        None => PathBuf::from(&args.what),
    };
    let path = folder.join(FILE);
    if !path.is_file() {
        bail!("{}: no cascade in it; give the folder that `pfgm cascade train` wrote", folder.display());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
    Ok((folder, File::parse(String::new(), &text, args)?))
}

fn named(stage: Stage) -> resolve::Named {
    resolve::Named { name: stage.name, config: stage.config }
}

/// Begins the run of a flow, or goes on with it.
fn train_stage(stage: Stage, cascade: &Path, device: &Device, ranks: &Ranks) -> Result<Ended> {
    let folder = cascade.join(&stage.name);
    if checkpoint::list(&folder).is_empty() {
        let begun = train::begin(named(stage), false, |_| Ok(folder), device, ranks)?;
        return train::go_on(begun, device, ranks);
    }
    // What may change in a run that goes on is changed; what may not is found out there.
    let wanted = &stage.config.train;
    let set = [
        ("steps", wanted.steps),
        ("checkpoint_every", wanted.checkpoint_every),
        ("keep", wanted.keep as u64),
        ("log_every", wanted.log_every),
    ];
    let set = set.into_iter().map(|(key, value)| format!("train.{key}={value}")).collect();
    let what = folder.to_string_lossy().into_owned();
    let begun = train::resume(&TrainArgs { what, set, resume: true, ..TrainArgs::default() }, device, ranks)?;
    train::go_on(begun, device, ranks)
}
