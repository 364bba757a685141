//! Training a model.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use pfgm_data::{Dataset, atomic};

use super::{Model, TrainingState};
use crate::{
    checkpoint::{Checkpoint, Group},
    defaults::set_budget,
    error::{Error, Result},
    parallel::Communicator,
    progress::CancelToken,
    train::{LogLine, StepReport, Trainer},
    weights::{self, Weight},
};

/// A function that is called after every step, and may end the training.
type FitObserver<'a> = Box<dyn FnMut(&FitProgress) -> ControlFlow<()> + 'a>;

/// Settings of a training: [`Model::fit`].
#[must_use = "nothing is trained before `Model::fit`"]
#[derive(Default)]
pub struct Fit<'a> {
    steps: Option<u64>,
    batch: Option<usize>,
    learning_rate: Option<f64>,
    held_out: Option<&'a Dataset>,
    folder: Option<PathBuf>,
    observer: Option<FitObserver<'a>>,
    cancel: Option<CancelToken>,
    ranks: Option<Arc<dyn Communicator>>,
}

/// Report on a training step.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FitProgress {
    /// Number of steps taken, including those of earlier trainings.
    pub step: u64,
    /// The number of the last step.
    pub steps: u64,
    /// The loss of this step, per item and coordinate.
    pub loss: f64,
    /// The norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Rows per second, smoothed.
    pub rows_per_second: f64,
    /// The line that was written to the log after this step, if any.
    pub log: Option<LogLine>,
}

/// How a training ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FitReport {
    /// The loss, smoothed over the last steps (exponential average, decay 0.98).
    pub loss: f64,
    /// Number of steps taken, including those of earlier trainings.
    pub steps: u64,
    /// The loss of the averaged weights on the held-out rows, if there are any.
    pub held_out_loss: Option<f64>,
    /// Whether its observer or token ended the training before its last step.
    pub is_canceled: bool,
    /// Time in seconds.
    pub seconds: f64,
}

impl<'a> Fit<'a> {
    /// Trains until the model has taken this many optimizer steps in total. Unless the model was built from a configuration, warm-up, cool-down
    /// and the decay of the moving average follow from the number of steps.
    pub fn steps(steps: u64) -> Self {
        Self { steps: Some(steps), ..Self::default() }
    }

    /// Trains with the settings of the model's configuration.
    pub fn configured() -> Self {
        Self::default()
    }

    /// Sets the batch size. Default: that of the configuration.
    pub fn batch(mut self, rows: usize) -> Self {
        self.batch = Some(rows);
        self
    }

    /// Sets Adam's learning rate. Default: that of the configuration.
    pub fn learning_rate(mut self, rate: f64) -> Self {
        self.learning_rate = Some(rate);
        self
    }

    /// Sets held-out rows, on which the loss is measured.
    pub fn held_out(mut self, rows: &'a Dataset) -> Self {
        self.held_out = Some(rows);
        self
    }

    /// Writes checkpoints and the log to the folder of a run during the training.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Sets a function that is called after every step. The training ends when it returns `ControlFlow::Break`; the weights are kept.
    pub fn observer(mut self, observer: impl FnMut(&FitProgress) -> ControlFlow<()> + 'a) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Ends the training after the step in which the token is canceled or expires; the weights are kept.
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = Some(token.clone());
        self
    }

    /// Divides every batch among ranks.
    pub fn ranks(mut self, ranks: Arc<dyn Communicator>) -> Self {
        self.ranks = Some(ranks);
        self
    }
}

/// Passes the reports of the trainer to the observer.
struct Adapter<'a> {
    observer: Option<FitObserver<'a>>,
    cancel: Option<CancelToken>,
    loss: Option<f64>,
    held_out_loss: Option<f64>,
}

