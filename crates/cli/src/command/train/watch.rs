//! Progress of a training, and the signals that stop it.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use indicatif::{HumanDuration, ProgressBar};
use pfgm::{
    config::TrainConfig,
    train::{Events, LogLine, StepReport},
};

use crate::render::{self, line, warn};

/// Set by a signal that stops the training.
static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// Whether a training is running, which has to save before the process exits.
static IS_TRAINING: AtomicBool = AtomicBool::new(false);

/// Handles Ctrl-C, SIGTERM and SIGUSR1 from the first training of this process on. With many ranks, no rank exits by itself: mpirun
/// ends all of them.
fn handle_signals(many: bool) -> Result<()> {
    static HANDLED: AtomicBool = AtomicBool::new(false);
    if HANDLED.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    ctrlc::set_handler(move || {
        let again = STOP.swap(true, Ordering::SeqCst);
        if many {
            if !again && !render::is_silent() {
                warn("\nsaving after this step");
            }
            return;
        }
        if again || !IS_TRAINING.load(Ordering::SeqCst) {
            std::process::exit(130);
        }
        warn("\nsaving after this step; interrupt again to exit at once");
    })
    .context("signals cannot be handled")?;
    // Schedulers send SIGUSR1 before a time limit, and mpirun forwards it immediately.
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&STOP))
        .context("signals cannot be handled")?;
    Ok(())
}

/// Time of a step with its checkpoint from which on the next checkpoint is announced, if there is no terminal.
const LONG: Duration = Duration::from_secs(5);

/// When checkpoints are written, and how long that takes.
struct Checkpoints {
    /// Steps between checkpoints.
    every: u64,
    /// Time of the last step.
    last: Instant,
    /// How long the last step with a checkpoint took.
    taken: Duration,
}

impl Checkpoints {
    /// Whether a checkpoint is written after a step.
    fn follows(&self, step: u64, steps: u64) -> bool {
        step == steps || step.is_multiple_of(self.every)
    }

    /// Notes that a step was taken.
    fn pass(&mut self, step: u64, steps: u64) {
        if self.follows(step, steps) {
            self.taken = self.last.elapsed();
        }
        self.last = Instant::now();
    }

    /// What follows the next step, if it ends with a checkpoint: the evaluation can take as long as many steps.
    fn announcement(&self, step: u64, steps: u64) -> Option<&'static str> {
        match step + 1 {
            next if next == steps => Some("after the last step: loss of held-out rows, checkpoint"),
            next if self.follows(next, steps) => Some("after the next step: loss of held-out rows, checkpoint"),
            _ => None,
        }
    }
}

/// Shows the progress of a training, and stops it after a signal.
pub struct Watcher {
    bar: ProgressBar,
    /// The loss, smoothed.
    pub loss: f64,
    /// The loss of the first step of the training, unless it was resumed.
    first_loss: Option<f64>,
    /// What is trained on: images, or rows.
    unit: &'static str,
    /// The step and the time at which this process began.
    begun: (u64, Instant),
    /// Time of the last printed line, if there is no terminal.
    printed: Instant,
    checkpoints: Checkpoints,
    /// TensorBoard's event file, if there is one.
    pub events: Option<Events>,
}

impl Watcher {
    pub fn new(first: u64, train: &TrainConfig, unit: &'static str, many: bool) -> Result<Self> {
        let bar = render::bar(train.steps, "{wide_bar} {pos}/{len}  {msg}  {eta} left")?.with_position(first);
        bar.reset_eta();
        handle_signals(many)?;
        IS_TRAINING.store(true, Ordering::SeqCst);
        let now = Instant::now();
        Ok(Self {
            bar,
            loss: f64::NAN,
            first_loss: None,
            unit,
            begun: (first, now),
            printed: now,
            checkpoints: Checkpoints { every: train.checkpoint_every.max(1), last: now, taken: Duration::ZERO },
            events: None,
        })
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
        IS_TRAINING.store(false, Ordering::SeqCst);
    }
}

impl Watcher {
    /// Shows a step. Breaks after a signal.
    pub fn report(&mut self, report: &StepReport) -> ControlFlow<()> {
        self.loss = if self.loss.is_nan() { report.loss } else { 0.98 * self.loss + 0.02 * report.loss };
        if report.step == 1 {
            self.first_loss = Some(report.loss);
        }
        let message = format!("loss {}  {:.0} {}/s", shown(self.loss), report.images_per_second, self.unit);
        if self.bar.is_hidden() && self.printed.elapsed() > Duration::from_secs(10) {
            line(format!("step {}/{}  {message}  {} left", report.step, report.steps, self.left(report)));
            self.printed = Instant::now();
        }
        self.bar.set_position(report.step);
        self.checkpoints.pass(report.step, report.steps);
        if let Some(then) = self.checkpoints.announcement(report.step, report.steps) {
            self.bar.set_message(format!("{message}  {then}"));
            if self.bar.is_hidden() && (report.step + 1 == report.steps || self.checkpoints.taken > LONG) {
                line(format!("step {}/{}  {then}", report.step, report.steps));
            }
        } else {
            self.bar.set_message(message);
        }
        if let Some(line) = &report.log {
            self.add_event(line);
        }
        if STOP.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The time that the remaining steps take at the speed so far.
    fn left(&self, report: &StepReport) -> String {
        let (first, started) = self.begun;
        let taken = report.step.saturating_sub(first).max(1) as f64;
        let seconds = started.elapsed().as_secs_f64() / taken * report.steps.saturating_sub(report.step) as f64;
        HumanDuration(Duration::from_secs_f64(seconds)).to_string()
    }

    /// The loss, and that of the first step for comparison.
    pub fn loss_of_training(&self) -> String {
        let first = self.first_loss.map_or_else(String::new, |first| format!(" ({} at the first step)", shown(first)));
        format!("loss {}{first}", shown(self.loss))
    }

    fn add_event(&mut self, line: &LogLine) {
        // A full disk stops the training when its log is written.
        if let Some(events) = &mut self.events
            && let Err(error) = events.add(line)
        {
            warn(format!("--tensorboard: {error}; the training continues without it"));
            self.events = None;
        }
    }
}

/// A loss with four digits.
fn shown(loss: f64) -> String {
    if loss.abs() < 0.001 { format!("{loss:.3e}") } else { format!("{loss:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_announced_in_the_step_before() {
        let mut checkpoints = Checkpoints { every: 10, last: Instant::now(), taken: Duration::ZERO };
        let announced: Vec<u64> = (1..=25).filter(|&step| checkpoints.announcement(step, 25).is_some()).collect();
        assert_eq!(announced, [9, 19, 24]);
        // How long a step with a checkpoint took decides whether the next one gets a line of its own.
        checkpoints.pass(9, 25);
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(checkpoints.taken, Duration::ZERO);
        checkpoints.pass(10, 25);
        checkpoints.pass(11, 25);
        assert!(checkpoints.taken >= Duration::from_millis(30), "of the last step with a checkpoint");
    }
}
