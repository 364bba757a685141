//! The flow's algorithms on any denoiser: a Python callable, or an exact field.

use std::cell::RefCell;

use numpy::{PyArray1, PyReadonlyArray1};
use pfgm_flow::{
    extra_dims::ExtraDims,
    flow::{Counted, Denoiser, Differentiable, Flow, Query},
    likelihood::{Density, Prior, Probe, Trace},
    posterior::{Conditioned, Measurement},
    prior,
    random::{Purpose, stream},
    solver::{self, Solver},
};
use pyo3::prelude::*;

use crate::{
    exact::{self, ExactField},
    failure::{Failure, Result},
    model::{Doubles, slice},
    operator::{self, Approach, Operator},
    options::{Likelihood, Measured},
    solver::changed,
    watch::Watch,
};

/// Half of the step of central differences, as a share of sigma.
const STEP: f64 = 1e-4;

/// A denoiser as Python gives it.
#[derive(FromPyObject)]
pub enum Source {
    /// The exact field of charges.
    Exact(Py<ExactField>),
    /// Functions `(x, sigma) -> yhat` and `(x, sigma, v) -> product`, of flat arrays.
    Functions(Py<PyAny>, Option<Py<PyAny>>),
}

/// The space and the range of a flow, and its solver.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Space {
    dim: usize,
    extra_dims: f64,
    sigma_min: f64,
    sigma_max: f64,
    solver: String,
    /// Whether points move up to the noise instead of down to the data.
    is_reverse: bool,
    seed: u64,
}

impl Space {
    fn extra_dims(&self) -> Result<ExtraDims> {
        exact::extra_dims(self.extra_dims)
    }

    /// The lowest and the highest noise level, checked.
    fn range(&self) -> Result<(f64, f64)> {
        let (low, high) = (self.sigma_min, self.sigma_max);
        if !(low > 0.0 && high > low && high.is_finite()) {
            let problem = format!("{low} and {high}: give numbers above 0, the highest above the lowest");
            return Err(Failure::of("sigma_min, sigma_max", problem));
        }
        Ok((low, high))
    }

    fn solver(&self, base: impl Into<Solver>) -> Result<Solver> {
        let base = base.into();
        let solver = changed(&self.solver, &base)?.unwrap_or(base);
        solver.check(self.extra_dims()?)?;
        Ok(solver)
    }

    fn seeds(&self, rows: usize) -> Vec<u64> {
        (0..rows as u64).map(|row| self.seed.wrapping_add(row)).collect()
    }
}

/// A denoiser that watches for signals, and keeps the first exception. After it, every point stands still (`yhat = x`), which ends any
/// solver at once.
struct Guarded<'a> {
    source: &'a Source,
    dim: usize,
    watch: Watch<'a>,
    error: RefCell<Option<PyErr>>,
}

impl<'a> Guarded<'a> {
    fn new(source: &'a Source, dim: usize) -> Self {
        Self { source, dim, watch: Watch::new(None), error: RefCell::new(None) }
    }

    /// The result of a computation, or the exception that ended it.
    fn finish<T>(self, result: Result<T>) -> Result<T> {
        match self.error.into_inner() {
            Some(error) => Err(Failure::Raised(error)),
            None => self.watch.finish(result),
        }
    }

    fn is_stopped(&self) -> bool {
        self.error.borrow().is_some() || self.watch.signals().is_break()
    }

    /// Calls a function of flat arrays; an exception is kept.
    fn call(&self, function: &Py<PyAny>, query: &Query, v: Option<&[f64]>, out: &mut [f64]) {
        let called = Python::attach(|py| -> PyResult<()> {
            let (x, sigma) = (PyArray1::from_slice(py, query.x), PyArray1::from_slice(py, query.sigma));
            let found = match v {
                None => function.call1(py, (x, sigma))?,
                Some(v) => function.call1(py, (x, sigma, PyArray1::from_slice(py, v)))?,
            };
            let found: PyReadonlyArray1<f64> = found.extract(py)?;
            out.copy_from_slice(found.as_slice()?);
            Ok(())
        });
        if let Err(error) = called {
            *self.error.borrow_mut() = Some(error);
        }
    }

