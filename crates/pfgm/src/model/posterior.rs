//! Posterior sampling given a linear measurement.

use super::{
    ExactField, Model, Samples,
    execution::{Execution, Running, execution_options},
    integrate::{Conditions, Estimator},
    monitor::Monitored,
};
use crate::{
    config::check_guidance,
    error::{Error, Result},
    field,
    flow::{Differentiable, Flow},
    posterior::{Conditioned, Guidance, LinearOperator, Measurement, Scaled, Twisted, TwistedSampler},
    solver::{self, Schedule, Solver},
    spec::ModelSpec,
};

/// Steps of the twisted diffusion sampler where the solver chooses its steps by itself.
const TWISTED_STEPS: usize = 50;

/// How the flow is conditioned on a measurement.
#[derive(Clone, Copy, Debug)]
enum Approach {
    /// By an approximation of the conditional mean.
    Guidance(Guidance),
    /// By so many weighted particles.
    Particles(usize),
}

/// How posterior draws are made: [`Model::posterior`] and [`ExactField::posterior`].
#[must_use = "nothing is drawn before `Model::posterior`"]
pub struct Posterior<'a> {
    draws: usize,
    seed: u64,
    noises: Vec<f64>,
    solver: Option<Solver>,
    approach: Option<Approach>,
    classes: Vec<Option<u32>>,
    guidance_scale: f64,
    execution: Execution<'a>,
}

impl<'a> Posterior<'a> {
    /// `draws` draws for each measurement, with white noise of standard deviation `noise`, in the units of the measurement.
    pub fn new(draws: usize, noise: f64) -> Self {
        Self {
            draws,
            seed: 0,
            noises: vec![noise],
            solver: None,
            approach: None,
            classes: Vec::new(),
            guidance_scale: 1.0,
            execution: Execution::default(),
        }
    }

    /// Sets the noise of each measurement. Default: the same for all.
    pub fn noises(mut self, noises: Vec<f64>) -> Self {
        self.noises = noises;
        self
    }

    /// Sets the seed of the first draw; the next ones follow. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the solver. Default: the model's own; for [`ExactField::posterior`] RK45 with tolerance 1e-5.
    pub fn solver(mut self, solver: impl Into<Solver>) -> Self {
        self.solver = Some(solver.into());
        self
    }

    /// Sets how the covariance of the data given a point is approximated. Default: MMPS with 4 iterations; for an exact field nothing is
    /// approximated.
    pub fn guidance(mut self, guidance: Guidance) -> Self {
        self.approach = Some(Approach::Guidance(guidance));
        self
    }

    /// Draws with the twisted diffusion sampler (TDS, arXiv 2306.17775) and this number of particles for each measurement. Its error falls
    /// as their number grows. It has the noise levels of the solver, or 50 if the solver chooses its steps by itself.
    pub fn particles(mut self, count: usize) -> Self {
        self.approach = Some(Approach::Particles(count));
        self
    }

    /// Sets the class of all draws. Default: none.
    pub fn class(mut self, class: u32) -> Self {
        self.classes = vec![Some(class)];
        self
    }

    /// Sets the class of each measurement. Default: none.
    pub fn classes(mut self, classes: Vec<Option<u32>>) -> Self {
        self.classes = classes;
        self
    }

    /// Sets the classifier-free guidance scale. Default: 1, no guidance.
    pub fn guidance_scale(mut self, scale: f64) -> Self {
        self.guidance_scale = scale;
        self
    }

