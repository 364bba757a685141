//! Log-likelihoods of data.

use pfgm_data::{Dataset, Shape};
use rand::RngExt;

use super::{
    Model, Rows,
    execution::{Execution, Running, execution_options},
    integrate::{Conditions, Estimator},
    monitor::Monitored,
    uncertainty::{Nested, Summary},
};
use crate::{
    error::{Error, Result},
    extra_dims::ExtraDims,
    likelihood::{Density, Prior, Probe, Trace as TraceOf},
    parallel::{Communicator, Solo, gather},
    random::{Purpose, stream},
    solver::{Solver, Tolerance},
};

/// Points from which the discretization error is estimated, at most.
const CHECKED: usize = 8;
/// The largest tolerance of RK45 that solvers are compared with.
const CHECK_TOLERANCE: f64 = 1e-5;
/// N up to which the divergence is exact by default.
const EXACT_UP_TO: usize = 128;

/// Method for the divergence of `yhat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trace {
    /// Exactly for rows of at most 128 values, otherwise with Rademacher probes.
    #[default]
    Auto,
    /// Exactly, by N vector-Jacobian products.
    Exact,
    /// Hutchinson's estimate (FFJORD, arXiv 1810.01367) with probes of this distribution.
    Probes(Probe),
}

/// Settings of log-likelihoods: [`Model::log_likelihood`].
#[must_use = "nothing is computed before `Model::log_likelihood`"]
pub struct Likelihood<'a> {
    solver: Option<Solver>,
    trace: Trace,
    probes: usize,
    draws: usize,
    prior: Prior,
    seed: u64,
    is_checked: bool,
    execution: Execution<'a>,
}

impl Default for Likelihood<'_> {
    fn default() -> Self {
        Self {
            solver: None,
            trace: Trace::default(),
            probes: 1,
            draws: 1,
            prior: Prior::default(),
            seed: 0,
            is_checked: true,
            execution: Execution::default(),
        }
    }
}

impl<'a> Likelihood<'a> {
    /// Sets the solver, which must be an ODE solver. Default: RK45, with the tolerances of the model's solver if that is RK45, otherwise 1e-4.
    pub fn solver(mut self, solver: impl Into<Solver>) -> Self {
        self.solver = Some(solver.into());
        self
    }

    /// Sets the method for the divergence. Default: [`Trace::Auto`].
    pub fn trace(mut self, trace: Trace) -> Self {
        self.trace = trace;
        self
    }

    /// Sets the number of probes of each row. Default: 1.
    pub fn probes(mut self, probes: usize) -> Self {
        self.probes = probes;
        self
    }

    /// Sets the number of dequantization samples of each row; only for data of integers. Default: 1.
    pub fn draws(mut self, draws: usize) -> Self {
        self.draws = draws;
        self
    }

    /// Sets the constant of the prior. Default: [`Prior::Exact`].
    pub fn prior(mut self, prior: Prior) -> Self {
        self.prior = prior;
        self
    }

    /// Sets the seed of the probes and of the dequantization. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets whether the discretization error is estimated, from a few rows that are computed again by RK45 with a tolerance of 1e-5, or a
    /// tenth of the solver's own, and added to the standard error. Default: true.
    pub fn discretization_error(mut self, is_estimated: bool) -> Self {
        self.is_checked = is_estimated;
        self
    }

    execution_options!('a);
}

/// Usual unit of log-likelihoods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DensityUnit {
    /// Bits per dimension, `-log2 p / N`: images of integers.
    BitsPerDim,
    /// Nats, `ln p`: all other data.
    Nats,
}

impl DensityUnit {
    /// Returns the unit for rows of a shape.
    pub fn of(shape: Shape, is_integer: bool) -> Self {
        if is_integer && matches!(shape, Shape::Image { .. }) { Self::BitsPerDim } else { Self::Nats }
    }

    /// Converts `ln p` of a row of `dim` values to this unit.
    pub fn of_log_density(self, nats: f64, dim: usize) -> f64 {
        match self {
            Self::BitsPerDim => -nats / (dim as f64 * std::f64::consts::LN_2),
            Self::Nats => nats,
        }
    }
}

/// Log-likelihoods of rows, in nats, as densities in the units of the data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogLikelihoods {
    per_row: Vec<f64>,
    summary: Summary,
    nfe: f64,
    dim: usize,
    unit: DensityUnit,
    is_estimate: bool,
}

impl LogLikelihoods {
    /// `ln p` of each row, the mean over its draws and probes.
    pub fn values(&self) -> &[f64] {
        &self.per_row
    }

    /// The mean over rows.
    pub fn mean(&self) -> f64 {
        self.summary.mean
    }

    /// The standard error of the mean, with the discretization error; NaN for a single row.
    pub fn standard_error(&self) -> f64 {
        self.summary.error.unwrap_or(f64::NAN)
    }

