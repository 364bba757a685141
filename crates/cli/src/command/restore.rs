//! `pfgm denoise` and `inpaint`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use pfgm::{
    flow::Flow,
    restoration::{self, Inpainting},
    solver::{ScheduleName, Solver},
    spec::ModelSpec,
};
use pfgm_data::{
    Shape,
    npz::{Column, Named},
};
use pfgm_plot::grid;

use crate::{
    args::{DataArgs, DenoiseArgs, InpaintArgs},
    command::{
        rows::{Given, image_size, in_units},
        sample::Model,
    },
    render::{self, PictureFile, Rows, in_run, line},
    resolve::{self, solver::Solved},
};

/// Images of a picture at the most.
const SHOWN: usize = 16;

pub fn denoise(args: &DenoiseArgs) -> Result<()> {
    let model = Model::load(&args.run.run, &args.run.compute)?;
    let record = &model.record;
    let size = image_size(record)?;
    let solver = solver(args, record)?;
    resolve::within("--batch", args.run.batch, 1..=resolve::MAX_SAMPLES)?;
    let file = out(args.out.as_deref(), &args.run.run, "denoised.png")?;
    render::check_all([args.npz.as_deref()])?;
    let given = Given::read(&args.rows, record)?;
    let (lowest, highest) = record.range();
    let asked = match args.sigma.as_str() {
        "auto" if size[0] < 2 || size[1] < 2 => bail!("--sigma auto: noise shows in 2x2 pixels or more; give a number"),
        "auto" => None,
        number => match number.parse::<f64>() {
            Ok(sigma) if sigma > lowest && sigma < highest => Some(sigma),
            _ => {
                bail!("--sigma {number}: give a number between {lowest} and {highest}, the run's noise levels, or auto")
            }
        },
    };
    let dim = record.dim();
    let mut x = given.points(record);
    let mut levels = Vec::with_capacity(given.count());
    let bar = render::progress("restoring", given.count());
    // Images of one level go together: each has its own where it is to be found.
    let together = if asked.is_some() { args.run.batch } else { 1 };
    for (x, labels) in x.chunks_mut(together * dim).zip(given.labels.chunks(together)) {
        let found = || restoration::estimate_noise(&x[..dim], size).unwrap_or(lowest).clamp(lowest * 1.001, highest);
        let sigma = asked.unwrap_or_else(found);
        let denoiser = record.denoiser(&model.network, labels.to_vec(), 1.0, together, &model.device);
        let flow = Flow { denoiser: &denoiser, extra_dims: record.extra_dims() };
        if args.one_step {
            restoration::denoise_in_one_step(&flow, sigma, x);
        } else {
            restoration::denoise(&flow, &solver, lowest, sigma, x)?;
        }
        levels.extend(vec![sigma; labels.len()]);
        bar.inc(labels.len() as u64);
    }
    bar.finish_and_clear();
    let mean = levels.iter().sum::<f64>() / levels.len() as f64;
    line(format!("{} images, noise of {mean:.4}{}", given.count(), if asked.is_none() { " on average" } else { "" }));
    let restored = in_units(record, &x);
    write(args.npz.as_deref(), record, &restored)?;
    let drawn = given.count().min(SHOWN);
    let both = [&given.values[..drawn * dim], &restored[..drawn * dim]].concat();
    picture(&file, record, &both, drawn, "noisy above restored")
}

/// What leads from the noise of an image to the data. Found levels are of the whole way, of which this is the end.
fn solver(args: &DenoiseArgs, record: &ModelSpec) -> Result<Solver> {
    if args.one_step && args.solving.is_given() {
        bail!("--one-step: is one evaluation, by no solver; omit the solver's flags");
    }
    let mut kept = record.config.sample.solver.clone();
    kept.reset_schedule();
    if args.solving.schedule == Some(ScheduleName::Gits) {
        bail!("--schedule gits: is found for the whole way, and this starts at the noise of an image; name another");
    }
    resolve::solver::changed(&args.solving, &kept, Solved::of(record, &args.run.run))
}

