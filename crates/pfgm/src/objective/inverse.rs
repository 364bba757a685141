//! Inverse Poisson flow matching (arXiv 2509.22454; at D = infinity, score identity distillation, arXiv 2404.04057; docs/equations.md, section 18).
//!
//! A generator jumps from noise of one level to the data. It never sees data: a trained network (the teacher) estimates `yhat` of the data, a
//! second network (the fake) learns `yhat` of the generator's samples, and the generator learns to make both equal.

use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::{Charges, Noise, is_one};
use crate::{extra_dims::ExtraDims, prediction::TrainingPoints, prior, random::Stream};

/// Smallest mean error of the teacher that the loss is divided by.
const LEAST_ERROR: f64 = 1e-6;

/// Inverse Poisson flow matching: `(t - p) . ((t - y) - alpha (t - p)) / mean|t - y|` with samples `y = G(z)`, the teacher's `t = yhat(x, sigma)` and
/// the fake's `p` at `x = y + sigma n`, and `ln sigma ~ N(mean, std^2)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InverseObjective {
    /// Mean of ln sigma, the levels at which teacher and fake are compared.
    pub mean: f64,
    /// Standard deviation of ln sigma.
    pub std: f64,
    /// Highest of these levels. The highest level of the flow is where the generator starts.
    pub highest: f64,
    /// Factor alpha of the squared difference of teacher and fake.
    pub alpha: f64,
    /// Learning rate of the fake, as a multiple of train.lr.
    pub fake_rate: f64,
    /// Classifier-free guidance scale that is built into the jumps; 1 disables it.
    #[serde(skip_serializing_if = "is_one")]
    pub guidance: f64,
}

impl Default for InverseObjective {
    fn default() -> Self {
        Self { mean: -1.2, std: 1.2, highest: 80.0, alpha: 1.0, fake_rate: 1.0, guidance: 1.0 }
    }
}

/// Loss of one sample, and its derivatives.
#[derive(Clone, Debug, PartialEq)]
pub struct InverseSlopes {
    /// The loss.
    pub loss: f64,
    /// Derivative with respect to the teacher's estimate, `[N]`.
    pub teacher: Vec<f64>,
    /// Derivative with respect to the fake's estimate, `[N]`.
    pub fake: Vec<f64>,
    /// Derivative with respect to the sample where estimates do not change, `[N]`.
    pub sample: Vec<f64>,
}

impl InverseObjective {
    /// Default of `flow.sigma_max`, the level from which the generator starts. At 80, the teacher's first estimate hardly depends on the noise.
    pub const START: f64 = 2.5;

    /// Draws the noise that each sample is made of; `yhat` is not used.
    pub(super) fn draw(&self, noise: Noise, charges: Charges, streams: &mut [Stream]) -> TrainingPoints {
        let (dim, start) = (charges.shape.dim(), noise.range.1);
        let mut x = vec![0.0; charges.batch.len()];
        for (row, rng) in x.chunks_exact_mut(dim).zip(&mut *streams) {
            prior::perturb(noise.extra_dims, start, rng, row);
        }
        let sigma = vec![start; streams.len()];
        TrainingPoints { dim, x: x.iter().map(|&value| value as f32).collect(), sigma, yhat: vec![0.0; x.len()] }
    }

    /// Perturbs samples at the levels at which teacher and fake are compared; `yhat` are the samples.
    pub(crate) fn perturb(
        &self,
        extra_dims: ExtraDims,
        lowest: f64,
        samples: TrainingPoints,
        streams: impl Iterator<Item = Stream>,
    ) -> TrainingPoints {
        let TrainingPoints { dim, yhat, .. } = samples;
        let mut points = TrainingPoints { dim, x: Vec::with_capacity(yhat.len()), sigma: Vec::new(), yhat };
        for (y, mut rng) in points.yhat.chunks_exact(dim).zip(streams) {
            let gauss: f64 = StandardNormal.sample(&mut rng);
            let level = (self.mean + self.std * gauss).exp().clamp(lowest, self.highest);
            let mut x: Vec<f64> = y.iter().map(|&value| f64::from(value)).collect();
            prior::perturb(extra_dims, level, &mut rng, &mut x);
            points.x.extend(x.iter().map(|&value| value as f32));
            points.sigma.push(level);
        }
        points
    }

    /// Loss of a sample y and its derivatives, from the estimates of teacher and fake at the perturbed sample. `mean|t - y|` counts as constant.
    ///
    /// # Shapes
    /// `y`, `teacher`, `fake`: `[N]`
    pub fn slopes(&self, y: &[f64], teacher: &[f64], fake: &[f64]) -> InverseSlopes {
        let rows = || y.iter().zip(teacher).zip(fake).map(|((y, t), p)| (t - p, t - y));
        let error = rows().map(|(_, error)| error.abs()).sum::<f64>() / y.len() as f64;
        let scale = 1.0 / (error.max(LEAST_ERROR) * y.len() as f64);
        let each =
            |of: &dyn Fn(f64, f64) -> f64| rows().map(|(gap, error)| scale * of(gap, error)).collect::<Vec<f64>>();
        InverseSlopes {
            loss: each(&|gap, error| gap * (error - self.alpha * gap)).iter().sum(),
            teacher: each(&|gap, error| error + gap - 2.0 * self.alpha * gap),
            fake: each(&|gap, error| 2.0 * self.alpha * gap - error),
            sample: each(&|gap, _| -gap),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_loss() {
        for alpha in [0.5, 1.0, 1.2] {
            let objective = InverseObjective { alpha, ..InverseObjective::default() };
            let (y, t, p) = ([0.3, -1.0, 0.8], [0.1, -0.4, 1.1], [0.5, -0.7, 0.9]);
            let found = objective.slopes(&y, &t, &p);
            let error = (0.2 + 0.6 + 0.3) / 3.0;
            let loss = |y: &[f64], t: &[f64], p: &[f64]| -> f64 {
                let of = |at: usize| (t[at] - p[at]) * ((t[at] - y[at]) - alpha * (t[at] - p[at]));
                (of(0) + of(1) + of(2)) / (3.0 * error)
            };
            assert!((found.loss - loss(&y, &t, &p)).abs() < 1e-12);
            for at in 0..3 {
                let slope = |moved: &dyn Fn(f64) -> f64| (moved(1e-5) - moved(-1e-5)) / 2e-5;
                let shift = |values: &[f64; 3], by: f64| {
                    let mut shifted = *values;
                    shifted[at] += by;
                    shifted
                };
                assert!((found.sample[at] - slope(&|by| loss(&shift(&y, by), &t, &p))).abs() < 1e-8);
                assert!((found.teacher[at] - slope(&|by| loss(&y, &shift(&t, by), &p))).abs() < 1e-8);
                assert!((found.fake[at] - slope(&|by| loss(&y, &t, &shift(&p, by)))).abs() < 1e-8);
            }
        }
    }
}
