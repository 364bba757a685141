//! `pfgm sample`

use std::{borrow::Cow, path::Path, time::Instant};

use anyhow::{Context, Result, bail};
use pfgm::{
    Model,
    config::Config,
    model::{AuthorsCode, Samples, Sampling},
    parallel::Communicator,
    prediction::Output,
    spec::{DataInfo, ModelSpec},
};
use pfgm_data::{
    Shape,
    npz::{Column, Named},
};
use pfgm_plot::Series;

use crate::{
    args::{ArithmeticName, FilesArgs, SampleArgs},
    command::exact,
    distributed,
    render::{self, PictureFile, Rows, display, in_run, line},
    resolve,
};

/// Images in a picture, at most.
const MAX_DRAWN: usize = 400;
/// The norm to which the authors' code clips latents.
const UPPER_NORM: f64 = 3000.0;
/// The z from which on the authors' code uses the network's z-component.
const Z_EXP: f64 = 5.0;

pub fn run(args: &SampleArgs, ranks: &dyn Communicator) -> Result<()> {
    let Some(run) = &args.run else {
        return exact::run(args, args.exact.as_deref().context("name a run, or give --exact DATA")?);
    };
    refuse_flags_of_exact(args)?;
    let model = resolve::model(run, &distributed::compute(&args.compute, ranks))?;
    let data = &model.spec().data;
    if args.files.images.is_some() && !matches!(data.shape, Shape::Image { .. }) {
        bail!("--images: the run's rows are {}; write --csv or --npz", data.shape);
    }
    let sampling = sampling(args, &model, run)?;
    // `samples.png` is the picture that training writes.
    let picture = PictureFile::new(args.out.clone().unwrap_or_else(|| in_run(run, "sampled.png")))?;
    check_files(&args.files)?;
    let bar = render::progress("sampling", 0);
    let started = Instant::now();
    let samples = sampling.observer(resolve::on_bar(&bar)).draw_distributed(ranks)?;
    bar.finish_and_clear();
    let Some(samples) = samples else { return Ok(()) };
    let seconds = started.elapsed().as_secs_f64();
    line(format!("{} samples, {:.1} evaluations each, {seconds:.2} s", samples.rows(), samples.nfe()));
    if args.arithmetic == ArithmeticName::AuthorsCode {
        let norm = args.upper_norm.unwrap_or(UPPER_NORM);
        line(format!("{:.1} % of the latents were clipped to a norm of {norm}", 100.0 * samples.clipped));
    }
    // Runs of earlier versions do not have the shares.
    let in_turn = args.class.is_none() && !data.classes.is_empty() && data.class_counts.is_empty();
    if in_turn && !args.balanced {
        line("classes    in turn, because the run does not have the shares of its training data");
    }
    let drawn = Drawn::of(&samples, &model.spec().config);
    write_arrays(&args.files, data, &drawn)?;
    write_picture(args.balanced || in_turn, data, &drawn, &picture)
}

/// Flags that only `--exact` uses.
fn refuse_flags_of_exact(args: &SampleArgs) -> Result<()> {
    if args.table.columns.is_some() || args.table.label.is_some() {
        bail!("--columns and --label: the run knows its columns; they are for --exact");
    }
    if args.extra_dims.is_some() {
        bail!("-D: the run has a D of its own; it is for --exact");
    }
    if args.against.is_some() {
        bail!("--run: compares a run with the exact field; add --exact DATA, or omit it");
    }
    Ok(())
}

/// Samples as they are written.
pub struct Drawn<'a> {
    pub seeds: &'a [u64],
    pub classes: &'a [Option<u32>],
    pub values: &'a [f32],
    /// The values in double precision, if single precision rounds them visibly.
    pub precise: Option<&'a [f64]>,
    /// The name of the column of classes.
    pub label: &'a str,
}

impl<'a> Drawn<'a> {
    pub fn of(samples: &'a Samples, config: &'a Config) -> Self {
        let label = config.data.label.as_deref().unwrap_or("class");
        let (values, precise) = (samples.values(), samples.wide_values());
        Self { seeds: &samples.seeds, classes: &samples.classes, values, precise, label }
    }
}

