//! The layers of the networks: weights, and one call of `pfgm-burn-ops` each.

mod onnx;

use burn::{
    module::{Module, Param},
    tensor::{
        Tensor,
        activation::{gelu, mish, relu, silu},
    },
};
use pfgm_burn_ops::{Conv2dOptions, GroupNormOptions, conv2d, group_norm, linear};
use serde::{Deserialize, Serialize};

use crate::initializer::Initializer;

/// A linear layer, `x W + b`.
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

    /// Creates a layer without bias for `values` conditioning values; `None` if `values` is 0.
    pub fn of_values(values: usize, outputs: usize, init: &mut Initializer) -> Option<Self> {
        (values > 0).then(|| Self::without_bias(values, outputs, init))
    }

    /// The number of values that it gets.
    pub fn inputs(&self) -> usize {
        self.weight.dims()[0]
    }

    /// # Shapes
    /// `[batch, in]` to `[batch, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        linear(x, self.weight.val(), self.bias.as_ref().map(Param::val))
    }
}

/// A convolution with zero padding of half the kernel.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[kernel, kernel, in, out]`
    weight: Param<Tensor<4>>,
    /// `[out]`
    bias: Option<Param<Tensor<1>>>,
}

impl Conv {
    /// Creates a convolution from `channels[0]` to `channels[1]` channels.
    pub fn new(kernel: usize, channels: [usize; 2], gain: f32, init: &mut Initializer) -> Self {
        let ([inputs, outputs], area) = (channels, kernel * kernel);
        let weight = init.uniform([kernel, kernel, inputs, outputs], (area * inputs, area * outputs), gain);
        Self { weight, bias: Some(init.constant(outputs, 0.0)) }
    }

    pub fn without_bias(kernel: usize, channels: [usize; 2], gain: f32, init: &mut Initializer) -> Self {
        Self { bias: None, ..Self::new(kernel, channels, gain, init) }
    }

    /// # Shapes
    /// `[batch, height, width, in]` to `[batch, height, width, out]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.fused(x, None, None, 1.0)
    }

    /// The weights, `[kernel, kernel, in, out]`.
    pub fn weight(&self) -> Tensor<4> {
        self.weight.val()
    }

    /// The bias, `[out]`: zeros if there is none.
    pub fn bias(&self) -> Tensor<1> {
        let [_, _, _, outputs] = self.weight.dims();
        self.bias.as_ref().map_or_else(|| Tensor::zeros([outputs], &self.weight.val().device()), Param::val)
    }

    /// Computes every `stride`th pixel of the result.
    pub fn strided(&self, x: Tensor<4>, stride: usize) -> Tensor<4> {
        let options = Conv2dOptions { stride, scale: 1.0 };
        conv2d(x, self.weight.val(), self.bias().unsqueeze(), None, options)
    }

    /// Computes `scale (x * weight + bias + shift + residual)`; each image has its own shift.
    ///
    /// # Shapes
    /// `shift`: `[batch, out]`, `residual`: as the result
    pub fn fused(&self, x: Tensor<4>, shift: Option<Tensor<2>>, residual: Option<Tensor<4>>, scale: f64) -> Tensor<4> {
        let bias = self.bias().unsqueeze();
        let bias = match shift {
            Some(shift) => shift + bias,
            None => bias,
        };
        let options = Conv2dOptions { stride: 1, scale: scale as f32 };
        conv2d(x, self.weight.val(), bias, residual, options)
    }
}

/// A group normalization.
#[derive(Module, Debug)]
pub struct GroupNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    groups: usize,
    epsilon: f64,
}

impl GroupNorm {
    pub fn with_groups(channels: usize, groups: usize, epsilon: f64, init: &mut Initializer) -> Self {
        Self { gamma: init.constant(channels, 1.0), beta: init.constant(channels, 0.0), groups, epsilon }
    }

    /// Creates a layer normalization: one group.
    pub fn layer(channels: usize, init: &mut Initializer) -> Self {
        Self::with_groups(channels, 1, 1e-6, init)
    }

    /// Returns the largest number of groups, at most 32, that divides the channels into at least four channels each.
    pub fn groups(channels: usize) -> usize {
        let most = (channels / 4).clamp(1, 32);
        (1..=most).rev().find(|groups| channels.is_multiple_of(*groups)).expect("one divides all")
    }

    /// The number of channels.
    pub fn channels(&self) -> usize {
        self.gamma.dims()[0]
    }

