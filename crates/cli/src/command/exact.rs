//! `pfgm sample --exact`: sampling by the exact field, and comparison of a network with it.

use std::time::Instant;

use anyhow::{Result, bail};
use pfgm::{
    ExactField, Model,
    extra_dims::ExtraDims,
    field_lines::{self, Line},
    flow::{Denoiser, Flow, Query},
    prediction::Output,
    prior,
    random::{Purpose, stream},
    solver::{Schedule, Solver, Tolerance},
};
use pfgm_data::{Dataset, Shape};
use pfgm_eval::{Shares, chi_square_of_two, shares};
use pfgm_plot::{
    Area, Axis, Canvas, Entry, Mark, Panel,
    color::{BLUE, GRAY, RED},
    header,
};
use rand::RngExt;

use crate::{
    args::{ArithmeticName, SampleArgs},
    command::drawn::{Drawn, check_files, seeds, write_arrays, write_picture},
    render::{self, PictureFile, chart_rows, line},
    resolve::{self, solver::Solved},
};

/// Draws of the density at the last level that samples are compared with, for each sample.
const DRAWS: usize = 4;

/// The exact field of a data set in the space of a model, and its charges.
struct Exact {
    field: ExactField,
    /// The rows of the data in the model's space.
    charges: Vec<f64>,
}

pub fn run(args: &SampleArgs, source: &str) -> Result<()> {
    check(args)?;
    let seeds = seeds(args.count, args.seeds.as_deref())?;
    let dataset = resolve::dataset(source, &args.table)?;
    if args.files.images.is_some() && !matches!(dataset.shape, Shape::Image { .. }) {
        bail!("--images: the rows of {} are {}; write --csv or --npz", dataset.name, dataset.shape);
    }
    let model = args.against.as_deref().map(|run| resolve::flow_model(run, &args.compute)).transpose()?;
    let exact = Exact::new(args, &dataset, model.as_ref())?;
    let spec = exact.field.spec();
    let default = Solver::rk45(1e-5).into();
    let solved = Solved { extra_dims: spec.extra_dims(), output: &Output::Edm, run: None };
    let mut solver = resolve::solver::changed(&args.solving, &default, solved)?;
    solver.set_denoise(args.denoise);
    let to_zero = ends_at_zero(&solver);
    let name = if model.is_some() { "against-exact" } else { "exact" };
    let default = format!("{}-{name}.png", spec.data.name);
    let picture = PictureFile::new(args.figure, args.out.as_deref(), default)?;
    check_files(&args.files)?;
    let (bar, started) = (render::progress("sampling", 0), Instant::now());
    let sampling = exact.field.sample(0).seeds(seeds).solver(solver).batch(args.batch);
    let samples = sampling.observer(resolve::on_bar(&bar)).draw()?;
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    line(format!("{} samples, {:.1} evaluations each, {seconds:.2} s", samples.rows(), samples.nfe()));
    let ends = spec.to_model_space(samples.values());
    exact.report(&ends, to_zero)?;
    let drawn = Drawn::of(&samples, &spec.config);
    write_arrays(&args.files, &spec.data, &drawn)?;
    match model {
        None => {
            let rows = matches!(dataset.shape, Shape::Vector { .. }).then(|| chart_rows(&dataset)).transpose()?;
            write_picture(false, &spec.data, &drawn, rows.as_deref(), &picture)
        }
        Some(model) => picture.write_and_print(exact.compare(&model, &samples.seeds, &ends)?, ""),
    }
}

/// Whether the last step of a solver goes to sigma = 0.
fn ends_at_zero(solver: &Solver) -> bool {
    match solver {
        Solver::Euler(options) => options.denoise,
        Solver::Rk45(options) => options.denoise,
        Solver::Multistep(options) => options.denoise,
        _ => true,
    }
}

/// Returns an error for flags that apply to networks only.
fn check(args: &SampleArgs) -> Result<()> {
    if args.class.is_some() || args.guidance.is_given() || args.balanced {
        bail!(
            "--class, --balanced, --guidance, --autoguide and --guidance-levels: the exact field is not conditioned on classes; omit them"
        );
    }
    if args.arithmetic != ArithmeticName::Exact || args.z_exp.is_some() || args.upper_norm.is_some() {
        bail!("--arithmetic, --z-exp and --upper-norm: only for networks, not for the exact field; omit them");
    }
    if args.compute.precision.is_some() && args.against.is_none() {
        bail!("--precision: only for --run; the exact field is in double precision");
    }
    resolve::within("--batch", args.batch, 1..=resolve::MAX_SAMPLES)
}

