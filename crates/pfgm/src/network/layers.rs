//! The layers that networks are built of: weights, and one call of `pfgm-burn-ops` each.

use burn::{
    module::{Module, Param, ParamId},
    tensor::{
        Device, Tensor, TensorData,
        activation::{relu, silu},
    },
};
use pfgm_burn_ops::{Conv2dOptions, DropoutMask, GroupNormOptions};
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use crate::random::{Purpose, Stream, stream};

/// Makes the weights of a network, layer after layer: drawn from one random stream, or not made at all.
pub struct Initializer {
    /// The stream that weights are drawn from; None where only their shapes are wanted.
    rng: Option<Stream>,
    device: Device,
}

impl Initializer {
    /// Draws weights on `device` from a stream that depends on `seed` alone.
    pub fn new(seed: u64, device: Device) -> Self {
        Self { rng: Some(stream(seed, Purpose::Weights, 0, 0)), device }
    }

    /// Makes weights that have a shape and take no memory; the first access to one fills it with zeros.
    pub fn shapes_only(device: Device) -> Self {
        Self { rng: None, device }
    }

    fn weight<const D: usize>(
        &mut self,
        shape: [usize; D],
        draw: impl FnOnce(&mut Stream, usize) -> Vec<f32>,
    ) -> Param<Tensor<D>> {
        if let Some(rng) = &mut self.rng {
            let values = draw(rng, shape.iter().product());
            return Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), &self.device));
        }
        let zeros = move |device: &Device, gradient| Tensor::zeros(shape, device).set_require_grad(gradient);
        Param::uninitialized(ParamId::new(), zeros, self.device.clone(), true, shape.into())
    }

    /// Xavier's uniform distribution, `U(-k, k)` with `k = gain sqrt(6 / (fan_in + fan_out))`.
    fn uniform<const D: usize>(&mut self, shape: [usize; D], fans: (usize, usize), gain: f32) -> Param<Tensor<D>> {
        let bound = gain * (6.0 / (fans.0 + fans.1) as f32).sqrt();
        self.weight(shape, |rng, count| (0..count).map(|_| bound * rng.random_range(-1.0..1.0_f32)).collect())
    }

    /// A normal distribution of the given mean and standard deviation.
    pub fn normal(&mut self, len: usize, mean: f32, spread: f32) -> Param<Tensor<1>> {
        self.weight([len], |rng, count| {
            (0..count).map(|_| mean + spread * rng.sample::<f32, _>(StandardNormal)).collect()
        })
    }

    /// The same value everywhere.
    pub fn constant(&mut self, len: usize, value: f32) -> Param<Tensor<1>> {
        self.weight([len], |_, count| vec![value; count])
    }
}

/// `x W + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]`
    weight: Param<Tensor<2>>,
    /// `[out]`
    bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    pub fn new(inputs: usize, outputs: usize, gain: f32, init: &mut Initializer) -> Self {
        let weight = init.uniform([inputs, outputs], (inputs, outputs), gain);
        Self { weight, bias: Some(init.constant(outputs, 0.0)) }
    }

    pub fn without_bias(inputs: usize, outputs: usize, init: &mut Initializer) -> Self {
        Self { weight: init.uniform([inputs, outputs], (inputs, outputs), 1.0), bias: None }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        pfgm_burn_ops::linear(x, self.weight.val(), self.bias.as_ref().map(Param::val))
    }
}

/// A convolution.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[kernel, kernel, in, out]`
    weight: Param<Tensor<4>>,
    /// `[out]`
    bias: Option<Param<Tensor<1>>>,
}

impl Conv {
    pub fn new(kernel: usize, inputs: usize, outputs: usize, gain: f32, init: &mut Initializer) -> Self {
        let area = kernel * kernel;
        let weight = init.uniform([kernel, kernel, inputs, outputs], (area * inputs, area * outputs), gain);
        Self { weight, bias: Some(init.constant(outputs, 0.0)) }
    }

    pub fn without_bias(kernel: usize, inputs: usize, outputs: usize, gain: f32, init: &mut Initializer) -> Self {
        Self { bias: None, ..Self::new(kernel, inputs, outputs, gain, init) }
    }

    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.fused(x, None, None, 1.0)
    }

    /// The weights, `[kernel, kernel, in, out]`.
    pub fn weight(&self) -> Tensor<4> {
        self.weight.val()
    }

    /// The bias; zeros where there is none.
    pub fn bias(&self) -> Tensor<1> {
        let [_, _, _, outputs] = self.weight.dims();
        self.bias.as_ref().map_or_else(|| Tensor::zeros([outputs], &self.weight.val().device()), Param::val)
    }

    /// Every `stride`th pixel of the result.
    pub fn strided(&self, x: Tensor<4>, stride: usize) -> Tensor<4> {
        let how = Conv2dOptions { stride, scale: 1.0 };
        pfgm_burn_ops::conv2d(x, self.weight.val(), self.bias().unsqueeze(), None, how)
    }

    /// `scale (x * weight + bias + shift + residual)`; every image has its own shift.
    ///
    /// # Shapes
    /// `shift`: `[batch, out]`, `residual`: as the result
    pub fn fused(&self, x: Tensor<4>, shift: Option<Tensor<2>>, residual: Option<Tensor<4>>, scale: f64) -> Tensor<4> {
        let bias = self.bias().unsqueeze();
        let bias = match shift {
            Some(shift) => shift + bias,
            None => bias,
        };
        let how = Conv2dOptions { stride: 1, scale: scale as f32 };
        pfgm_burn_ops::conv2d(x, self.weight.val(), bias, residual, how)
    }
}

