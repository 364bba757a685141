//! Denoising of Student-t noise: PFGM++'s perturbation objective (docs/equations.md, section 6).

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::{Charges, Noise};
use crate::{prediction::TrainingPoints, prior, random::Stream};

/// Distribution of the noise levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Levels {
    /// `ln sigma ~ N(mean, std^2)`, as EDM and PFGM++ do.
    #[default]
    Normal,
    /// Uniform times, as score models use: `ln sigma` uniform over the range of the flow, for VP and sub-VP `t` in [1e-5, 1].
    Uniform,
}

fn is_default(levels: &Levels) -> bool {
    *levels == Levels::Normal
}

/// PFGM++'s objective: `|yhat(x, sigma) - y|^2 / c_out^2` per coordinate, with `ln sigma ~ N(mean, std^2)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DenoisingObjective {
    /// Distribution of ln sigma: normal (EDM, PFGM++), or uniform over the noise range (score models).
    #[serde(skip_serializing_if = "is_default")]
    pub levels: Levels,
    /// Mean of ln sigma.
    pub mean: f64,
    /// Standard deviation of ln sigma.
    pub std: f64,
    /// Charges whose field-weighted mean is the target (stable target field); 0: the target is the perturbed charge.
    #[serde(skip_serializing_if = "is_zero")]
    pub reference: usize,
    /// Whether the loss is `loss / e^u + u` with u(sigma) = ln of the loss, which network edm2-unet estimates while it is trained (EDM2).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub log_variance: bool,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Default for DenoisingObjective {
    fn default() -> Self {
        Self { levels: Levels::Normal, mean: -1.2, std: 1.2, reference: 0, log_variance: false }
    }
}

impl DenoisingObjective {
    pub(super) fn draw(&self, noise: Noise, charges: Charges, streams: &mut [Stream]) -> TrainingPoints {
        let dim = charges.shape.dim();
        let mut targets = TrainingPoints { dim, x: Vec::new(), sigma: Vec::new(), yhat: charges.batch.to_vec() };
        for (y, rng) in charges.batch.chunks_exact(dim).zip(streams) {
            let sigma = match self.levels {
                Levels::Normal => {
                    let gauss: f64 = StandardNormal.sample(rng);
                    (self.mean + self.std * gauss).exp()
                }
                Levels::Uniform => noise.process.trained_at(rng.random(), noise.range),
            };
            let mut x: Vec<f64> = y.iter().map(|&value| f64::from(value)).collect();
            prior::perturb(noise.extra_dims, sigma, rng, &mut x);
            targets.x.extend(x.iter().map(|&value| value as f32));
            targets.sigma.push(sigma);
        }
        if self.reference > 0 {
            targets.yhat = charges.means(noise.extra_dims, &targets.x, &targets.sigma);
        }
        targets
    }
}
