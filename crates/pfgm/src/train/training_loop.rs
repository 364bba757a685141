//! The loop of a training: steps, the log, checkpoints.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    error::TrainError,
    log::{Log, LogLine},
    optimizer::learning_rate,
    trainer::Trainer,
};
use crate::checkpoint;

/// Report on a training step.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepReport {
    /// Number of the step, from 1.
    pub step: u64,
    /// Number of the last step.
    pub steps: u64,
    /// Loss of the step, per item and coordinate.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Items per second, smoothed.
    pub images_per_second: f64,
    /// Line of the log, if the step has one.
    pub log: Option<LogLine>,
}

/// Function that gets a report on each step. The training saves and stops if it returns [`ControlFlow::Break`].
pub type Observer<'a> = dyn FnMut(&StepReport) -> ControlFlow<()> + 'a;

/// Files of a run that the loop writes to.
struct RunFiles<'a> {
    folder: &'a Path,
    log: Log,
}

impl RunFiles<'_> {
    fn add(&mut self, line: &LogLine) -> Result<(), TrainError> {
        self.log.add(line).map_err(|source| TrainError::Log { path: log_of(self.folder), source })
    }
}

/// Path of the log in the folder of a run.
fn log_of(folder: &Path) -> PathBuf {
    folder.join("log.jsonl")
}

/// Measurements since the last line of the log.
struct Meter {
    started: Instant,
    since: Instant,
    losses: Vec<f64>,
    rate: f64,
}

impl Meter {
    fn new() -> Self {
        Self { started: Instant::now(), since: Instant::now(), losses: Vec::new(), rate: 0.0 }
    }

    /// Adds a step, and returns the smoothed number of items per second.
    fn add(&mut self, loss: f64, items: usize, started: Instant) -> f64 {
        let rate = items as f64 / started.elapsed().as_secs_f64();
        self.rate = if self.rate == 0.0 { rate } else { 0.95 * self.rate + 0.05 * rate };
        self.losses.push(loss);
        self.rate
    }
}

impl Trainer {
    /// Trains until the last step, or until the observer of any rank returns `Break`.
    ///
    /// With a folder, rank 0 writes the log and checkpoints to it, and holds its lock ([`Trainer::claim`]). Without one, the training
    /// stays in memory.
    ///
    /// # Errors
    /// Returns an error if the loss diverges, a row cannot be read, a file cannot be written, or another process writes to the folder.
    pub fn run(&mut self, folder: Option<&Path>, observer: &mut Observer) -> Result<(), TrainError> {
        let mut files = match folder.filter(|_| self.ranks.is_root()) {
            Some(folder) => Some(self.open_files(folder)?),
            None => None,
        };
        let (mut meter, mut saved) = (Meter::new(), None);
        while self.step < self.spec.config.train.steps {
            let started = Instant::now();
            let (loss, gradient_norm) = self.take_step()?;
            let train = &self.spec.config.train;
            let (steps, step) = (train.steps, self.step);
            let images_per_second = meter.add(loss, train.batch, started);
            let saves = step == steps || step.is_multiple_of(train.checkpoint_every);
            let log = match saves || step.is_multiple_of(train.log_every) {
                true => Some(self.log_line(&mut meter, gradient_norm, saves)?),
                false => None,
            };
            if let (Some(files), Some(line)) = (&mut files, &log) {
                files.add(line)?;
            }
            if let Some(files) = &files {
                self.save_snapshot(files.folder)?;
            }
            if saves && folder.is_some() {
                self.save(files.as_ref())?;
                saved = Some(step);
            }
            let report = StepReport { step, steps, loss, gradient_norm, images_per_second, log };
            if self.any_rank_stops(observer(&report)) {
                break;
            }
        }
        if folder.is_some() && saved != Some(self.step) {
            self.save(files.as_ref())?;
        }
        Ok(())
    }

    fn open_files<'a>(&mut self, folder: &'a Path) -> Result<RunFiles<'a>, TrainError> {
        self.claim(folder)?;
        let log = Log::open(&log_of(folder), self.step);
        Ok(RunFiles { folder, log: log.map_err(|source| TrainError::Log { path: log_of(folder), source })? })
    }

    fn log_line(&self, meter: &mut Meter, gradient_norm: f64, saves: bool) -> Result<LogLine, TrainError> {
        let train = &self.spec.config.train;
        let line = LogLine {
            step: self.step,
            loss: meter.losses.iter().sum::<f64>() / meter.losses.len() as f64,
            gradient_norm,
            lr: learning_rate(self.step, train),
            images_per_second: (meter.losses.len() * train.batch) as f64 / meter.since.elapsed().as_secs_f64(),
            seconds: meter.started.elapsed().as_secs_f64(),
            held_out_loss: if saves { self.held_out_loss()? } else { None },
        };
        (meter.since, meter.losses) = (Instant::now(), Vec::new());
        Ok(line)
    }

    /// Whether the observer of any rank wants to stop. All ranks stop after the same step.
    fn any_rank_stops(&self, own: ControlFlow<()>) -> bool {
        let mut stops = [f64::from(u8::from(own.is_break()))];
        self.ranks.sum(&mut stops);
        stops[0] > 0.0
    }

    /// Writes a snapshot of the power-function averages if one is due.
    fn save_snapshot(&self, folder: &Path) -> Result<(), TrainError> {
        let (every, steps) = (self.spec.config.train.snapshot_every, self.spec.config.train.steps);
        if every == 0 || !(self.step == steps || self.step.is_multiple_of(every)) {
            return Ok(());
        }
        let path = checkpoint::snapshot_path(folder, self.step);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|source| TrainError::Log { path: parent.to_owned(), source })?;
        if let Some(snapshot) = self.snapshot() {
            snapshot.write(&path)?;
        }
        Ok(())
    }

    /// Writes a checkpoint on the rank that has files.
    fn save(&self, files: Option<&RunFiles>) -> Result<(), TrainError> {
        self.check_ranks()?;
        if let Some(files) = files {
            self.checkpoint().write(&checkpoint::path_of(files.folder, self.step))?;
            checkpoint::prune(files.folder, self.spec.config.train.keep);
        }
        Ok(())
    }
}
