//! References for comparisons: features of rows, or statistics from a file.

use std::{fs, path::Path};

use pfgm_data::npz;

use crate::{EvaluateError, FEWEST, MOST_FEATURES, Moments};

/// A reference that samples are compared with.
pub struct Reference {
    dim: usize,
    /// `None` if there are too many features for a matrix.
    moments: Option<Moments>,
    /// `[rows, dim]`, unless only the moments are known.
    features: Option<Vec<f32>>,
}

impl Reference {
    /// A reference of the features of rows.
    ///
    /// # Errors
    /// Returns an error if there are too few.
    pub fn of(features: Vec<f32>, dim: usize) -> Result<Self, EvaluateError> {
        let count = features.len() / dim;
        if count < FEWEST {
            return Err(EvaluateError::Few { what: "the reference", count });
        }
        let moments = (dim <= MOST_FEATURES).then(|| Moments::of(&features, dim));
        Ok(Self { dim, moments, features: Some(features) })
    }

    /// Reads a file of statistics: an .npz with the moments `mu` and `sigma`, as pytorch-fid writes it, or with the features `pool_3` of every
    /// image; or a pickle with the moments of FID, as EDM2 publishes it, which is read as data and not run.
    ///
    /// # Errors
    /// Returns an error if the file has none of these, or those of another number of features than `dim`.
    pub fn read(path: &Path, dim: usize) -> Result<Self, EvaluateError> {
        let wrong = |problem: String| EvaluateError::Statistics { path: path.display().to_string(), problem };
        let bytes = fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let [mu, sigma, rows] = if bytes.starts_with(b"PK") || !is_pickle(path, &bytes) {
            npz::read_doubles(path, &bytes, ["mu", "sigma", "pool_3"])?
        } else {
            let [mu, sigma] = read_pickle(path).map_err(&wrong)?;
            [mu, sigma, None]
        };
        if let Some((shape, values)) = rows {
            check_features(&shape, &values, dim).map_err(&wrong)?;
            return Self::of(values.iter().map(|&value| value as f32).collect(), dim);
        }
        let (Some((mean_shape, mean)), Some((shape, covariance))) = (mu, sigma) else {
            return Err(wrong(
                "no `mu` and `sigma`, and no `pool_3`; give statistics as pytorch-fid writes them".into(),
            ));
        };
        if !matches!(mean_shape[..], [_] | [1, _]) || mean.len() != dim {
            return Err(wrong(other_features(mean.len(), dim)));
        }
        if shape != [dim, dim] {
            return Err(wrong(format!("`sigma` has shape {shape:?} where `mu` has {dim} features")));
        }
        Ok(Self { dim, moments: Some(Moments { mean, covariance }), features: None })
    }

    /// Number of features of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of rows, if they are known.
    pub fn rows(&self) -> Option<usize> {
        self.features.as_ref().map(|features| features.len() / self.dim)
    }

    /// The moments, unless there are too many features.
    pub fn moments(&self) -> Option<&Moments> {
        self.moments.as_ref()
    }

    /// The features of every row, `[rows, dim]`, if they are known.
    pub fn features(&self) -> Option<&[f32]> {
        self.features.as_deref()
    }
}

/// An array in double precision: its shape and its values.
type Array = (Vec<usize>, Vec<f64>);

/// Whether a file is a pickle, by its first bytes or its name.
fn is_pickle(path: &Path, bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x80") || path.extension().is_some_and(|ending| ending == "pkl" || ending == "pickle")
}

/// `mu` and `sigma` of a pickled dictionary, or of its entry `fid`.
fn read_pickle(path: &Path) -> Result<[Option<Array>; 2], String> {
    let file = pfgm_torch::open(path).map_err(|error| error.to_string())?;
    let root = file.root();
    let statistics = root.get("fid").unwrap_or(root);
    let array = |name: &str| -> Result<Option<Array>, String> {
        let Some(tensor) = statistics.get(name).and_then(|value| value.as_tensor()) else { return Ok(None) };
        let values = file.values_f64(tensor).map_err(|error| error.to_string())?;
        Ok(Some((tensor.shape.clone(), values)))
    };
    Ok([array("mu")?, array("sigma")?])
}

fn check_features(shape: &[usize], values: &[f64], dim: usize) -> Result<(), String> {
    match shape {
        [_, found] if *found != dim => Err(other_features(*found, dim)),
        [_, _] if !values.iter().all(|value| value.is_finite()) => {
            Err("`pool_3` has values that are not finite".into())
        }
        [_, _] => Ok(()),
        _ => Err(format!("`pool_3` has shape {shape:?}, not [n, {dim}]")),
    }
}

fn other_features(found: usize, dim: usize) -> String {
    format!("statistics of {found} features, but the extractor has {dim}; use the same extractor for both")
}
