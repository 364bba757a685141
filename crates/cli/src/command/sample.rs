//! `pfgm sample`

use std::{borrow::Cow, path::Path, time::Instant};

use anyhow::{Context, Result, bail};
use pfgm::{
    bundled,
    config::check_guidance,
    network::Network,
    parallel::Communicator,
    prediction::Output,
    sample::{Released, SampleRequest, sample_distributed},
    spec::{DataInfo, ModelSpec},
};
use pfgm_data::{
    Shape,
    npz::{Column, Named},
};
use pfgm_plot::Series;

use crate::{
    args::{ArithmeticName, ComputeArgs, FilesArgs, SampleArgs},
    command::{exact, rows::class},
    distributed,
    render::{self, PictureFile, Rows, display, in_run, line},
    resolve,
};

/// Images of a picture at the most.
const MOST_DRAWN: usize = 400;

/// A run that can be sampled from.
pub struct Model {
    pub record: ModelSpec,
    pub network: Network,
    pub device: burn::tensor::Device,
}

impl Model {
    /// The averaged weights of a run's latest checkpoint, of a checkpoint file, or of a run that comes along: of a flow that needs no
    /// images to begin with.
    pub fn load(run: &Path, compute: &ComputeArgs) -> Result<Self> {
        let model = Self::load_any(run, compute)?;
        if model.record.config.upscale.is_some() {
            bail!(
                "{}: this run upscales images, it makes none by itself; use `pfgm cascade sample` on the cascade's folder",
                run.display()
            );
        }
        Ok(model)
    }

    /// The same, of any flow.
    pub fn load_any(run: &Path, compute: &ComputeArgs) -> Result<Self> {
        if !bundled::exists(run) {
            let known: Vec<&str> = bundled::BUNDLED.iter().map(|bundled| bundled.name).collect();
            let known = known.join(", ");
            bail!(
                "{}: no such run; train one with `pfgm train digits`, or use one that comes along: {known}",
                run.display()
            );
        }
        let device = pfgm::device::open(&compute.device)?;
        let checkpoint = bundled::open(run)?;
        let network = checkpoint.averaged(run, &device)?;
        let mut record = checkpoint.record;
        let asked = if compute.precision.is_some() { "--precision" } else { "the run's sample.precision" };
        let precision = compute.precision.unwrap_or(record.config.sample.precision);
        precision.check(&record.config.network, &device).context(asked)?;
        record.config.sample.precision = precision;
        Ok(Self { record, network, device })
    }
}

pub fn run(args: &SampleArgs, ranks: &dyn Communicator) -> Result<()> {
    let Some(run) = &args.run else {
        return exact::run(args, args.exact.as_deref().context("a run, or --exact DATA")?);
    };
    if args.table.columns.is_some() || args.table.label.is_some() {
        bail!("--columns and --label: the run knows its columns; they are for --exact");
    }
    if args.extra_dims.is_some() {
        bail!("-D: the run has a D of its own; it is for --exact");
    }
    if args.against.is_some() {
        bail!("--run: holds a run against the exact field; add --exact DATA, or omit it");
    }
    let model = Model::load(run, &distributed::compute(&args.compute, ranks))?;
    if args.files.images.is_some() && !matches!(model.record.data.shape, Shape::Image { .. }) {
        bail!("--images: the run's rows are {}; write --csv or --npz", model.record.data.shape);
    }
    let request = request(args, &model.record, run)?;
    // `samples.png` is the picture that training writes.
    let picture = PictureFile::new(args.out.clone().unwrap_or_else(|| in_run(run, "sampled.png")))?;
    check_files(&args.files)?;
    let bar = render::progress("sampling", ranks.share(request.seeds.len()).len());
    let started = Instant::now();
    let mut tell = |done| bar.set_position(done as u64);
    let samples = sample_distributed(&model.record, &model.network, &request, &model.device, ranks, &mut tell)?;
    bar.finish_and_clear();
    let Some(samples) = samples else { return Ok(()) };
    let seconds = started.elapsed().as_secs_f64();
    line(format!("{} samples, {:.1} evaluations each, {seconds:.2} s", request.seeds.len(), samples.nfe));
    if let Some(Released { upper_norm, .. }) = request.released {
        line(format!("{:.1} % of the latents were clipped to a norm of {upper_norm}", 100.0 * samples.clipped));
    }
    let drawn = Drawn { seeds: &request.seeds, classes: &request.classes, values: &samples.values };
    write_arrays(&args.files, &model.record.data, &drawn)?;
    write_picture(args.class.is_none(), &model.record.data, &drawn, &picture)
}

/// Samples as they are written.
pub struct Drawn<'a> {
    pub seeds: &'a [u64],
    pub classes: &'a [Option<u32>],
    pub values: &'a [f32],
}

/// The seeds that were asked for.
pub fn seeds(count: usize, seeds: Option<&str>) -> Result<Vec<u64>> {
    match seeds {
        Some(text) => resolve::seeds("--seeds", text),
        None => {
            resolve::within("-n", count, 1..=resolve::MAX_SAMPLES)?;
            Ok((0..count as u64).collect())
        }
    }
}

