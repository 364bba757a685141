//! `pfgm train`

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use indicatif::ProgressBar;
use pfgm::{
    checkpoint::{self, Checkpoint},
    config::Config,
    sample::{SampleRequest, sample},
    solver::{ScheduleName, SolverConfig},
    spec::ModelSpec,
    train::{Events, LogLine, Observer, StepReport, Trainer},
    weights,
};
use pfgm_data::{Dataset, Shape};
use pfgm_plot::Series;

use crate::{
    args::TrainArgs,
    command::cascade,
    distributed::{self, Ranks},
    render::{self, Rows, chart_rows, display, line},
    resolve,
};

/// Samples shown after training.
const SHOWN_IMAGES: usize = 64;
const SHOWN_ROWS: usize = 2000;

pub fn run(args: &TrainArgs, ranks: &Ranks) -> Result<()> {
    let device = pfgm::device::open(&distributed::device(&args.device, &**ranks))?;
    let begun = if args.resume {
        resume(args, &device, ranks)?
    } else {
        let folder = |name: &str| resolve::run_folder(args.out.as_deref(), name);
        begin(resolve::config(args)?, args.dry_run, folder, &device, ranks)?
    };
    if args.dry_run {
        return Ok(());
    }
    let (folder, upscales) = (begun.0.clone(), begun.1.record().config.upscale.is_some());
    match go_on(begun, args.tensorboard, &device, ranks)? {
        // A part of a cascade makes no images by itself.
        Ended::Finished if upscales => {}
        Ended::Finished => line(format!("next         {} sample {} -n 100 --solver rk45", program(), display(&folder))),
        Ended::Stopped => line(format!("go on with   {} train {} --resume", program(), display(&folder))),
        Ended::Before => {}
    }
    Ok(())
}

/// A training: its folder, its trainer, the data.
pub type Begun = (PathBuf, Trainer, Dataset);

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its last step is taken.
    Finished,
    /// It had been before.
    Before,
    /// It was asked to stop.
    Stopped,
}

/// Trains until the last step, or until it is asked to stop; with `tensorboard` event files are written as well.
pub fn go_on((folder, mut trainer, data): Begun, tensorboard: bool, device: &Device, ranks: &Ranks) -> Result<Ended> {
    let (first, steps) = (trainer.steps_taken(), trainer.record().config.train.steps);
    if first >= steps {
        line(format!("{}: {first} of {steps} steps are taken; raise them with --set train.steps=N", display(&folder)));
        return Ok(Ended::Before);
    }
    let mut watcher = Watcher::new(first, steps, ranks.size() > 1)?;
    if tensorboard && ranks.is_root() {
        let events =
            Events::create(&folder).with_context(|| format!("{}: no event file can be written", folder.display()))?;
        watcher.events = Some(events);
    }
    trainer.run(&folder, &mut watcher)?;
    watcher.finish();
    let stopped = trainer.steps_taken() < steps;
    line(format!(
        "{} after {} of {steps} steps, loss {:.4}: {}",
        if stopped { "stopped" } else { "trained" },
        trainer.steps_taken(),
        watcher.loss,
        display(&checkpoint::path_of(&folder, trainer.steps_taken()))
    ));
    if stopped {
        return Ok(Ended::Stopped);
    }
    if ranks.is_root() {
        let picture = picture(&trainer, &data, &folder, device)?;
        line(format!("samples      {}", display(&picture)));
    }
    Ok(Ended::Finished)
}

/// How the program was called.
pub fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    if called.contains("target") { "cargo run --release --".into() } else { "pfgm".into() }
}

/// A new run in the folder that is found for its name.
pub fn begin(
    resolve::Named { name, config }: resolve::Named,
    dry_run: bool,
    folder: impl FnOnce(&str) -> Result<PathBuf>,
    device: &Device,
    ranks: &Ranks,
) -> Result<Begun> {
    let (data, held_out) = load(&config)?;
    config.unused_keys().iter().for_each(|(_, notice)| line(format!("note: {notice}")));
    let record = ModelSpec::resolve(config, &data)?;
    if dry_run {
        // Before anything large is allocated: what needs too much memory is refused below.
        describe(&record, &data)?;
    }
    // The network is made before anything is written: sizes that do not fit leave nothing behind.
    let trainer = Trainer::new(record, data.clone(), held_out, device)?.distributed(Arc::clone(ranks))?;
    if dry_run || !ranks.is_root() {
        return Ok((PathBuf::new(), trainer, data));
    }
    let folder = folder(&name)?;
    render::make_folder(&folder.join("checkpoints"))?;
    let text = toml::to_string(&trainer.record().config).context("the configuration cannot be written as TOML")?;
    render::write(&folder.join("config.toml"), text.as_bytes())?;
    let weights = weights::count(&trainer.averaged());
    line(format!(
        "training {name}{} on {} rows of {} ({weights} weights, D = {}) in {}",
        match ranks.size() {
            1 => String::new(),
            ranks => format!(" with {ranks} ranks"),
        },
        data.len(),
        data.shape,
        trainer.record().extra_dims(),
        display(&folder)
    ));
    Ok((folder, trainer, data))
}

