//! Errors of the library as exceptions of Python that name Python's parameters.

use pfgm::{Error, import::ImportError};
use pfgm_data::DataError;
use pfgm_eval::{EvaluateError, FeatureError, MetricError};
use pfgm_flow::{
    posterior::MeasurementError,
    solver::{InvalidOption, SolverError},
};
use pfgm_plot::PlotError;
use pyo3::{
    exceptions::{PyOSError, PyValueError},
    prelude::*,
};

/// A result of this crate.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a call from Python failed.
#[derive(Debug)]
pub enum Failure {
    /// An exception that Python code raised, or a signal; it is passed on unchanged.
    Raised(PyErr),
    /// Something that the caller can correct: a `ValueError`.
    Value(String),
    /// Something that the system refused: an `OSError`.
    System(String),
}

impl Failure {
    /// A `ValueError` about a parameter.
    pub fn of(parameter: &str, problem: impl std::fmt::Display) -> Self {
        Self::Value(format!("{parameter}: {problem}"))
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Raised(error) => error,
            Failure::Value(text) => PyValueError::new_err(text),
            Failure::System(text) => PyOSError::new_err(text),
        }
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

/// The parameter of the Python package that an argument of the library is.
fn parameter(argument: &str) -> &str {
    match argument {
        "batch" => "batch_size",
        "class" | "classes" => "y",
        "count" => "n",
        "draws" => "n_draws",
        "extra_dims" => "D",
        "fillings" => "n",
        "folder" => "path",
        "measurement" => "a",
        "probes" => "n_probes",
        "usual" => "normal",
        "vector" => "v",
        "weaker" => "autoguide",
        "latents" => "z",
        other => other,
    }
}

/// A key of a configuration as the parameter that sets it.
fn parameter_of_key(key: &str) -> &str {
    match key {
        "data.conditional" => "conditional",
        "flow.extra_dims" => "D",
        "flow.sigma_max" => "sigma_max",
        "flow.sigma_min" => "sigma_min",
        "sample.guidance" => "guidance",
        "train.batch" => "batch_size",
        "train.lr" => "learning_rate",
        "train.seed" => "random_state",
        "train.steps" => "steps",
        other => other,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            // These problems begin with the name of the rows, which is that of the parameter.
            Error::Argument { name: "data" | "reference", problem } => Self::Value(problem),
            Error::Argument { name: "solver", problem } => Self::Value(in_parameters(&problem)),
            Error::Argument { name, problem } => Self::of(parameter(name), problem),
            Error::Config(error) => {
                Self::of(&format!("{} = {}", parameter_of_key(&error.key), error.value), error.problem)
            }
            Error::Solver(error) => error.into(),
            Error::Import(
                ImportError::Contradiction { path, field, problem } | ImportError::Missing { path, field, problem },
            ) => Self::Value(format!("{}: {}: {problem}", path.display(), parameter(field))),
            Error::Io { .. } => Self::System(error.to_string()),
            error => Self::Value(error.to_string()),
        }
    }
}

impl From<SolverError> for Failure {
    fn from(error: SolverError) -> Self {
        match error {
            SolverError::Option(error) => error.into(),
            error => Self::of("solver", error),
        }
    }
}

impl From<InvalidOption> for Failure {
    fn from(error: InvalidOption) -> Self {
        Self::Value(in_parameters(&error.to_string()))
    }
}

/// A problem with a solver's option, which begins with its key, in the words of the parameters `solver` and `solver_steps`.
fn in_parameters(problem: &str) -> String {
    let problem = match problem.strip_prefix("steps = ") {
        Some(rest) => format!("solver_steps = {rest}"),
        None => problem.to_owned(),
    };
    problem.replace("set method = ", "set solver = ")
}

/// Errors whose texts say everything.
macro_rules! value_errors {
    ($($error:ty),+) => {
        $(
            impl From<$error> for Failure {
                fn from(error: $error) -> Self {
                    Self::Value(error.to_string())
                }
            }
        )+
    };
}

value_errors!(EvaluateError, FeatureError, MetricError, MeasurementError, PlotError);

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Read { .. } => Self::System(error.to_string()),
            error => Self::Value(error.to_string()),
        }
    }
}
