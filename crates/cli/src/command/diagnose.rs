//! `pfgm diagnose`

use anyhow::{Result, bail};
use pfgm::{
    Model,
    extra_dims::ExtraDims,
    flow::Flow,
    prior,
    random::{Purpose, stream},
    solver::{Schedule, heun},
};
use pfgm_plot::{
    Axis, Canvas, Mark, Panel,
    color::{BLUE, GRAY, RED},
    header,
};

use crate::{
    args::compare::{Diagnose, NormsArgs},
    command::measure::{self, Progress},
    render::{PictureFile, display, in_run, line},
    resolve,
};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 480.0;
const SCALE: f64 = 1.6;

pub fn run(what: &Diagnose) -> Result<()> {
    match what {
        Diagnose::Norms(args) => norms(args),
    }
}

/// Norms at a noise level.
struct Level {
    sigma: f64,
    norms: Vec<f64>,
}

fn norms(args: &NormsArgs) -> Result<()> {
    resolve::within("-n", args.count, 2..=resolve::MAX_SAMPLES)?;
    resolve::within("--steps", args.steps, 2..=resolve::MAX_LEVELS)?;
    resolve::product("-n and --steps", args.count, args.steps)?;
    let model = resolve::flow_model(&args.run, &args.compute)?;
    let file = PictureFile::new(args.figure, args.out.as_deref(), in_run(&args.run, "norms.png"))?;
    let (low, high) = model.spec().range();
    let grid = Schedule::LogUniform.grid(high, low, args.steps);
    let training = training(&model, args, &grid)?;
    let on_the_way = trajectories(&model, args, &grid);
    file.write(draw(&model, &training, &on_the_way, args.count)?)?;
    let trained = correlation(&training);
    line(format!(
        "trajectories     {} of {} steps, correlation of ln |x| and ln sigma {:.4}",
        args.count,
        args.steps,
        correlation(&on_the_way)
    ));
    line(format!("training points  {} at each level, correlation {trained:.4}", args.count));
    let (far, sigma) = distance(&training, &on_the_way);
    line(format!(
        "norms differ     by a factor of at most {:.3} between the means of a level, at sigma {sigma:.3}",
        far.exp()
    ));
    line(format!("figure           {}", display(file.path())));
    Ok(())
}

/// Norms of the rows of a batch.
fn level(sigma: f64, x: &[f64], dim: usize) -> Level {
    let norm = |row: &[f64]| row.iter().map(|value| value * value).sum::<f64>().sqrt();
    Level { sigma, norms: x.chunks_exact(dim).map(norm).collect() }
}

/// Rows of the training data, perturbed as in training at each level.
fn training(model: &Model, args: &NormsArgs, grid: &[f64]) -> Result<Vec<Level>> {
    let (spec, dim) = (model.spec(), model.dim());
    let trained_on = &spec.config.data;
    let dataset = measure::open_reference(&trained_on.source, &Default::default(), Some(spec))?;
    if dataset.shape != spec.data.shape {
        bail!(
            "{}: rows of {}, but the run's are {}; its data have changed",
            dataset.name,
            dataset.shape,
            spec.data.shape
        );
    }
    let rows = pfgm::evaluate::choose(dataset.len(), args.count, args.seed);
    let mut row = vec![0.0_f32; dim];
    let mut clean = Vec::with_capacity(args.count * dim);
    for item in 0..args.count {
        dataset.read(rows[item % rows.len()], &mut row)?;
        spec.data.transform.forward(&mut row);
        clean.extend(row.iter().map(|&value| f64::from(value)));
    }
    let perturbed = |(step, &sigma): (usize, &f64)| {
        let mut x = clean.clone();
        for (item, row) in x.chunks_exact_mut(dim).enumerate() {
            let mut rng = stream(args.seed, Purpose::Perturbation, step as u64, item as u64);
            prior::perturb(spec.extra_dims(), sigma, &mut rng, row);
        }
        level(sigma, &x, dim)
    };
    Ok(grid.iter().enumerate().map(perturbed).collect())
}

/// The states of samples at each level.
fn trajectories(model: &Model, args: &NormsArgs, grid: &[f64]) -> Vec<Level> {
    let spec = model.spec();
    let seeds = (0..args.count as u64).map(|item| args.seed.wrapping_add(item));
    let seeds: Vec<u64> = seeds.collect();
    let denoiser = model.denoiser(spec.classes_in_turn(&seeds), spec.config.sample.guidance);
    let flow = Flow { denoiser: &denoiser, extra_dims: spec.extra_dims() };
    let mut x = flow.latents(grid[0], 0, seeds);
    let mut levels = vec![level(grid[0], &x, spec.dim())];
    let progress = Progress::new();
    for (step, pair) in grid.windows(2).enumerate() {
        heun(&flow, pair, &mut x);
        levels.push(level(pair[1], &x, spec.dim()));
        progress.tell("trajectories", step + 1, args.steps);
    }
    progress.finish();
    levels
}

