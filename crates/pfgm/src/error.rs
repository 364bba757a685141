//! Error type of all operations of a [`Model`](crate::Model).

use std::io;

use pfgm_data::{DataError, Shape};

use crate::{
    checkpoint::CheckpointError,
    config::ConfigError,
    device::DeviceError,
    evaluate::EvaluateError,
    features::FeatureError,
    import::ImportError,
    network::{NetworkError, PrecisionError},
    solver::SolverError,
    spec::ModelError,
    train::TrainError,
    weights::WeightError,
};

/// Reason why an operation on a model failed. Messages name the argument, file or configuration key, and say what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument is invalid.
    #[error("{name}: {problem}")]
    Argument {
        /// The argument or method.
        name: &'static str,
        /// What is wrong with it, and what to give instead.
        problem: String,
    },
    /// The computation was canceled by its token or its observer.
    #[error("canceled")]
    Canceled,
    /// Data cannot be read, or are malformed.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A configuration does not fit its data.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A network does not fit its data.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The device cannot compute in the precision.
    #[error("precision: {0}")]
    Precision(#[from] PrecisionError),
    /// The device is unknown or was not built in.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Weights are those of another network.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A solver failed.
    #[error(transparent)]
    Solver(#[from] SolverError),
    /// A published checkpoint cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Features cannot be extracted.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// Samples cannot be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Runs do not form a cascade.
    #[error(transparent)]
    Cascade(#[from] CascadeError),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn argument(name: &'static str, problem: impl Into<String>) -> Self {
        Self::Argument { name, problem: problem.into() }
    }

    /// Adds `earlier` to the number of the item in the error.
    pub(crate) fn after(self, earlier: usize) -> Self {
        match self {
            Self::Solver(error) => Self::Solver(error.after(earlier)),
            other => other,
        }
    }

    pub(crate) fn io(path: &std::path::Path, source: io::Error) -> Self {
        Self::Io { path: path.display().to_string(), source }
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Reason why runs do not form a cascade.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CascadeError {
    /// The first run upscales, or a later one does not.
    #[error("stage {0} of a cascade {1}")]
    Kind(usize, &'static str),
    /// A run does not upscale the images of the previous one.
    #[error("stage {stage} upscales images of {wants}, but the stage before it generates {made}")]
    Shapes {
        /// Number of the later run, from 0.
        stage: usize,
        /// Shape of the images that it upscales.
        wants: String,
        /// Shape of the images of the previous run.
        made: Shape,
    },
    /// The runs were trained on different classes or value ranges.
    #[error("stage {0} has other classes or another value range than the first: train all on the same data")]
    Data(usize),
}
