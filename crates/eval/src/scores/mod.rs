//! Scores of feature arrays, in double precision.
//!
//! Rows of features are slices of `[rows, dim]`. The features may be pixels, embeddings or points.

mod chi_square;
mod forest;
mod frechet;
mod inception_score;
mod kid;
mod kolmogorov_smirnov;
mod matrix;
mod moments;
mod neighbors;
mod precision_recall;
mod roc;
mod table;
#[cfg(test)]
mod testing;

pub use chi_square::{ChiSquare, Shares, chi_square, chi_square_of_two, shares};
pub use forest::cross_validated_scores;
pub use frechet::{Frechet, FrechetReference};
pub use inception_score::{InceptionScore, inception_score};
pub use kid::{Draw, Kid, kid};
pub use kolmogorov_smirnov::{KolmogorovSmirnov, kolmogorov_smirnov};
pub use moments::Moments;
pub use neighbors::{classify, two_sample_accuracy};
pub use precision_recall::{Neighborhoods, Share, neighborhoods};
pub use roc::{area_under_roc, roc};
pub use table::{Marginal, ScoredColumn, TableScores, area_standard_error, compare_tables, hill};