    /// The mean, its standard error, and the components of the error.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// `-log2 p / N` of each row.
    pub fn bits_per_dim(&self) -> Vec<f64> {
        self.per_row.iter().map(|&nats| DensityUnit::BitsPerDim.of_log_density(nats, self.dim)).collect()
    }

    /// The usual unit for these data.
    pub fn unit(&self) -> DensityUnit {
        self.unit
    }

    /// Whether the divergence was estimated with probes, which adds noise to each value.
    pub fn is_estimate(&self) -> bool {
        self.is_estimate
    }

    /// Mean number of evaluations of `yhat` and its divergence per row, draw and probe.
    pub fn nfe(&self) -> f64 {
        self.nfe
    }
}

/// Options that were checked against a model.
struct Plan {
    solver: Solver,
    probe: Option<Probe>,
    probes: usize,
    draws: usize,
    prior: Prior,
    seed: u64,
    is_checked: bool,
}

impl Model {
    /// Computes `ln p` of each row, by the instantaneous change of variables along the flow (docs/equations.md, section 8).
    ///
    /// Data of integers, such as images of bytes, are dequantized with uniform noise.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// let digits = Dataset::open("digits")?.select(&[0, 1]);
    /// let how = Likelihood::default().solver(Solver::heun(8)).trace(Trace::Probes(Probe::Rademacher));
    /// let nats = model.log_likelihood(&digits, how)?;
    /// assert_eq!(nats.values().len(), 2);
    /// assert!(nats.mean().is_finite() && nats.standard_error() > 0.0);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the rows do not fit the model, an option is invalid, the solver fails, or the computation is canceled.
    pub fn log_likelihood(&self, data: &Dataset, how: Likelihood) -> Result<LogLikelihoods> {
        self.log_likelihood_of_rows(&self.spec.rows(data)?, how)
    }

    /// Computes `ln p` of rows as [`Model::log_likelihood`] does.
    ///
    /// # Errors
    /// Returns an error if an option is invalid, the solver fails, or the computation is canceled.
    pub fn log_likelihood_of_rows(&self, rows: &Rows, how: Likelihood) -> Result<LogLikelihoods> {
        Ok(self.log_likelihood_distributed(rows, how, &Solo)?.expect("one process has all rows"))
    }

    /// Computes `ln p` of rows, divided among ranks. Rank 0 gets all values, the others `None`.
    ///
    /// # Errors
    /// Returns an error if an option is invalid, the solver fails, or the computation is canceled.
    pub fn log_likelihood_distributed(
        &self,
        rows: &Rows,
        how: Likelihood,
        ranks: &dyn Communicator,
    ) -> Result<Option<LogLikelihoods>> {
        self.check_has_yhat("log_likelihood")?;
        let (plan, execution) = self.plan(rows, how)?;
        let points = rows.len() * plan.draws * plan.probes;
        let share: Vec<usize> = ranks.share(points).collect();
        let checked = if plan.is_checked && ranks.rank() == 0 { points.min(CHECKED) } else { 0 };
        let running = execution.begin("log-likelihood", share.len() + checked)?;
        let (logs, evaluations) = log_densities(self, rows, &plan, &share, &running)?;
        let mut sum = [evaluations];
        ranks.sum(&mut sum);
        let Some(logs) = gather(ranks, logs) else { return Ok(None) };
        let of_steps = plan.is_checked.then(|| discretization_error(self, rows, &plan, &logs, &running)).transpose()?;
        let nested = Nested { logs, draws: plan.draws, probes: plan.probes, of_steps };
        Ok(Some(LogLikelihoods {
            per_row: nested.of_rows(),
            summary: nested.summary(),
            nfe: sum[0] / points.max(1) as f64,
            dim: self.dim(),
            unit: DensityUnit::of(self.spec.data.shape, rows.is_integer),
            is_estimate: plan.probe.is_some(),
        }))
    }

    fn plan<'a>(&self, rows: &Rows, how: Likelihood<'a>) -> Result<(Plan, Execution<'a>)> {
        let Likelihood { solver, trace, probes, draws, prior, seed, is_checked, execution } = how;
        let probe = match trace {
            Trace::Auto if self.dim() <= EXACT_UP_TO && probes == 1 => None,
            Trace::Exact => None,
            Trace::Auto => Some(Probe::Rademacher),
            Trace::Probes(probe) => Some(probe),
        };
        if probes == 0 || probe.is_none() && probes > 1 {
            return Err(Error::argument(
                "probes",
                format!("{probes}: give at least 1, and 1 with an exact divergence"),
            ));
        }
        if draws == 0 || !rows.is_integer && draws > 1 {
            return Err(Error::argument(
                "draws",
                format!("{draws}: give at least 1, and 1 for data that are not integers"),
            ));
        }
        if prior == Prior::AuthorsCode && self.spec.extra_dims() != ExtraDims::Finite(1.0) {
            let problem =
                format!("the published constant is for D = 1 (PFGM); the model has D = {}", self.spec.extra_dims());
            return Err(Error::argument("prior", problem));
        }
        let solver = self.spec.invertible_solver_or(solver)?;
        Ok((Plan { solver, probe, probes, draws, prior, seed, is_checked }, execution))
    }
}

