//! Trained models, and rows of data for them.

use std::{ops::ControlFlow, path::Path};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use pfgm::{
    Model, Progress, bundled,
    model::Rows,
    spec::{DataInfo, ModelSpec},
};
use pfgm_data::{BUILT_IN, Dataset, Shape};

use super::{dataset_of, latents};
use crate::{
    args::{ComputeArgs, latents::RowsArgs},
    render::line,
};

/// Loads the averaged weights of a run's latest checkpoint, of a checkpoint file, or of a bundled model. The model must not upscale.
pub fn model(run: &Path, compute: &ComputeArgs) -> Result<Model> {
    let model = any_model(run, compute)?;
    if model.spec().config.upscale.is_some() {
        bail!(
            "{}: this run upscales images and cannot be sampled by itself; use `pfgm cascade sample` on the cascade's folder",
            run.display()
        );
    }
    Ok(model)
}

/// Loads a model as [`model`] does, whose flow can be integrated: not a distilled one.
pub fn flow_model(run: &Path, compute: &ComputeArgs) -> Result<Model> {
    let model = model(run, compute)?;
    if model.spec().is_distilled() {
        bail!(
            "{}: this run is distilled: its network jumps to the data and has no yhat; name the run that it came from",
            run.display()
        );
    }
    Ok(model)
}

/// Loads a model as [`model`] does, of any kind.
pub fn any_model(run: &Path, compute: &ComputeArgs) -> Result<Model> {
    if !bundled::exists(run) {
        let known: Vec<&str> = bundled::BUNDLED.iter().map(|bundled| bundled.name).collect();
        bail!(
            "{}: no such run; train one with `pfgm train digits`, or use a bundled model: {}",
            run.display(),
            known.join(", ")
        );
    }
    let mut model = Model::load_on(run, &pfgm::device::open(&compute.device)?)?;
    if let Some(precision) = compute.precision {
        model.set_precision(precision).context("--precision")?;
    }
    Ok(model)
}

/// Shows the progress of a computation on a bar.
pub fn on_bar(bar: &ProgressBar) -> impl FnMut(&Progress) -> ControlFlow<()> + use<> {
    let bar = bar.clone();
    move |progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        ControlFlow::Continue(())
    }
}

/// Returns the rows of `--data` as a run knows them, at most `-n`, evenly selected.
pub fn selected_rows(args: &RowsArgs, spec: &ModelSpec) -> Result<Dataset> {
    let data = dataset_of(spec, &args.data, &args.table)?;
    if BUILT_IN.contains(&args.data.as_str()) && (args.table.columns.is_some() || args.table.label.is_some()) {
        bail!("--columns and --label: `{}` is not a table; omit them", args.data);
    }
    match args.count {
        Some(0) => bail!("-n 0: give at least 1"),
        Some(count) => Ok(spread(&data, count)),
        None => Ok(data),
    }
}

/// Returns at most `count` rows, evenly selected from a data set.
pub fn spread(data: &Dataset, count: usize) -> Dataset {
    if count >= data.len() {
        return data.clone();
    }
    let rows: Vec<usize> = (0..count).map(|index| index * data.len() / count).collect();
    data.select(&rows)
}

/// Returns the rows of `--data` in the form that a model uses.
pub fn rows(args: &RowsArgs, spec: &ModelSpec) -> Result<Rows> {
    let data = selected_rows(args, spec)?;
    let data = if data.shape == spec.data.shape { data } else { latents::of(&spec.config.data, data)? };
    let rows = spec.rows(&data).map_err(|error| about(error, &data, &args.data))?;
    if !spec.data.classes.is_empty() && rows.labels.iter().all(Option::is_none) {
        line("note       the rows have no labels: the model is evaluated without classes");
    }
    if let Some(note) = &rows.note {
        line(format!("note       {note}"));
    }
    Ok(rows)
}

/// Returns an error about rows that names their source instead of the data set.
pub fn about(error: pfgm::Error, data: &Dataset, source: &str) -> anyhow::Error {
    match error {
        pfgm::Error::Argument { name: "data", problem } => {
            let problem =
                problem.strip_prefix(&data.name).map_or(problem.as_str(), |rest| rest.trim_start_matches(':'));
            anyhow::anyhow!("{source}: {}", problem.trim_start())
        }
        other => other.into(),
    }
}

/// Height, width and channels of the images that a run was trained on.
pub fn image_size(data: &DataInfo) -> Result<[usize; 3]> {
    match data.shape {
        Shape::Image { height, width, channels } => Ok([height, width, channels]),
        shape => bail!("the run's rows are {shape}; this command is for images"),
    }
}