    /// `J v` by central differences.
    fn differences(&self, function: &Py<PyAny>, query: &Query, v: &[f64], out: &mut [f64]) {
        let moved = |sign: f64| -> Vec<f64> {
            let rows = query.x.chunks_exact(self.dim).zip(v.chunks_exact(self.dim)).zip(query.sigma);
            rows.flat_map(|((x, v), sigma)| x.iter().zip(v).map(move |(x, v)| x + sign * STEP * sigma * v)).collect()
        };
        let (up, down) = (moved(1.0), moved(-1.0));
        let mut below = vec![0.0; out.len()];
        self.call(function, &Query { x: &up, ..*query }, None, out);
        if self.error.borrow().is_none() {
            self.call(function, &Query { x: &down, ..*query }, None, &mut below);
        }
        for (row, sigma) in query.sigma.iter().enumerate() {
            let at = row * self.dim..(row + 1) * self.dim;
            out[at.clone()].iter_mut().zip(&below[at]).for_each(|(up, down)| *up = (*up - down) / (2.0 * STEP * sigma));
        }
    }
}

impl Denoiser for Guarded<'_> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        out.copy_from_slice(query.x);
        if self.is_stopped() {
            return;
        }
        match self.source {
            Source::Exact(field) => field.get().field.denoise(query, out),
            Source::Functions(yhat, _) => self.call(yhat, query, None, out),
        }
    }
}

/// Without a function for products, those with probes are estimated by differences, which is enough for a divergence but no gradient.
impl Differentiable for Guarded<'_> {
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]) {
        pulled.fill(0.0);
        match self.source {
            Source::Exact(field) if !self.is_stopped() => field.get().field.vjp(query, probes, out, pulled),
            Source::Exact(_) => out.copy_from_slice(query.x),
            Source::Functions(_, product) => {
                self.denoise(query, out);
                if self.is_stopped() {
                    return;
                }
                match (product, self.source) {
                    (Some(product), _) => self.call(product, query, Some(probes), pulled),
                    (None, Source::Functions(yhat, _)) => self.differences(yhat, query, probes, pulled),
                    (None, Source::Exact(_)) => {}
                }
            }
        }
    }
}

/// Moves points along the flow of a denoiser; returns them and the evaluations a row.
#[pyfunction]
pub fn solve<'py>(
    py: Python<'py>,
    denoiser: Source,
    x: Doubles<'py>,
    space: &Bound<'py, PyAny>,
) -> Result<(Bound<'py, PyArray1<f64>>, f64)> {
    let space: Space = space.extract()?;
    let mut x = slice(&x)?.to_vec();
    let rows = x.len() / space.dim.max(1);
    let (range, extra_dims) = (space.range()?, space.extra_dims()?);
    let solver = if space.is_reverse { space.solver(Solver::rk45(1e-4))? } else { space.solver(Solver::heun(18))? };
    let nfe = py.detach(|| {
        let guarded = Guarded::new(&denoiser, space.dim);
        let counted = Counted::new(&guarded);
        let flow = Flow { denoiser: &counted, extra_dims };
        let result = if space.is_reverse {
            solver::encode(&flow, &solver, range, &mut x)
        } else {
            solver::sample_seeded(&flow, &solver, range, &space.seeds(rows), &mut x)
        };
        let nfe = counted.rows() as f64 / rows.max(1) as f64;
        guarded.finish(result.map(|()| nfe).map_err(Failure::from))
    })?;
    Ok((PyArray1::from_vec(py, x), nfe))
}

