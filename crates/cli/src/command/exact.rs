//! `pfgm sample --exact`: sampling without a network, and a network held against it.

use std::{path::PathBuf, time::Instant};

use anyhow::{Result, bail};
use pfgm::{
    extra_dims::ExtraDims,
    field::ExactField,
    field_lines::{self, Line},
    flow::{Counted, Denoiser, Flow, Query},
    prediction::Output,
    prior,
    random::{Purpose, stream},
    solver::{self, Schedule, Solver, Tolerance},
    spec::DataInfo,
};
use pfgm_data::{Dataset, Shape, Transform};
use pfgm_eval::{Shares, chi_square, shares};
use pfgm_plot::{
    Axis, Canvas, Mark, Panel,
    color::{BLUE, GRAY, RED},
};

use crate::{
    args::{ArithmeticName, SampleArgs},
    command::sample::{Drawn, Model, check_files, seeds, write_arrays, write_picture},
    render::{self, PictureFile, line},
    resolve::{self, solver::Solved},
};

/// Values of a data set at the most: every one of them is read for every evaluation.
const MOST_VALUES: usize = 20_000_000;

/// The exact field of a data set, in the space of a model.
struct Exact {
    data: DataInfo,
    charges: Vec<f64>,
    field: ExactField,
    extra_dims: ExtraDims,
    range: (f64, f64),
}

pub fn run(args: &SampleArgs, source: &str) -> Result<()> {
    if args.class.is_some() || args.guidance.is_some() {
        bail!("--class and --guidance: the exact field knows no classes; omit them");
    }
    if args.arithmetic != ArithmeticName::Exact || args.z_exp.is_some() || args.upper_norm.is_some() {
        bail!("--arithmetic, --z-exp and --upper-norm: the exact field is no network's; omit them");
    }
    if args.compute.precision.is_some() && args.against.is_none() {
        bail!("--precision: the exact field is in double precision; it is for --run");
    }
    resolve::within("--batch", args.batch, 1..=resolve::MAX_SAMPLES)?;
    let seeds = seeds(args.count, args.seeds.as_deref())?;
    let dataset = resolve::dataset(source, &args.table)?;
    if args.files.images.is_some() && !matches!(dataset.shape, Shape::Image { .. }) {
        bail!("--images: the rows of {} are {}; write --csv or --npz", dataset.name, dataset.shape);
    }
    let model = args.against.as_deref().map(|run| Model::load(run, &args.compute)).transpose()?;
    let exact = Exact::new(args, &dataset, model.as_ref())?;
    // How the exact field is solved when nobody says.
    let usual = Solver::rk45(1e-5).into();
    let solved = Solved { extra_dims: exact.extra_dims, output: Output::Edm, run: None };
    let mut config = resolve::solver::changed(&args.solving, &usual, solved)?;
    config.set_denoise(args.denoise);
    let kind = if model.is_some() { "against-exact" } else { "exact" };
    let picture = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}-{kind}.png", exact.data.name)));
    let picture = PictureFile::new(picture)?;
    check_files(&args.files)?;

    let x = exact.sample(args, &seeds, &config)?;
    exact.report(&x);
    let mut values: Vec<f32> = x.iter().map(|&value| value as f32).collect();
    values.chunks_exact_mut(exact.dim()).for_each(|row| exact.data.transform.inverse(row));
    let drawn = Drawn { seeds: &seeds, classes: &vec![None; seeds.len()], values: &values };
    write_arrays(&args.files, &exact.data, &drawn)?;
    match model {
        None => write_picture(args.class.is_none(), &exact.data, &drawn, &picture),
        Some(model) => picture.write_and_print(exact.compare(&model, &seeds, &x)?, ""),
    }
}

impl Exact {
    fn new(args: &SampleArgs, dataset: &Dataset, model: Option<&Model>) -> Result<Self> {
        let (name, dim, rows) = (dataset.name.clone(), dataset.shape.dim(), dataset.len());
        if rows * dim > MOST_VALUES {
            bail!("{name}: {rows} rows of {dim} values; the exact field takes {MOST_VALUES} values at the most");
        }
        if let Some(model) = model {
            if model.record.data.shape != dataset.shape {
                let (run, data) = (model.record.data.shape, dataset.shape);
                bail!("--run: the run's rows are {run}, those of {name} are {data}; give the data it was trained on");
            }
            if !model.record.data.classes.is_empty() {
                bail!("--run: the run knows classes, the exact field does not; train one with data.conditional=false");
            }
        }
        let transform = match model {
            Some(model) => model.record.data.transform.clone(),
            None => Transform::fit(dataset)?,
        };
        let mut row = vec![0.0; dim];
        let mut charges = Vec::with_capacity(rows * dim);
        for index in 0..rows {
            dataset.read(index, &mut row)?;
            transform.forward(&mut row);
            charges.extend(row.iter().map(|&value| f64::from(value)));
        }
        let norm = |row: &[f64]| row.iter().map(|value| value * value).sum::<f64>().sqrt();
        let reach = charges.chunks_exact(dim).map(norm).fold(0.0, f64::max).max(1.0);
        let (extra_dims, range) = match (model, &args.extra_dims) {
            (Some(model), _) => (model.record.extra_dims(), model.record.range()),
            // From a hundred times as far as the farthest charge they are one.
            (None, Some(text)) => (resolve::extra_dims("-D", text)?, (1e-3, 100.0 * reach)),
            (None, None) => (ExtraDims::Finite(1.0), (1e-3, 100.0 * reach)),
        };
        let (shape, columns) = (dataset.shape, dataset.columns.clone());
        let data = DataInfo {
            name,
            shape,
            transform,
            range: dataset.range,
            columns,
            classes: Vec::new(),
            class_counts: Vec::new(),
            rows,
        };
        Ok(Self { field: ExactField::new(charges.clone(), dim, extra_dims), data, charges, extra_dims, range })
    }

