//! Evaluation of samples: features of images and tables, scores of features, and a report that compares samples with a reference.
//!
//! [`extractor`] turns rows into features (pixels, Inception-v3, EfficientNet-Lite0), [`scaling`] brings the rows of two data sets to one
//! scale first, [`scores`] measures features (Frechet distance, KID, inception score, precision and recall, ...), and [`report`] puts
//! everything together. No tensor framework is needed.

mod error;
pub mod extractor;
pub mod reference;
pub mod report;
pub mod scaling;
pub mod scores;

pub use error::{EvaluateError, MetricError};
pub use extractor::{Extracted, Extractor, FeatureError, Features};
pub use reference::Reference;
pub use report::{Neighbors, Observer, Report, Subsets, choose, compare, evaluate, extract};
pub use scaling::{Scaling, is_nominal, nominal_range};
pub use scores::*;

/// Samples at least: the jackknife leaves out a tenth of them at a time, and the rest must have a covariance.
pub const FEWEST: usize = 20;

/// Features at most for a Frechet distance: the size of its matrices is the square of it.
pub(crate) const MOST_FEATURES: usize = 4096;
