//! Training: options from Python, progress to Python, Ctrl-C.

use std::{
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};

use pfgm::{
    config::Config,
    defaults,
    model::{Fit, FitProgress, ModelBuilder},
    presets,
};
use pfgm_data::Dataset;
use pyo3::{IntoPyObject, prelude::*};
use serde_json::Value;

use crate::{
    failure::{Failure, Result},
    model::{Model, opened},
};

/// How often a training asks for signals and tells its progress, unless it is to tell every step.
const OFTEN: Duration = Duration::from_millis(50);

/// How a model is built and trained; what is None follows from the data.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Training {
    /// A preset's name, or the text of a TOML file.
    base: Option<String>,
    /// Changes to the configuration as JSON: tables of keys.
    changes: String,
    extra_dims: Option<f64>,
    seed: Option<u64>,
    sigma_min: Option<f64>,
    sigma_max: Option<f64>,
    conditional: Option<bool>,
    device: String,
    steps: Option<u64>,
    batch_size: Option<usize>,
    learning_rate: Option<f64>,
    /// Rows that are not trained on.
    held_out: usize,
    /// The run's folder that checkpoints and the log are written to.
    folder: Option<PathBuf>,
    /// Whether `report` is called after every step instead of a few times a second.
    every_step: bool,
}

/// Losses of a training.
#[derive(Default, IntoPyObject)]
pub struct History {
    step: Vec<u64>,
    loss: Vec<f64>,
    seconds: Vec<f64>,
    held_out_step: Vec<u64>,
    held_out_loss: Vec<f64>,
}

/// What a training gives back.
#[derive(IntoPyObject)]
pub struct Trained {
    model: Model,
    history: History,
    loss: f64,
    seconds: f64,
    is_canceled: bool,
    /// The exception that ended the training early, to be raised after the model is kept.
    error: Option<Py<PyAny>>,
}

/// Builds a model, or continues `start`, and trains it. `report(step, steps, loss, rows_per_second)` returns whether to stop.
pub fn run(
    py: Python<'_>,
    rows: &Dataset,
    options: &Bound<'_, PyAny>,
    report: Option<Py<PyAny>>,
    start: Option<&Model>,
) -> Result<Trained> {
    let training: Training = options.extract()?;
    let (model, watcher, report) = py.detach(|| -> Result<_> {
        let split;
        let (train, held_out) = match training.held_out {
            0 => (rows, None),
            count => {
                split = rows.split(count, training.seed.unwrap_or(0))?;
                (&split.0, Some(&split.1))
            }
        };
        let mut model = match start {
            Some(start) => start.inner().clone(),
            None => training.build(train)?,
        };
        let mut watcher = Watcher::new(report, training.every_step);
        let fit = training.fit(held_out).observer(|progress| watcher.observe(progress));
        let report = model.fit(train, fit)?;
        Ok((model, watcher, report))
    })?;
    Ok(Trained {
        model: Model::new(model),
        history: watcher.history,
        loss: report.loss,
        seconds: report.seconds,
        is_canceled: report.is_canceled,
        error: watcher.error.map(|error| error.into_value(py).into_any()),
    })
}

impl Training {
    fn build(&self, train: &Dataset) -> Result<pfgm::Model> {
        let mut builder = pfgm::Model::builder().device(&opened(&self.device)?);
        if let Some(base) = &self.base {
            builder = builder.config(base_config(base)?);
        }
        if let Some(d) = self.extra_dims {
            builder = builder.extra_dims(d);
        }
        if let Some(seed) = self.seed {
            builder = builder.seed(seed);
        }
        if let Some(sigma) = self.sigma_min {
            builder = builder.sigma_min(sigma);
        }
        if let Some(sigma) = self.sigma_max {
            builder = builder.sigma_max(sigma);
        }
        if let Some(conditional) = self.conditional {
            builder = builder.conditional(conditional);
        }
        Ok(self.changed(builder, train)?.build(train)?)
    }