/// The seeds that the command line names.
pub fn seeds(count: usize, seeds: Option<&str>) -> Result<Vec<u64>> {
    match seeds {
        Some(text) => resolve::seeds("--seeds", text),
        None => {
            resolve::within("-n", count, 1..=resolve::MAX_SAMPLES)?;
            Ok((0..count as u64).collect())
        }
    }
}

/// The samples that the command line asks for, checked against the run.
fn sampling<'a>(args: &SampleArgs, model: &'a Model, run: &Path) -> Result<Sampling<'a>> {
    let spec = model.spec();
    let seeds = seeds(args.count, args.seeds.as_deref())?;
    resolve::within("--batch", args.batch, 1..=resolve::MAX_SAMPLES)?;
    if spec.data.classes.is_empty() && (args.class.is_some() || args.guidance.is_some() || args.balanced) {
        bail!(
            "--class, --balanced and --guidance: this run is not conditioned on classes; train with --set \
             data.conditional=true"
        );
    }
    let mut solver = resolve::solver::solver(&args.solving, spec, run)?;
    if args.denoise {
        solver.set_denoise(true);
    }
    let mut sampling = model.sample(0).seeds(seeds).solver(solver).batch(args.batch);
    if let Some(class) = &args.class {
        sampling = sampling.class(class);
    } else if args.balanced {
        sampling = sampling.balanced();
    }
    if let Some(guidance) = args.guidance {
        sampling = sampling.guidance(guidance);
    }
    if let Some(settings) = authors_code(args.arithmetic, args.z_exp, args.upper_norm, spec)? {
        sampling = sampling.authors_code(settings);
    }
    Ok(sampling)
}

/// The settings of the authors' code; none if steps are computed as in the equations.
pub fn authors_code(
    arithmetic: ArithmeticName,
    z_exp: Option<f64>,
    upper_norm: Option<f64>,
    spec: &ModelSpec,
) -> Result<Option<AuthorsCode>> {
    if arithmetic == ArithmeticName::Exact {
        return match (z_exp, upper_norm) {
            (None, None) => Ok(None),
            (Some(_), _) => bail!("--z-exp: goes with --arithmetic authors-code; omit it"),
            (_, Some(_)) => bail!("--upper-norm: goes with --arithmetic authors-code; omit it"),
        };
    }
    if !matches!(spec.config.flow.output, Output::Field { .. }) {
        bail!("--arithmetic authors-code: the run's network does not predict PFGM's field; omit it");
    }
    let (z_exp, upper_norm) = (z_exp.unwrap_or(Z_EXP), upper_norm.unwrap_or(UPPER_NORM));
    resolve::within("--z-exp", z_exp, 0.0..=f64::MAX)?;
    resolve::within("--upper-norm", upper_norm, 1.0..=f64::MAX)?;
    Ok(Some(AuthorsCode { z_exp, upper_norm: Some(upper_norm) }))
}

/// Checks, before anything is drawn, that the files can be written.
pub fn check_files(files: &FilesArgs) -> Result<()> {
    render::check_all([files.npz.as_deref(), files.csv.as_deref()])
}

/// Writes the arrays, images and table that the command line names.
pub fn write_arrays(files: &FilesArgs, data: &DataInfo, drawn: &Drawn) -> Result<()> {
    let dim = data.shape.dim();
    if let Some(path) = &files.npz {
        npz(path, data, drawn)?;
    }
    if let Some(folder) = &files.images {
        render::make_folder(folder)?;
        for (seed, image) in drawn.seeds.iter().zip(drawn.values.chunks_exact(dim)) {
            render::write(&folder.join(format!("{seed:06}.png")), &Rows::from(data).pixels().png(image)?)?;
        }
        line(format!("images     {}/{:06}.png ...", display(folder), drawn.seeds[0]));
    }
    if let Some(path) = &files.csv {
        csv(path, data, drawn)?;
    }
    Ok(())
}

