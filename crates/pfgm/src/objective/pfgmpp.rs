//! Denoising of Student-t noise: PFGM++'s perturbation objective (docs/equations.md, section 6).

use burn::tensor::Tensor;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::{Charges, Targets};
use crate::{augmentation::Augmentation, kernel, random::Stream};

/// `w(sigma) |yhat(x, sigma) - y|^2` with `ln sigma ~ N(mean, std^2)` and `w = (sigma^2 + s_d^2) / (sigma s_d)^2`, per
/// coordinate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DenoisingObjective {
    /// The mean of ln sigma.
    pub mean: f64,
    /// The standard deviation of ln sigma.
    pub std: f64,
}

impl Default for DenoisingObjective {
    fn default() -> Self {
        Self { mean: -1.2, std: 1.2 }
    }
}

impl DenoisingObjective {
    pub(super) fn draw(&self, augmentation: Augmentation, charges: Charges, streams: &mut [Stream]) -> Targets {
        let dim = charges.dim;
        let mut targets = Targets { dim, x: Vec::new(), sigma: Vec::new(), yhat: charges.batch.to_vec() };
        for (y, rng) in charges.batch.chunks_exact(dim).zip(streams) {
            let gauss: f64 = StandardNormal.sample(rng);
            let sigma = (self.mean + self.std * gauss).exp();
            let mut x: Vec<f64> = y.iter().map(|&value| f64::from(value)).collect();
            kernel::perturb(augmentation, sigma, rng, &mut x);
            targets.x.extend(x.iter().map(|&value| value as f32));
            targets.sigma.push(sigma);
        }
        targets
    }

    pub(super) fn loss(&self, targets: &Targets, estimate: Tensor<2>, sigma_data: f64) -> Tensor<1> {
        let device = estimate.device();
        let weight = |sigma: f64| (sigma.powi(2) + sigma_data.powi(2)) / (sigma * sigma_data).powi(2);
        let error = estimate - targets.rows(&targets.yhat, &device);
        (error.square() * targets.column(weight, &device)).sum().div_scalar(targets.dim as f64)
    }
}
