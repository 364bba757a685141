//! The residual block of DDPM as diffusers has it, and the two ways in which it resamples images.

mod onnx;

use burn::{module::Module, tensor::Tensor};
use pfgm_burn_ops::Filter;

use super::DiffusersUnetConfig;
use crate::{
    dropout::{Dropout, dropout},
    initializer::Initializer,
    layers::{Activation, Conv, GroupNorm, Linear},
    unet::{
        block::{Attention, ResidualBlock},
        plan::{BlockPlan, Resample, Side},
    },
};

/// A residual block, or a convolution that halves or doubles the image.
#[derive(Module, Debug)]
pub struct Layer {
    block: Option<Block>,
    conv: Option<Conv>,
    #[module(skip)]
    resample: Resample,
    pad_after: bool,
}

/// `(shortcut(x) + conv(act(norm(conv(act(norm(x))) + embedding)))) / scale`, then attention. Images are resampled before the first
/// convolution, by the mean or copies of pixels.
#[derive(Module, Debug)]
struct Block {
    norm0: GroupNorm,
    conv0: Conv,
    /// None in autoencoders, which have no noise level.
    embedding: Option<Linear>,
    norm1: GroupNorm,
    conv1: Conv,
    skip: Option<Conv>,
    attention: Option<Attention>,
    dropout: f64,
    scale_shift: bool,
    #[module(skip)]
    resample: Resample,
    #[module(skip)]
    activation: Activation,
    /// The factor of the sum, 1 / scale.
    scale: f64,
}

impl DiffusersUnetConfig {
    /// Creates a normalization of all the network's groups.
    pub(crate) fn norm(&self, channels: usize, init: &mut Initializer) -> GroupNorm {
        GroupNorm::with_groups(channels, self.groups, self.epsilon, init)
    }

    /// Creates the attention at the bottom.
    pub(crate) fn middle_attention(&self, channels: usize, init: &mut Initializer) -> Attention {
        let groups = self.middle_groups.unwrap_or(self.groups);
        let norm = (groups > 0).then(|| GroupNorm::with_groups(channels, groups, self.epsilon, init));
        Attention::of_heads(channels, norm, self.heads(channels), 1.0 / self.middle_scale, init)
    }

    /// The number of heads and their channels.
    fn heads(&self, channels: usize) -> [usize; 2] {
        match self.head {
            0 => [1, channels],
            head => [channels / head, head],
        }
    }

    /// Creates a layer of a plan; without an embedding if `embedding` is 0.
    pub(crate) fn layer(&self, sizes: BlockPlan, init: &mut Initializer) -> Layer {
        let BlockPlan { inputs, outputs, resample, attention, side, level } = sizes;
        let pad_after = self.pad_after;
        let kind = if side == Side::Up { self.up[self.up.len() - 1 - level] } else { self.down[level] };
        if resample != Resample::Keep && !kind.has_resnet() {
            let conv = Some(Conv::new(3, [inputs, outputs], 1.0, init));
            return Layer { block: None, conv, resample, pad_after };
        }
        let modulation = if self.scale_shift { 2 * outputs } else { outputs };
        let block = Block {
            norm0: self.norm(inputs, init),
            conv0: Conv::new(3, [inputs, outputs], 1.0, init),
            embedding: (self.embedding > 0).then(|| Linear::new(self.embedding, modulation, 1.0, init)),
            norm1: self.norm(outputs, init),
            conv1: Conv::new(3, [outputs, outputs], 1e-5, init),
            skip: (inputs != outputs).then(|| Conv::new(1, [inputs, outputs], 1.0, init)),
            attention: attention
                .then(|| Attention::of_heads(outputs, Some(self.norm(outputs, init)), self.heads(outputs), 1.0, init)),
            dropout: self.dropout,
            scale_shift: self.scale_shift,
            resample,
            activation: self.activation,
            scale: if side == Side::Middle { 1.0 / self.middle_scale } else { 1.0 },
        };
        Layer { block: Some(block), conv: None, resample, pad_after }
    }
}

