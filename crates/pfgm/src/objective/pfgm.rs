//! Matching the normalised Poisson field of a large batch of charges (arXiv 2209.11178, algorithms 1 and 2;
//! docs/equations.md, section 5).

use std::f64::consts::PI;

use burn::tensor::Tensor;
use rand::RngExt;
use rand_distr::{ChiSquared, Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::{Charges, Targets};
use crate::{extra_dims::ExtraDims, random::Stream};

/// The squared error of `v = -sqrt(N) E / (|E| + gamma)`, per component.
///
/// Points are `x = y + |eps_x| (1+tau)^m u` at level `sigma = |eps_sigma| (1+tau)^m`, `m ~ U[0, M]`: dense near the
/// data, and as far out as the prior.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldObjective {
    /// s, the scale of the noise at m = 0.
    pub s: f64,
    /// tau, the growth of the noise with m.
    pub tau: f64,
    /// gamma, which keeps the target smooth near the data.
    pub gamma: f64,
    /// M, the largest exponent; from the data's norm when it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub m: Option<u32>,
    /// Charges that the field of a step is made of; the loss batch is among them.
    pub field_batch: usize,
    /// Whether points with a small augmented part keep nearer to the data: `m <= 0.7 M` where `|eps_sigma| < s/2`.
    pub restrict: bool,
}

impl Default for FieldObjective {
    fn default() -> Self {
        Self { s: 0.01, tau: 0.03, gamma: 5.0, m: None, field_batch: 1024, restrict: true }
    }
}

/// What follows from the norm of the data (docs/equations.md, section 5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// The mean norm of the centred data.
    pub norm: f64,
    /// M.
    pub m: u32,
    /// The height at which the prior's hemisphere is projected and sampling starts.
    pub z_max: f64,
    /// The radius to which the published code clips the prior.
    pub upper_norm: f64,
}

impl FieldObjective {
    /// `M = floor(0.75 ln(norm^2 / (2 sqrt(N) s^2)) / ln(1+tau)) + 1`, `z_max = sqrt(2/pi) s (1+tau)^M`,
    /// `upper_norm = sqrt(N) s (1+tau)^M`; a given M stays.
    pub fn calibrate(&self, dim: usize, norm: f64) -> Calibration {
        let n = (dim as f64).sqrt();
        let growth = (1.0 + self.tau).ln();
        let rule = || (0.75 * (norm * norm / (2.0 * n * self.s * self.s)).ln() / growth).floor().max(0.0) as u32 + 1;
        let m = self.m.unwrap_or_else(rule);
        let reach = self.s * (f64::from(m) * growth).exp();
        Calibration { norm, m, z_max: (2.0 / PI).sqrt() * reach, upper_norm: n * reach }
    }

    pub(super) fn draw(&self, extra_dims: ExtraDims, charges: Charges, streams: &mut [Stream]) -> Targets {
        let dim = charges.shape.dim();
        let (mut x, mut sigma) = (Vec::with_capacity(charges.batch.len()), Vec::new());
        for (y, rng) in charges.batch.chunks_exact(dim).zip(streams) {
            let (radius, level) = self.reach(extra_dims, dim, rng);
            let direction: Vec<f64> = (0..dim).map(|_| StandardNormal.sample(rng)).collect();
            let norm = direction.iter().map(|value: &f64| value * value).sum::<f64>().sqrt();
            x.extend(y.iter().zip(&direction).map(|(y, u)| (f64::from(*y) + radius / norm * u) as f32));
            sigma.push(level);
        }
        let yhat = charges.means(extra_dims, &x, &sigma);
        Targets { dim, x, sigma, yhat }
    }

    /// How far a point lies from its charge along the data and along the augmented direction.
    fn reach(&self, extra_dims: ExtraDims, dim: usize, rng: &mut Stream) -> (f64, f64) {
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
        let most = if self.restrict && level < self.s / 2.0 { 0.7 * m } else { m };
        let growth = (1.0 + self.tau).powf(rng.random_range(0.0..=most));
        (radius * growth, level * growth)
    }

    pub(super) fn loss(&self, targets: &Targets, estimate: Tensor<2>) -> Tensor<1> {
        let device = estimate.device();
        let x = targets.rows(&targets.x, &device);
        let sigma = targets.column(|sigma| sigma, &device);
        let truth = targets.rows(&targets.yhat, &device);
        let (v, v_sigma) = self.normalised(x.clone() - estimate, sigma.clone());
        let (w, w_sigma) = self.normalised(x - truth, sigma);
        ((v - w).square().sum() + (v_sigma - w_sigma).square().sum()).div_scalar((targets.dim + 1) as f64)
    }

    /// `v = -sqrt(N) E / (|E| + gamma)` of the field `E = (x - yhat, sigma)`.
    fn normalised(&self, along: Tensor<2>, sigma: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let dim = along.dims()[1] as f64;
        let norm = (along.clone().square().sum_dim(1) + sigma.clone().square()).sqrt();
        let factor = norm.add_scalar(self.gamma).recip().mul_scalar(-dim.sqrt());
        (along * factor.clone(), sigma * factor)
    }
}
