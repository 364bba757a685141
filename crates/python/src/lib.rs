//! The native half of the Python package `pfgm`.

use pyo3::prelude::*;

/// The native half of the package; `pfgm` is what users import.
#[pymodule]
mod _pfgm {
    use std::ffi::OsString;

    use pyo3::prelude::*;

    /// Runs the program `pfgm` with `arguments`, the first of which is its own name; returns its exit code.
    #[pyfunction]
    fn run(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
        py.detach(|| pfgm_cli::run(arguments))
    }
}