impl ResidualBlock for Layer {
    fn forward(&self, x: Tensor<4>, embedding: Tensor<2>, masks: &mut Option<&mut Dropout>) -> Tensor<4> {
        match (&self.block, &self.conv) {
            (Some(block), _) => block.forward(x, Some(embedding), masks),
            (None, Some(conv)) => self.resampled(conv, x),
            (None, None) => x,
        }
    }
}

impl Layer {
    /// The layer of a network without an embedding.
    ///
    /// # Shapes
    /// `x` and result: `[batch, height, width, channels]`
    pub fn forward_plain(&self, x: Tensor<4>) -> Tensor<4> {
        match (&self.block, &self.conv) {
            (Some(block), _) => block.forward(x, None, &mut None),
            (None, Some(conv)) => self.resampled(conv, x),
            (None, None) => x,
        }
    }

    fn resampled(&self, conv: &Conv, x: Tensor<4>) -> Tensor<4> {
        match self.resample {
            Resample::Up => conv.forward(self.resample.apply(x, Filter::Box)),
            _ if self.pad_after => halve_padded_after(conv, x),
            _ => conv.strided(x, 2),
        }
    }
}

/// A convolution of stride 2 over an image that is padded below and to the right alone.
pub fn halve_padded_after(conv: &Conv, x: Tensor<4>) -> Tensor<4> {
    // Pixel i of the result sees pixels 2i, 2i + 1 and 2i + 2: those of a symmetric convolution around pixel 2i + 2 of an image that
    // is moved by one. The first row and column of that are not wanted.
    let moved = x.pad([(0, 0), (1, 1), (1, 1), (0, 0)], 0.0);
    let y = conv.strided(moved, 2);
    let [batch, height, width, channels] = y.dims();
    y.slice([0..batch, 1..height, 1..width, 0..channels])
}

impl Block {
    fn forward(&self, x: Tensor<4>, embedding: Option<Tensor<2>>, masks: &mut Option<&mut Dropout>) -> Tensor<4> {
        let h = self.resample.apply(self.activation.after(&self.norm0, x.clone()), Filter::Box);
        let embedding = self.embedding.as_ref().zip(embedding).map(|(linear, embedding)| linear.forward(embedding));
        let h = match embedding {
            Some(embedding) if self.scale_shift => {
                self.activation.after_modulated(&self.norm1, self.conv0.forward(h), embedding)
            }
            embedding => self.activation.after(&self.norm1, self.conv0.fused(h, embedding, None, 1.0)),
        };
        let h = dropout(masks, h, self.dropout);
        let x = self.resample.apply(x, Filter::Box);
        let x = match &self.skip {
            Some(skip) => skip.forward(x),
            None => x,
        };
        let x = self.conv1.fused(h, None, Some(x), self.scale);
        match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn halving_pads_below_and_to_the_right() {
        let mut init = Initializer::new(1, Device::flex());
        let conv = Conv::new(3, [1, 1], 1.0, &mut init);
        let weights: Vec<f32> = conv.weight().into_data().try_to_vec().unwrap();
        let image: Vec<f32> = (0..16).map(|at| (at * at % 7) as f32 - 2.0).collect();
        let x = Tensor::<4>::from_data(TensorData::new(image.clone(), [1, 4, 4, 1]), &Device::flex());
        let y: Vec<f32> = halve_padded_after(&conv, x).into_data().try_to_vec().unwrap();
        let pixel = |row: usize, column: usize| if row < 4 && column < 4 { image[4 * row + column] } else { 0.0 };
        for (at, &value) in y.iter().enumerate() {
            let (row, column) = (2 * (at / 2), 2 * (at % 2));
            let wanted: f32 = (0..9).map(|tap| weights[tap] * pixel(row + tap / 3, column + tap % 3)).sum();
            assert!((value - wanted).abs() < 1e-5, "{at}: {value} {wanted}");
        }
        assert_eq!(y.len(), 4);
    }
}
