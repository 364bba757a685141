//! Scores of samples.

use std::path::PathBuf;

use pfgm_eval::{Extracted, Extractor, Features, MetricError, Report, Scaling, interval, share_interval};
use pyo3::prelude::*;

use crate::{
    data::Rows,
    failure::{Failure, Result},
};

/// A score's name, value, standard error, and 95 % interval.
type Score = (&'static str, f64, f64, [f64; 2]);

/// How samples are compared.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct How {
    extractor: String,
    weights: Option<PathBuf>,
    /// How columns of tables are scaled: `range` or `standard`.
    scale: String,
    seed: u64,
}

/// Rows that samples are compared with, and their features.
#[pyclass(frozen, module = "pfgm._pfgm")]
pub struct Reference {
    features: Features,
    scaling: Scaling,
    real: pfgm_eval::Reference,
    seed: u64,
}

#[pymethods]
impl Reference {
    #[new]
    fn new(py: Python<'_>, rows: &Rows, how: &Bound<'_, PyAny>) -> Result<Self> {
        let How { extractor, weights, scale, seed } = how.extract()?;
        const KNOWN: [Extractor; 3] = [Extractor::Pixels, Extractor::Inception, Extractor::EfficientNetLite0];
        let Some(extractor) = KNOWN.into_iter().find(|known| known.name() == extractor) else {
            let known = KNOWN.map(Extractor::name).join(", ");
            return Err(Failure::of("extractor", format!("unknown extractor `{extractor}`, expected one of {known}")));
        };
        py.detach(|| -> Result<Self> {
            let features = Features::open(extractor, weights.as_deref())?;
            let scaling = match scale.as_str() {
                "range" => Scaling::ranges(&rows.set)?,
                "standard" => Scaling::of(&rows.set)?,
                _ => return Err(Failure::of("scale", format!("unknown scale `{scale}`, expected range or standard"))),
            };
            let dim = features.dim(rows.set.shape)?;
            let real = pfgm_eval::Reference::of(all(&features, rows, &scaling)?.features, dim)?;
            Ok(Self { features, scaling, real, seed })
        })
    }

    /// Compares samples with the reference; returns every score, and what makes them unreliable.
    fn evaluate(&self, py: Python<'_>, samples: &Rows) -> Result<(Vec<Score>, Vec<String>)> {
        let report = py.detach(|| -> Result<Report> {
            let (dim, found) = (self.real.dim(), self.features.dim(samples.set.shape)?);
            if found != dim {
                return Err(MetricError::Dimensions { reference: dim, found }.into());
            }
            let scaling = Scaling::against(samples.set.range, &self.scaling);
            let generated = all(&self.features, samples, &scaling)?;
            Ok(pfgm_eval::evaluate(&generated, self.features.classes(), &self.real, self.seed, &|_, _, _| ())?)
        })?;
        Ok((scores(&report), report.warnings))
    }
}

/// The features of all rows.
fn all(features: &Features, rows: &Rows, scaling: &Scaling) -> Result<Extracted> {
    let numbers: Vec<usize> = (0..rows.set.len()).collect();
    Ok(pfgm_eval::extract(features, &rows.set, scaling, &numbers, &mut |_| {})?)
}

fn scores(report: &Report) -> Vec<Score> {
    let score = |name, value, error| -> Score { (name, value, error, interval(value, error)) };
    let mut scores = Vec::new();
    if let Some(found) = report.frechet {
        scores.push(score("frechet_distance", found.distance, found.standard_error));
        scores.push(("frechet_bias", found.bias, f64::NAN, [f64::NAN; 2]));
    }
    if let Some((found, _)) = report.inception_score {
        scores.push(score("inception_score", found.mean, found.standard_error));
    }
    if let Some((found, _)) = report.kid {
        scores.push(score("kid", found.mean, found.standard_error));
    }
    if let Some((found, _)) = report.neighborhoods {
        let shares = [
            ("precision", found.precision, 1.0),
            ("recall", found.recall, 1.0),
            ("density", found.density, f64::INFINITY),
            ("coverage", found.coverage, 1.0),
        ];
        scores.extend(
            shares.map(|(name, share, most)| (name, share.value, share.standard_error, share_interval(share, most))),
        );
    }
    scores
}
