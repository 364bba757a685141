//! Adam (arXiv 1412.6980) or Muon with gradient clipping and a moving average of the weights.
//!
//! Burn's Adam clips each weight separately, keeps no average, and stores its state under identifiers that differ in each process. Here
//! all weights of a network are one vector in the order of its definition. A step is one pass over memory, a checkpoint has names, and a
//! resumed training continues to the bit.

use std::f64::consts::PI;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Gradients, Tensor},
};
use pfgm_burn_ops::{AdamState, AdamStep, adam};

use super::{
    matrices::{Part, parts},
    muon::{self, MuonStep},
    normalization::normalized_weights,
};
use crate::config::{OptimizerKind, RateSchedule, TrainConfig};

/// Gradients of all weights, concatenated.
pub struct FlatGradients(Tensor<1>);

impl FlatGradients {
    /// Takes the gradients of the weights of a network.
    pub fn take(network: &impl Module, gradients: &mut Gradients) -> Self {
        struct Reader<'a> {
            gradients: &'a mut Gradients,
            flat: Vec<Tensor<1>>,
        }
        impl ModuleVisitor for Reader<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let weight = param.val();
                let size = weight.shape().num_elements();
                let gradient = weight.grad_remove(self.gradients);
                self.flat.push(match gradient {
                    Some(gradient) => gradient.reshape([size]),
                    // The loss does not depend on this weight, such as the class embedding of a batch without classes.
                    None => Tensor::zeros([size], &weight.device().inner()),
                });
            }
        }
        let mut reader = Reader { gradients, flat: Vec::new() };
        network.visit(&mut reader);
        Self(Tensor::cat(reader.flat, 0))
    }

    /// Adds the gradients of another part of the batch.
    pub fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// Gradients from their concatenation.
    pub(super) fn from_flat(flat: Tensor<1>) -> Self {
        Self(flat)
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.0.dims()[0]
    }

    /// `count` of the values, from `start`.
    pub(super) fn narrow(&self, start: usize, count: usize) -> Tensor<1> {
        self.0.clone().narrow(0, start, count)
    }

    /// Euclidean norm of all gradients together.
    pub fn norm(&self) -> f64 {
        pfgm_burn_ops::adam::norm(&self.0)
    }
}

/// Concatenates the weights of a network.
pub(super) fn flatten(network: &impl Module) -> Tensor<1> {
    struct Reader(Vec<Tensor<1>>);
    impl ModuleVisitor for Reader {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let weight = param.val().inner();
            let size = weight.shape().num_elements();
            self.0.push(weight.reshape([size]));
        }
    }
    let mut reader = Reader(Vec::new());
    network.visit(&mut reader);
    Tensor::cat(reader.0, 0)
}

/// Replaces the weights of a network by those of `flat`, one after another.
struct Unflatten<'a> {
    flat: &'a Tensor<1>,
    start: usize,
    gradients: bool,
}

impl ModuleMapper for Unflatten<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| {
            let shape = weight.dims();
            let size = shape.iter().product();
            let values = self.flat.clone().narrow(0, self.start, size).reshape(shape);
            self.start += size;
            if !self.gradients {
                return values;
            }
            let kept = weight.gradient_checkpointing_strategy().expect("weights that learn have gradients");
            Tensor::from_inner(values).with_gradient_checkpointing_strategy(kept).require_grad()
        })
    }
}

/// State of the optimizer: weights, moments and moving average.
pub struct Optimizer {
    state: AdamState,
    parts: Vec<Part>,
}

impl Optimizer {
    /// State before the first step: zero moments, and the average equals the weights.
    pub fn new(network: &impl Module) -> Self {
        let weights = flatten(network);
        let zeros = || Tensor::zeros_like(&weights);
        let state = AdamState { first: zeros(), second: zeros(), average: weights.clone(), weights };
        Self { state, parts: parts(network) }
    }

    /// State before the first step of a training that normalizes the weights after each step, and the network with normalized weights.
    pub(super) fn normalizing<M: Module>(network: M) -> (Self, M) {
        let weights = normalized_weights(&flatten(&network), &parts(&network));
        let network = network.map(&mut Unflatten { flat: &weights, start: 0, gradients: true });
        (Self::new(&network), network)
    }