/// Writes the samples as a table with the columns of the data, and a column of classes if there are any.
fn csv(path: &Path, data: &DataInfo, drawn: &Drawn) -> Result<()> {
    let has_classes = !data.classes.is_empty() && drawn.classes.iter().any(Option::is_some);
    let mut names: Vec<Cow<str>> = data.columns.iter().map(Cow::from).collect();
    if has_classes && !names.is_empty() {
        names.push(Cow::from(drawn.label));
    }
    let dim = data.shape.dim();
    let is_whole = |at: usize| data.whole_columns.get(at % dim).copied().unwrap_or(false);
    // Columns far from zero have digits that single precision has not.
    let value = |at: usize| match drawn.precise {
        Some(values) if is_whole(at) => values[at].round().to_string(),
        Some(values) => values[at].to_string(),
        None if is_whole(at) => drawn.values[at].round().to_string(),
        None => drawn.values[at].to_string(),
    };
    let row = |(row, class): (usize, &Option<u32>)| -> Vec<String> {
        let class = class.and_then(|class| data.classes.get(class as usize));
        let class = has_classes.then(|| class.cloned().unwrap_or_default());
        (row * dim..(row + 1) * dim).map(value).chain(class).collect()
    };
    render::table(path, &names, drawn.classes.iter().enumerate().map(row))
}

/// Draws a picture of the samples; with a column for each class if all classes take turns.
pub fn write_picture(in_turn: bool, data: &DataInfo, drawn: &Drawn, file: &PictureFile) -> Result<()> {
    let count = drawn.seeds.len();
    let across = match data.classes.len() {
        2..=16 if in_turn => data.classes.len(),
        _ => (count.min(MAX_DRAWN) as f64).sqrt().ceil() as usize,
    };
    // A picture of all samples could be too large to make.
    let rows = match data.shape {
        Shape::Image { .. } => count.min(MAX_DRAWN.next_multiple_of(across)),
        Shape::Vector { .. } => count,
    };
    let series = Series { name: "samples", values: &drawn.values[..rows * data.shape.dim()] };
    let picture = Rows::from(data).picture(&[series], across, &data.name)?;
    let note = if rows < count { format!("the first {rows}") } else { String::new() };
    file.write_and_print(picture, &note)
}

/// Writes `x` (bytes or 16 bits if the data were such images, else floats), `seeds`, and `labels` if there are classes.
fn npz(path: &Path, data: &DataInfo, drawn: &Drawn) -> Result<()> {
    let count = drawn.seeds.len();
    let shape = match data.shape {
        Shape::Image { height, width, channels } => vec![count, height, width, channels],
        Shape::Vector { len } => vec![count, len],
    };
    let bytes: Vec<u8> = drawn.values.iter().map(|value| value.round() as u8).collect();
    let words: Vec<u16> = drawn.values.iter().map(|value| value.round() as u16).collect();
    let values = match data.range {
        (0.0, 255.0) if shape.len() == 4 => Column::Bytes(&bytes),
        (0.0, 65535.0) if shape.len() == 4 => Column::Words(&words),
        _ => Column::Floats(drawn.values),
    };
    // Classes that have numbers for names keep the data's own numbers.
    let numbers: Option<Vec<i64>> = data.classes.iter().map(|name| name.parse().ok()).collect();
    let number = |&class: &u32| match &numbers {
        Some(numbers) => numbers.get(class as usize).copied().unwrap_or(class.into()),
        None => class.into(),
    };
    let labels: Vec<i64> = drawn.classes.iter().flatten().map(number).collect();
    let seeds_shape = [count];
    let mut arrays = vec![
        Named { name: "x", shape: &shape, values },
        Named { name: "seeds", shape: &seeds_shape, values: Column::Seeds(drawn.seeds) },
    ];
    let label_shape = [labels.len()];
    if !labels.is_empty() {
        arrays.push(Named { name: "labels", shape: &label_shape, values: Column::Integers(&labels) });
    }
    render::arrays("arrays", path, &arrays)
}