/// A run that was stopped, at its last checkpoint.
pub fn resume(args: &TrainArgs, device: &Device, ranks: &Ranks) -> Result<Begun> {
    let is_run = Path::new(&args.what).is_dir();
    let folder = match (&args.out, is_run) {
        (Some(out), false) => out.clone(),
        (None, true) => PathBuf::from(&args.what),
        (Some(_), true) => bail!("--out: a run is resumed in its own folder; omit --out"),
        (None, false) => latest_run(&args.what)?,
    };
    let path = checkpoint::find(&folder)?;
    let checkpoint = Checkpoint::read(&path)?;
    let mut config = if is_run {
        let text = toml::to_string(&checkpoint.record.config).context("the checkpoint's configuration")?;
        resolve::change(text.parse()?, args)?
    } else {
        resolve::config(args)?.config
    };
    let (data, held_out) = load(&config)?;
    let wanted = config.train.clone();
    let kept = &checkpoint.record.config.train;
    // These may change: how far training goes, and when it saves and logs.
    config.train.steps = kept.steps;
    config.train.checkpoint_every = kept.checkpoint_every;
    config.train.keep = kept.keep;
    config.train.log_every = kept.log_every;
    let record = ModelSpec::resolve(config, &data)?;
    if let Some(difference) = difference(&checkpoint.record, &record)? {
        bail!(
            "{}: the checkpoint is of another configuration ({difference}); resume it as it was, or start a new run",
            path.display()
        );
    }
    let trainer = Trainer::resume(&checkpoint, &path, data.clone(), held_out, device)?;
    let mut trainer = trainer.distributed(Arc::clone(ranks))?;
    trainer.reschedule(&wanted);
    if args.dry_run {
        describe(trainer.record(), &data)?;
    } else {
        line(format!("resuming {} at step {}", display(&folder), trainer.steps_taken()));
    }
    Ok((folder, trainer, data))
}

/// Of runs/NAME, runs/NAME-2, ... the one whose checkpoint is the newest.
fn latest_run(what: &str) -> Result<PathBuf> {
    let name = Path::new(what).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let is_ours = |folder: &str| {
        let rest = folder.strip_prefix(&name).unwrap_or("?");
        rest.is_empty() || rest.strip_prefix('-').is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let newest = |run: &PathBuf| fs::metadata(checkpoint::list(run).pop()?).ok()?.modified().ok();
    let runs = fs::read_dir("runs").into_iter().flatten().flatten();
    runs.filter(|entry| is_ours(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| Some((newest(&entry.path())?, entry.path())))
        .max()
        .map(|(_, path)| path)
        .with_context(|| format!("--resume: no run with a checkpoint in runs/{name}; say where it is with --out DIR"))
}

/// The first key in which two records differ, with both values.
fn difference(a: &ModelSpec, b: &ModelSpec) -> Result<Option<String>> {
    let flat = |record: &ModelSpec| -> Result<Vec<(String, String)>> {
        let mut leaves = Vec::new();
        flatten("", &serde_json::to_value(record)?, &mut leaves);
        Ok(leaves)
    };
    let unused = [a, b].map(|record| record.config.unused_keys()).concat();
    let unused: Vec<String> = unused.into_iter().map(|(key, _)| format!("config.{key}")).collect();
    let (a, b) = (flat(a)?, flat(b)?);
    let value = |of: &[(String, String)], key: &str| {
        of.iter().find(|(name, _)| name == key).map_or_else(|| "nothing".to_owned(), |(_, value)| value.clone())
    };
    // Data may have moved; that they are the same data shows in their shape, size and scale.
    let moved = ["config.data.source", "data.name"];
    let is_compared = |key: &&String| !moved.contains(&key.as_str()) && !unused.iter().any(|unused| *unused == **key);
    let mut keys = a.iter().chain(&b).map(|(key, _)| key).filter(is_compared);
    let found = keys.find(|key| value(&a, key) != value(&b, key));
    Ok(found.map(|key| {
        format!("{} is {} there, {} here", key.trim_start_matches("config."), value(&a, key), value(&b, key))
    }))
}

fn flatten(path: &str, value: &serde_json::Value, leaves: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(entries) => {
            for (key, value) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, leaves);
            }
        }
        leaf => leaves.push((path.to_owned(), leaf.to_string())),
    }
}

/// The rows to train on, and those held out.
pub fn load(config: &Config) -> Result<(Dataset, Option<Dataset>)> {
    let dataset = pfgm_data::open(&config.data.source, &config.data.options())?;
    let held = config.data.hold_out;
    if held == 0 {
        return Ok((dataset, None));
    }
    if held >= dataset.len() {
        bail!("data.hold_out = {held}, but {} has only {} rows; leave some to train on", dataset.name, dataset.len());
    }
    // The same rows are held out in every run.
    let (train, held_out) = dataset.split(held, 0)?;
    Ok((train, Some(held_out)))
}

