//! `ExactField`: the field of charges without a network, in their own units.

use numpy::PyArray1;
use pfgm_flow::{
    extra_dims::ExtraDims,
    field,
    flow::{Denoiser, Differentiable, Query},
    prior,
};
use pyo3::prelude::*;

use crate::{
    failure::{Failure, Result},
    model::{Doubles, slice},
};

/// The exact field of charges.
#[pyclass(frozen, module = "pfgm._pfgm")]
pub struct ExactField {
    pub field: field::ExactField,
    pub extra_dims: ExtraDims,
}

/// D from a number.
pub fn extra_dims(d: f64) -> Result<ExtraDims> {
    match d {
        f64::INFINITY => Ok(ExtraDims::Infinite),
        d if d > 0.0 => Ok(ExtraDims::Finite(d)),
        _ => Err(Failure::of("D", format!("{d}: give a number above 0, or infinity"))),
    }
}

impl ExactField {
    /// The points and their numbers, as a query's.
    fn rows(&self, x: &[f64], sigma: &[f64]) -> Result<Vec<usize>> {
        if x.len() != sigma.len() * self.field.dim() {
            let problem =
                format!("{} values for {} levels of sigma; give {} for each", x.len(), sigma.len(), self.field.dim());
            return Err(Failure::of("x", problem));
        }
        Ok((0..sigma.len()).collect())
    }
}

#[pymethods]
impl ExactField {
    #[new]
    fn new(charges: Doubles<'_>, dim: usize, d: f64, log_weights: Option<Doubles<'_>>) -> Result<Self> {
        let extra_dims = extra_dims(d)?;
        let charges = slice(&charges)?;
        if dim == 0 || charges.is_empty() || !charges.iter().all(|value| value.is_finite()) {
            return Err(Failure::of("X", "give at least one row of finite values"));
        }
        let mut field = field::ExactField::new(charges.to_vec(), dim, extra_dims);
        if let Some(weights) = &log_weights {
            let weights = slice(weights)?;
            if weights.len() * dim != charges.len() || !weights.iter().all(|weight| weight.is_finite()) {
                return Err(Failure::of("log_weights", "give one finite number for each row of X"));
            }
            field = field.reweighted(weights);
        }
        Ok(Self { field, extra_dims })
    }

    /// `yhat`, the field-weighted mean of the charges.
    fn yhat<'py>(&self, py: Python<'py>, x: Doubles<'py>, sigma: Doubles<'py>) -> Result<Bound<'py, PyArray1<f64>>> {
        let (x, sigma) = (slice(&x)?, slice(&sigma)?);
        let item = self.rows(x, sigma)?;
        let mut yhat = vec![0.0; x.len()];
        py.detach(|| self.field.denoise(&Query { x, sigma, item: &item }, &mut yhat));
        Ok(PyArray1::from_vec(py, yhat))
    }

    /// `yhat`, and the product of `v` with its Jacobian.
    fn vjp<'py>(
        &self,
        py: Python<'py>,
        x: Doubles<'py>,
        sigma: Doubles<'py>,
        v: Doubles<'py>,
    ) -> Result<[Bound<'py, PyArray1<f64>>; 2]> {
        let (x, sigma, v) = (slice(&x)?, slice(&sigma)?, slice(&v)?);
        let item = self.rows(x, sigma)?;
        let (mut yhat, mut product) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        py.detach(|| self.field.vjp(&Query { x, sigma, item: &item }, v, &mut yhat, &mut product));
        Ok([yhat, product].map(|values| PyArray1::from_vec(py, values)))
    }

    /// The logarithm of the density of the charges with noise of level sigma, in nats.
    fn log_density<'py>(
        &self,
        py: Python<'py>,
        x: Doubles<'py>,
        sigma: Doubles<'py>,
    ) -> Result<Bound<'py, PyArray1<f64>>> {
        let (x, sigma) = (slice(&x)?, slice(&sigma)?);
        self.rows(x, sigma)?;
        let rows = x.chunks_exact(self.field.dim()).zip(sigma);
        let logs = py.detach(|| rows.map(|(x, &sigma)| self.field.log_density(x, sigma)).collect());
        Ok(PyArray1::from_vec(py, logs))
    }

    /// Points of the prior at noise level sigma, one for each seed.
    fn prior<'py>(&self, py: Python<'py>, seeds: Vec<u64>, sigma: f64) -> Bound<'py, PyArray1<f64>> {
        let x = prior::latents(self.extra_dims, self.field.dim(), sigma, 0, seeds);
        PyArray1::from_vec(py, x)
    }
}