    fn dim(&self) -> usize {
        self.data.shape.dim()
    }

    /// One point of the prior for each seed.
    fn latents(&self, seeds: &[u64]) -> Vec<f64> {
        let flow = Flow { denoiser: &self.field, extra_dims: self.extra_dims };
        flow.latents(self.range.1, 0, seeds.iter().copied())
    }

    fn sample(&self, args: &SampleArgs, seeds: &[u64], config: &Solver) -> Result<Vec<f64>> {
        let counted = Counted::new(&self.field);
        let flow = Flow { denoiser: &counted, extra_dims: self.extra_dims };
        let bar = render::progress("sampling", seeds.len());
        let started = Instant::now();
        let mut all = Vec::with_capacity(seeds.len() * self.dim());
        for batch in seeds.chunks(args.batch) {
            let mut x = self.latents(batch);
            solver::sample(&flow, config, self.range, &mut x).map_err(|error| error.after(all.len() / self.dim()))?;
            all.extend(x);
            bar.inc(batch.len() as u64);
        }
        bar.finish_and_clear();
        let (seconds, nfe) = (started.elapsed().as_secs_f64(), counted.rows() as f64 / seeds.len() as f64);
        line(format!("{} samples, {nfe:.1} evaluations each, {seconds:.2} s", seeds.len()));
        Ok(all)
    }

    /// Says how near the samples are to charges, and whether all charges get their shares.
    fn report(&self, x: &[f64]) {
        let samples = x.len() / self.dim();
        let Shares { observed, expected, farthest } = shares(&self.charges, x, self.dim(), (samples / 10).clamp(1, 50));
        line(format!(
            "{} charges, D = {}; the farthest sample ends {farthest:.4} from a charge",
            self.data.rows, self.extra_dims
        ));
        if observed.len() > 1 {
            let test = chi_square(&observed, &expected);
            line(format!(
                "shares of {} groups of charges: chi-square {:.1} with {} degrees of freedom, p = {:.3}",
                observed.len(),
                test.statistic,
                test.degrees,
                test.p_value
            ));
        }
    }

