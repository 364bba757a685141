//! `pfgm train`

mod begin;
mod picture;
mod resume;
mod watch;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
pub use begin::{begin, load};
use burn::tensor::Device;
use pfgm::{
    checkpoint,
    config::Config,
    train::{Events, Trainer},
};
use pfgm_data::{Dataset, Shape};
pub use resume::resume;
use watch::Watcher;

use crate::{
    args::TrainArgs,
    distributed::{self, Ranks},
    render::{display, line},
    resolve,
};

pub fn run(args: &TrainArgs, ranks: &Ranks) -> Result<()> {
    let device = pfgm::device::open(&distributed::device(&args.device, &**ranks))?;
    let training = if args.resume {
        resume(args, &device, ranks)?
    } else {
        let folder = |name: &str, config: &Config| resolve::run_folder(args.out.as_deref(), name, Some(config));
        begin(begin::plan(args, &device)?, args.dry_run, folder, &device, ranks)?
    };
    if args.dry_run {
        return Ok(());
    }
    let (folder, upscales) = (training.folder.clone(), training.trainer.spec().config.upscale.is_some());
    match finish(training, args.tensorboard, &device, ranks)? {
        // A model that upscales cannot be sampled by itself.
        Ended::Finished if upscales => {}
        Ended::Finished => line(format!("next         {} sample {} -n 100 --solver rk45", program(), display(&folder))),
        Ended::Stopped => line(format!("resume with  {} train {} --resume", program(), display(&folder))),
        Ended::Before => {}
    }
    Ok(())
}

/// A prepared training.
pub struct Training {
    pub folder: PathBuf,
    pub trainer: Trainer,
    /// The rows to train on.
    pub data: Dataset,
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its last step was taken.
    Finished,
    /// All steps had been taken before.
    Before,
    /// It was interrupted.
    Stopped,
}

/// Trains until the last step or an interrupt, and draws samples. With `tensorboard`, event files are written too.
pub fn finish(training: Training, tensorboard: bool, device: &Device, ranks: &Ranks) -> Result<Ended> {
    let Training { folder, mut trainer, data } = training;
    let (first, steps) = (trainer.steps_taken(), trainer.spec().config.train.steps);
    if first >= steps {
        line(format!("{}: {first} of {steps} steps are taken; raise them with --set train.steps=N", display(&folder)));
        return Ok(Ended::Before);
    }
    let unit = if matches!(trainer.spec().data.shape, Shape::Image { .. }) { "images" } else { "rows" };
    let mut watcher = Watcher::new(first, &trainer.spec().config.train, unit, ranks.size() > 1)?;
    if tensorboard && ranks.is_root() {
        watcher.events = Some(
            Events::create(&folder).with_context(|| format!("{}: no event file can be written", folder.display()))?,
        );
    }
    trainer.run(Some(&folder), &mut |report| watcher.report(report))?;
    watcher.finish();
    let stopped = trainer.steps_taken() < steps;
    line(format!(
        "{} after {} of {steps} steps, {}: {}",
        if stopped { "stopped" } else { "trained" },
        trainer.steps_taken(),
        watcher.loss_of_training(),
        display(&checkpoint::path_of(&folder, trainer.steps_taken()))
    ));
    if stopped {
        return Ok(Ended::Stopped);
    }
    if ranks.is_root() {
        let picture = picture::draw(&trainer, &data, &folder, device)?;
        line(format!("samples      {}", display(&picture)));
    }
    Ok(Ended::Finished)
}

/// Name by which the program was called.
pub fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    if Path::new(&called).components().any(|part| part.as_os_str() == "target") {
        "cargo run --release --".into()
    } else {
        "pfgm".into()
    }
}
