//! Comparison of samples with a reference by all scores.

use std::collections::HashSet;

use pfgm_data::Dataset;
use pfgm_flow::random::{Purpose, stream};
use rand::seq::{SliceRandom, index};

use crate::{
    Draw, EvaluateError, FEWEST, Frechet, FrechetReference, InceptionScore, Kid, MetricError, Neighborhoods, Share,
    extractor::{Extracted, FeatureError, Features},
    inception_score, kid, neighborhoods,
    reference::Reference,
    scaling::Scaling,
};

// Splits of the inception score, subsets of KID and their rows at most, and neighbors, as in published scores.
const SPLITS: usize = 10;
const SUBSETS: usize = 100;
const SUBSET_ROWS: usize = 1000;
const NEIGHBORS: usize = 5;

/// Progress callback: name of the stage, finished work, and total work.
pub type Observer<'a> = dyn Fn(&'static str, usize, usize) + Sync + 'a;

/// Half the width of a 95 % confidence interval in standard errors.
pub const WIDE: f64 = 1.96;

/// The 95 % confidence interval of a number.
pub fn interval(value: f64, standard_error: f64) -> [f64; 2] {
    [value - WIDE * standard_error, value + WIDE * standard_error]
}

/// The 95 % confidence interval of a share within [0, most]: most is 1 except for density.
pub fn share_interval(share: Share, most: f64) -> [f64; 2] {
    interval(share.value, share.standard_error).map(|end| end.clamp(0.0, most))
}

/// Selects `count` rows of a data set at random, in order. Evenly spaced rows could all have the same class if the classes of the data set
/// alternate.
pub fn choose(rows: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut chosen = index::sample(&mut stream(seed, Purpose::Evaluation, 2, 0), rows, count.min(rows)).into_vec();
    chosen.sort_unstable();
    chosen
}

/// Extracts the features of some rows of a data set.
///
/// # Errors
/// Returns an error if the extractor needs images and the rows are vectors, or a row cannot be read.
pub fn extract(
    features: &Features,
    dataset: &Dataset,
    scaling: &Scaling,
    rows: &[usize],
    progress: &mut dyn FnMut(usize),
) -> Result<Extracted, FeatureError> {
    let mut read = |row: usize, values: &mut [f32]| {
        dataset.read(rows[row], values)?;
        scaling.apply(values);
        Ok(())
    };
    features.extract(dataset.shape, rows.len(), &mut read, progress)
}

/// Scores of samples compared with a reference.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Number of samples.
    pub samples: usize,
    /// Number of features of a sample.
    pub features: usize,
    /// Seed of the order of the samples and of the subsets.
    pub seed: u64,
    /// The Frechet distance, unless there are too many features.
    pub frechet: Option<Frechet>,
    /// The inception score and the number of its splits, if the extractor has classes.
    pub inception_score: Option<(InceptionScore, usize)>,
    /// The kernel inception distance, if the reference has rows.
    pub kid: Option<(Kid, Subsets)>,
    /// Precision, recall, density and coverage, if the reference has rows.
    pub neighborhoods: Option<(Neighborhoods, Neighbors)>,
    /// Reasons why the scores may be unreliable.
    pub warnings: Vec<String>,
}

/// The subsets that KID is averaged over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subsets {
    /// Number of subsets.
    pub count: usize,
    /// Rows of a subset.
    pub rows: usize,
}

/// The neighborhoods of precision, recall, density and coverage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbors {
    /// A neighborhood reaches to the k-th nearest neighbor.
    pub k: usize,
    /// Rows of the samples and of the reference: the same number, because the scores depend on both.
    pub rows: usize,
}

