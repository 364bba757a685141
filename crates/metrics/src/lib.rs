//! Feature arrays in, scores out, in double precision.
//!
//! Rows of features are slices of `[rows, dim]`. Nothing here knows what the features are: pixels, embeddings, points.

mod chi_square;
mod kolmogorov_smirnov;
mod neighbours;
mod roc;

pub use chi_square::{ChiSquare, Shares, chi_square, shares};
pub use kolmogorov_smirnov::{KolmogorovSmirnov, kolmogorov_smirnov};
pub use neighbours::{classify, coverage, two_sample_accuracy};
pub use roc::{area_under_roc, roc};
