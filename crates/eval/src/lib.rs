//! Evaluation of samples: features of images and tables, scores of features, and a report that compares samples with a reference.
//!
//! [`scaling`] maps the rows of two data sets to the same scale, [`extractor`] computes features of rows (pixels, Inception-v3,
//! EfficientNet-Lite0), [`scores`] compares features (Frechet distance, KID, inception score, precision and recall, ...), and [`report`]
//! combines everything. No tensor framework is needed.

mod error;
pub mod extractor;
pub mod reference;
pub mod report;
pub mod scaling;
pub mod scores;

pub use error::{EvaluateError, MetricError};
pub use extractor::{Extracted, Extractor, FeatureError, Features};
pub use reference::Reference;
pub use report::{
    Neighbors, Observer, Report, Subsets, WIDE, choose, compare, compare_scaled, evaluate, extract, interval,
    share_interval,
};
pub use scaling::{Scaling, is_nominal, nominal_range};
pub use scores::*;

/// Minimum number of samples: the jackknife omits a tenth of them at a time, and the rest must have a covariance.
pub const FEWEST: usize = 20;

/// Maximum number of features for a Frechet distance, whose matrices have its square as size.
pub(crate) const MOST_FEATURES: usize = 4096;
