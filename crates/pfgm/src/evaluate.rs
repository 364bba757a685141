//! How good samples are: their features against those of a reference.

use std::{fs, path::Path};

use pfgm_data::{DataError, Dataset, Shape, Transform, npz};
use pfgm_metrics::{
    Draw, Frechet, FrechetReference, InceptionScore, Kid, MetricError, Moments, Neighbourhoods, inception_score, kid,
    neighbourhoods,
};
use rand::seq::{SliceRandom, index};

use crate::{
    features::{Extracted, FeatureError, Features},
    parallel::{self, Communicator},
    random::{Purpose, stream},
};

/// Samples at the least: the jackknife leaves tenths of them out, and a tenth of two is none.
pub const FEWEST: usize = 20;
/// Features at the most that a Frechet distance is computed of: its matrices have their square.
pub const MOST_FEATURES: usize = 4096;
/// Splits of the inception score, subsets of the kernel distance and their rows at the most, neighbours: as is usual.
const SPLITS: usize = 10;
const SUBSETS: usize = 100;
const SUBSET_ROWS: usize = 1000;
const NEIGHBOURS: usize = 5;

/// Why there are no scores.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The features cannot be had.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// A file cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There is no score of them.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// A file of statistics holds something else.
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
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
}

/// Hears what is being done, and how much of how much is.
pub type Observer<'a> = dyn Fn(&'static str, usize, usize) + Sync + 'a;

/// From the values of rows to what extractors look at.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    /// Images: the darkest value becomes 0, the brightest 1; if `bytes`, values are whole numbers first, as files of images
    /// have them and published scores take them.
    Images {
        /// The darkest and the brightest value.
        range: (f32, f32),
        /// Whether the values are those of bytes.
        bytes: bool,
    },
    /// Tables: standardised, so that every column counts.
    Columns(Transform),
}

/// The range of bytes.
const BYTES: (f32, f32) = (0.0, 255.0);

impl Scaling {
    /// The scaling of a data set's own values.
    ///
    /// # Errors
    /// When a row lies in a file that cannot be read.
    pub fn of(dataset: &Dataset) -> Result<Self, DataError> {
        Ok(match dataset.shape {
            Shape::Image { .. } => Self::images(dataset.range),
            Shape::Vector { .. } => Self::Columns(Transform::fit(dataset)?),
        })
    }

    /// The scaling of images of a range.
    pub fn images(range: (f32, f32)) -> Self {
        Self::Images { range, bytes: range == BYTES }
    }

    /// The scaling of what is measured against a reference. Floats have the range that the reference says, for their own
    /// is only that of the values which happen to be there; bytes have that of bytes. Tables are standardised alike.
    pub fn against(own: (f32, f32), reference: &Self) -> Self {
        match reference {
            Self::Images { bytes: false, .. } if own != BYTES => reference.clone(),
            Self::Images { .. } => Self::images(own),
            Self::Columns(_) => reference.clone(),
        }
    }

    /// Scales a row, in place.
    pub fn apply(&self, row: &mut [f32]) {
        match self {
            Self::Images { range: (low, high), bytes } => {
                let range = (high - low).max(f32::MIN_POSITIVE);
                for value in row {
                    let whole = if *bytes { value.round() } else { *value };
                    *value = ((whole - low) / range).clamp(0.0, 1.0);
                }
            }
            Self::Columns(transform) => transform.forward(row),
        }
    }
}

/// `count` of a data set's rows, chosen by chance: rows at equal distances would be of one class where classes take turns.
pub fn choose(rows: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut chosen = index::sample(&mut stream(seed, Purpose::Evaluation, 2, 0), rows, count.min(rows)).into_vec();
    chosen.sort_unstable();
    chosen
}

/// Features of some of a data set's rows.
///
/// # Errors
/// When the extractor looks at images and these are none, or a row cannot be read.
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