    /// Restores a saved state.
    pub fn restore(network: &impl Module, first: Tensor<1>, second: Tensor<1>, average: Tensor<1>) -> Self {
        let state = AdamState { weights: flatten(network), first, second, average };
        Self { state, parts: parts(network) }
    }

    /// First moments, second moments and averages of all weights, each concatenated.
    pub fn state(&self) -> [&Tensor<1>; 3] {
        [&self.state.first, &self.state.second, &self.state.average]
    }

    /// All weights, concatenated.
    pub(super) fn weights(&self) -> &Tensor<1> {
        &self.state.weights
    }

    /// Takes step number `step` (from 1) and returns the network with its new weights.
    pub fn step<M: Module>(
        &mut self,
        network: M,
        gradients: FlatGradients,
        norm: f64,
        step: u64,
        config: &TrainConfig,
    ) -> M {
        let state = self.state.clone();
        // The old state is released before the step, so that the step can change it in place.
        let empty = Tensor::empty([0], &state.weights.device());
        self.state = AdamState { weights: empty.clone(), first: empty.clone(), second: empty.clone(), average: empty };
        self.state = decayed_step(state, gradients.0, (norm, step), (config, &self.parts));
        if config.normalize_weights {
            self.state.weights = normalized_weights(&self.state.weights, &self.parts);
        }
        network.map(&mut Unflatten { flat: &self.state.weights, start: 0, gradients: true })
    }

    /// Network with the averaged weights, without gradients.
    pub fn averaged<M: Module>(&self, network: &M) -> M {
        // Training changes the average in place.
        let average = self.state.average.clone().add_scalar(0.0);
        network.valid().map(&mut Unflatten { flat: &average, start: 0, gradients: false })
    }
}

/// Takes step number `step` (from 1) of Adam or Muon. Weight decay does not pass through the moments (AdamW, arXiv 1711.05101).
fn decayed_step(
    mut state: AdamState,
    gradients: Tensor<1>,
    (norm, step): (f64, u64),
    (config, parts): (&TrainConfig, &[Part]),
) -> AdamState {
    let rate = learning_rate(step, config);
    if config.weight_decay > 0.0 {
        state.weights = state.weights.mul_scalar(1.0 - rate * config.weight_decay);
    }
    let constants = adam_step(norm, step, config);
    match config.optimizer {
        OptimizerKind::Adam => adam(state, gradients, constants),
        OptimizerKind::Muon => {
            let matrix = MuonStep { clip: constants.clip, rate, momentum: config.momentum, decay: constants.decay };
            muon::step(&state, &gradients, parts, matrix, |state, gradient| adam(state, gradient, constants))
        }
    }
}

/// Constants of step number `step` (from 1) for a gradient of norm `norm`.
fn adam_step(norm: f64, step: u64, config: &TrainConfig) -> AdamStep {
    let steps = step as f64;
    let [beta1, beta2] = config.betas;
    AdamStep {
        clip: if config.clip > 0.0 && norm > config.clip { config.clip / norm } else { 1.0 },
        betas: config.betas,
        rate: learning_rate(step, config) / (1.0 - beta1.powf(steps)),
        correction: 1.0 - beta2.powf(steps),
        epsilon: config.epsilon,
        decay: config.ema.min(most_decay(step, config.ema_rampup)),
    }
}

/// Largest decay of the average in step number `step` (from 1), so that the average forgets the first weights.
fn most_decay(step: u64, rampup: f64) -> f64 {
    let steps = step as f64;
    if rampup == 0.0 {
        return (1.0 + steps) / (10.0 + steps);
    }
    // Half-lives count the steps before this one, as EDM's training loop does.
    0.5_f64.powf(1.0 / (rampup * (steps - 1.0)))
}

/// Learning rate of step number `step` (from 1): linear warm-up, the schedule, linear cool-down.
pub fn learning_rate(step: u64, config: &TrainConfig) -> f64 {
    let rise = if config.warmup > 0 { step as f64 / config.warmup as f64 } else { 1.0 };
    let left = config.steps.saturating_sub(step) + 1;
    let fall = if config.cooldown > 0 { left as f64 / (config.cooldown + 1) as f64 } else { 1.0 };
    config.lr * rise.min(fall).min(1.0) * scheduled(step, config)
}

