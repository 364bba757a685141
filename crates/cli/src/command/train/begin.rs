//! New runs.

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use pfgm::{
    Model,
    config::Config,
    defaults,
    parallel::Communicator,
    spec::ModelSpec,
    train::{CONFIG, Trainer, memory_estimate},
};
use pfgm_data::{DataError, Dataset, Notice};

use super::Training;
use crate::{
    args::TrainArgs,
    command::data::table,
    distributed::Ranks,
    render::{self, display, line},
    resolve::{self, Changes, Plan},
};

/// Columns of a table that are printed, at most.
const SHOWN_COLUMNS: usize = 40;
/// Minimum number of steps that `--minutes` measures, after one warm-up step.
const MEASURED_STEPS: u32 = 3;
/// Minimum time that `--minutes` measures, in seconds.
const MEASURED_SECONDS: f64 = 1.0;

/// Returns the plan of the command line.
pub fn plan(args: &TrainArgs, device: &Device) -> Result<Plan> {
    let mut plan = match &args.from {
        Some(run) => resolve::fine_tuning(args, Model::load_on(run, device)?)?,
        None => resolve::plan(args)?,
    };
    if let Some(minutes) = args.minutes {
        resolve::within("--minutes", minutes, 0.01..=1e6)?;
        plan.minutes = Some((minutes, Changes::of(args)));
    }
    Ok(plan)
}

/// Creates a new run in an unused folder for its name.
pub fn begin(
    mut plan: Plan,
    dry_run: bool,
    folder: impl FnOnce(&str, &Config) -> Result<PathBuf>,
    device: &Device,
    ranks: &Ranks,
) -> Result<Training> {
    let whole = plan.data.take();
    let (data, held_out) = load(&plan.config, whole).map_err(|error| explain_missing(error, &plan))?;
    // The check below reports constant columns.
    let notices = data.notices.iter().filter(|notice| !matches!(notice, Notice::ConstantColumns { .. }));
    plan.notes.extend(notices.map(|notice| format!("note: {notice}")));
    plan.notes.extend(defaults::check(&data)?);
    if let Some(table) = &data.table {
        let lines = table::lines(&data, table)?;
        let rest = lines.len().saturating_sub(SHOWN_COLUMNS);
        plan.notes.extend(lines.into_iter().take(SHOWN_COLUMNS));
        plan.notes.extend((rest > 0).then(|| format!("column     ... and {rest} more; `pfgm data` prints all")));
    }
    plan.notes.extend(plan.config.unused_keys().into_iter().map(|(_, notice)| format!("note: {notice}")));
    plan.notes.extend(plan.config.network.unused_attention(data.shape).map(|notice| format!("note: {notice}")));
    if plan.minutes.is_some() && !dry_run {
        set_budget(&mut plan, &data, device, &**ranks)?;
    }
    let model = build(&plan, &data, device)?;
    plan.notes.iter().for_each(line);
    if dry_run {
        describe(model.spec(), &data)?;
    }
    // The trainer is created before anything is written, so an error leaves no files.
    let mut trainer = model.trainer(&data, held_out.as_ref())?.distributed(Arc::clone(ranks))?;
    if dry_run || !ranks.is_root() {
        return Ok(Training { folder: PathBuf::new(), trainer, data });
    }
    let folder = folder(&plan.name, &trainer.spec().config)?;
    render::make_folder(&folder)?;
    trainer.claim(&folder)?;
    let text = toml::to_string(&trainer.spec().config).context("the configuration cannot be written as TOML")?;
    render::write(&folder.join(CONFIG), text.as_bytes())?;
    // A folder with `checkpoints` can be resumed: the configuration is in it.
    render::make_folder(&folder.join("checkpoints"))?;
    let with_ranks = if ranks.size() > 1 { format!(" with {} ranks", ranks.size()) } else { String::new() };
    line(format!(
        "training {}{with_ranks} on {} rows of {} ({} weights, D = {}) in {}",
        plan.name,
        data.len(),
        data.shape,
        model.weights(),
        trainer.spec().extra_dims(),
        display(&folder)
    ));
    Ok(Training { folder, trainer, data })
}

/// Creates the model, after a check that there is enough memory for its training.
fn build(plan: &Plan, data: &Dataset, device: &Device) -> Result<Model> {
    let builder = Model::builder().config(plan.config.clone()).device(device);
    let spec = builder.clone().spec(data)?;
    memory_estimate(&spec, spec.weight_count()?, data).check()?;
    Ok(match &plan.start {
        Some(start) => start.fine_tune(plan.config.clone(), data)?,
        None => builder.build(data)?,
    })
}

/// Measures the first steps, and sets the number of steps that fit into the given minutes.
fn set_budget(plan: &mut Plan, data: &Dataset, device: &Device, ranks: &dyn Communicator) -> Result<()> {
    let Some((minutes, changes)) = &plan.minutes else { return Ok(()) };
    let mut trainer: Trainer = build(plan, data, device)?.trainer(data, None)?;
    trainer.take_step()?;
    let (started, mut taken) = (Instant::now(), 0);
    while taken < MEASURED_STEPS || started.elapsed().as_secs_f64() < MEASURED_SECONDS {
        trainer.take_step()?;
        taken += 1;
    }
    // All ranks have to agree.
    let mut seconds = [started.elapsed().as_secs_f64() / f64::from(taken)];
    ranks.sum(&mut seconds);
    let seconds = seconds[0] / ranks.size() as f64;
    let steps = (60.0 * minutes / seconds).max(1.0) as u64;
    defaults::set_budget(&mut plan.config.train, steps);
    // Given keys are not changed.
    let table = toml::Table::try_from(&plan.config).context("the configuration")?;
    plan.config = resolve::change(table, changes)?;
    plan.notes.push(format!(
        "budget       {} steps in about {minutes} minutes ({seconds:.3} s per step, measured)",
        plan.config.train.steps
    ));
    Ok(())
}

/// Adds to the error of a preset without data which flag to give.
fn explain_missing(error: anyhow::Error, plan: &Plan) -> anyhow::Error {
    match (error.downcast_ref::<DataError>(), &plan.preset) {
        (Some(DataError::NotFound { path, .. }), Some(preset)) => anyhow::anyhow!(
            "preset {preset}: its data are not at {path}: no such file or folder; give them with --data PATH, \
             or train a network for your own data with `pfgm train PATH`"
        ),
        _ => error,
    }
}

/// Returns the training rows and the held-out rows; `whole` is the data set if it has been read.
pub fn load(config: &Config, whole: Option<Dataset>) -> Result<(Dataset, Option<Dataset>)> {
    let dataset = match whole {
        Some(dataset) => dataset,
        None => resolve::latents::open(&config.data)?,
    };
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

/// Prints the configuration with every key in force, the number of weights, and an estimate of memory.
pub fn describe(spec: &ModelSpec, data: &Dataset) -> Result<()> {
    line(spec.config.to_full_toml().trim_end());
    let weights = spec.weight_count()?;
    let memory = memory_estimate(spec, weights, data);
    line(format!("\n# {} rows of {}, N = {}", data.len(), data.shape, spec.dim()));
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