/// Pairs of ln sigma and ln |x|.
fn pairs(levels: &[Level]) -> impl Iterator<Item = (f64, f64)> + Clone {
    levels.iter().flat_map(|level| level.norms.iter().map(|norm| (level.sigma.ln(), norm.max(f64::MIN_POSITIVE).ln())))
}

/// Pearson's correlation of the logarithms.
fn correlation(levels: &[Level]) -> f64 {
    let pairs = pairs(levels);
    let count = pairs.clone().count() as f64;
    let (x, y) = pairs.clone().fold((0.0, 0.0), |(x, y), pair| (x + pair.0 / count, y + pair.1 / count));
    let (xx, xy, yy) = pairs.fold((0.0, 0.0, 0.0), |(xx, xy, yy), pair| {
        let (a, b) = (pair.0 - x, pair.1 - y);
        (xx + a * a, xy + a * b, yy + b * b)
    });
    xy / (xx * yy).sqrt()
}

/// Returns the largest difference between the mean ln |x| of trajectories and of training points at a level, and the level.
fn distance(training: &[Level], on_the_way: &[Level]) -> (f64, f64) {
    let mean = |level: &Level| {
        let sum: f64 = level.norms.iter().map(|norm| norm.max(f64::MIN_POSITIVE).ln()).sum();
        sum / level.norms.len() as f64
    };
    let far = training.iter().zip(on_the_way).map(|(a, b)| ((mean(a) - mean(b)).abs(), a.sigma));
    far.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0.0))
}

fn draw(model: &Model, training: &[Level], on_the_way: &[Level], count: usize) -> Result<Canvas> {
    let spec = model.spec();
    let norms = || training.iter().chain(on_the_way).flat_map(|level| &level.norms).copied().filter(|norm| *norm > 0.0);
    let (least, most) = norms().fold((f64::INFINITY, 0.0_f64), |(low, high), norm| (low.min(norm), high.max(norm)));
    let (low, high) = spec.range();
    // r of the augmented space, where there is one; its extra dimensions only scale sigma.
    let (axis, factor) = match spec.extra_dims() {
        ExtraDims::Finite(1.0) => ("z (model's units)", 1.0),
        ExtraDims::Finite(d) => ("r = σ√D (model's units)", d.sqrt()),
        ExtraDims::Infinite => ("σ (model's units)", 1.0),
    };
    let mut canvas = Canvas::new(WIDTH, HEIGHT, SCALE)?;
    let cell = canvas.area();
    let x = Axis::logarithmic(axis, factor * low / 1.2, factor * high * 1.2);
    let y = Axis::logarithmic("norm |x| of a row (model's units)", least / 1.2, most * 1.2);
    let title = format!("{}, D = {}: norms on the way", spec.data.name, spec.extra_dims());
    let entries =
        [("trajectories", Mark::Line, BLUE), ("training points", Mark::Dot, GRAY), ("their mean", Mark::Line, RED)];
    let cell = header(&mut canvas, cell, &title, &entries);
    let mut panel = Panel::new(&mut canvas, cell, "", x, y);
    let dots = |levels: &[Level]| -> Vec<[f64; 2]> {
        let of = |level: &Level| level.norms.iter().map(|&norm| [factor * level.sigma, norm]).collect::<Vec<_>>();
        levels.iter().flat_map(of).filter(|[_, norm]| *norm > 0.0).collect()
    };
    panel.dots(dots(training), 2.2, GRAY.faded(0.5));
    let line = |item: usize| {
        on_the_way.iter().map(move |level| [factor * level.sigma, level.norms[item].max(f64::MIN_POSITIVE)])
    };
    for item in 0..count.min(200) {
        panel.curve(line(item), 0.5, BLUE.faded(0.35));
    }
    panel.dots(dots(on_the_way), 1.3, BLUE.faded(0.7));
    let mean = |level: &Level| {
        let sum: f64 = level.norms.iter().map(|norm| norm.max(f64::MIN_POSITIVE).ln()).sum();
        [factor * level.sigma, (sum / level.norms.len() as f64).exp()]
    };
    panel.curve(training.iter().map(mean), 1.6, RED);
    Ok(canvas)
}