/// Group normalisation.
#[derive(Module, Debug)]
pub struct GroupNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    groups: usize,
    epsilon: f64,
}

impl GroupNorm {
    /// The channels that it normalises.
    pub fn channels(&self) -> usize {
        self.gamma.dims()[0]
    }

    /// In groups of at least four channels, at most 32 groups.
    pub fn new(channels: usize, init: &mut Initializer) -> Self {
        Self::with_groups(channels, Self::groups(channels), 1e-6, init)
    }

    /// The most groups of at least four channels each that divide the channels, at most 32.
    pub fn groups(channels: usize) -> usize {
        let most = (channels / 4).clamp(1, 32);
        (1..=most).rev().find(|groups| channels.is_multiple_of(*groups)).expect("one divides all")
    }

    /// Layer normalisation: one group.
    pub fn layer(channels: usize, init: &mut Initializer) -> Self {
        Self::with_groups(channels, 1, 1e-6, init)
    }

    pub fn with_groups(channels: usize, groups: usize, epsilon: f64, init: &mut Initializer) -> Self {
        Self { gamma: init.constant(channels, 1.0), beta: init.constant(channels, 0.0), groups, epsilon }
    }

    pub fn forward(&self, x: Tensor<4>, activate: bool) -> Tensor<4> {
        let how = GroupNormOptions { groups: self.groups, epsilon: self.epsilon, activate };
        pfgm_burn_ops::group_norm(x, self.gamma.val().unsqueeze(), self.beta.val().unsqueeze(), how)
    }

    /// Scaled by `1 + s` and shifted by `t` for every image, then activated.
    ///
    /// # Shapes
    /// `modulation`: `[batch, 2 channels]`, s, then t
    pub fn modulated(&self, x: Tensor<4>, modulation: Tensor<2>) -> Tensor<4> {
        let channels = self.channels();
        let scale = modulation.clone().narrow(1, 0, channels).add_scalar(1.0);
        let shift = modulation.narrow(1, channels, channels);
        let gamma = scale.clone() * self.gamma.val().unsqueeze();
        let beta = scale * self.beta.val().unsqueeze() + shift;
        let how = GroupNormOptions { groups: self.groups, epsilon: self.epsilon, activate: true };
        pfgm_burn_ops::group_norm(x, gamma, beta, how)
    }

    /// On vectors: images of one pixel.
    pub fn forward_vector(&self, x: Tensor<2>, activate: bool) -> Tensor<2> {
        let [batch, channels] = x.dims();
        self.forward(x.reshape([batch, 1, 1, channels]), activate).reshape([batch, channels])
    }
}

/// Two linear layers with SiLU after each: what embeddings pass through before the blocks see them.
#[derive(Module, Debug)]
pub struct EmbeddingMlp {
    first: Linear,
    second: Linear,
}

impl EmbeddingMlp {
    pub fn new(inputs: usize, width: usize, init: &mut Initializer) -> Self {
        Self { first: Linear::new(inputs, width, 1.0, init), second: Linear::new(width, width, 1.0, init) }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        silu(self.second.forward(silu(self.first.forward(x))))
    }
}

/// `x` where it is positive, and `exp(x) - 1` elsewhere (arXiv 1511.07289).
pub fn elu(x: Tensor<4>) -> Tensor<4> {
    relu(x.clone()) + x.clamp_max(0.0).exp().sub_scalar(1.0)
}

/// Dropout masks for one training batch: those of an item come from the item's own stream, so that they do not depend
/// on how a batch is split.
pub struct Dropout {
    streams: Vec<Stream>,
}

impl Dropout {
    /// Masks for the items `first..first + count` of step `step`.
    pub fn new(seed: u64, step: u64, first: usize, count: usize) -> Self {
        let streams = (first..first + count).map(|item| stream(seed, Purpose::Dropout, step, item as u64)).collect();
        Self { streams }
    }

    /// Zeroes values with the given probability and scales the others so that the mean stays.
    ///
    /// # Shapes
    /// The first dimension of `x` is the batch.
    pub fn apply<const D: usize>(&mut self, x: Tensor<D>, probability: f64) -> Tensor<D> {
        if probability <= 0.0 {
            return x;
        }
        let shape = x.dims();
        let values = shape[1..].iter().product::<usize>();
        assert_eq!(self.streams.len(), shape[0], "dropout: one stream for each item of the batch");
        // From one dropped value to the next the distance is geometric: far fewer draws than values.
        let rate = (1.0 - probability).ln().recip();
        let places = self.streams.par_iter_mut().map(|stream| {
            let mut places = Vec::with_capacity((values as f64 * probability * 1.1) as usize + 8);
            let mut next = 0_usize;
            loop {
                let gap = (1.0 - stream.random::<f64>()).ln() * rate;
                next = next.saturating_add(gap as usize);
                if next >= values {
                    return places;
                }
                places.push(next as u32);
                next += 1;
            }
        });
        pfgm_burn_ops::dropout(x, DropoutMask::new(places.collect(), 1.0 / (1.0 - probability as f32)))
    }
}

/// [`Dropout::apply`] where training asks for it.
pub fn dropout<const D: usize>(masks: &mut Option<&mut Dropout>, x: Tensor<D>, probability: f64) -> Tensor<D> {
    match masks {
        Some(masks) => masks.apply(x, probability),
        None => x,
    }
}
