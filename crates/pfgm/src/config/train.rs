//! Configuration of training.

use serde::{Deserialize, Serialize};

use super::{is_default, is_f32, is_none, is_zero};
use crate::network::Precision;

/// Relative widths of EDM2.
const SIGMA_REL: [f64; 2] = [0.05, 0.10];

/// Course of the learning rate between warm-up and cool-down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateSchedule {
    /// The same rate.
    #[default]
    Constant,
    /// `(1 + cos(pi step / steps)) / 2`.
    Cosine,
    /// `1 / sqrt(max(1, step / decay_after))`, as EDM2 does.
    InverseSqrt,
}

/// Optimizer of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Adam; AdamW with weight decay.
    #[default]
    Adam,
    /// Orthogonalized momentum for matrices and convolutions, Adam for the other weights.
    Muon,
}

/// Default of `train.momentum`.
const MOMENTUM: f64 = 0.95;

fn is_default_momentum(momentum: &f64) -> bool {
    *momentum == MOMENTUM
}

/// Default of `train.decay_after`.
const DECAY_AFTER: u64 = 1000;

fn is_default_decay(steps: &u64) -> bool {
    *steps == DECAY_AFTER
}

/// Configuration of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Seed of the initial weights and of every random choice of the training.
    pub seed: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Batch size of a step, over all processes.
    pub batch: usize,
    /// Parts that a batch is computed in, one after another, to save memory (gradient accumulation).
    pub accumulate: usize,
    /// Whether activations of cheap operations are recomputed in the backward pass: less memory, more time (gradient checkpointing).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recompute: bool,
    /// Precision of the network's activations in training.
    #[serde(skip_serializing_if = "is_f32")]
    pub precision: Precision,
    /// Optimizer: adam, or muon, which orthogonalizes the momentum of matrices and convolutions (arXiv 2502.16982) and uses Adam for the other
    /// weights.
    #[serde(skip_serializing_if = "is_default")]
    pub optimizer: OptimizerKind,
    /// Decay of muon's momentum.
    #[serde(skip_serializing_if = "is_default_momentum")]
    pub momentum: f64,
    /// The learning rate after warm-up. Steps of adam and muon have about the same size.
    pub lr: f64,
    /// Adam's decay rates of the first and second moment.
    pub betas: [f64; 2],
    /// Adam's constant in the denominator.
    pub epsilon: f64,
    /// Rate at which weights shrink, times the learning rate (AdamW); 0 is Adam.
    #[serde(skip_serializing_if = "is_zero")]
    pub weight_decay: f64,
    /// Whether each step normalizes the weights of network edm2-unet: those of an output with n inputs get the norm sqrt(n) (EDM2's forced
    /// weight normalization).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub normalize_weights: bool,
    /// Learning rate between warm-up and cool-down: constant; cosine: half a cosine down to 0 at the last step; inverse-sqrt:
    /// 1 / sqrt(step / decay_after) after that many steps.
    #[serde(skip_serializing_if = "is_default")]
    pub schedule: RateSchedule,
    /// Steps after which schedule inverse-sqrt falls.
    #[serde(skip_serializing_if = "is_default_decay")]
    pub decay_after: u64,
    /// Steps over which the learning rate rises linearly from 0.
    pub warmup: u64,
    /// Steps at the end over which the learning rate falls linearly to 0.
    pub cooldown: u64,
    /// Norm to which the gradient is clipped.
    pub clip: f64,
    /// Decay of the exponential moving average of the weights, per step.
    pub ema: f64,
    /// Longest half-life of the average as a share of the training so far (EDM: 0.05). With 0, the decay of step n is at most (1 + n) / (10
    /// + n), as in score-SDE.
    #[serde(skip_serializing_if = "is_zero")]
    pub ema_rampup: f64,
    /// Steps between snapshots of two power-function averages, from which `pfgm average` makes any other; 0 keeps none.
    #[serde(skip_serializing_if = "is_never")]
    pub snapshot_every: u64,
    /// Relative widths of the two power-function averages, the narrow one first (EDM2).
    #[serde(skip_serializing_if = "is_usual")]
    pub sigma_rel: [f64; 2],
    /// Whether half of the images are mirrored horizontally.
    pub flip: bool,
    /// Side of the square patches that the network is trained on, conditioned on their position (Patch Diffusion).
    #[serde(skip_serializing_if = "is_none")]
    pub patch: usize,
    /// Probability of each kind of EDM's non-leaking augmentation, which the network is conditioned on.
    #[serde(skip_serializing_if = "is_zero")]
    pub augment: f64,
    /// Probability that a class is dropped, for classifier-free guidance.
    pub label_dropout: f64,
    /// Steps between checkpoints; one is always written at the end.
    pub checkpoint_every: u64,
    /// Number of checkpoints kept.
    pub keep: usize,
    /// Steps between lines of the log.
    pub log_every: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            steps: 10_000,
            batch: 128,
            accumulate: 1,
            recompute: false,
            precision: Precision::F32,
            optimizer: OptimizerKind::Adam,
            momentum: MOMENTUM,
            lr: 1e-3,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.0,
            normalize_weights: false,
            schedule: RateSchedule::Constant,
            decay_after: DECAY_AFTER,
            warmup: 100,
            cooldown: 0,
            clip: 1.0,
            ema: 0.999,
            ema_rampup: 0.0,
            snapshot_every: 0,
            sigma_rel: SIGMA_REL,
            flip: false,
            patch: 0,
            augment: 0.0,
            label_dropout: 0.1,
            checkpoint_every: 1000,
            keep: 3,
            log_every: 50,
        }
    }
}

fn is_never(steps: &u64) -> bool {
    *steps == 0
}

fn is_usual(sigma_rel: &[f64; 2]) -> bool {
    *sigma_rel == SIGMA_REL
}