/// Compares samples with a reference by every score that the reference allows.
///
/// # Errors
/// Returns an error if there are too few samples, or features are not finite.
pub fn evaluate(
    samples: &Extracted,
    classes: Option<usize>,
    reference: &Reference,
    seed: u64,
    observer: &Observer,
) -> Result<Report, EvaluateError> {
    let dim = reference.dim();
    let count = samples.features.len() / dim;
    if count < FEWEST {
        return Err(EvaluateError::Few { what: "the samples", count });
    }
    if !samples.features.iter().all(|value| value.is_finite()) {
        return Err(MetricError::NotFinite.into());
    }
    // Groups and splits of rows must be independent of the classes, which may alternate or be contiguous.
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut stream(seed, Purpose::Evaluation, 0, 0));
    let features = reorder(&samples.features, dim, &order);
    let frechet = reference
        .moments()
        .map(|moments| {
            observer("Frechet distance", 0, 11);
            let tell = |done| observer("Frechet distance", done, 11);
            FrechetReference::new(moments)?.estimate(&features, dim, &tell)
        })
        .transpose()?;
    let inception_score =
        classes.map(|classes| (inception_score(&reorder(&samples.logits, classes, &order), classes, SPLITS), SPLITS));
    let real = reference.features();
    Ok(Report {
        samples: count,
        features: dim,
        seed,
        frechet,
        inception_score,
        kid: real.map(|real| kernel_distance(real, &features, dim, seed, observer)),
        neighborhoods: real.map(|real| neighbors(real, &features, dim, seed, observer)),
        warnings: warnings(samples, count, reference),
    })
}

/// Compares the rows of two data sets: maps them to the same scale, extracts their features and computes all scores.
///
/// ```
/// use pfgm_data::Dataset;
/// use pfgm_eval::{Features, compare};
///
/// let rows = |shift: f32| (0..200).map(|at| (at as f32 * 0.7).sin() + shift).collect::<Vec<f32>>();
/// let (samples, reference) = (Dataset::from_rows(rows(0.5), [2])?, Dataset::from_rows(rows(0.0), [2])?);
/// let report = compare(&samples, &reference, &Features::Pixels, 0).unwrap();
/// assert!(report.frechet.unwrap().distance > 0.1);
/// # Ok::<(), pfgm_data::DataError>(())
/// ```
///
/// # Errors
/// Returns an error if there are too few rows, their shapes differ and the extractor is pixels, or a row cannot be read.
pub fn compare(
    samples: &Dataset,
    reference: &Dataset,
    features: &Features,
    seed: u64,
) -> Result<Report, EvaluateError> {
    compare_scaled(samples, reference, features, &Scaling::of(reference)?, seed)
}

/// Compares the rows of two data sets as [`compare`] does, with a scaling of the reference's rows that is given.
///
/// # Errors
/// Returns an error in the same cases as [`compare`].
pub fn compare_scaled(
    samples: &Dataset,
    reference: &Dataset,
    features: &Features,
    scaling: &Scaling,
    seed: u64,
) -> Result<Report, EvaluateError> {
    let dim = features.dim(reference.shape)?;
    if features.dim(samples.shape)? != dim {
        let found = features.dim(samples.shape)?;
        return Err(MetricError::Dimensions { reference: dim, found }.into());
    }
    let all = |dataset: &Dataset, scaling: &Scaling| {
        extract(features, dataset, scaling, &(0..dataset.len()).collect::<Vec<_>>(), &mut |_| {})
    };
    let real = Reference::of(all(reference, scaling)?.features, dim)?;
    let generated = all(samples, &Scaling::against(samples.range, scaling))?;
    evaluate(&generated, features.classes(), &real, seed, &|_, _, _| ())
}

/// The rows in another order.
fn reorder(values: &[f32], dim: usize, rows: &[usize]) -> Vec<f32> {
    rows.iter().flat_map(|&row| &values[row * dim..(row + 1) * dim]).copied().collect()
}

fn kernel_distance(real: &[f32], samples: &[f32], dim: usize, seed: u64, observer: &Observer) -> (Kid, Subsets) {
    let (reals, count) = (real.len() / dim, samples.len() / dim);
    // At most half of the rows: larger subsets would overlap too much to estimate their variance.
    let rows = SUBSET_ROWS.min(reals.min(count) / 2);
    let draw = |subset: u64| {
        let rng = &mut stream(seed, Purpose::Evaluation, 1, subset);
        let mut pick = |from| index::sample(rng, from, rows).into_vec();
        Draw { real: pick(reals), generated: pick(count) }
    };
    let draws: Vec<Draw> = (0..SUBSETS as u64).map(draw).collect();
    let found = kid(real, samples, dim, &draws, &mut |done| observer("kernel distance", done, SUBSETS));
    (found, Subsets { count: SUBSETS, rows })
}