    /// Normalizes, and applies SiLU if `activate`.
    ///
    /// # Shapes
    /// `x` and result: `[batch, height, width, channels]`
    pub fn forward(&self, x: Tensor<4>, activate: bool) -> Tensor<4> {
        let options = GroupNormOptions { groups: self.groups, epsilon: self.epsilon, activate };
        group_norm(x, self.gamma.val().unsqueeze(), self.beta.val().unsqueeze(), options)
    }

    /// Normalizes, scales by `1 + s` and shifts by `t` of each image, and applies SiLU if `activate`.
    ///
    /// # Shapes
    /// `modulation`: `[batch, 2 channels]`, s, then t
    pub fn modulated(&self, x: Tensor<4>, modulation: Tensor<2>, activate: bool) -> Tensor<4> {
        let channels = self.channels();
        let scale = modulation.clone().narrow(1, 0, channels).add_scalar(1.0);
        let shift = modulation.narrow(1, channels, channels);
        let gamma = scale.clone() * self.gamma.val().unsqueeze();
        let beta = scale * self.beta.val().unsqueeze() + shift;
        let options = GroupNormOptions { groups: self.groups, epsilon: self.epsilon, activate };
        group_norm(x, gamma, beta, options)
    }

    /// Normalizes vectors: images of one pixel.
    ///
    /// # Shapes
    /// `x` and result: `[batch, channels]`
    pub fn forward_vector(&self, x: Tensor<2>, activate: bool) -> Tensor<2> {
        let [batch, channels] = x.dims();
        self.forward(x.reshape([batch, 1, 1, channels]), activate).reshape([batch, channels])
    }
}

/// Two linear layers with SiLU after each, between the embedding and the blocks.
#[derive(Module, Debug)]
pub struct EmbeddingMlp {
    first: Linear,
    second: Linear,
}

impl EmbeddingMlp {
    pub fn new(inputs: usize, width: usize, init: &mut Initializer) -> Self {
        Self { first: Linear::new(inputs, width, 1.0, init), second: Linear::new(width, width, 1.0, init) }
    }

    /// # Shapes
    /// `[batch, inputs]` to `[batch, width]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        silu(self.second.forward(silu(self.first.forward(x))))
    }
}

/// The function between two layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x sigmoid(x)`.
    #[default]
    Silu,
    /// `x` where it is positive, and 0 elsewhere.
    Relu,
    /// `x Phi(x)` with the standard normal distribution function Phi.
    Gelu,
    /// `x tanh(ln(1 + exp(x)))`.
    Mish,
}

impl Activation {
    /// Applies the function to each value.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Silu => silu(x),
            Self::Relu => relu(x),
            Self::Gelu => gelu(x),
            Self::Mish => mish(x),
        }
    }

    /// Normalizes an image and applies the function.
    pub(crate) fn after(self, norm: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
        // SiLU is a part of the normalization.
        if self == Self::Silu { norm.forward(x, true) } else { self.apply(norm.forward(x, false)) }
    }

    /// Normalizes an image, scales and shifts it as [`GroupNorm::modulated`], and applies the function.
    pub(crate) fn after_modulated(self, norm: &GroupNorm, x: Tensor<4>, modulation: Tensor<2>) -> Tensor<4> {
        if self == Self::Silu {
            return norm.modulated(x, modulation, true);
        }
        self.apply(norm.modulated(x, modulation, false))
    }
}

/// ELU (arXiv 1511.07289): `x` where it is positive, and `exp(x) - 1` elsewhere.
pub fn elu(x: Tensor<4>) -> Tensor<4> {
    relu(x.clone()) + x.clamp_max(0.0).exp().sub_scalar(1.0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn groups_have_at_least_four_channels_and_divide_them() {
        let wanted = [(1, 1), (3, 1), (4, 1), (8, 2), (20, 5), (36, 9), (128, 32), (192, 32), (13, 1), (1024, 32)];
        for (channels, groups) in wanted {
            assert_eq!(GroupNorm::groups(channels), groups, "{channels} channels");
        }
    }

    #[test]
    fn elu_is_the_identity_or_an_exponential() {
        let x = Tensor::<4>::from_data([[[[-1.0, 0.0, 2.0]]]], &Device::flex());
        let y: Vec<f32> = elu(x).into_data().try_to_vec().unwrap();
        assert!((y[0] - ((-1.0_f32).exp() - 1.0)).abs() < 1e-6 && y[1..] == [0.0, 2.0], "{y:?}");
    }
}