impl Exact {
    fn new(args: &SampleArgs, dataset: &Dataset, model: Option<&Model>) -> Result<Self> {
        let field = match (model, &args.extra_dims) {
            (Some(model), _) => {
                let (run, data) = (model.spec().data.shape, dataset.shape);
                if run != data {
                    bail!(
                        "--run: the run's rows are {run}, those of {} are {data}; give the data it was trained on",
                        dataset.name
                    );
                }
                if !model.classes().is_empty() {
                    bail!(
                        "--run: the run is conditioned on classes, the exact field is not; train one with \
                         data.conditional=false"
                    );
                }
                ExactField::like(model.spec(), dataset)?
            }
            (None, Some(text)) => ExactField::new(dataset, as_number(resolve::extra_dims("-D", text)?))?,
            (None, None) => ExactField::new(dataset, 1.0)?,
        };
        let charges = field.spec().to_model_space(&dataset.values()?);
        Ok(Self { field, charges })
    }

    fn dim(&self) -> usize {
        self.field.spec().dim()
    }

    /// Draws one point of the prior for each seed.
    fn latents(&self, seeds: &[u64]) -> Vec<f64> {
        self.field.spec().prior(0, seeds.iter().copied())
    }

    /// Prints the distances of the samples to charges, and the test of the charges' shares.
    fn report(&self, x: &[f64], to_zero: bool) -> Result<()> {
        let samples = x.len() / self.dim();
        let groups = (samples / 10).clamp(1, 50);
        let Shares { observed, farthest, .. } = shares(&self.charges, x, self.dim(), groups);
        line(format!(
            "{} charges, D = {}; the farthest sample ends {farthest:.4} from a charge",
            self.field.spec().data.rows,
            self.field.spec().extra_dims()
        ));
        if observed.len() > 1 {
            let draws = DRAWS * samples;
            let drawn = shares(&self.charges, &self.draws(draws, to_zero)?, self.dim(), groups).observed;
            let test = chi_square_of_two(&observed, &drawn);
            line(format!(
                "shares of {} groups of charges, against {draws} draws of the density at the last level: chi-square {:.1} with {} \
                 degrees of freedom, p = {:.3}",
                observed.len(),
                test.statistic,
                test.degrees,
                test.p_value
            ));
        }
        Ok(())
    }

    /// Draws of the density where the flow ends: charges with the noise of the lowest level. With small D much of the density lies far
    /// from all charges, and is not shared equally by those that are nearest.
    fn draws(&self, count: usize, to_zero: bool) -> Result<Vec<f64>> {
        let (spec, dim) = (self.field.spec(), self.dim());
        let (low, _) = spec.range();
        let draw = |item: usize| {
            let mut rng = stream(0, Purpose::Perturbation, 0, item as u64);
            let charge = rng.random_range(0..self.charges.len() / dim);
            let mut point = self.charges[charge * dim..(charge + 1) * dim].to_vec();
            prior::perturb(spec.extra_dims(), low, &mut rng, &mut point);
            point
        };
        let x: Vec<f64> = (0..count).flat_map(draw).collect();
        Ok(if to_zero { self.field.yhat(&x, &vec![low; count])? } else { x })
    }