    execution_options!('a);
}

impl Model {
    /// Draws rows `y` from their posterior distribution given a measurement `a = A y + noise` in the data's units, by the conditional
    /// flow (docs/equations.md, section 9; MMPS, arXiv 2405.13712).
    ///
    /// The draws are exact for Gaussian data at D = infinity, and approximate otherwise. All draws of a measurement follow one another.
    ///
    /// # Shapes
    /// `measurement`: `[measurements, M]`; the operator maps rows of N values to M values.
    ///
    /// ```
    /// use pfgm::{posterior::Mask, prelude::*};
    ///
    /// let model = Model::load("digits")?;
    /// let digit = Dataset::open("digits")?.select(&[0]).values()?;
    /// // The upper half is known.
    /// let known: Vec<bool> = (0..64).map(|pixel| pixel < 32).collect();
    /// let measurement: Vec<f64> = digit[..32].iter().map(|&value| f64::from(value)).collect();
    /// let operator = Mask::new(&known).unwrap();
    /// let draws = model.posterior(&measurement, &operator, Posterior::new(2, 0.5).solver(Solver::heun(5)))?;
    /// assert_eq!(draws.rows(), 2);
    /// let (mean, deviation) = draws.mean_and_deviation(2);
    /// assert_eq!((mean.len(), deviation.len()), (64, 64));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the measurement does not fit the operator or the model, the solver fails, or the computation is canceled.
    pub fn posterior(&self, measurement: &[f64], operator: &dyn LinearOperator, how: Posterior) -> Result<Samples> {
        self.check_has_yhat("posterior")?;
        for class in how.classes.iter().flatten() {
            self.spec.check_class(*class)?;
        }
        check_guidance("guidance", how.guidance_scale, &self.spec.config)?;
        let approach = how.approach.unwrap_or(Approach::Guidance(Guidance::default()));
        let solver = self.spec.solver_or(how.solver.clone())?;
        draw(self, (measurement, operator), how, &|measured, job| job.approximate(self, approach, &solver, measured))
    }
}

impl ExactField {
    /// Draws rows of the data from their exact posterior distribution given a measurement `a = A y + noise`: the flow of charges that are
    /// weighted by `p(a | y)`, for every D (docs/equations.md, section 13). With [`Posterior::guidance`] or [`Posterior::particles`] the
    /// approximations of models are drawn from instead, on the exact field.
    ///
    /// # Shapes
    /// `measurement`: `[measurements, M]`
    ///
    /// ```
    /// use pfgm::{posterior::Matrix, prelude::*};
    ///
    /// let points = Dataset::from_rows(vec![1.0, 0.0, 1.0, 2.0, -1.0, 5.0], [2])?;
    /// let first = Matrix::new(vec![1.0, 0.0], 2).unwrap();
    /// let draws = ExactField::new(&points, 1.0)?.posterior(&[0.9], &first, Posterior::new(5, 0.2))?;
    /// // Two of the points agree with the measurement.
    /// assert!((0..5).all(|draw| (draws.row(draw)[0] - 1.0).abs() < 0.1));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Model::posterior`], and if the noise is 0 or a class is given.
    pub fn posterior(&self, measurement: &[f64], operator: &dyn LinearOperator, how: Posterior) -> Result<Samples> {
        if how.classes.iter().any(Option::is_some) || how.guidance_scale != 1.0 {
            return Err(Error::argument("class", "the exact field is not conditioned on classes; omit it"));
        }
        let approach = how.approach;
        let solver = how.solver.clone().unwrap_or_else(|| Solver::rk45(1e-5).into());
        let solver = self.spec().solver_or(Some(solver))?;
        draw(self, (measurement, operator), how, &|measured, job| match approach {
            Some(approach) => job.approximate(self, approach, &solver, measured),
            None => job.reweight(self, &solver, measured),
        })
    }
}

impl Samples {
    /// The mean and the standard deviation of every value over the `draws` rows that follow one another for each measurement. The
    /// deviation of one draw is zero.
    ///
    /// # Shapes
    /// Both results: `[rows / draws, N]`
    ///
    /// # Panics
    /// Panics if `draws` is 0.
    pub fn mean_and_deviation(&self, draws: usize) -> (Vec<f64>, Vec<f64>) {
        let (values, dim) = (self.values_f64(), self.data().shape.dim());
        let groups = || values.chunks_exact(draws * dim);
        let of = |group: &[f64], at: usize| {
            let column = || group.iter().skip(at).step_by(dim);
            let mean = column().sum::<f64>() / draws as f64;
            let square: f64 = column().map(|value| (value - mean).powi(2)).sum();
            (mean, (square / (draws.max(2) - 1) as f64).sqrt())
        };
        groups().flat_map(|group| (0..dim).map(move |at| of(group, at))).unzip()
    }
}

/// Draws for all measurements; `points` makes them in the model's space.
fn draw(
    estimator: &dyn Estimator,
    (measurement, operator): (&[f64], &dyn LinearOperator),
    how: Posterior,
    points: &dyn Fn(&Measurement, &mut Job) -> Result<Vec<f64>>,
) -> Result<Samples> {
    let Posterior { draws, seed, noises, classes, guidance_scale, execution, .. } = how;
    let (spec, outputs) = (estimator.spec(), operator.outputs());
    let count = (measurement.len() / outputs.max(1)).max(1);
    if operator.inputs() != spec.dim() {
        let problem = format!("takes rows of {} values, but rows of the model have {}", operator.inputs(), spec.dim());
        return Err(Error::argument("operator", problem));
    }
    let noises = for_each("noise", noises, count)?;
    let classes = for_each("class", if classes.is_empty() { vec![None] } else { classes }, count)?;
    // a = A (scale x + offset) + noise: an operator and a measurement in the model's space.
    let transform = &spec.data.transform;
    let factor = |at: usize| f64::from(transform.scale[at % transform.scale.len()]);
    let scaled = Scaled { operator, factors: (0..spec.dim()).map(factor).collect() };
    let mut shift = vec![0.0; outputs];
    let offsets: Vec<f64> = transform.offset.iter().copied().cycle().take(spec.dim()).collect();
    operator.apply(&offsets, &mut shift);
    let values = measurement.iter().zip(shift.iter().cycle()).map(|(a, offset)| a - offset).collect();
    let measured = Measurement::many(&scaled, values, &noises)
        .map_err(|error| Error::argument("measurement", error.to_string()))?;
    let total = count * draws;
    let seeds: Vec<u64> = (0..total as u64).map(|draw| seed.wrapping_add(draw)).collect();
    let running = execution.begin("posterior", total)?;
    let labels: Vec<Option<u32>> = (0..total).map(|at| classes[at / draws]).collect();
    let mut job = Job { draws, seeds, labels, guidance_scale, running, evaluations: 0 };
    let x = points(&measured, &mut job)?;
    let nfe = job.evaluations as f64 / total.max(1) as f64;
    Ok(Samples::of_points(spec, &x, job.labels, nfe).with_seeds(job.seeds))
}

/// One value for each of `count` measurements.
fn for_each<T: Copy>(name: &'static str, values: Vec<T>, count: usize) -> Result<Vec<T>> {
    match values.len() {
        1 => Ok(vec![values[0]; count]),
        len if len == count => Ok(values),
        len => Err(Error::argument(name, format!("{len} values for {count} measurements; give one, or one for each"))),
    }
}

/// Draws that are being made.
struct Job<'a> {
    draws: usize,
    seeds: Vec<u64>,
    labels: Vec<Option<u32>>,
    guidance_scale: f64,
    running: Running<'a>,
    evaluations: u64,
}

