//! `pfgm cascade train`: one run after another, each resumable.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use pfgm::{
    checkpoint::{self, Checkpoint},
    config::{Config, TrainConfig},
    objective::Objective,
    parallel::Solo,
    train::RunLock,
};

use super::file::{File, Stage};
use crate::{
    args::{TrainArgs, cascade::CascadeTrainArgs},
    command::train::{self, Ended, program},
    distributed::Ranks,
    render::{self, display, line},
    resolve::{self, Plan},
};

/// The file of a cascade in its folder.
pub const FILE: &str = "cascade.toml";

pub fn run(args: &CascadeTrainArgs) -> Result<()> {
    let (device, ranks): (_, Ranks) = (pfgm::device::open(&args.device)?, Arc::new(Solo));
    let (folder, file) = if args.resume { kept(args)? } else { (PathBuf::new(), File::read(args)?) };
    let stages = file.stages()?;
    if args.dry_run {
        for stage in stages {
            line(format!("# {}", stage.name));
            train::begin(plan_of(stage), true, |_, _| Ok(PathBuf::new()), &device, &ranks)?;
        }
        return Ok(());
    }
    let text = file.text()?;
    let folder = match (args.resume, &args.out) {
        (true, _) => folder,
        (false, Some(out)) if has_only_begun(out, &text, &stages) => out.clone(),
        (false, out) => resolve::run_folder(out.as_deref(), &file.name, None)?,
    };
    render::make_folder(&folder)?;
    let lock = RunLock::acquire(&folder)?;
    stages.iter().try_for_each(|stage| check_begun(stage, &folder))?;
    if args.resume {
        render::write(&folder.join(FILE), text.as_bytes())?;
    }
    let trained = train_stages(stages, &folder, &text, &device, &ranks);
    drop(lock);
    if trained.is_err() {
        // A folder without files is removed if a model does not fit its data.
        let _ = fs::remove_dir(&folder);
    }
    trained
}

/// Whether a folder has the same cascade without any checkpoint.
fn has_only_begun(folder: &Path, text: &str, stages: &[Stage]) -> bool {
    let is_same = fs::read_to_string(folder.join(FILE)).is_ok_and(|kept| kept == text);
    is_same && stages.iter().all(|stage| checkpoint::list(&folder.join(&stage.name)).is_empty())
}

fn train_stages(stages: Vec<Stage>, folder: &Path, text: &str, device: &Device, ranks: &Ranks) -> Result<()> {
    for stage in stages {
        if train_stage(stage, folder, text, device, ranks)? == Ended::Stopped {
            line(format!("resume with  {} cascade train {} --resume", program(), display(folder)));
            return Ok(());
        }
    }
    line(format!("next         {} cascade sample {} -n 64", program(), display(folder)));
    Ok(())
}

/// Returns the folder of a cascade to resume, and its file with the changes of the command line.
fn kept(args: &CascadeTrainArgs) -> Result<(PathBuf, File)> {
    let is_folder = Path::new(&args.what).is_dir();
    let folder = match &args.out {
        Some(_) if is_folder => bail!("--out: a cascade is resumed in its own folder; omit --out"),
        Some(out) => out.clone(),
        None => PathBuf::from(&args.what),
    };
    let path = folder.join(FILE);
    if !path.is_file() {
        bail!("{}: no cascade in it; give the folder that `pfgm cascade train` wrote", folder.display());
    }
    let text = resolve::read_text(&path).with_context(|| path.display().to_string())?;
    Ok((folder, File::parse(String::new(), &text, args)?))
}

fn plan_of(stage: Stage) -> Plan {
    Plan::new(stage.name, stage.config)
}

/// Checks that the configuration of a started model is unchanged, except for steps, checkpoints and the log.
fn check_begun(stage: &Stage, cascade: &Path) -> Result<()> {
    let Some(path) = checkpoint::list(&cascade.join(&stage.name)).pop() else { return Ok(()) };
    let (wanted, mut kept) = (&stage.config, Checkpoint::read(&path)?.spec.config);
    kept.data.source.clone_from(&wanted.data.source);
    let TrainConfig { steps, checkpoint_every, keep, log_every, .. } = wanted.train;
    kept.train = TrainConfig { steps, checkpoint_every, keep, log_every, ..kept.train };
    // Ignores values that were measured and not given.
    kept.flow.sigma_max = wanted.flow.sigma_max.and(kept.flow.sigma_max);
    kept.flow.sigma_data = wanted.flow.sigma_data.and(kept.flow.sigma_data);
    kept.flow.max_row_rms = wanted.flow.max_row_rms.and(kept.flow.max_row_rms);
    kept.flow.detail_rms = wanted.flow.detail_rms.and(kept.flow.detail_rms);
    if let (Objective::Field(kept), Objective::Field(wanted)) = (&mut kept.objective, &wanted.objective) {
        kept.m = wanted.m.and(kept.m);
        kept.gamma = wanted.gamma.and(kept.gamma);
    }
    if kept != *wanted {
        bail!(
            "{}: was started with another configuration; resume it without changes, or start a new cascade",
            stage.name
        );
    }
    Ok(())
}

/// Starts or resumes the run of a model. The file of the cascade is written after the model was checked against its data, so an
/// error leaves no files.
fn train_stage(stage: Stage, cascade: &Path, text: &str, device: &Device, ranks: &Ranks) -> Result<Ended> {
    let folder = cascade.join(&stage.name);
    if checkpoint::list(&folder).is_empty() {
        let write = |_: &str, _: &Config| render::write(&cascade.join(FILE), text.as_bytes()).map(|()| folder);
        let begun = train::begin(plan_of(stage), false, write, device, ranks)?;
        return train::finish(begun, false, device, ranks);
    }
    let wanted = &stage.config.train;
    let set = [
        ("steps", wanted.steps),
        ("checkpoint_every", wanted.checkpoint_every),
        ("keep", wanted.keep as u64),
        ("log_every", wanted.log_every),
    ];
    let set = set.into_iter().map(|(key, value)| format!("train.{key}={value}")).collect();
    let what = Some(folder.to_string_lossy().into_owned());
    let begun = train::resume(&TrainArgs { what, set, resume: true, ..TrainArgs::default() }, device, ranks)?;
    train::finish(begun, false, device, ranks)
}