/// The discretization error of a mean of `ln p`, in nats: the mean difference of a few points, spread over all, from their `ln p` by a
/// solver that is nearly exact. It is infinite if that solver fails.
fn discretization_error(
    estimator: &dyn Estimator,
    rows: &Rows,
    plan: &Plan,
    logs: &[f64],
    running: &Running,
) -> Result<f64> {
    let count = logs.len().min(CHECKED);
    let points: Vec<usize> = (0..count).map(|index| index * logs.len() / count).collect();
    let solver = nearly_exact(&plan.solver);
    let exact = match log_densities(estimator, rows, &Plan { solver, ..*plan }, &points, running) {
        Ok((exact, _)) => exact,
        Err(Error::Solver(_)) => return Ok(f64::INFINITY),
        Err(error) => return Err(error),
    };
    let difference = points.iter().zip(&exact).map(|(&point, exact)| (logs[point] - exact).abs());
    Ok(difference.sum::<f64>() / count.max(1) as f64)
}

/// RK45 with a small tolerance, or a tenth of the solver's own. Steps of half the length, or a tenth of a large tolerance, would not do:
/// two results can agree and both be wrong.
fn nearly_exact(solver: &Solver) -> Solver {
    let own = solver.tolerance().unwrap_or(Tolerance { rtol: 1.0, atol: 1.0 });
    let smaller = |tolerance: f64| CHECK_TOLERANCE.min(tolerance / 10.0);
    Solver::rk45(smaller(own.rtol)).atol(smaller(own.atol)).into()
}

/// Returns `ln p` of some points of rows × draws × probes, and their number of evaluations.
fn log_densities(
    estimator: &dyn Estimator,
    rows: &Rows,
    plan: &Plan,
    points: &[usize],
    running: &Running,
) -> Result<(Vec<f64>, f64)> {
    let spec = estimator.spec();
    let (dim, each) = (spec.dim(), plan.draws * plan.probes);
    // From the model's space to the units of the data.
    let scales = &spec.data.transform.scale;
    let log_volume: f64 = (0..dim).map(|at| f64::from(scales[at % scales.len()]).ln()).sum();
    let (mut logs, mut evaluations) = (Vec::with_capacity(points.len()), 0.0);
    for part in points.chunks(running.batch) {
        let x: Vec<f64> = part.iter().flat_map(|&point| point_of(estimator, rows, plan, point)).collect();
        let labels = part.iter().map(|&point| rows.labels[point / each]).collect();
        let probe_of = |probe: Probe, point: usize| {
            let (row, of_row) = ((point / each) as u64, (point % each) as u64);
            probe.draw(dim, &mut stream(plan.seed, Purpose::Probe, of_row, row))
        };
        let probes: Option<Vec<f64>> =
            plan.probe.map(|probe| part.iter().flat_map(|&point| probe_of(probe, point)).collect());
        let denoiser = estimator.conditioned(Conditions::of(labels));
        let monitored = Monitored::new(&*denoiser, running);
        let density = Density {
            denoiser: &monitored,
            extra_dims: spec.extra_dims(),
            range: spec.range(),
            solver: plan.solver.clone(),
            prior: plan.prior,
        };
        let trace = probes.as_deref().map_or(TraceOf::Exact, TraceOf::Probes);
        let found = density.log(&x, trace).map_err(|error| error.after(part[0]))?;
        evaluations += found.nfe * part.len() as f64;
        logs.extend(found.values.iter().map(|log| log - log_volume));
        running.advance(part.len())?;
    }
    Ok((logs, evaluations))
}

/// Returns a row as a point of the model's space, with dequantization noise if its values are integers.
fn point_of(estimator: &dyn Estimator, rows: &Rows, plan: &Plan, point: usize) -> Vec<f64> {
    let (dim, each) = (estimator.spec().dim(), plan.draws * plan.probes);
    let row = point / each;
    if let Some(points) = rows.points.as_ref().filter(|_| !rows.is_integer) {
        return points[row * dim..(row + 1) * dim].to_vec();
    }
    let mut values = rows.values[row * dim..(row + 1) * dim].to_vec();
    if rows.is_integer {
        let draw = (point % each / plan.probes) as u64;
        let mut rng = stream(plan.seed, Purpose::Dequantisation, draw, row as u64);
        values.iter_mut().for_each(|value| *value += rng.random_range(-0.5..0.5_f32));
    }
    estimator.spec().to_model_space(&values)
}
