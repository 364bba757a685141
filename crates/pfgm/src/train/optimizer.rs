//! Adam (arXiv 1412.6980) with a clipped gradient and a moving average of the weights.
//!
//! Burn's own Adam clips each weight by itself, knows no average, and keeps its state under identifiers that a new
//! process draws anew; here all three work on flat vectors in the order of the network's weights, so that a checkpoint
//! names them and a resumed training continues to the bit.

use burn::{
    module::{ModuleMapper, ModuleVisitor, Param},
    tensor::{Gradients, Tensor},
};

use crate::{config::TrainConfig, network::Network, weights};

/// Gradients of all weights, flat, in order.
pub struct FlatGradients(Vec<Tensor<1>>);

impl FlatGradients {
    /// Takes the gradients of a network's weights.
    pub fn take(network: &Network, gradients: &mut Gradients) -> Self {
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
                    // A weight that the loss does not reach, such as the class embedding of a batch without classes.
                    None => Tensor::zeros([size], &weight.device().inner()),
                });
            }
        }
        let mut reader = Reader { gradients, flat: Vec::new() };
        weights::visit(network, &mut reader);
        Self(reader.flat)
    }

    /// Adds the gradients of another part of the batch.
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.into_iter().zip(other.0).map(|(a, b)| a + b).collect())
    }

    /// The Euclidean norm of all gradients together.
    pub fn norm(&self) -> f64 {
        let squares = self.0.iter().map(|gradient| gradient.clone().square().sum().into_scalar::<f32>());
        squares.map(f64::from).sum::<f64>().sqrt()
    }
}

/// The moments and the average of every weight.
pub struct Optimizer {
    /// First moments.
    pub first: Vec<Tensor<1>>,
    /// Second moments.
    pub second: Vec<Tensor<1>>,
    /// The moving average of the weights.
    pub average: Vec<Tensor<1>>,
}

impl Optimizer {
    /// The state before the first step: no moments, and the average is the weights.
    pub fn new(network: &Network) -> Self {
        struct Reader(Vec<Tensor<1>>);
        impl ModuleVisitor for Reader {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let weight = param.val().inner();
                let size = weight.shape().num_elements();
                self.0.push(weight.reshape([size]));
            }
        }
        let mut reader = Reader(Vec::new());
        weights::visit(network, &mut reader);
        let zeros = || reader.0.iter().map(Tensor::zeros_like).collect();
        Self { first: zeros(), second: zeros(), average: reader.0 }
    }

    /// Takes step number `step` (from 1) and returns the network with its new weights.
    pub fn step(
        &mut self,
        network: Network,
        gradients: FlatGradients,
        norm: f64,
        step: u64,
        config: &TrainConfig,
    ) -> Network {
        struct Writer<'a> {
            optimizer: &'a mut Optimizer,
            gradients: std::vec::IntoIter<Tensor<1>>,
            index: usize,
            update: Update,
        }
        impl ModuleMapper for Writer<'_> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let gradient = self.gradients.next().expect("a gradient for every weight");
                let index = self.index;
                self.index += 1;
                param.map(|weight| {
                    let shape = weight.dims();
                    let flat = self.update.apply(weight.inner(), gradient, self.optimizer, index);
                    Tensor::from_inner(flat.reshape(shape)).require_grad()
                })
            }
        }
        let update = Update::new(norm, step, config);
        let mut writer = Writer { optimizer: self, gradients: gradients.0.into_iter(), index: 0, update };
        weights::map(network, &mut writer)
    }

    /// The network with the averaged weights, for use outside training.
    pub fn averaged(&self, network: &Network) -> Network {
        struct Writer<'a> {
            average: std::slice::Iter<'a, Tensor<1>>,
        }
        impl ModuleMapper for Writer<'_> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let average = self.average.next().expect("an average for every weight").clone();
                param.map(|weight| average.reshape(weight.dims()))
            }
        }
        use burn::module::Module;
        weights::map(network.valid(), &mut Writer { average: self.average.iter() })
    }
}

/// The numbers of one step.
struct Update {
    clip: f64,
    betas: [f64; 2],
    /// The learning rate with the bias correction of the first moment in it.
    rate: f64,
    /// The bias correction of the second moment.
    correction: f64,
    epsilon: f64,
    decay: f64,
}

impl Update {
    fn new(norm: f64, step: u64, config: &TrainConfig) -> Self {
        let steps = step as f64;
        let [beta1, beta2] = config.betas;
        Self {
            clip: if config.clip > 0.0 && norm > config.clip { config.clip / norm } else { 1.0 },
            betas: config.betas,
            rate: learning_rate(step, config) / (1.0 - beta1.powf(steps)),
            correction: 1.0 - beta2.powf(steps),
            epsilon: config.epsilon,
            decay: config.ema.min((1.0 + steps) / (10.0 + steps)),
        }
    }

    /// The new weight, flat; the state of weight `index` is brought up to date.
    fn apply<const D: usize>(
        &self,
        weight: Tensor<D>,
        gradient: Tensor<1>,
        state: &mut Optimizer,
        index: usize,
    ) -> Tensor<1> {
        let size = weight.shape().num_elements();
        let [beta1, beta2] = self.betas;
        let gradient = gradient.mul_scalar(self.clip);
        let first = state.first[index].clone().mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
        let second = state.second[index].clone().mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2);
        let spread = second.clone().div_scalar(self.correction).sqrt().add_scalar(self.epsilon);
        let weight = weight.reshape([size]) - first.clone().mul_scalar(self.rate) / spread;
        let average = state.average[index].clone().mul_scalar(self.decay) + weight.clone().mul_scalar(1.0 - self.decay);
        state.first[index] = first;
        state.second[index] = second;
        state.average[index] = average;
        weight
    }
}

/// The learning rate of step number `step` (from 1): a linear rise, a plateau, a linear fall.
pub fn learning_rate(step: u64, config: &TrainConfig) -> f64 {
    let rise = if config.warmup > 0 { step as f64 / config.warmup as f64 } else { 1.0 };
    let left = config.steps.saturating_sub(step) + 1;
    let fall = if config.cooldown > 0 { left as f64 / (config.cooldown + 1) as f64 } else { 1.0 };
    config.lr * rise.min(fall).min(1.0)
}