/// [`extract`] on many ranks: each looks at its share of the rows. Rank 0 gets all, the others none.
///
/// # Errors
/// When the extractor looks at images and these are none, or a row cannot be read.
pub fn extract_distributed(
    features: &Features,
    dataset: &Dataset,
    scaling: &Scaling,
    rows: &[usize],
    ranks: &dyn Communicator,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<Extracted>, FeatureError> {
    let own = extract(features, dataset, scaling, &rows[ranks.share(rows.len())], progress)?;
    Ok(gather(own, ranks))
}

/// Gives rank 0 what all ranks found, in their order; the others get none.
pub fn gather(own: Extracted, ranks: &dyn Communicator) -> Option<Extracted> {
    let (features, logits) = (parallel::gather(ranks, own.features), parallel::gather(ranks, own.logits));
    features.zip(logits).map(|(features, logits)| Extracted { features, logits })
}

/// What samples are compared with.
pub struct Reference {
    dim: usize,
    /// `None` where there are too many features for a matrix.
    moments: Option<Moments>,
    /// `[rows, dim]`, where there is more than the moments.
    features: Option<Vec<f32>>,
}

impl Reference {
    /// The features of rows.
    ///
    /// # Errors
    /// When there are too few.
    pub fn of(features: Vec<f32>, dim: usize) -> Result<Self, EvaluateError> {
        let count = features.len() / dim;
        if count < FEWEST {
            return Err(EvaluateError::Few { what: "the reference", count });
        }
        let moments = (dim <= MOST_FEATURES).then(|| Moments::of(&features, dim));
        Ok(Self { dim, moments, features: Some(features) })
    }

    /// Reads a file of either layout: `mu` and `sigma` are the moments, as pytorch-fid writes them; `pool_3` has the features
    /// of every image.
    ///
    /// # Errors
    /// When the file has neither, or for another number of features than `dim`.
    pub fn read(path: &Path, dim: usize) -> Result<Self, EvaluateError> {
        let wrong = |problem: String| EvaluateError::Statistics { path: path.display().to_string(), problem };
        let bytes = fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let [mu, sigma, rows] = npz::read_doubles(path, &bytes, ["mu", "sigma", "pool_3"])?;
        let other = |found: usize| {
            wrong(format!("statistics of {found} features, but the extractor has {dim}; take both from one extractor"))
        };
        if let Some((shape, values)) = rows {
            let [_, found] = shape[..] else {
                return Err(wrong(format!("`pool_3` has shape {shape:?}, not [n, {dim}]")));
            };
            if found != dim {
                return Err(other(found));
            }
            if !values.iter().all(|value| value.is_finite()) {
                return Err(wrong("`pool_3` holds what is not finite".into()));
            }
            return Self::of(values.iter().map(|&value| value as f32).collect(), dim);
        }
        let (Some((mean_shape, mean)), Some((shape, covariance))) = (mu, sigma) else {
            return Err(wrong(
                "no `mu` and `sigma`, and no `pool_3`; `pfgm evaluate --save-statistics` writes them".into(),
            ));
        };
        if mean_shape != [dim] {
            return Err(other(mean.len()));
        }
        if shape != [dim, dim] {
            return Err(wrong(format!("`sigma` has shape {shape:?} where `mu` has {dim} features")));
        }
        Ok(Self { dim, moments: Some(Moments { mean, covariance }), features: None })
    }

    /// How many rows it has, where they are known.
    pub fn rows(&self) -> Option<usize> {
        self.features.as_ref().map(|features| features.len() / self.dim)
    }

    /// The moments, unless there are too many features.
    pub fn moments(&self) -> Option<&Moments> {
        self.moments.as_ref()
    }

    /// The features of every row, where they are known.
    pub fn features(&self) -> Option<&[f32]> {
        self.features.as_deref()
    }
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How many samples there were.
    pub samples: usize,
    /// How many features of each.
    pub features: usize,
    /// The seed that subsets and order were drawn by.
    pub seed: u64,
    /// The Frechet distance, unless there are too many features.
    pub frechet: Option<Frechet>,
    /// The inception score and its splits, where there are classes.
    pub inception_score: Option<(InceptionScore, usize)>,
    /// The kernel distance, where the reference has rows.
    pub kid: Option<(Kid, Subsets)>,
    /// Precision, recall, density and coverage, where the reference has rows.
    pub neighbourhoods: Option<(Neighbourhoods, Neighbours)>,
    /// What makes numbers unreliable.
    pub warnings: Vec<String>,
}

/// How a kernel distance was averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subsets {
    /// How many subsets.
    pub count: usize,
    /// The rows of each.
    pub rows: usize,
}

/// How neighbourhoods were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbours {
    /// Which neighbour a neighbourhood reaches to.
    pub k: usize,
    /// The rows of both samples: as many, for the scores change with either.
    pub rows: usize,
}