    /// Compares the flow of a run with the exact one: trajectories, end points, and the error of the field at every r.
    fn compare(&self, model: &Model, seeds: &[u64], ends: &[f64]) -> Result<Canvas> {
        const PATHS: usize = 40;
        let (spec, extra_dims) = (self.field.spec(), self.field.spec().extra_dims());
        let learned = model.denoiser(vec![None; seeds.len()], 1.0);
        let learned = Flow { denoiser: &learned, extra_dims };
        let exact = Flow { denoiser: self.field.field(), extra_dims };
        let mut learned_ends = self.latents(seeds);
        let tolerance = Tolerance { rtol: 1e-5, atol: 1e-5 };
        let (low, high) = spec.range();
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
            axes.map(|axis| spec.data.columns.get(axis).cloned().unwrap_or_else(|| format!("value {}", axis + 1)));
        let labels = [names[0].as_str(), names[1].as_str()];
        let pairs = |values: &[f64]| -> Vec<[f64; 2]> {
            values.chunks_exact(self.dim()).map(|row| axes.map(|axis| row[axis])).collect()
        };
        let mut panel = with_legend(
            &mut canvas,
            (cells[0], "trajectories of the same latents"),
            &[("exact", Mark::Line, RED), ("learned", Mark::Line, BLUE)],
            (labels, 1.2 * reach),
        );
        panel.dots(pairs(&self.charges), 1.0, GRAY.faded(0.5));
        for (lines, color) in [(&exact_lines, RED), (&learned_lines, BLUE)] {
            let curve = |line: &Line| line.points().map(|point| axes.map(|axis| point[axis])).collect();
            panel.curves(lines.iter().take(PATHS).map(|line| (curve(line), color.faded(0.8))), 1.0);
        }
        let entries = [("charges", Mark::Dot, GRAY), ("exact", Mark::Dot, RED), ("learned", Mark::Dot, BLUE)];
        let mut panel = with_legend(&mut canvas, (cells[1], "where they end"), &entries, (labels, reach));
        panel.dots(pairs(&self.charges), 1.0, GRAY.faded(0.5));
        panel.dots(pairs(ends), 1.8, RED.faded(0.7));
        panel.dots(pairs(&learned_ends), 1.8, BLUE.faded(0.7));
        let errors = self.errors(model);
        let most = errors.iter().map(|point| point[1]).fold(1e-6, f64::max);
        let least = errors.iter().map(|point| point[1]).fold(most, f64::min);
        let name = if extra_dims == ExtraDims::Infinite { "σ" } else { "r" };
        let x = Axis::logarithmic(name, errors[0][0], errors[errors.len() - 1][0]);
        let y = Axis::logarithmic("|learned − exact field| / |exact field|", 0.5 * least, 2.0 * most);
        let mut panel = Panel::new(&mut canvas, cells[2], "error of the learned field", x, y);
        panel.curve(errors.iter().copied(), 1.6, BLUE);
        panel.dots(errors.iter().copied(), 2.6, BLUE);
        for [r, error] in errors.iter().step_by(4) {
            line(format!("{name} = {r:<10.4} relative error of the field {error:.2e}"));
        }
        Ok(canvas)
    }

    /// Returns the two coordinates with the largest variance of the charges; the same twice if there is only one.
    fn widest(&self) -> [usize; 2] {
        let variance = |axis: usize| {
            let column = || self.charges.iter().skip(axis).step_by(self.dim());
            let mean = column().sum::<f64>() / (self.charges.len() / self.dim()) as f64;
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
        let learned = model.denoiser(vec![None; POINTS], 1.0);
        let (low, high) = self.field.spec().range();
        let (rows, extra_dims) = (self.field.spec().data.rows, self.field.spec().extra_dims());
        let item: Vec<usize> = (0..POINTS).collect();
        let levels = Schedule::LogUniform.grid(low, high, LEVELS - 1);
        levels
            .into_iter()
            .enumerate()
            .map(|(level, sigma)| {
                let r = field_lines::height(extra_dims, sigma);
                let mut x = Vec::with_capacity(POINTS * dim);
                for index in 0..POINTS {
                    let charge = index * rows / POINTS;
                    let mut point = self.charges[charge * dim..(charge + 1) * dim].to_vec();
                    let mut rng = stream(0, Purpose::Perturbation, level as u64, index as u64);
                    prior::perturb(extra_dims, sigma, &mut rng, &mut point);
                    x.extend(point);
                }
                let mut yhat = [vec![0.0; x.len()], vec![0.0; x.len()]];
                let query = Query { x: &x, sigma: &[sigma; POINTS], item: &item };
                self.field.field().denoise(&query, &mut yhat[0]);
                learned.denoise(&query, &mut yhat[1]);
                // Relative for each point: in a sum, one point of the heavy tail would dominate all others.
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

/// A square panel around zero, with a legend above it.
fn with_legend<'a>(
    canvas: &'a mut Canvas,
    (cell, title): (Area, &str),
    entries: &[Entry],
    (labels, reach): ([&str; 2], f64),
) -> Panel<'a> {
    let cell = header(canvas, cell, title, entries);
    Panel::square(canvas, cell, "", labels, ([0.0; 2], reach))
}

/// D as a number, infinity included.
fn as_number(extra_dims: ExtraDims) -> f64 {
    match extra_dims {
        ExtraDims::Finite(d) => d,
        ExtraDims::Infinite => f64::INFINITY,
    }
}