impl Job<'_> {
    /// The estimate of `yhat` for rows of these classes.
    fn conditions(&self, labels: Vec<Option<u32>>) -> Conditions {
        Conditions { guidance: self.guidance_scale, ..Conditions::of(labels) }
    }

    /// Draws by an approximation of the conditional mean, or by weighted particles.
    fn approximate(
        &mut self,
        estimator: &dyn Estimator,
        approach: Approach,
        solver: &Solver,
        measured: &Measurement,
    ) -> Result<Vec<f64>> {
        match approach {
            Approach::Guidance(guidance) => self.guide(estimator, guidance, solver, measured),
            Approach::Particles(count) => self.twist(estimator, count, solver, measured),
        }
    }

    fn guide(
        &mut self,
        estimator: &dyn Estimator,
        guidance: Guidance,
        solver: &Solver,
        measured: &Measurement,
    ) -> Result<Vec<f64>> {
        let extra_dims = estimator.spec().extra_dims();
        let mut x = Vec::new();
        for first in (0..self.seeds.len()).step_by(self.running.batch) {
            let part = first..(first + self.running.batch).min(self.seeds.len());
            let denoiser = estimator.conditioned(self.conditions(self.labels[part.clone()].to_vec()));
            let monitored = Monitored::new(&*denoiser, &self.running);
            let numbers = part.clone().map(|at| at / self.draws).collect();
            let conditioned = Conditioned::new(&monitored, extra_dims, measured, guidance).for_items(numbers);
            let flow = Flow { denoiser: &conditioned, extra_dims };
            x.extend(sampled(estimator.spec(), &flow, solver, &self.seeds[part.clone()], first)?);
            self.evaluations += monitored.evaluations();
            self.running.advance(part.len())?;
        }
        Ok(x)
    }

    fn twist(
        &mut self,
        estimator: &dyn Estimator,
        particles: usize,
        solver: &Solver,
        measured: &Measurement,
    ) -> Result<Vec<f64>> {
        check_noise(measured)?;
        let spec = estimator.spec();
        if particles < self.draws {
            let problem = format!("{particles}: give at least {}, the number of draws", self.draws);
            return Err(Error::argument("particles", problem));
        }
        let (low, high) = spec.range();
        let levels = match solver.grid() {
            Some(grid) => grid.levels(solver.method(), (low, high)).map_err(solver::SolverError::from)?,
            None => Schedule::LogUniform.grid(high, low, TWISTED_STEPS),
        };
        // The highest level alone is one step to the lowest.
        let levels = if levels.len() < 2 { vec![high, low] } else { levels };
        let how = Twisted { particles, levels, spread: spec.spread() };
        let mut x = Vec::new();
        for number in 0..measured.count() {
            let first = number * self.draws;
            let denoiser = estimator.conditioned(self.conditions(vec![self.labels[first]; particles]));
            let monitored = Monitored::new(&*denoiser, &self.running);
            let sampler = TwistedSampler::new(&monitored, spec.extra_dims(), measured, &how);
            x.extend(sampler.draw(number, self.draws, self.seeds[first]));
            self.evaluations += monitored.evaluations();
            self.running.advance(self.draws)?;
        }
        Ok(x)
    }

    /// Draws from the exact posterior distribution.
    fn reweight(&mut self, exact: &ExactField, solver: &Solver, measured: &Measurement) -> Result<Vec<f64>> {
        check_noise(measured)?;
        let (spec, charges) = (exact.spec(), exact.field().charges());
        let mut x = Vec::new();
        for number in 0..measured.count() {
            let log_weight = |y: &[f64]| measured.log_likelihood(number, y);
            let log_weights: Vec<f64> = charges.chunks_exact(spec.dim()).map(log_weight).collect();
            if !log_weights.iter().any(|log| log.is_finite()) {
                let problem = "no row of the data comes near it with this noise; give more noise";
                return Err(Error::argument("measurement", problem));
            }
            let field: field::ExactField = exact.field().clone().reweighted(&log_weights);
            let seeds = &self.seeds[number * self.draws..(number + 1) * self.draws];
            for (part, first) in seeds.chunks(self.running.batch).zip((0..).step_by(self.running.batch)) {
                let monitored = Monitored::new(&field as &dyn Differentiable, &self.running);
                let flow = Flow { denoiser: &monitored, extra_dims: spec.extra_dims() };
                x.extend(sampled(spec, &flow, solver, part, number * self.draws + first)?);
                self.evaluations += monitored.evaluations();
                self.running.advance(part.len())?;
            }
        }
        Ok(x)
    }
}

/// Samples of a flow from the prior, one for each seed. The first one is row `first` of all.
fn sampled(spec: &ModelSpec, flow: &Flow, solver: &Solver, seeds: &[u64], first: usize) -> Result<Vec<f64>> {
    let mut points = spec.prior(0, seeds.iter().copied());
    let done = solver::sample_seeded(flow, solver, spec.range(), seeds, &mut points);
    done.map_err(|error| Error::from(error).after(first))?;
    Ok(points)
}

/// Refuses measurements without noise, which have no density.
fn check_noise(measured: &Measurement) -> Result<()> {
    match (0..measured.count()).find(|&number| measured.noise(number) == 0.0) {
        Some(_) => {
            Err(Error::argument("noise", "0: a measurement without noise has no density; give a number above 0"))
        }
        None => Ok(()),
    }
}
