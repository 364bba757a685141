//! Why there are no scores.

use pfgm_data::DataError;

use crate::{FEWEST, extractor::FeatureError};

/// Why there is no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// A feature, a mean or a covariance is not finite.
    #[error("features or their statistics are not finite")]
    NotFinite,
    /// A matrix has the wrong size, or directions of negative variance.
    #[error("the matrix is not a covariance of these features")]
    NotACovariance,
    /// The features are not those of the reference.
    #[error("{found} features, but the reference has {reference}; use the same extractor for both")]
    Dimensions {
        /// How many features the reference has.
        reference: usize,
        /// How many there are.
        found: usize,
    },
}

/// Why samples cannot be evaluated.
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
        /// Rows of what.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
}