/// Checks everything that was asked for against the run.
fn request(args: &SampleArgs, record: &ModelSpec, run: &Path) -> Result<SampleRequest> {
    let seeds = seeds(args.count, args.seeds.as_deref())?;
    resolve::within("--batch", args.batch, 1..=resolve::MAX_SAMPLES)?;
    let defaults = &record.config.sample;
    let mut solver = resolve::solver::solver(&args.solving, record, run)?;
    if args.denoise {
        solver.set_denoise(true);
    }
    let classes = &record.data.classes;
    if classes.is_empty() && (args.class.is_some() || args.guidance.is_some()) {
        bail!("--class and --guidance: this run knows no classes; train with --set data.conditional=true");
    }
    let chosen = args.class.as_deref().map(|name| class("--class", classes, name)).transpose()?;
    let class_of = |seed: u64| chosen.or_else(|| class_in_turn(seed, classes.len()));
    let guidance = args.guidance.unwrap_or(defaults.guidance);
    check_guidance("--guidance", guidance, &record.config)?;
    let z_exp = trusted_from(args.arithmetic, args.z_exp, record)?;
    let upper_norm = args.upper_norm.unwrap_or(3000.0);
    resolve::within("--upper-norm", upper_norm, 1.0..=f64::MAX)?;
    if z_exp.is_none() && args.upper_norm.is_some() {
        bail!("--upper-norm: goes with --arithmetic authors-code; omit it");
    }
    let released = z_exp.map(|z_exp| Released { z_exp, upper_norm });
    Ok(SampleRequest {
        classes: seeds.iter().map(|&seed| class_of(seed)).collect(),
        seeds,
        solver,
        guidance,
        batch: args.batch,
        released,
    })
}

/// The z from which on the released code trusts the network's component along z; none where arithmetic is exact.
pub fn trusted_from(arithmetic: ArithmeticName, z_exp: Option<f64>, record: &ModelSpec) -> Result<Option<f64>> {
    let is_field = matches!(record.config.flow.output, Output::Field { .. });
    match (arithmetic, z_exp) {
        (ArithmeticName::Exact, None) => Ok(None),
        (ArithmeticName::Exact, Some(_)) => bail!("--z-exp: goes with --arithmetic authors-code; omit it"),
        (ArithmeticName::AuthorsCode, _) if !is_field => {
            bail!("--arithmetic authors-code: the run's network does not tell PFGM's field; omit it")
        }
        (ArithmeticName::AuthorsCode, z_exp) => {
            let z_exp = z_exp.unwrap_or(5.0);
            resolve::within("--z-exp", z_exp, 0.0..=f64::MAX)?;
            Ok(Some(z_exp))
        }
    }
}

/// A class that follows from the seed: the sample still depends on nothing else.
pub fn class_in_turn(seed: u64, classes: usize) -> Option<u32> {
    (classes > 0).then(|| (seed % classes as u64) as u32)
}

/// Checks, before anything is drawn, that the files can be written.
pub fn check_files(files: &FilesArgs) -> Result<()> {
    render::check_all([files.npz.as_deref(), files.csv.as_deref()])
}

/// The arrays, images and table that were asked for.
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
        let names: Vec<Cow<str>> = data.columns.iter().map(Cow::from).collect();
        let rows = drawn.values.chunks_exact(dim);
        render::table(path, &names, rows.map(|row| row.iter().map(ToString::to_string).collect()))?;
    }
    Ok(())
}

/// A picture of the samples; with a row for each round of the classes where they take turns.
pub fn write_picture(in_turn: bool, data: &DataInfo, drawn: &Drawn, file: &PictureFile) -> Result<()> {
    let count = drawn.seeds.len();
    let across = match data.classes.len() {
        2..=16 if in_turn => data.classes.len(),
        _ => (count.min(MOST_DRAWN) as f64).sqrt().ceil() as usize,
    };
    // What was sampled is on disk by now; a picture of very many would be too large to make, and to look at.
    let shown_rows = match data.shape {
        Shape::Image { .. } => count.min(MOST_DRAWN.next_multiple_of(across)),
        Shape::Vector { .. } => count,
    };
    let series = Series { name: "samples", values: &drawn.values[..shown_rows * data.shape.dim()] };
    let picture = Rows::from(data).picture(&[series], across, &data.name)?;
    let note = if shown_rows < count { format!("the first {shown_rows}") } else { String::new() };
    file.write_and_print(picture, &note)
}

/// `x` (bytes where the data were images of 0 to 255, floats otherwise), `seeds`, and `labels` where there are classes.
fn npz(path: &Path, data: &DataInfo, drawn: &Drawn) -> Result<()> {
    let count = drawn.seeds.len();
    let shape = match data.shape {
        Shape::Image { height, width, channels } => vec![count, height, width, channels],
        Shape::Vector { len } => vec![count, len],
    };
    let bytes: Vec<u8> = drawn.values.iter().map(|value| value.round() as u8).collect();
    let is_bytes = shape.len() == 4 && data.range == (0.0, 255.0);
    let values = if is_bytes { Column::Bytes(&bytes) } else { Column::Floats(drawn.values) };
    let seeds = drawn.seeds;
    let labels: Vec<i64> = drawn.classes.iter().flatten().map(|&class| i64::from(class)).collect();
    let seeds_shape = [count];
    let mut arrays = vec![
        Named { name: "x", shape: &shape, values },
        Named { name: "seeds", shape: &seeds_shape, values: Column::Seeds(seeds) },
    ];
    let label_shape = [labels.len()];
    if !labels.is_empty() {
        arrays.push(Named { name: "labels", shape: &label_shape, values: Column::Integers(&labels) });
    }
    render::arrays("arrays", path, &arrays)
}