pub fn inpaint(args: &InpaintArgs) -> Result<()> {
    let model = Model::load(&args.run.run, &args.run.compute)?;
    let record = &model.record;
    let size = image_size(record)?;
    for (flag, value, most) in [
        ("--completions", args.completions, resolve::MAX_SAMPLES),
        ("--steps", args.steps, resolve::MAX_LEVELS),
        ("--rounds", args.rounds, resolve::MAX_LEVELS),
        ("--batch", args.run.batch, resolve::MAX_SAMPLES),
    ] {
        resolve::within(flag, value, 1..=most)?;
    }
    let file = out(args.out.as_deref(), &args.run.run, "inpainted.png")?;
    render::check_all([args.npz.as_deref()])?;
    let known = mask(&args.mask, size)?;
    let given = Given::read(&args.rows, record)?;
    resolve::product("-n and --completions", given.count(), args.completions)?;
    let (dim, fillings) = (record.dim(), args.completions);
    let points = given.points(record);
    // Every image as often as it is filled; a filling depends on its image's place and its own number.
    let all: Vec<usize> = (0..given.count() * fillings).collect();
    let mut x: Vec<f64> = all.iter().flat_map(|&at| &points[at / fillings * dim..][..dim]).copied().collect();
    let bar = render::progress("filling", all.len());
    let how = Inpainting { steps: args.steps, rounds: args.rounds };
    for (x, part) in x.chunks_mut(args.run.batch * dim).zip(all.chunks(args.run.batch)) {
        let labels: Vec<Option<u32>> = part.iter().map(|&at| given.labels[at / fillings]).collect();
        let denoiser = record.denoiser(&model.network, labels, 1.0, part.len(), &model.device);
        let flow = Flow { denoiser: &denoiser, extra_dims: record.extra_dims() };
        let seeds: Vec<u64> = part.iter().map(|&at| at as u64).collect();
        restoration::inpaint(&flow, how, record.range(), &known.repeat(part.len()), &seeds, x);
        bar.inc(part.len() as u64);
    }
    bar.finish_and_clear();
    line(format!("{} images, {fillings} fillings each, {} evaluations", given.count(), args.steps * args.rounds));
    let filled = in_units(record, &x);
    write(args.npz.as_deref(), record, &filled)?;
    // The image, the image with its hole, its fillings.
    let dark = record.data.range.0;
    let row = |at: usize| -> Vec<f32> {
        let image = &given.values[at * dim..(at + 1) * dim];
        let hole = image.iter().zip(&known).map(|(&value, &known)| if known { value } else { dark });
        let fillings = &filled[at * fillings * dim..(at + 1) * fillings * dim];
        image.iter().copied().chain(hole).chain(fillings.iter().copied()).collect()
    };
    let drawn: Vec<f32> = (0..given.count().min(SHOWN)).flat_map(row).collect();
    picture(&file, record, &drawn, fillings + 2, "image, hole, fillings")
}

/// Which values of an image are known: those where the mask is brighter than the middle.
fn mask(path: &Path, [height, width, channels]: [usize; 3]) -> Result<Vec<bool>> {
    let source = path.to_str().with_context(|| format!("{}: a name of plain characters", path.display()))?;
    let mask = resolve::dataset(source, &DataArgs::default()).context("--mask")?;
    let Shape::Image { height: h, width: w, channels: c } = mask.shape else {
        bail!("--mask {}: {} are no image", path.display(), mask.shape)
    };
    if mask.len() != 1 {
        bail!("--mask {}: has {} images; give one", path.display(), mask.len());
    }
    if (h, w) != (height, width) {
        bail!("--mask {}: is {h} high and {w} wide; the run's images are {height} and {width}", path.display());
    }
    let mut values = vec![0.0; h * w * c];
    mask.read(0, &mut values)?;
    let middle = (mask.range.0 + mask.range.1) / 2.0;
    let known: Vec<bool> = values.chunks_exact(c).flat_map(|pixel| vec![pixel[0] > middle; channels]).collect();
    if known.iter().all(|&known| known) {
        bail!("--mask {}: nothing is black, so there is nothing to draw", path.display());
    }
    Ok(known)
}

fn write(path: Option<&Path>, record: &ModelSpec, values: &[f32]) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let [height, width, channels] = image_size(record)?;
    let shape = [values.len() / record.dim(), height, width, channels];
    render::arrays("arrays", path, &[Named { name: "x", shape: &shape, values: Column::Floats(values) }])
}

/// The picture to write: the one that `-o` names, or one in the run's folder.
fn out(path: Option<&Path>, run: &Path, name: &str) -> Result<PictureFile> {
    PictureFile::new(path.map_or_else(|| in_run(run, name), Path::to_owned))
}

fn picture(file: &PictureFile, record: &ModelSpec, values: &[f32], across: usize, what: &str) -> Result<()> {
    file.write_and_print(grid(Rows::from(&record.data).pixels(), values, across)?, what)
}
