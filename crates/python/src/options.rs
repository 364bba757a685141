//! Options of computations, as dictionaries of Python.

use pfgm::Model;
use pyo3::prelude::*;

use crate::failure::Result;

/// How points move along the flow.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct How {
    /// The solver's options as JSON.
    pub solver: String,
    pub guidance: Option<f64>,
    pub batch_size: usize,
    pub progress: Option<Py<PyAny>>,
}

/// What is sampled, and how.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Sampling {
    pub seeds: Vec<u64>,
    pub classes: Option<Vec<Option<String>>>,
    pub latent_scale: f64,
    /// The weaker flow that guides.
    pub autoguide: Option<Py<crate::model::Model>>,
    pub guidance_levels: Option<(f64, f64)>,
}

/// How densities are computed.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Likelihood {
    /// `auto`, `exact`, `rademacher` or `gaussian`.
    pub trace: String,
    pub n_probes: usize,
    pub n_draws: usize,
    pub seed: u64,
}

/// What is drawn given a measurement.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Measured {
    pub a: Vec<f64>,
    pub noise: f64,
    pub n: usize,
    pub seed: u64,
    /// The class of each measurement, or none at all.
    pub classes: Vec<Option<String>>,
    /// `mmps`, `pigdm`, `dps`, or `tds`.
    pub method: String,
    /// Iterations of MMPS.
    pub iterations: usize,
    /// Size of DPS's steps.
    pub zeta: f64,
    /// Particles of TDS for each measurement.
    pub particles: usize,
}

/// The numbers of classes that are named; none for a model without classes.
pub fn numbers(model: &Model, names: &[Option<String>]) -> Result<Vec<Option<u32>>> {
    let number = |name: &Option<String>| name.as_deref().map(|name| model.class(name)).transpose();
    Ok(names.iter().map(number).collect::<pfgm::Result<_>>()?)
}