    /// A run's flow beside the exact one: trajectories, ends, and the error of the field at every r.
    fn compare(&self, model: &Model, seeds: &[u64], ends: &[f64]) -> Result<Vec<u8>> {
        const PATHS: usize = 40;
        let learned = model.record.denoiser(&model.network, vec![None; seeds.len()], 1.0, 256, &model.device);
        let learned = Flow { denoiser: &learned, extra_dims: self.extra_dims };
        let exact = Flow { denoiser: &self.field, extra_dims: self.extra_dims };
        let mut learned_ends = self.latents(seeds);
        let tolerance = Tolerance { rtol: 1e-5, atol: 1e-5 };
        let (low, high) = self.range;
        let learned_lines = field_lines::trace(&learned, (high, low), tolerance, &mut learned_ends)?;
        let few = &seeds[..seeds.len().min(PATHS)];
        let exact_lines = field_lines::trace(&exact, (high, low), tolerance, &mut self.latents(few))?;
        let apart = learned_ends.iter().zip(ends).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / seeds.len() as f64;
        line(format!("learned and exact ends of the same latents lie {:.4} apart (root mean square)", apart.sqrt()));

        let mut canvas = Canvas::new(1200.0, 420.0, 2.0)?;
        let cells = canvas.area().columns(&[1.0; 3]);
        let axes = self.widest();
        let reach = 1.25
            * self.charges.chunks_exact(self.dim()).flat_map(|y| axes.map(|axis| y[axis].abs())).fold(0.0, f64::max);
        let names =
            axes.map(|axis| self.data.columns.get(axis).cloned().unwrap_or_else(|| format!("value {}", axis + 1)));
        let labels = [names[0].as_str(), names[1].as_str()];
        let pairs = |values: &[f64]| -> Vec<[f64; 2]> {
            values.chunks_exact(self.dim()).map(|row| axes.map(|axis| row[axis])).collect()
        };
        let mut panel =
            Panel::square(&mut canvas, cells[0], "trajectories of the same latents", labels, ([0.0; 2], 1.2 * reach));
        panel.dots(pairs(&self.charges), 1.0, GRAY.faded(0.5));
        for (lines, color) in [(&exact_lines, RED), (&learned_lines, BLUE)] {
            let curve = |line: &Line| line.points().map(|point| axes.map(|axis| point[axis])).collect();
            panel.curves(lines.iter().take(PATHS).map(|line| (curve(line), color.faded(0.8))), 1.0);
        }
        panel.legend(&[("exact", Mark::Line, RED), ("learned", Mark::Line, BLUE)]);
        let mut panel = Panel::square(&mut canvas, cells[1], "where they end", labels, ([0.0; 2], reach));
        panel.dots(pairs(&self.charges), 1.0, GRAY.faded(0.5));
        panel.dots(pairs(ends), 1.8, RED.faded(0.7));
        panel.dots(pairs(&learned_ends), 1.8, BLUE.faded(0.7));
        panel.legend(&[("charges", Mark::Dot, GRAY), ("exact", Mark::Dot, RED), ("learned", Mark::Dot, BLUE)]);
        let errors = self.errors(model);
        let most = errors.iter().map(|point| point[1]).fold(1e-6, f64::max);
        let least = errors.iter().map(|point| point[1]).fold(most, f64::min);
        let name = if self.extra_dims == ExtraDims::Infinite { "σ" } else { "r" };
        let x = Axis::logarithmic(name, errors[0][0], errors[errors.len() - 1][0]);
        let y = Axis::logarithmic("|learned − exact field| / |exact field|", 0.5 * least, 2.0 * most);
        let mut panel = Panel::new(&mut canvas, cells[2], "error of the learned field", x, y);
        panel.curve(errors.iter().copied(), 1.6, BLUE);
        panel.dots(errors.iter().copied(), 2.6, BLUE);
        for [r, error] in errors.iter().step_by(4) {
            line(format!("{name} = {r:<10.4} relative error of the field {error:.2e}"));
        }
        Ok(canvas.png()?)
    }

    /// The two coordinates in which the charges spread most; the same twice where there is only one.
    fn widest(&self) -> [usize; 2] {
        let variance = |axis: usize| {
            let column = || self.charges.iter().skip(axis).step_by(self.dim());
            let mean = column().sum::<f64>() / self.data.rows as f64;
            column().map(|value| (value - mean).powi(2)).sum::<f64>()
        };
        let mut axes: Vec<usize> = (0..self.dim()).collect();
        if self.dim() > 2 {
            axes.sort_by(|&a, &b| variance(b).total_cmp(&variance(a)));
        }
        [axes[0], axes[axes.len().min(2) - 1]]
    }

    /// The error of a run's field `(x - yhat, r)` relative to the exact field's strength, as the root mean square over points
    /// with the noise of a level, at levels over the whole range: pairs of r and error.
    fn errors(&self, model: &Model) -> Vec<[f64; 2]> {
        const LEVELS: usize = 25;
        const POINTS: usize = 256;
        let dim = self.dim();
        let learned = model.record.denoiser(&model.network, vec![None; POINTS], 1.0, POINTS, &model.device);
        let (low, high) = self.range;
        let item: Vec<usize> = (0..POINTS).collect();
        let levels = Schedule::LogUniform.grid(low, high, LEVELS - 1);
        levels
            .into_iter()
            .enumerate()
            .map(|(level, sigma)| {
                let r = field_lines::height(self.extra_dims, sigma);
                let mut x = Vec::with_capacity(POINTS * dim);
                for index in 0..POINTS {
                    let charge = index * self.data.rows / POINTS;
                    let mut point = self.charges[charge * dim..(charge + 1) * dim].to_vec();
                    let mut rng = stream(0, Purpose::Perturbation, level as u64, index as u64);
                    prior::perturb(self.extra_dims, sigma, &mut rng, &mut point);
                    x.extend(point);
                }
                let mut yhat = [vec![0.0; x.len()], vec![0.0; x.len()]];
                let query = Query { x: &x, sigma: &[sigma; POINTS], item: &item };
                self.field.denoise(&query, &mut yhat[0]);
                learned.denoise(&query, &mut yhat[1]);
                // Relative point by point: one point of the heavy tail would outweigh all others in a sum.
                let relative = (0..POINTS).map(|index| {
                    let row = index * dim..(index + 1) * dim;
                    let missed: f64 = row.clone().map(|at| (yhat[1][at] - yhat[0][at]).powi(2)).sum();
                    let strength: f64 = row.map(|at| (x[at] - yhat[0][at]).powi(2)).sum::<f64>() + r * r;
                    missed / strength
                });
                [r, (relative.sum::<f64>() / POINTS as f64).sqrt()]
            })
            .collect()
    }
}
