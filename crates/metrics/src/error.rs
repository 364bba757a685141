//! What can be wrong with what is measured.

/// Why there is no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// A feature, a mean or a covariance is not finite.
    #[error("features or their statistics are not finite")]
    NotFinite,
    /// A matrix has the wrong size, or directions of negative variance.
    #[error("the matrix is no covariance of these features")]
    NotACovariance,
    /// The features are not those of the reference.
    #[error("{found} features against a reference of {reference}; take both from one extractor")]
    Dimensions {
        /// How many features the reference has.
        reference: usize,
        /// How many there are.
        found: usize,
    },
}
