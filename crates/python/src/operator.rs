//! Linear operators of measurements: matrices, masks, and Python objects with `matvec` and `rmatvec`.

use std::sync::{Mutex, PoisonError};

use numpy::{PyArray1, PyReadonlyArray1};
use pfgm_flow::posterior::{Guidance, LinearOperator, Mask, Matrix};
use pyo3::prelude::*;

use crate::{
    failure::{Failure, Result},
    options::Measured,
};

/// An operator as Python gives it.
#[derive(FromPyObject)]
pub enum Operator<'py> {
    /// Whether each value of a row is known.
    Mask(PyReadonlyArray1<'py, bool>),
    /// A matrix, row after row.
    Matrix(PyReadonlyArray1<'py, f64>),
    /// Two functions, of a row and of a measurement, and the length of a measurement.
    Functions(Py<PyAny>, Py<PyAny>, usize),
}

impl Operator<'_> {
    /// The operator on rows of `dim` values.
    pub fn linear(self, dim: usize) -> Result<Box<dyn Linear>> {
        let wrong = |error| Failure::of("operator", error);
        Ok(match self {
            Self::Mask(known) => Box::new(Mask::new(known.as_slice().map_err(PyErr::from)?).map_err(wrong)?),
            Self::Matrix(values) => {
                Box::new(Matrix::new(values.as_slice().map_err(PyErr::from)?.to_vec(), dim).map_err(wrong)?)
            }
            Self::Functions(matvec, rmatvec, outputs) => {
                Box::new(Functions { matvec, rmatvec, inputs: dim, outputs, error: Mutex::new(None) })
            }
        })
    }
}

/// An operator that may have raised an exception.
pub trait Linear: LinearOperator {
    /// The exception that was raised, or the result.
    fn finish_raised(&self) -> Option<PyErr> {
        None
    }
}

impl dyn Linear {
    /// The result of a computation with the operator, or the exception that the operator raised.
    pub fn finish<T>(&self, result: Result<T>) -> Result<T> {
        match self.finish_raised() {
            Some(error) => Err(Failure::Raised(error)),
            None => result,
        }
    }
}

impl Linear for Mask {}
impl Linear for Matrix {}

/// An operator of two Python functions.
struct Functions {
    matvec: Py<PyAny>,
    rmatvec: Py<PyAny>,
    inputs: usize,
    outputs: usize,
    error: Mutex<Option<PyErr>>,
}

impl Functions {
    /// Calls a function; after an exception it is called no more and everything is zero.
    fn call(&self, function: &Py<PyAny>, x: &[f64], out: &mut [f64]) {
        let mut error = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        out.fill(0.0);
        if error.is_some() {
            return;
        }
        let called = Python::attach(|py| -> PyResult<()> {
            let found = function.call1(py, (PyArray1::from_slice(py, x),))?;
            let found: PyReadonlyArray1<f64> = found.extract(py)?;
            out.copy_from_slice(found.as_slice()?);
            Ok(())
        });
        *error = called.err();
    }
}

impl LinearOperator for Functions {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn apply(&self, y: &[f64], out: &mut [f64]) {
        self.call(&self.matvec, y, out);
    }

    fn transpose(&self, v: &[f64], out: &mut [f64]) {
        self.call(&self.rmatvec, v, out);
    }
}

impl Linear for Functions {
    fn finish_raised(&self) -> Option<PyErr> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How a flow is conditioned on a measurement.
#[derive(Clone, Copy, Debug)]
pub enum Approach {
    /// By an approximation of the conditional mean.
    Guidance(Guidance),
    /// By so many weighted particles.
    Particles(usize),
}

/// The approach that is asked for; `spread` is the standard deviation of the data.
pub fn approach(measured: &Measured, spread: f64) -> Result<Approach> {
    let guidance = match measured.method.as_str() {
        "mmps" if measured.iterations > 0 => Guidance::Mmps { iterations: measured.iterations },
        "mmps" => return Err(Failure::of("iterations", "0: give at least 1")),
        "pigdm" => Guidance::PiGdm { spread },
        "dps" if measured.zeta > 0.0 && measured.zeta.is_finite() => Guidance::Dps { zeta: measured.zeta },
        "dps" => return Err(Failure::of("zeta", format!("{}: give a number above 0", measured.zeta))),
        "tds" => return Ok(Approach::Particles(measured.particles)),
        name => {
            return Err(Failure::of("method", format!("unknown method `{name}`, expected mmps, pigdm, dps or tds")));
        }
    };
    Ok(Approach::Guidance(guidance))
}