/// Compares samples with a reference, in every way that what is known of it allows.
///
/// # Errors
/// When there are too few samples, or features that are not finite.
pub fn evaluate(
    samples: &Extracted,
    classes: Option<usize>,
    reference: &Reference,
    seed: u64,
    observer: &Observer,
) -> Result<Report, EvaluateError> {
    let dim = reference.dim;
    let count = samples.features.len() / dim;
    if count < FEWEST {
        return Err(EvaluateError::Few { what: "the samples", count });
    }
    if !samples.features.iter().all(|value| value.is_finite()) {
        return Err(MetricError::NotFinite.into());
    }
    // Groups and splits of rows must have nothing to do with classes, which may take turns, or come one after another.
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut stream(seed, Purpose::Evaluation, 0, 0));
    let features = reorder(&samples.features, dim, &order);
    let frechet = reference
        .moments
        .as_ref()
        .map(|moments| {
            observer("Frechet distance", 0, 11);
            let tell = |done| observer("Frechet distance", done, 11);
            FrechetReference::new(moments)?.estimate(&features, dim, &tell)
        })
        .transpose()?;
    let inception_score =
        classes.map(|classes| (inception_score(&reorder(&samples.logits, classes, &order), classes, SPLITS), SPLITS));
    let real = reference.features.as_deref();
    Ok(Report {
        samples: count,
        features: dim,
        seed,
        frechet,
        inception_score,
        kid: real.map(|real| kernel_distance(real, &features, dim, seed, observer)),
        neighbourhoods: real.map(|real| neighbours(real, &features, dim, seed, observer)),
        warnings: warnings(count, reference),
    })
}

/// Rows in another order.
fn reorder(values: &[f32], dim: usize, rows: &[usize]) -> Vec<f32> {
    rows.iter().flat_map(|&row| &values[row * dim..(row + 1) * dim]).copied().collect()
}

fn kernel_distance(real: &[f32], samples: &[f32], dim: usize, seed: u64, observer: &Observer) -> (Kid, Subsets) {
    let (reals, count) = (real.len() / dim, samples.len() / dim);
    // Half of the rows at the most, or the subsets would be too much alike to tell how they differ.
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

/// Of as many rows of both; those of the samples are in an order of chance.
fn neighbours(
    real: &[f32],
    samples: &[f32],
    dim: usize,
    seed: u64,
    observer: &Observer,
) -> (Neighbourhoods, Neighbours) {
    let rows = (real.len() / dim).min(samples.len() / dim);
    let real = reorder(real, dim, &choose(real.len() / dim, rows, seed));
    let tell = |share: f64| observer("neighbours", (1000.0 * share) as usize, 1000);
    let found = neighbourhoods(&real, &samples[..rows * dim], dim, NEIGHBOURS, &tell);
    (found, Neighbours { k: NEIGHBOURS, rows })
}

fn warnings(samples: usize, reference: &Reference) -> Vec<String> {
    let (dim, mut warnings) = (reference.dim, Vec::new());
    if reference.moments.is_none() {
        warnings.push(format!(
            "no Frechet distance: a matrix of {dim}x{dim} takes hours and gigabytes; use --features of a network"
        ));
    }
    for (what, count) in [("samples", Some(samples)), ("rows of the reference", reference.rows())] {
        if let Some(count) = count.filter(|&count| count <= dim && reference.moments.is_some()) {
            warnings.push(format!(
                "{count} {what} for {dim} features: their covariance is singular and the Frechet distance mostly bias, of which \
                 even its estimate is unreliable; compare KID, or take more"
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
        // Ten classes far apart, two thousand rows, a class after another and in turns.
        let features = |step: u64, class: &dyn Fn(usize) -> usize| -> Vec<f32> {
            let mut rng = stream(1, Purpose::Evaluation, step, 9);
            (0..2000).map(|row| class(row) as f32 + rng.random_range(0.0..0.5_f32)).collect()
        };
        let reference = Reference::of(features(0, &|row| row % 10), 1).unwrap();
        for class in [&(|row: usize| row % 10) as &dyn Fn(usize) -> usize, &|row| row / 200] {
            let samples = Extracted { features: features(1, class), logits: Vec::new() };
            let report = evaluate(&samples, None, &reference, 0, &|_, _, _| ()).unwrap();
            let frechet = report.frechet.unwrap();
            // Without a tenth by chance the distance is about as before; without a class it would be a hundred times it.
            assert!(frechet.distance < 0.01 && frechet.bias < 0.05 && frechet.standard_error < 0.05, "{frechet:?}");
            assert!(report.neighbourhoods.unwrap().0.coverage.value > 0.95);
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

    #[test]
    fn floats_take_the_reference_s_range_and_bytes_their_own() {
        let floats = Scaling::images((0.0, 16.0));
        let bytes = Scaling::images(BYTES);
        let scaled = |scaling: &Scaling, value: f32| {
            let mut row = [value];
            scaling.apply(&mut row);
            row[0]
        };
        assert_eq!(scaled(&Scaling::against((0.0, 15.5), &floats), 8.0), 0.5);
        assert_eq!(scaled(&Scaling::against(BYTES, &floats), 51.0), 0.2);
        assert_eq!(scaled(&Scaling::against((0.0, 1.0), &bytes), 0.25), 0.25);
        // Bytes are whole and stay in their range.
        assert_eq!(scaled(&bytes, 50.7), 0.2);
        assert_eq!(scaled(&bytes, 300.0), 1.0);
    }
}
