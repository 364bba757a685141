//! Layers that preserve magnitudes.

pub mod onnx;

use std::f64::consts::SQRT_2;

use burn::{
    module::{Module, Param},
    tensor::{Tensor, activation::silu},
};
use pfgm_burn_ops::{Conv2dOptions, conv2d, linear};

use crate::initializer::Initializer;

/// The constant in the denominator of normalizations.
const EPSILON: f64 = 1e-4;

/// The standard deviation of SiLU of a standard normal variable.
const SILU: f64 = 0.596;

/// Random Fourier features, `sqrt(2) cos(w x + phase)`. They are not trained.
#[derive(Module, Debug)]
pub struct Fourier {
    frequencies: Param<Tensor<1>>,
    phases: Param<Tensor<1>>,
}

/// A linear layer whose outputs have weights of unit norm, without bias.
#[derive(Module, Debug)]
pub struct MpLinear {
    /// `[in, out]`
    weight: Param<Tensor<2>>,
    /// Whether the weights have unit norm already.
    ready: bool,
}

/// A convolution whose outputs have weights of unit norm, without bias.
#[derive(Module, Debug)]
pub struct MpConv {
    /// `[kernel, kernel, in, out]`
    weight: Param<Tensor<4>>,
    /// Whether the weights have unit norm already.
    ready: bool,
}

/// `((1 - t) a + t b) / sqrt((1 - t)^2 + t^2)`.
pub fn mp_sum<const D: usize>(a: Tensor<D>, b: Tensor<D>, t: f64) -> Tensor<D> {
    let norm = (1.0 - t).hypot(t);
    a.mul_scalar((1.0 - t) / norm) + b.mul_scalar(t / norm)
}

/// `SiLU(x) / 0.596`, of unit variance for a standard normal x.
pub fn mp_silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    silu(x).div_scalar(SILU)
}

/// Divides the channels of each pixel by their root mean square.
pub fn pixel_norm<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let channels = x.dims()[D - 1] as f64;
    let rms = x.clone().square().sum_dim(D - 1).div_scalar(channels).sqrt();
    x / rms.add_scalar(EPSILON)
}

impl Fourier {
    /// Creates so many features with frequencies of a normal distribution.
    pub fn new(count: usize, init: &mut Initializer) -> Self {
        let frequencies = init.normal(count, 0.0, std::f32::consts::TAU);
        Self { frequencies, phases: init.normal(count, 0.0, std::f32::consts::TAU) }
    }

    /// # Shapes
    /// `[batch, 1]` to `[batch, count]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [frequencies, phases] = [&self.frequencies, &self.phases].map(|values| values.val().detach().unsqueeze());
        (x * frequencies + phases).cos().mul_scalar(SQRT_2)
    }
}

impl MpLinear {
    pub fn new(inputs: usize, outputs: usize, init: &mut Initializer) -> Self {
        Self { weight: init.uniform([inputs, outputs], (inputs, inputs), 1.0), ready: false }
    }

    /// The number of values that it gets.
    pub fn inputs(&self) -> usize {
        self.weight.dims()[0]
    }

    fn weight(&self) -> Tensor<2> {
        let weight = self.weight.val();
        if self.ready {
            return weight;
        }
        let inputs = weight.dims()[0] as f64;
        let norm = weight.clone().square().sum_dim(0).sqrt();
        weight / norm.add_scalar(EPSILON * inputs.sqrt())
    }

    /// # Shapes
    /// `[batch, in]` to `[batch, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        linear(x, self.weight(), None)
    }

    /// The layer with its weights normalized.
    #[must_use]
    pub fn ready(self) -> Self {
        let weight = self.weight();
        Self { weight: self.weight.map(|_| weight), ready: true }
    }
}

impl MpConv {
    pub fn new(kernel: usize, [inputs, outputs]: [usize; 2], init: &mut Initializer) -> Self {
        let fan = kernel * kernel * inputs;
        Self { weight: init.uniform([kernel, kernel, inputs, outputs], (fan, fan), 1.0), ready: false }
    }

    fn weight(&self) -> Tensor<4> {
        let weight = self.weight.val();
        if self.ready {
            return weight;
        }
        let [height, width, inputs, outputs] = weight.dims();
        let fan = height * width * inputs;
        let norm = weight.clone().square().reshape([1, 1, fan, outputs]).sum_dim(2).sqrt();
        weight / norm.add_scalar(EPSILON * (fan as f64).sqrt())
    }

    /// # Shapes
    /// `[batch, height, width, in]` to `[batch, height, width, out]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let weight = self.weight();
        let bias = Tensor::zeros([1, weight.dims()[3]], &weight.device());
        conv2d(x, weight, bias, None, Conv2dOptions { stride: 1, scale: 1.0 })
    }

    /// The layer with its weights normalized.
    #[must_use]
    pub fn ready(self) -> Self {
        let weight = self.weight();
        Self { weight: self.weight.map(|_| weight), ready: true }
    }
}