/// The logarithm of the density of the flow of a denoiser at points, in nats, and the evaluations a row.
#[pyfunction]
pub fn log_likelihood<'py>(
    py: Python<'py>,
    denoiser: Source,
    x: Doubles<'py>,
    space: &Bound<'py, PyAny>,
    what: &Bound<'py, PyAny>,
) -> Result<(Bound<'py, PyArray1<f64>>, f64)> {
    let (space, what): (Space, Likelihood) = (space.extract()?, what.extract()?);
    let x = slice(&x)?;
    let rows = x.len() / space.dim.max(1);
    let (range, extra_dims) = (space.range()?, space.extra_dims()?);
    let solver = space.solver(Solver::rk45(1e-4))?;
    let probe = match what.trace.as_str() {
        "exact" => None,
        "gaussian" => Some(Probe::Gaussian),
        _ => Some(Probe::Rademacher),
    };
    let (logs, nfe) = py.detach(|| {
        let guarded = Guarded::new(&denoiser, space.dim);
        let mut found = Ok((vec![0.0; rows], 0.0));
        let draws = if probe.is_some() { what.n_probes } else { 1 };
        for draw in 0..draws as u64 {
            let density =
                Density { denoiser: &guarded, extra_dims, range, solver: solver.clone(), prior: Prior::Exact };
            let of_row = |row| {
                probe.map(|probe| probe.draw(space.dim, &mut stream(what.seed, Purpose::Probe, draw, row as u64)))
            };
            let probes: Option<Vec<f64>> = (0..rows).map(of_row).collect::<Option<Vec<_>>>().map(|rows| rows.concat());
            let logs = density.log(x, probes.as_deref().map_or(Trace::Exact, Trace::Probes));
            found = found.and_then(|(mut sum, nfe)| {
                let logs = logs.map_err(Failure::from)?;
                sum.iter_mut().zip(&logs.values).for_each(|(sum, log)| *sum += log / draws as f64);
                Ok((sum, nfe + logs.nfe / draws as f64))
            });
        }
        guarded.finish(found)
    })?;
    Ok((PyArray1::from_vec(py, logs), nfe))
}

/// Draws points from the posterior distribution of the flow of a denoiser given a measurement; returns them and the evaluations a row.
#[pyfunction]
pub fn posterior<'py>(
    py: Python<'py>,
    denoiser: Source,
    measured: &Bound<'py, PyAny>,
    operator: Operator<'py>,
    space: &Bound<'py, PyAny>,
    spread: f64,
) -> Result<(Bound<'py, PyArray1<f64>>, f64)> {
    let (space, measured): (Space, Measured) = (space.extract()?, measured.extract()?);
    let (range, extra_dims) = (space.range()?, space.extra_dims()?);
    let solver = space.solver(Solver::heun(18))?;
    let Approach::Guidance(guidance) = operator::approach(&measured, spread)? else {
        return Err(Failure::of("method", "tds: a trained flow has it; give mmps, pigdm or dps"));
    };
    let operator = operator.linear(space.dim)?;
    if operator.inputs() != space.dim {
        let problem = format!("takes rows of {} values, but rows have {}", operator.inputs(), space.dim);
        return Err(Failure::of("operator", problem));
    }
    let (x, nfe) = py.detach(|| {
        let measurement = Measurement::new(&*operator, measured.a.clone(), measured.noise)?;
        let guarded = Guarded::new(&denoiser, space.dim);
        let conditioned = Conditioned::new(&guarded, extra_dims, &measurement, guidance);
        let counted = Counted::new(&conditioned);
        let flow = Flow { denoiser: &counted, extra_dims };
        let seeds: Vec<u64> = (0..measured.n as u64).map(|draw| measured.seed.wrapping_add(draw)).collect();
        let mut x = prior::latents(extra_dims, space.dim, range.1, 0, seeds.iter().copied());
        let result = solver::sample_seeded(&flow, &solver, range, &seeds, &mut x);
        let nfe = counted.rows() as f64 / measured.n.max(1) as f64;
        let result = guarded.finish(result.map_err(Failure::from));
        operator.finish(result).map(|()| (x, nfe))
    })?;
    Ok((PyArray1::from_vec(py, x), nfe))
}
