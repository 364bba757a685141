//! Matching of the normalized Poisson field of a large batch of charges (arXiv 2209.11178, algorithms 1 and 2;
//! docs/equations.md, section 5).

use std::f64::consts::PI;

use rand::RngExt;
use rand_distr::{ChiSquared, Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::Charges;
use crate::{extra_dims::ExtraDims, prediction::TrainingPoints, random::Stream};

/// PFGM's objective: the squared error of `v = -sqrt(N) E / (|E| + gamma)`, per component.
///
/// Training points are `x = y + |eps_x| (1+tau)^m u` at level `sigma = |eps_sigma| (1+tau)^m`, `m ~ U[0, M]`: dense near the
/// data, and as far out as the prior.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldObjective {
    /// Scale of the noise nearest to the data.
    pub s: f64,
    /// Growth rate of the noise.
    pub tau: f64,
    /// Constant that keeps the target smooth near the data. Networks with output field use flow.output.gamma.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// Largest exponent of the noise's growth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub m: Option<u32>,
    /// Charges in the field of a step, the batch included.
    pub field_batch: usize,
    /// How far points with a small component along z may lie from the data.
    pub restrict: Restriction,
}

/// Bound of the exponent m where the component along z, `|eps_z|`, is below `s / 2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RestrictionRecord", into = "RestrictionRecord")]
pub enum Restriction {
    /// M, as everywhere: `false`.
    None,
    /// 0.7 M: `true`, which configurations before November 2026 have.
    Fraction,
    /// 0.7 M, rounded down, as in the authors' code: `"whole"`.
    #[default]
    Whole,
}

impl Restriction {
    /// The largest exponent.
    fn bound(self, m: f64) -> f64 {
        match self {
            Self::None => m,
            Self::Fraction => 0.7 * m,
            Self::Whole => (0.7 * m).floor(),
        }
    }
}

/// A restriction as configurations have it.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected true, false or \"whole\"")]
enum RestrictionRecord {
    Flag(bool),
    Name(RestrictionName),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RestrictionName {
    Whole,
}

impl From<RestrictionRecord> for Restriction {
    fn from(record: RestrictionRecord) -> Self {
        match record {
            RestrictionRecord::Flag(false) => Self::None,
            RestrictionRecord::Flag(true) => Self::Fraction,
            RestrictionRecord::Name(RestrictionName::Whole) => Self::Whole,
        }
    }
}

impl From<Restriction> for RestrictionRecord {
    fn from(restriction: Restriction) -> Self {
        match restriction {
            Restriction::None => Self::Flag(false),
            Restriction::Fraction => Self::Flag(true),
            Restriction::Whole => Self::Name(RestrictionName::Whole),
        }
    }
}

/// gamma of the authors' configurations.
pub const DEFAULT_GAMMA: f64 = 5.0;

impl Default for FieldObjective {
    fn default() -> Self {
        Self { s: 0.01, tau: 0.03, gamma: None, m: None, field_batch: 1024, restrict: Restriction::Whole }
    }
}

/// Quantities that follow from the norm of the data (docs/equations.md, section 5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Mean norm of the centered data.
    pub norm: f64,
    /// M.
    pub m: u32,
    /// Height onto which the prior's hemisphere is projected, where sampling starts.
    pub z_max: f64,
    /// Radius to which the authors' code clips the prior.
    pub upper_norm: f64,
}

impl FieldObjective {
    /// Computes `M = floor(0.75 ln(norm^2 / (2 sqrt(N) s^2)) / ln(1+tau)) + 1`, `z_max = sqrt(2/pi) s (1+tau)^M`,
    /// `upper_norm = sqrt(N) s (1+tau)^M`; a given M is kept.
    pub fn calibrate(&self, dim: usize, norm: f64) -> Calibration {
        let n = (dim as f64).sqrt();
        let growth = (1.0 + self.tau).ln();
        let rule = || (0.75 * (norm * norm / (2.0 * n * self.s * self.s)).ln() / growth).floor().max(0.0) as u32 + 1;
        let m = self.m.unwrap_or_else(rule);
        let scale = self.s * (f64::from(m) * growth).exp();
        Calibration { norm, m, z_max: (2.0 / PI).sqrt() * scale, upper_norm: n * scale }
    }

    pub(super) fn draw(&self, extra_dims: ExtraDims, charges: Charges, streams: &mut [Stream]) -> TrainingPoints {
        let dim = charges.shape.dim();
        let (mut x, mut sigma) = (Vec::with_capacity(charges.batch.len()), Vec::new());
        for (y, rng) in charges.batch.chunks_exact(dim).zip(streams) {
            let (radius, level) = self.draw_distance(extra_dims, dim, rng);
            let direction: Vec<f64> = (0..dim).map(|_| StandardNormal.sample(rng)).collect();
            let norm = direction.iter().map(|value: &f64| value * value).sum::<f64>().sqrt();
            x.extend(y.iter().zip(&direction).map(|(y, u)| (f64::from(*y) + radius / norm * u) as f32));
            sigma.push(level);
        }
        let yhat = charges.means(extra_dims, &x, &sigma);
        TrainingPoints { dim, x, sigma, yhat }
    }

    /// Draws the distance of a point from its charge along the data and along the extra dimensions.
    fn draw_distance(&self, extra_dims: ExtraDims, dim: usize, rng: &mut Stream) -> (f64, f64) {
        let chi = |degrees: f64, rng: &mut Stream| {
            ChiSquared::new(degrees).expect("a positive number of dimensions").sample(rng).sqrt()
        };
        let radius = self.s * chi(dim as f64, rng);
        let level = self.s
            * match extra_dims {
                // At D = 1 this is |eps_z|; in units of sigma = r / sqrt(D) it has a limit.
                ExtraDims::Finite(d) => chi(d, rng) / d.sqrt(),
                ExtraDims::Infinite => 1.0,
            };
        let m = f64::from(self.m.expect("M is calibrated before training"));
        let most = if level < self.s / 2.0 { self.restrict.bound(m) } else { m };
        let growth = (1.0 + self.tau).powf(rng.random_range(0.0..=most));
        (radius * growth, level * growth)
    }
}