    /// The builder with the changes to the configuration that it would resolve to.
    fn changed(&self, builder: ModelBuilder, train: &Dataset) -> Result<ModelBuilder> {
        let wrong = |error: serde_json::Error| Failure::of("config", error);
        let changes: Value = serde_json::from_str(&self.changes).map_err(wrong)?;
        if changes.as_object().is_none_or(serde_json::Map::is_empty) {
            return Ok(builder);
        }
        let mut config = builder.clone().spec(train)?.config;
        if let Some(steps) = self.steps {
            defaults::set_budget(&mut config.train, steps);
        }
        let mut config = serde_json::to_value(config).map_err(wrong)?;
        merge(&mut config, changes);
        let config: Config = serde_json::from_value(config).map_err(wrong)?;
        Ok(builder.config(config))
    }

    fn fit<'a>(&self, held_out: Option<&'a Dataset>) -> Fit<'a> {
        let mut fit = self.steps.map_or_else(Fit::configured, Fit::steps);
        if let Some(rows) = self.batch_size {
            fit = fit.batch(rows);
        }
        if let Some(rate) = self.learning_rate {
            fit = fit.learning_rate(rate);
        }
        if let Some(rows) = held_out {
            fit = fit.held_out(rows);
        }
        match &self.folder {
            Some(folder) => fit.folder(folder),
            None => fit,
        }
    }
}

/// The configuration of a preset, or of the text of a TOML file.
fn base_config(base: &str) -> Result<Config> {
    let text = presets::find(base).map_or(base, |preset| preset.text);
    if !text.contains('\n') {
        let known: Vec<&str> = presets::PRESETS.iter().map(|preset| preset.name).collect();
        return Err(Failure::of("config", format!("no preset or file `{base}`; presets are {}", known.join(", "))));
    }
    toml::from_str(text).map_err(|error| Failure::of("config", error.message()))
}

/// Replaces values of `into` by those of `changes`, table by table. A table of another kind or method replaces the whole table.
fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            let is_other = ["kind", "method"]
                .iter()
                .any(|key| changes.get(*key).is_some_and(|value| into.get(*key) != Some(value)));
            if is_other {
                into.clear();
            }
            for (key, value) in changes {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes,
    }
}

/// Keeps the losses of a training, and passes its progress on to Python.
struct Watcher {
    report: Option<Py<PyAny>>,
    every_step: bool,
    started: Instant,
    last: Instant,
    history: History,
    error: Option<PyErr>,
}

impl Watcher {
    fn new(report: Option<Py<PyAny>>, every_step: bool) -> Self {
        let now = Instant::now();
        Self { report, every_step, started: now, last: now, history: History::default(), error: None }
    }

    fn observe(&mut self, progress: &FitProgress) -> ControlFlow<()> {
        let now = Instant::now();
        let history = &mut self.history;
        history.step.push(progress.step);
        history.loss.push(progress.loss);
        history.seconds.push((now - self.started).as_secs_f64());
        if let Some(loss) = progress.log.as_ref().and_then(|line| line.held_out_loss) {
            history.held_out_step.push(progress.step);
            history.held_out_loss.push(loss);
        }
        let is_last = progress.step == progress.steps;
        if !self.every_step && !is_last && now - self.last < OFTEN {
            return ControlFlow::Continue(());
        }
        self.last = now;
        match Python::attach(|py| self.ask(py, progress)) {
            Ok(false) => ControlFlow::Continue(()),
            Ok(true) => ControlFlow::Break(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Asks Python for signals, and `report` whether to stop.
    fn ask(&self, py: Python<'_>, progress: &FitProgress) -> PyResult<bool> {
        py.check_signals()?;
        let Some(report) = &self.report else { return Ok(false) };
        let FitProgress { step, steps, loss, rows_per_second, .. } = *progress;
        report.call1(py, (step, steps, loss, rows_per_second))?.is_truthy(py)
    }
}
