//! The native half of the Python package `pfgm`: arrays in, arrays out.
//!
//! It converts flat NumPy arrays to the library's rows and calls [`pfgm::Model`]. Parameters, shapes, tables and progress bars are the
//! Python half's (`python/pfgm`). Long computations run detached from the interpreter, and watch for Ctrl-C.

mod callable;
mod data;
mod exact;
mod failure;
mod metrics;
mod model;
mod operator;
mod options;
mod plot;
mod restore;
mod solver;
mod watch;

use pyo3::prelude::*;

/// The native half of the package; `pfgm` is what users import.
#[pymodule]
mod _pfgm {
    use std::ffi::OsString;

    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::{
        callable::{log_likelihood, posterior, solve},
        data::{Rows, open, sources},
        exact::ExactField,
        metrics::Reference,
        model::Model,
        plot::{curve, grid, histograms, scatter},
        restore::{anomaly_scores, denoise, inpaint},
        solver::solvers,
    };

    /// Runs the program `pfgm` with `arguments`, the first of which is its own name; returns its exit code.
    #[pyfunction]
    fn run(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
        py.detach(|| pfgm_cli::run(arguments))
    }

    /// The version of the package.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