/// Factor of the learning rate by `train.schedule`.
fn scheduled(step: u64, config: &TrainConfig) -> f64 {
    match config.schedule {
        RateSchedule::Constant => 1.0,
        RateSchedule::Cosine => {
            let share = (step.saturating_sub(1) as f64 / config.steps.max(1) as f64).min(1.0);
            0.5 * (1.0 + (PI * share).cos())
        }
        RateSchedule::InverseSqrt => (step as f64 / config.decay_after as f64).max(1.0).sqrt().recip(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_its_schedule() {
        let rates = |schedule: RateSchedule, at: [u64; 4]| {
            let config =
                TrainConfig { schedule, steps: 100, warmup: 0, lr: 2.0, decay_after: 25, ..TrainConfig::default() };
            at.map(|step| learning_rate(step, &config))
        };
        assert_eq!(rates(RateSchedule::Constant, [1, 25, 51, 100]), [2.0; 4]);
        let cosine = rates(RateSchedule::Cosine, [1, 26, 51, 101]);
        let expected = [2.0, 1.0 + 0.5_f64.sqrt(), 1.0, 0.0];
        assert!(cosine.iter().zip(expected).all(|(rate, expected)| (rate - expected).abs() < 1e-12), "{cosine:?}");
        assert_eq!(rates(RateSchedule::InverseSqrt, [1, 25, 100, 225]), [2.0, 2.0, 1.0, 2.0 / 3.0]);
    }

    #[test]
    fn weights_decay_apart_from_the_moments() {
        use burn::tensor::{Device, TensorData};
        let tensor = |values: [f32; 2]| Tensor::<1>::from_data(TensorData::new(values.to_vec(), [2]), &Device::flex());
        let values = |tensor: &Tensor<1>| tensor.to_data().try_to_vec::<f32>().unwrap();
        let after = |weight_decay: f64| {
            let zeros = || tensor([0.0; 2]);
            let weights = tensor([1.0, -2.0]);
            let mut state = AdamState { first: zeros(), second: zeros(), average: weights.clone(), weights };
            let config = TrainConfig { lr: 0.1, warmup: 0, weight_decay, ..TrainConfig::default() };
            for step in 1..=3 {
                state = decayed_step(state, tensor([0.5, 0.25]), (0.5, step), (&config, &[]));
            }
            (values(&state.weights), values(&state.first), values(&state.second))
        };
        let ((plain, first, second), (decayed, first_decayed, second_decayed)) = (after(0.0), after(0.5));
        assert_eq!((first, second), (first_decayed, second_decayed));
        // With equal gradients, each step of Adam is the rate: w' = w (1 - 0.05) - 0.1.
        for (start, (plain, decayed)) in [1.0_f32, -2.0].iter().zip(plain.iter().zip(&decayed)) {
            let expected = (0..3).fold(*start, |weight, _| weight * 0.95 - 0.1);
            assert!((plain - (start - 0.3)).abs() < 1e-5 && (decayed - expected).abs() < 1e-5, "{decayed}, {expected}");
        }
    }

    #[test]
    fn the_average_rises_to_its_decay_as_published() {
        // EDM: 0.5^(batch / min(half-life, images so far * 0.05)), in images; batch 512, half-life 500 000.
        let edm = TrainConfig { ema: 0.5_f64.powf(512.0 / 500_000.0), ema_rampup: 0.05, ..TrainConfig::default() };
        for step in [1, 2, 100, 19_532, 390_625_u64] {
            let images = 512.0 * (step - 1) as f64;
            let expected = 0.5_f64.powf(512.0 / (images * 0.05).clamp(1e-8, 500_000.0));
            let found = adam_step(0.0, step, &edm).decay;
            assert!((found - expected).abs() < 1e-12, "step {step}: {found} and {expected}");
        }
        // score-SDE: min(decay, (1 + n) / (10 + n)).
        let score = TrainConfig { ema: 0.9999, ..TrainConfig::default() };
        assert_eq!(adam_step(0.0, 1, &score).decay, 2.0 / 11.0);
        assert_eq!(adam_step(0.0, 1_000_000, &score).decay, 0.9999);
    }
}
