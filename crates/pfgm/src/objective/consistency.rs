//! Consistency tuning (arXiv 2303.01469 and, with s/t -> 1, ECT, arXiv 2406.14548; docs/equations.md, section 14).
//!
//! `f(x, sigma)`, the end of the flow line through a point, is the same at two neighboring points of a line. Since
//! `E[x - y | x, sigma] = x - yhat` for every D, the points `x_t = y + t n` and `x_s = y + s n` with one draw n of the kernel are
//! neighbors on average, and no teacher is needed.

use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::{Charges, Noise, is_false, is_one};
use crate::{
    prediction::{PairWeight, TrainingPoints},
    prior,
    random::Stream,
};

/// Consistency tuning: `w(t) d(f(x_t, t), stopgrad f(x_s, s))` with `x_t = y + t n`, `x_s = y + s n`, `ln t ~ N(mean, std^2)` within
/// the range of the flow, and the pseudo-Huber distance d.
///
/// In stage k of the training, `s = t max(0, 1 - n(t) / q^k)` with `n(t) = 1 + n_scale / (1 + exp(n_rate t))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsistencyObjective {
    /// Mean of ln t, the upper level of a pair.
    pub mean: f64,
    /// Standard deviation of ln t.
    pub std: f64,
    /// Base of the distance between the levels: s = t (1 - n(t) / q^k) in stage k.
    pub q: f64,
    /// Number of stages; the last one lasts until the end.
    pub stages: u32,
    /// Steps of a stage; `pfgm distill` divides the training evenly.
    pub stage_steps: u64,
    /// How much farther apart the levels are near the data: n(t) = 1 + n_scale / (1 + exp(n_rate t)).
    pub n_scale: f64,
    /// Rate at which n(t) falls to 1.
    pub n_rate: f64,
    /// Constant c of the pseudo-Huber distance sqrt(m + c^2) - c of the mean square m over coordinates.
    pub huber: f64,
    /// Weight of a pair: output is 1 / c_out(t), level 1 / t, one 1.
    pub weight: PairWeight,
    /// Classifier-free guidance scale that is built into the jumps; 1 disables it.
    #[serde(skip_serializing_if = "is_one")]
    pub guidance: f64,
    /// Whether the lower point of a pair is a Heun step of the flow of the distilled run (consistency distillation) instead of the same charge with less noise.
    #[serde(skip_serializing_if = "is_false")]
    pub teacher: bool,
}

impl Default for ConsistencyObjective {
    fn default() -> Self {
        Self {
            mean: -1.1,
            std: 2.0,
            q: 2.0,
            stages: 8,
            stage_steps: 1000,
            n_scale: 8.0,
            n_rate: 1.0,
            huber: 0.001,
            weight: PairWeight::Output,
            guidance: 1.0,
            teacher: false,
        }
    }
}

impl ConsistencyObjective {
    /// Draws the upper point of each pair; `yhat` is y.
    pub(super) fn draw(&self, noise: Noise, charges: Charges, streams: &mut [Stream]) -> TrainingPoints {
        let dim = charges.shape.dim();
        let (low, high) = noise.range;
        let mut points = TrainingPoints { dim, x: Vec::new(), sigma: Vec::new(), yhat: charges.batch.to_vec() };
        for (y, rng) in charges.batch.chunks_exact(dim).zip(streams) {
            let gauss: f64 = StandardNormal.sample(rng);
            let level = (self.mean + self.std * gauss).exp().clamp(low, high);
            let mut x: Vec<f64> = y.iter().map(|&value| f64::from(value)).collect();
            prior::perturb(noise.extra_dims, level, rng, &mut x);
            points.x.extend(x.iter().map(|&value| value as f32));
            points.sigma.push(level);
        }
        points
    }

    /// Number of the stage of a step (counted from 0), from 1.
    pub fn stage(&self, step: u64) -> u32 {
        u32::try_from(step / self.stage_steps.max(1)).unwrap_or(u32::MAX).saturating_add(1).min(self.stages)
    }

    /// Lower level s of a pair with upper level t; 0 if it is not above `low`, the lowest level of the flow.
    pub fn lower_level(&self, t: f64, stage: u32, low: f64) -> f64 {
        let n = 1.0 + self.n_scale / (1.0 + (self.n_rate * t).exp());
        let s = t * (1.0 - n / self.q.powf(f64::from(stage)));
        if s > low { s } else { 0.0 }
    }

    /// The lower point of each pair: the same charge and the same noise at the lower level. `points` are the upper ones, with y in place
    /// of `yhat`.
    pub fn lower_points(&self, points: &TrainingPoints, stage: u32, low: f64) -> TrainingPoints {
        let sigma: Vec<f64> = points.sigma.iter().map(|&t| self.lower_level(t, stage, low)).collect();
        let rows = points.x.chunks_exact(points.dim).zip(points.yhat.chunks_exact(points.dim));
        let lower = rows.zip(points.sigma.iter().zip(&sigma)).flat_map(|((x, y), (&t, &s))| {
            let share = s / t;
            x.iter().zip(y).map(move |(&x, &y)| (f64::from(y) + share * (f64::from(x) - f64::from(y))) as f32)
        });
        TrainingPoints { dim: points.dim, x: lower.collect(), sigma, yhat: points.yhat.clone() }
    }
}
