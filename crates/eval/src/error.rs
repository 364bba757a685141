//! Errors of scores and evaluations.

use pfgm_data::DataError;

use crate::{FEWEST, extractor::FeatureError};

/// Reason why a score cannot be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// A feature, a mean or a covariance is not finite.
    #[error("features or their statistics are not finite")]
    NotFinite,
    /// A matrix has the wrong size, or directions of negative variance.
    #[error("the matrix is not a covariance of these features")]
    NotACovariance,
    /// Two tables have other columns, or another order of them.
    #[error("the tables have other columns, or in another order")]
    Columns,
    /// A table has too few rows.
    #[error("{rows} rows; give at least {least}")]
    FewRows {
        /// How many there are.
        rows: usize,
        /// How many there must be.
        least: usize,
    },
    /// The numbers of features differ.
    #[error("{found} features, but the reference has {reference}; use the same extractor for both")]
    Dimensions {
        /// Number of features of the reference.
        reference: usize,
        /// How many there are.
        found: usize,
    },
}

/// Reason why samples cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// Features cannot be extracted.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// A file cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A score cannot be computed.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// A file does not hold statistics of the extractor's features.
    #[error("{path}: {problem}")]
    Statistics {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// There are too few rows.
    #[error("{what}: {count} rows; give at least {FEWEST}")]
    Few {
        /// Name of the rows.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
}