/// The resolved configuration, the number of weights, and what a step needs.
fn describe(record: &ModelSpec, data: &Dataset) -> Result<()> {
    render::line(toml::to_string(&record.config)?.trim_end());
    let weights = record.weight_count()?;
    let memory = pfgm::train::memory_estimate(record, weights, data);
    line(format!("\n# {} rows of {}, N = {}", data.len(), data.shape, record.dim()));
    line(format!("# {weights} weights"));
    line(format!(
        "# about {:.0} MB: weights, average and optimizer {:.0}, a step's activations {:.0}, data {:.0}, program {:.0}",
        memory.total() / 1e6,
        memory.weights / 1e6,
        memory.activations / 1e6,
        memory.data / 1e6,
        memory.program / 1e6
    ));
    Ok(())
}

/// A picture of samples: images by class, or points and columns beside the data's.
fn picture(trainer: &Trainer, data: &Dataset, folder: &Path, device: &Device) -> Result<PathBuf> {
    let record = trainer.record();
    if record.config.upscale.is_some() {
        return cascade::upscaled_picture(trainer, data, folder, device);
    }
    let classes = record.data.classes.len() as u32;
    let (count, across) = match (record.data.shape, classes) {
        (Shape::Vector { .. }, _) => (SHOWN_ROWS, 1),
        (_, 2..=16) => (8 * classes as usize, classes as usize),
        _ => (SHOWN_IMAGES, 8),
    };
    // A schedule can be looked for in a run only once there is one.
    let kept = &record.config.sample.solver;
    let schedule = kept.schedule.filter(|schedule| *schedule != ScheduleName::Gits || !kept.levels.is_empty());
    let solver = SolverConfig { schedule, ..kept.clone() };
    let request = SampleRequest {
        seeds: (0..count as u64).collect(),
        classes: (0..count as u32).map(|seed| (classes > 0).then(|| seed % classes)).collect(),
        solver,
        guidance: record.config.sample.guidance,
        batch: 64,
        released: None,
    };
    let samples = sample(record, &trainer.averaged(), &request, device, &mut |_| {})?;
    let rows = match record.data.shape {
        Shape::Image { .. } => Vec::new(),
        Shape::Vector { .. } => chart_rows(data)?,
    };
    let series = [Series { name: "data", values: &rows }, Series { name: "samples", values: &samples.values }];
    let picture = Rows::from(&record.data).picture(&series, across, &record.data.name)?;
    let path = folder.join("samples.png");
    render::write(&path, &picture)?;
    Ok(path)
}

/// Whether somebody asked to stop.
static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// Whether there is a training that has to save first.
static SAVES: AtomicBool = AtomicBool::new(false);

/// Listens to Ctrl-C, SIGTERM and SIGUSR1 from the first training of this process on. Of `many` ranks none ends by itself: what
/// starts them ends all.
fn listen(many: bool) -> Result<()> {
    static LISTENING: AtomicBool = AtomicBool::new(false);
    if LISTENING.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    ctrlc::set_handler(move || {
        let again = STOP.swap(true, Ordering::SeqCst);
        if many {
            if !again && !render::is_silent() {
                render::warn("\nsaving after this step");
            }
            return;
        }
        if again || !SAVES.load(Ordering::SeqCst) {
            // Asked twice, or nothing to save: now.
            std::process::exit(130);
        }
        render::warn("\nsaving after this step; once more to stop at once");
    })
    .context("signals cannot be handled")?;
    // What schedulers send ahead of a limit, and what mpirun passes on at once.
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&STOP))
        .context("signals cannot be handled")?;
    Ok(())
}

/// Shows progress, and passes Ctrl-C, SIGTERM and SIGUSR1 on.
struct Watcher {
    bar: ProgressBar,
    loss: f64,
    /// Where there is no terminal: when the last line was printed.
    printed: Instant,
    /// For TensorBoard, if it was asked for.
    events: Option<Events>,
}

impl Watcher {
    fn new(first: u64, steps: u64, many: bool) -> Result<Self> {
        let bar = render::bar(steps, "{wide_bar} {pos}/{len}  {msg}  {eta} left")?.with_position(first);
        bar.reset_eta();
        listen(many)?;
        SAVES.store(true, Ordering::SeqCst);
        Ok(Self { bar, loss: f64::NAN, printed: Instant::now(), events: None })
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
        SAVES.store(false, Ordering::SeqCst);
    }
}

impl Observer for Watcher {
    fn step(&mut self, report: &StepReport) {
        self.loss = if self.loss.is_nan() { report.loss } else { 0.98 * self.loss + 0.02 * report.loss };
        let message = format!("loss {:.4}  {:.0} images/s", self.loss, report.images_per_second);
        if self.bar.is_hidden() && self.printed.elapsed() > Duration::from_secs(10) {
            line(format!("step {}/{}  {message}", report.step, report.steps));
            self.printed = Instant::now();
        }
        self.bar.set_position(report.step);
        self.bar.set_message(message);
    }

    fn logged(&mut self, line: &LogLine) {
        // A full disk stops the training where its own log is written.
        if let Some(events) = &mut self.events
            && let Err(error) = events.add(line)
        {
            render::warn(format!("--tensorboard: {error}; the training continues without it"));
            self.events = None;
        }
    }

    fn stop_requested(&mut self) -> bool {
        STOP.load(Ordering::SeqCst)
    }
}