/// Scores of neighborhoods, from as many rows of both; the samples are in random order already.
fn neighbors(real: &[f32], samples: &[f32], dim: usize, seed: u64, observer: &Observer) -> (Neighborhoods, Neighbors) {
    let rows = (real.len() / dim).min(samples.len() / dim);
    let real = reorder(real, dim, &choose(real.len() / dim, rows, seed));
    let tell = |share: f64| observer("neighbors", (1000.0 * share) as usize, 1000);
    let found = neighborhoods(&real, &samples[..rows * dim], dim, NEIGHBORS, &tell);
    (found, Neighbors { k: NEIGHBORS, rows })
}

fn warnings(extracted: &Extracted, samples: usize, reference: &Reference) -> Vec<String> {
    let (dim, mut warnings) = (reference.dim(), Vec::new());
    if reference.moments().is_none() {
        warnings.push(format!(
            "no Frechet distance: a matrix of {dim}x{dim} takes hours and gigabytes; use a network as the extractor"
        ));
    }
    for (what, count) in [("samples", Some(samples)), ("rows of the reference", reference.rows())] {
        if let Some(count) = count.filter(|&count| count <= dim && reference.moments().is_some()) {
            warnings.push(format!(
                "{count} {what} for {dim} features: their covariance is singular and the Frechet distance mostly bias, of which \
                 even its estimate is unreliable; compare KID, or take more"
            ));
        }
    }
    if let Some(real) = reference.features() {
        let bits = |row: &[f32]| row.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
        let known: HashSet<Vec<u32>> = real.chunks_exact(dim).map(bits).collect();
        let same = extracted.features.chunks_exact(dim).filter(|row| known.contains(&bits(row))).count();
        if 2 * same > samples {
            warnings.push(format!(
                "{same} of {samples} samples are rows of the reference: this compares data with themselves; give a reference of \
                 other rows"
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn classes_that_take_turns_are_no_groups() {
        // Ten distant classes, two thousand rows, with contiguous and with alternating classes.
        let features = |step: u64, class: &dyn Fn(usize) -> usize| -> Vec<f32> {
            let mut rng = stream(1, Purpose::Evaluation, step, 9);
            (0..2000).map(|row| class(row) as f32 + rng.random_range(0.0..0.5_f32)).collect()
        };
        let reference = Reference::of(features(0, &|row| row % 10), 1).unwrap();
        for class in [&(|row: usize| row % 10) as &dyn Fn(usize) -> usize, &|row| row / 200] {
            let samples = Extracted { features: features(1, class), logits: Vec::new() };
            let report = evaluate(&samples, None, &reference, 0, &|_, _, _| ()).unwrap();
            let frechet = report.frechet.unwrap();
            // Without a random tenth, the distance is nearly unchanged; without a class it would be a hundred times as large.
            assert!(frechet.distance < 0.01 && frechet.bias < 0.05 && frechet.standard_error < 0.05, "{frechet:?}");
            assert!(report.neighborhoods.unwrap().0.coverage.value > 0.95);
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_any_more_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (20, 2)}";
        let values = (0..40).collect::<Vec<u8>>();
        std::fs::write(&path, [b"\x93NUMPY\x01\x00\x76\x00", format!("{header:<117}\n").as_bytes(), &values].concat())
            .unwrap();
        let options = pfgm_data::OpenOptions { load: pfgm_data::Load::Stream, ..Default::default() };
        let dataset = pfgm_data::open(path.to_str().unwrap(), &options).unwrap();
        let scaling = Scaling::of(&dataset).unwrap();
        let extract = || extract(&Features::Pixels, &dataset, &scaling, &[3, 19], &mut |_| ());
        assert_eq!(extract().unwrap().features.len(), 4);
        std::fs::File::options().write(true).open(&path).unwrap().set_len(150).unwrap();
        let error = extract().unwrap_err().to_string();
        assert!(error.contains("rows.npy"), "{error}");
        assert!(Scaling::of(&dataset).is_err());
    }
}