impl Adapter<'_> {
    fn report(&mut self, report: &StepReport) -> ControlFlow<()> {
        let StepReport { step, steps, loss, gradient_norm, images_per_second: rows_per_second, ref log, .. } = *report;
        self.loss = Some(self.loss.map_or(loss, |smooth| 0.98 * smooth + 0.02 * loss));
        self.held_out_loss = log.as_ref().and_then(|line| line.held_out_loss).or(self.held_out_loss);
        let progress = FitProgress { step, steps, loss, gradient_norm, rows_per_second, log: log.clone() };
        if let Some(observer) = &mut self.observer {
            observer(&progress)?;
        }
        match &self.cancel {
            Some(token) if !token.is_active() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Model {
    /// Trains the model from its current state. Samples are drawn with the moving average of the weights.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let data = Dataset::open("two-moons")?;
    /// let mut model = Model::builder().extra_dims(f64::INFINITY).build(&data)?;
    /// let report = model.fit(&data, Fit::steps(20).batch(32))?;
    /// assert_eq!((report.steps, report.is_canceled), (20, false));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the data do not fit the model, the loss diverges, or a file cannot be read or written.
    pub fn fit(&mut self, train: &Dataset, fit: Fit) -> Result<FitReport> {
        let started = Instant::now();
        let Fit { steps, batch, learning_rate, held_out, folder, observer, cancel, ranks } = fit;
        self.rows_fit(train)?;
        held_out.map_or(Ok(()), |rows| self.rows_fit(rows))?;
        let mut config = self.spec.config.clone();
        match steps.filter(|steps| *steps != config.train.steps) {
            Some(steps) if self.follows_data => set_budget(&mut config.train, steps),
            Some(steps) => {
                let train = &mut config.train;
                (train.steps, train.warmup, train.cooldown) =
                    (steps, train.warmup.min(steps / 10), train.cooldown.min(steps));
            }
            None => {}
        }
        config.train.batch = batch.unwrap_or(config.train.batch);
        config.train.lr = learning_rate.unwrap_or(config.train.lr);
        config.check()?;
        self.spec.config = config;
        let mut trainer = self.trainer(train, held_out)?;
        if let Some(ranks) = ranks {
            trainer = trainer.distributed(ranks)?;
        }
        if let Some(folder) = &folder {
            std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
            trainer.claim(folder)?;
            self.begin_folder(folder)?;
        }
        let mut adapter = Adapter { observer, cancel, loss: None, held_out_loss: None };
        trainer.run(folder.as_deref(), &mut |report| adapter.report(report))?;
        let steps = trainer.steps_taken();
        self.network = burn::module::Module::valid(&trainer.averaged());
        self.step = steps;
        self.training = TrainingState::Resumable(Box::new(trainer.checkpoint()));
        Ok(FitReport {
            loss: adapter.loss.unwrap_or(f64::NAN),
            steps,
            held_out_loss: adapter.held_out_loss,
            is_canceled: steps < self.spec.config.train.steps,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Returns a trainer that continues from the current state of the model.
    ///
    /// # Errors
    /// Returns an error if the network does not fit the data.
    pub fn trainer(&self, train: &Dataset, held_out: Option<&Dataset>) -> Result<Trainer> {
        let (train, held_out) = (train.clone(), held_out.cloned());
        let name = Path::new("the model");
        match &self.training {
            TrainingState::Untrained => Ok(Trainer::new(self.spec.clone(), train, held_out, &self.device)?),
            TrainingState::Resumable(state) => {
                Ok(Trainer::resume(&self.with_spec(state), name, train, held_out, &self.device)?)
            }
            TrainingState::WeightsOnly => {
                Ok(Trainer::resume(&self.fresh_training(), name, train, held_out, &self.device)?)
            }
        }
    }

    /// Returns a checkpoint with the averaged weights, without moments and steps, to start a training. If its objective needs a teacher, it is
    /// this model.
    fn fresh_training(&self) -> Checkpoint {
        let average = weights::collect(&self.network);
        let zeros: Vec<Weight> =
            average.iter().map(|weight| Weight { values: vec![0.0; weight.values.len()], ..weight.clone() }).collect();
        let teacher = self.spec.config.objective.needs_teacher().then(|| (Group::Teacher, average.clone()));
        let groups = [
            (Group::Network, average.clone()),
            (Group::Average, average),
            (Group::First, zeros.clone()),
            (Group::Second, zeros),
        ];
        Checkpoint::new(0, self.spec.clone(), groups.into_iter().chain(teacher))
    }

    fn rows_fit(&self, rows: &Dataset) -> Result<()> {
        let learned = &self.spec.data;
        if rows.shape != learned.shape {
            let problem =
                format!("{}: rows are {}, but the model was built for {}", rows.name, rows.shape, learned.shape);
            return Err(Error::argument("data", problem));
        }
        match &rows.labels {
            None if self.spec.config.data.conditional => Err(Error::argument(
                "data",
                format!("{} has no labels, but the model is conditioned on classes", rows.name),
            )),
            Some(labels) if self.spec.config.data.conditional && labels.names != learned.classes => {
                let problem = format!(
                    "{}: other classes than those that the model was built for: {}",
                    rows.name,
                    learned.classes.join(", ")
                );
                Err(Error::argument("data", problem))
            }
            _ => Ok(()),
        }
    }

    /// Prepares the folder of a run: its configuration, and a folder for checkpoints.
    pub(super) fn begin_folder(&self, folder: &Path) -> Result<()> {
        let checkpoints = folder.join("checkpoints");
        std::fs::create_dir_all(&checkpoints).map_err(|error| Error::io(&checkpoints, error))?;
        let path = folder.join("config.toml");
        let text = toml::to_string(&self.spec.config).expect("a configuration is plain data");
        atomic::write(&path, text.as_bytes()).map_err(|error| Error::io(&path, error))
    }
}
