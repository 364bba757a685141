//! Denoising, inpainting and anomaly scores by a trained flow.

use numpy::PyArray1;
use pfgm::{
    model::{Anomaly, Denoise, Inpaint, Score},
    prelude::Likelihood as HowLikely,
};
use pfgm_eval::area_under_roc;
use pyo3::prelude::*;

use crate::{
    data::Rows,
    failure::{Failure, Result},
    model::{Drawn, Model, drawn, trace_of},
    options::{How, Likelihood},
    solver,
    watch::Watch,
};

/// What noise is removed.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Denoising {
    /// The noise level; estimated for each image if it is None.
    sigma: Option<f64>,
    /// Whether the posterior mean is returned instead of a draw along the flow.
    is_mean: bool,
}

/// Removes Gaussian noise from rows; returns them and the noise level of each.
#[pyfunction]
pub fn denoise<'py>(
    py: Python<'py>,
    model: &Model,
    rows: &Rows,
    what: &Bound<'py, PyAny>,
    how: &Bound<'py, PyAny>,
) -> Result<(Drawn<'py>, Vec<f64>)> {
    let (what, how): (Denoising, How) = (what.extract()?, how.extract()?);
    let base = model.inner().spec().partial_solver_or(None)?;
    let solver = solver::changed(&how.solver, &base)?;
    let found = py.detach(|| {
        let watch = Watch::new(how.progress.as_ref());
        let mut denoise = what.sigma.map_or_else(Denoise::estimated, Denoise::sigma);
        denoise = denoise.batch(how.batch_size).observer(|progress| watch.observe(progress));
        if what.is_mean {
            denoise = denoise.posterior_mean();
        }
        if let Some(solver) = solver {
            denoise = denoise.solver(solver);
        }
        if let Some(guidance) = how.guidance {
            denoise = denoise.guidance(guidance);
        }
        let result = model.inner().denoise(&rows.set, denoise);
        watch.finish(result.map_err(Failure::from))
    })?;
    Ok((drawn(py, found.samples), found.sigma))
}

/// What is filled in, and how.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Inpainting {
    /// Whether each value of a row is known.
    known: Vec<bool>,
    /// Completions of each row.
    n: usize,
    steps: usize,
    rounds: usize,
    seed: u64,
}

/// Fills the unknown values of rows by RePaint; the completions of a row follow one another.
#[pyfunction]
pub fn inpaint<'py>(
    py: Python<'py>,
    model: &Model,
    rows: &Rows,
    what: &Bound<'py, PyAny>,
    how: &Bound<'py, PyAny>,
) -> Result<Drawn<'py>> {
    let (what, how): (Inpainting, How) = (what.extract()?, how.extract()?);
    let samples = py.detach(|| {
        let watch = Watch::new(how.progress.as_ref());
        let mut inpaint = Inpaint::default().steps(what.steps).rounds(what.rounds).fillings(what.n).seed(what.seed);
        inpaint = inpaint.batch(how.batch_size).observer(|progress| watch.observe(progress));
        let result = model.inner().inpaint(&rows.set, &what.known, inpaint);
        watch.finish(result.map_err(Failure::from))
    })?;
    Ok(drawn(py, samples))
}

/// What anomaly scores are computed.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Anomalies {
    /// Settings of the scores by likelihood; None for no such scores.
    likelihood: Option<Likelihood>,
    /// Noise levels of the scores by reconstruction.
    sigmas: Vec<f64>,
}

/// A score's name, its values for normal rows and for the rows in question, and the area under its ROC curve.
type Scored<'py> = (String, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>, f64);

/// Scores of rows, and of normal rows for comparison; a higher score is more anomalous.
#[pyfunction]
pub fn anomaly_scores<'py>(
    py: Python<'py>,
    model: &Model,
    normal: &Rows,
    rows: &Rows,
    what: &Bound<'py, PyAny>,
    how: &Bound<'py, PyAny>,
) -> Result<Vec<Scored<'py>>> {
    let (what, how): (Anomalies, How) = (what.extract()?, how.extract()?);
    let solver = model.invertible(&how)?;
    let trace = what.likelihood.as_ref().map(|likelihood| trace_of(&likelihood.trace)).transpose()?;
    let found = py.detach(|| {
        let watch = Watch::new(how.progress.as_ref());
        let mut anomaly = Anomaly::default().reconstruction(what.sigmas).batch(how.batch_size);
        anomaly = anomaly.observer(|progress| watch.observe(progress));
        if let (Some(likelihood), Some(trace)) = (what.likelihood, trace) {
            let mut by = HowLikely::default().trace(trace).probes(likelihood.n_probes).draws(likelihood.n_draws);
            by = by.seed(likelihood.seed).batch(how.batch_size).observer(|progress| watch.observe(progress));
            if let Some(solver) = solver {
                by = by.solver(solver);
            }
            anomaly = anomaly.likelihood(by);
        }
        let result = model.inner().anomaly_scores(&normal.set, &rows.set, anomaly);
        watch.finish(result.map_err(Failure::from))
    })?;
    let of_score = |Score { name, usual, of_rows, .. }: Score| {
        let area = area_under_roc(&usual, &of_rows);
        (name, PyArray1::from_vec(py, usual), PyArray1::from_vec(py, of_rows), area)
    };
    Ok(found.scores.into_iter().map(of_score).collect())
}
