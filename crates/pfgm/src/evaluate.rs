//! Evaluation of samples: [`pfgm_eval`], and distributed feature extraction.

use pfgm_data::Dataset;
pub use pfgm_eval::{
    EvaluateError, FEWEST, Neighbors, Observer, Reference, Report, Scaling, Subsets, choose, compare, evaluate,
    extract, nominal_range,
};
use pfgm_eval::{Extracted, FeatureError, Features};

use crate::parallel::{self, Communicator};

/// Extracts the features of some rows of a data set, divided among ranks. Rank 0 gets all features, the others `None`.
///
/// # Errors
/// Returns an error if the extractor needs images and the rows are vectors, or a row cannot be read.
pub fn extract_distributed(
    features: &Features,
    (dataset, rows): (&Dataset, &[usize]),
    scaling: &Scaling,
    ranks: &dyn Communicator,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<Extracted>, FeatureError> {
    let own = extract(features, dataset, scaling, &rows[ranks.share(rows.len())], progress)?;
    Ok(gather(own, ranks))
}

/// Collects the features of all ranks on rank 0, in order; the others get `None`.
pub fn gather(own: Extracted, ranks: &dyn Communicator) -> Option<Extracted> {
    let (features, logits) = (parallel::gather(ranks, own.features), parallel::gather(ranks, own.logits));
    features.zip(logits).map(|(features, logits)| Extracted { features, logits })
}
