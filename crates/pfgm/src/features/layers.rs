//! What the networks are made of: convolutions whose normalisation has been folded into their weights.

use burn::tensor::{
    Device, Tensor, TensorData,
    activation::relu,
    module,
    ops::{ConvOptions, PadMode},
};
use pfgm_kernels::{Convolution, conv2d};

use super::FeatureError;

/// What normalisation adds to the variance, in both networks.
const EPSILON: f64 = 1e-3;

/// Where the weights of a network come from: values for a name and a shape.
pub type Source<'a> = dyn FnMut(&str, &[usize]) -> Result<Vec<f32>, FeatureError> + 'a;

/// Which pixels of the input the pixels of the result are centred on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Centres {
    /// All, with zeros beyond the border.
    All,
    /// All from which the kernel does not reach beyond the border.
    Inside,
    /// The second, the fourth and so on. On an odd number of pixels a 3x3 kernel then never reaches beyond the border; on
    /// an even number this is what TensorFlow calls SAME.
    EverySecond,
}

/// A convolution and a normalisation in one.
pub struct Conv {
    /// `[kh, kw, in, out]`
    weight: Tensor<4>,
    /// `[1, out]`
    bias: Tensor<2>,
    centres: Centres,
}

/// The names of a convolution's weights and of its normalisation.
pub struct Names<'a> {
    pub convolution: &'a str,
    pub normalisation: &'a str,
}

/// Weights `[out, in, kh, kw]` and a bias, normalised: `gamma (x * w - mean) / sqrt(variance + epsilon) + beta`.
fn folded(source: &mut Source, names: &Names, shape: [usize; 4]) -> Result<(Vec<f32>, Vec<f32>), FeatureError> {
    let [outputs, ..] = shape;
    let mut weight = source(&format!("{}.weight", names.convolution), &shape)?;
    let mut of = |part: &str| source(&format!("{}.{part}", names.normalisation), &[outputs]);
    let (gamma, beta) = (of("weight")?, of("bias")?);
    let (mean, variance) = (of("running_mean")?, of("running_var")?);
    let mut bias = Vec::with_capacity(outputs);
    for (out, weight) in weight.chunks_exact_mut(shape[1..].iter().product()).enumerate() {
        let scale = f64::from(gamma[out]) / (f64::from(variance[out]) + EPSILON).sqrt();
        weight.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
        bias.push((f64::from(beta[out]) - f64::from(mean[out]) * scale) as f32);
    }
    Ok((weight, bias))
}

impl Conv {
    pub fn load(
        source: &mut Source,
        names: &Names,
        [kh, kw, inputs, outputs]: [usize; 4],
        centres: Centres,
        device: &Device,
    ) -> Result<Self, FeatureError> {
        let (weight, bias) = folded(source, names, [outputs, inputs, kh, kw])?;
        let area = kh * kw;
        let channels_last: Vec<f32> = (0..area)
            .flat_map(|tap| (0..inputs).flat_map(move |i| (0..outputs).map(move |o| (o * inputs + i) * area + tap)))
            .map(|at| weight[at])
            .collect();
        let weight = Tensor::from_data(TensorData::new(channels_last, [kh, kw, inputs, outputs]), device);
        let bias = Tensor::from_data(TensorData::new(bias, [1, outputs]), device);
        Ok(Self { weight, bias, centres })
    }

    /// Without an activation.
    ///
    /// # Shapes
    /// `[batch, height, width, in]` to `[batch, height', width', out]`
    pub fn linear(&self, x: Tensor<4>) -> Tensor<4> {
        let [kh, kw, ..] = self.weight.dims();
        let stride = if self.centres == Centres::EverySecond { 2 } else { 1 };
        let x = if stride == 2 { with_zeros(x, (1, 0)) } else { x };
        let y = conv2d(x, self.weight.clone(), self.bias.clone(), None, Convolution { stride, scale: 1.0 });
        let [batch, height, width, outputs] = y.dims();
        match self.centres {
            Centres::All => y,
            Centres::Inside => y.slice([0..batch, kh / 2..height - kh / 2, kw / 2..width - kw / 2, 0..outputs]),
            Centres::EverySecond => y.slice([0..batch, 1..height, 1..width, 0..outputs]),
        }
    }

    /// Followed by `max(x, 0)`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        relu(self.linear(x))
    }
}

/// Zeros before and behind the rows and columns of images.
fn with_zeros(x: Tensor<4>, (before, behind): (usize, usize)) -> Tensor<4> {
    x.pad([(0, 0), (before, behind), (before, behind), (0, 0)], PadMode::Constant(0.0))
}

/// A convolution of each channel with a kernel of its own, and its normalisation.
pub struct Depthwise {
    /// `[channels, 1, side, side]`
    weight: Tensor<4>,
    /// `[channels]`
    bias: Tensor<1>,
    stride: usize,
}

impl Depthwise {
    pub fn load(
        source: &mut Source,
        names: &Names,
        [side, channels, stride]: [usize; 3],
        device: &Device,
    ) -> Result<Self, FeatureError> {
        let shape = [channels, 1, side, side];
        let (weight, bias) = folded(source, names, shape)?;
        let weight = Tensor::from_data(TensorData::new(weight, shape), device);
        Ok(Self { weight, bias: Tensor::from_data(TensorData::new(bias, [channels]), device), stride })
    }

    /// At every pixel, or every second, the number of pixels being even.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [channels, _, side, _] = self.weight.dims();
        let (before, behind) = (side / 2 - (self.stride - 1), side / 2);
        let x = with_zeros(x, (before, behind)).permute([0, 3, 1, 2]);
        let options = ConvOptions::new([self.stride; 2], [0; 2], [1; 2], channels);
        module::conv2d(x, self.weight.clone(), Some(self.bias.clone()), options).permute([0, 2, 3, 1])
    }
}

/// Images side by side in their channels.
pub fn side_by_side(images: Vec<Tensor<4>>) -> Tensor<4> {
    Tensor::cat(images, 3)
}
