//! `pfgm sample`

use std::{io::Cursor, path::Path, time::Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use pfgm::{
    config::check_guidance,
    model::{DataInfo, Record},
    network::Network,
    precondition::Output,
    sample::{Released, SampleRequest, sample},
    solver::SolverConfig,
    train::checkpoint::{self, Checkpoint, CheckpointError, Group},
    weights,
};
use pfgm_data::{
    Shape,
    npz::{Column, Named, write_npz},
};
use pfgm_plot::Series;

use crate::{
    args::{ArithmeticName, FilesArgs, SampleArgs},
    command::{exact, rows::class},
    output::{self, Rows, line, shown, within},
    resolve, solving,
};

/// Images of a picture at the most.
const MOST_DRAWN: usize = 400;

/// A run that can be sampled from.
pub struct Model {
    pub record: Record,
    pub network: Network,
    pub device: burn::tensor::Device,
}

impl Model {
    /// The averaged weights of a run's latest checkpoint, or of a checkpoint file: of a flow that needs no images to begin with.
    pub fn load(run: &Path, device: &str) -> Result<Self> {
        let model = Self::load_any(run, device)?;
        if model.record.config.upscale.is_some() {
            bail!(
                "{}: this run upscales images, it makes none by itself; use `pfgm cascade sample` on the cascade's folder",
                run.display()
            );
        }
        Ok(model)
    }

    /// The same, of any flow.
    pub fn load_any(run: &Path, device: &str) -> Result<Self> {
        if !run.exists() {
            bail!("{}: no such run; train one with `pfgm train digits`", run.display());
        }
        let device = pfgm::device::open(device)?;
        let path = checkpoint::find(run)?;
        let checkpoint = Checkpoint::read(&path)?;
        let network = checkpoint.record.network(&device)?;
        let network = weights::assign(network, checkpoint.group(Group::Average))
            .map_err(|source| CheckpointError::Weights { path, source })?;
        Ok(Self { record: checkpoint.record, network, device })
    }
}

pub fn run(args: &SampleArgs) -> Result<()> {
    let Some(run) = &args.run else {
        return exact::run(args, args.exact.as_deref().context("a run, or --exact DATA")?);
    };
    if args.table.columns.is_some() || args.table.label.is_some() {
        bail!("--columns and --label: the run knows its columns; they are for --exact");
    }
    let model = Model::load(run, &args.device)?;
    if args.files.images.is_some() && !matches!(model.record.data.shape, Shape::Image { .. }) {
        bail!("--images: the run's rows are {}; write --csv or --npz", model.record.data.shape);
    }
    let request = request(args, &model.record, run)?;
    let bar = ProgressBar::new(request.seeds.len() as u64)
        .with_style(ProgressStyle::with_template("sampling {wide_bar} {pos}/{len}  {eta} left")?);
    let started = Instant::now();
    let samples =
        sample(&model.record, &model.network, &request, &model.device, &mut |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    line(format!("{} samples, {:.1} evaluations each, {seconds:.2} s", request.seeds.len(), samples.nfe));
    if request.released.is_some() {
        line(format!("{:.1} % of the latents were clipped to a norm of {}", 100.0 * samples.clipped, args.upper_norm));
    }
    let drawn = Drawn { seeds: &request.seeds, classes: &request.classes, values: &samples.values };
    let picture = args.out.clone().unwrap_or_else(|| within(run, "samples.png"));
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
        Some(text) => resolve::seeds(text),
        None if (1..=resolve::MOST_SAMPLES).contains(&count) => Ok((0..count as u64).collect()),
        None => bail!("-n {count}: give a number from 1 to {}", resolve::MOST_SAMPLES),
    }
}

/// Checks everything that was asked for against the run.
fn request(args: &SampleArgs, record: &Record, run: &Path) -> Result<SampleRequest> {
    let seeds = seeds(args.count, args.seeds.as_deref())?;
    if args.batch == 0 {
        bail!("--batch 0: give at least 1");
    }
    let defaults = &record.config.sample;
    let solver = solving::solver(&args.solving, record, run)?;
    let solver = SolverConfig { denoise: args.denoise || solver.denoise, ..solver };
    let classes = &record.data.classes;
    if classes.is_empty() && (args.class.is_some() || args.guidance.is_some()) {
        bail!("--class and --guidance: this run knows no classes; train with --set data.conditional=true");
    }
    let chosen = args.class.as_deref().map(|name| class("--class", classes, name)).transpose()?;
    let class_of = |seed: u64| chosen.or_else(|| class_in_turn(seed, classes.len()));
    let guidance = args.guidance.unwrap_or(defaults.guidance);
    check_guidance("--guidance", guidance, &record.config)?;
    let is_field = matches!(record.config.flow.output, Output::Field { .. });
    let released = match args.arithmetic {
        ArithmeticName::Exact => None,
        ArithmeticName::Reference if is_field => {
            if args.upper_norm.is_nan() || args.upper_norm <= 1.0 {
                bail!("--upper-norm {}: give a number above 1", args.upper_norm);
            }
            Some(Released { z_exp: args.z_exp, upper_norm: args.upper_norm })
        }
        ArithmeticName::Reference => {
            bail!("--arithmetic reference: the run's network does not tell PFGM's field; leave it away")
        }
    };
    Ok(SampleRequest {
        classes: seeds.iter().map(|&seed| class_of(seed)).collect(),
        seeds,
        solver,
        guidance,
        batch: args.batch,
        released,
    })
}

/// A class that follows from the seed: the sample still depends on nothing else.
pub fn class_in_turn(seed: u64, classes: usize) -> Option<u32> {
    (classes > 0).then(|| (seed % classes as u64) as u32)
}

/// The arrays, images and table that were asked for.
pub fn write_arrays(files: &FilesArgs, data: &DataInfo, drawn: &Drawn) -> Result<()> {
    let dim = data.shape.dim();
    if let Some(path) = &files.npz {
        npz(path, data, drawn)?;
        line(format!("arrays   {}", shown(path)));
    }
    if let Some(folder) = &files.images {
        output::make_folder(folder)?;
        for (seed, image) in drawn.seeds.iter().zip(drawn.values.chunks_exact(dim)) {
            output::write(&folder.join(format!("{seed:06}.png")), &Rows::from(data).pixels().png(image)?)?;
        }
        line(format!("images   {}/{:06}.png ...", shown(folder), drawn.seeds[0]));
    }
    if let Some(path) = &files.csv {
        let mut table = csv::Writer::from_writer(Vec::new());
        if !data.columns.is_empty() {
            table.write_record(&data.columns)?;
        }
        for row in drawn.values.chunks_exact(dim) {
            table.write_record(row.iter().map(ToString::to_string))?;
        }
        output::write(path, &table.into_inner().context("the table")?)?;
        line(format!("table    {}", shown(path)));
    }
    Ok(())
}

/// A picture of the samples; with a row for each round of the classes where they take turns.
pub fn write_picture(in_turn: bool, data: &DataInfo, drawn: &Drawn, path: &Path) -> Result<()> {
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
    output::write(path, &picture)?;
    let part = if shown_rows < count { format!(" (the first {shown_rows})") } else { String::new() };
    line(format!("picture  {}{part}", shown(path)));
    Ok(())
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
    let mut file = Cursor::new(Vec::new());
    write_npz(&mut file, &arrays).context("the arrays")?;
    output::write(path, file.get_ref())
}
