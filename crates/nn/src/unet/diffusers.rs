//! The U-Net of DDPM (arXiv 2006.11239) as the library diffusers configures it (`UNet2DModel`): images are resampled by
//! convolutions between the residual blocks, and all blocks of a level attend.

use burn::{
    module::Module,
    tensor::{Tensor, activation::silu},
};
use pfgm_burn_ops::Filter;
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use super::{
    block::{Attention, ResidualBlock},
    frame::{self, Frame},
    plan::{BlockPlan, Plan, Resample, Sizes, Style},
    walk::{Layers, Walk},
};
use crate::{
    ConditioningSizes, ConditioningTensors, NetworkError, NetworkInput,
    dropout::{Dropout, dropout},
    embedding::{PERIODS, sinusoid_angles},
    initializer::Initializer,
    layers::{Conv, GroupNorm, Linear},
};

/// Configuration of a [`DiffusersUnet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiffusersUnetConfig {
    /// Channels at full size, a multiple of 4.
    pub width: usize,
    /// Channels of each level as a multiple of `width`. Each level after the first halves the image.
    pub multipliers: Vec<usize>,
    /// Residual blocks of a level.
    pub blocks: usize,
    /// Heights of the image at which blocks attend. The bottom always does.
    pub attention: Vec<usize>,
    /// Channels of an attention head; 0 for one head of all channels.
    pub head: usize,
    /// Groups of the normalizations.
    pub groups: usize,
    /// Epsilon of the normalizations.
    pub epsilon: f64,
    /// Values of the embedding of the noise level.
    pub embedding: usize,
    /// Whether the embedding has the cosines of the noise level before the sines.
    pub cosine_first: bool,
    /// Frequencies fall from 1 to 1/10000 over half the width minus this number.
    pub frequency_shift: f64,
    /// Whether the embedding scales and shifts inside the second normalization. Otherwise it is added before.
    pub scale_shift: bool,
    /// Whether images are padded below and to the right alone before they are halved.
    pub pad_after: bool,
    /// Probability of dropout in the blocks.
    pub dropout: f64,
}

impl Default for DiffusersUnetConfig {
    /// The network of `ddpm-cifar10-32`.
    fn default() -> Self {
        Self {
            width: 128,
            multipliers: vec![1, 2, 2, 2],
            blocks: 2,
            attention: vec![16],
            head: 0,
            groups: 32,
            epsilon: 1e-6,
            embedding: 512,
            cosine_first: false,
            frequency_shift: 1.0,
            scale_shift: false,
            pad_after: true,
            dropout: 0.0,
        }
    }
}

/// The U-Net of diffusers' `UNet2DModel`.
#[derive(Module, Debug)]
pub struct DiffusersUnet {
    first: Linear,
    second: Linear,
    classes: Option<Linear>,
    input: Conv,
    down: Vec<Layer>,
    middle: Vec<Layer>,
    middle_attention: Option<Attention>,
    up: Vec<Layer>,
    norm: GroupNorm,
    output: Conv,
    #[module(skip)]
    frame: Frame,
    #[module(skip)]
    plan: Plan,
    width: usize,
    cosine_first: bool,
    frequency_shift: f64,
}

/// A residual block, or a convolution that halves or doubles the image.
#[derive(Module, Debug)]
struct Layer {
    block: Option<Block>,
    conv: Option<Conv>,
    #[module(skip)]
    resample: Resample,
    pad_after: bool,
}

/// `shortcut(x) + conv(silu(norm(conv(silu(norm(x))) + embedding)))`, then attention.
#[derive(Module, Debug)]
struct Block {
    norm0: GroupNorm,
    conv0: Conv,
    embedding: Linear,
    norm1: GroupNorm,
    conv1: Conv,
    skip: Option<Conv>,
    attention: Option<Attention>,
    dropout: f64,
    scale_shift: bool,
}

impl DiffusersUnetConfig {
    const STYLE: Style = Style { upsample_first: false, attention_up: true, separate_attention: true, pyramid: false };

    /// Creates the network with initial weights.
    pub(crate) fn init(
        &self,
        shape: Shape,
        conditioning: ConditioningSizes,
        init: &mut Initializer,
    ) -> Result<DiffusersUnet, NetworkError> {
        let frame = Frame::checked(shape, self.width, &self.multipliers, self.blocks)?;
        let plan = Plan::new(&self.sizes(frame), Self::STYLE);
        self.check(&plan)?;
        let first = Linear::new(self.width, self.embedding, 1.0, init);
        let second = Linear::new(self.embedding, self.embedding, 1.0, init);
        let classes = Linear::of_values(conditioning.classes, self.embedding, init);
        let input = Conv::new(3, [frame.channels + conditioning.spatial, self.width], 1.0, init);
        let layer = |sizes, init: &mut Initializer| self.layer(sizes, init);
        let attention = |channels, init: &mut Initializer| self.attention(channels, init);
        let Layers { down, middle, attention: middle_attention, up, .. } = Layers::new(&plan, init, layer, attention);
        let norm = self.norm(plan.channels, init);
        let output = Conv::new(3, [plan.channels, frame.channels], 1e-5, init);
        let Self { width, cosine_first, frequency_shift, .. } = *self;
        Ok(DiffusersUnet {
            first,
            second,
            classes,
            input,
            down,
            middle,
            middle_attention,
            up,
            norm,
            output,
            frame,
            plan,
            width,
            cosine_first,
            frequency_shift,
        })
    }

    /// Returns an error unless groups and heads divide the channels, and the frequencies are finite.
    fn check(&self, plan: &Plan) -> Result<(), NetworkError> {
        let wrong = |key, value: String, problem| Err(NetworkError::Size { key, value, problem });
        let channels = self.multipliers.iter().map(|multiplier| multiplier * self.width);
        if self.groups == 0 || channels.clone().any(|channels| !channels.is_multiple_of(self.groups)) {
            return wrong("groups", self.groups.to_string(), "give a divisor of the channels of all levels");
        }
        if self.head > 0 && channels.into_iter().any(|channels| !channels.is_multiple_of(self.head)) {
            return wrong("head", self.head.to_string(), "give a divisor of the channels of all levels, or 0");
        }
        if !(1..=crate::MAX_CHANNELS).contains(&self.embedding) {
            return wrong("embedding", self.embedding.to_string(), "give a number from 1 to 1048576");
        }
        if !(self.frequency_shift.is_finite() && (self.width / 2) as f64 - self.frequency_shift >= 1.0) {
            return wrong("frequency_shift", self.frequency_shift.to_string(), "give a number below half the width");
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return wrong("epsilon", self.epsilon.to_string(), "give a number above 0");
        }
        debug_assert!(plan.channels.is_multiple_of(self.groups));
        Ok(())
    }

    fn sizes(&self, frame: Frame) -> Sizes<'_> {
        Sizes {
            width: self.width,
            multipliers: &self.multipliers,
            blocks: self.blocks,
            attention: &self.attention,
            height: frame.padded[0],
            channels: frame.channels,
        }
    }

    fn norm(&self, channels: usize, init: &mut Initializer) -> GroupNorm {
        GroupNorm::with_groups(channels, self.groups, self.epsilon, init)
    }

    fn attention(&self, channels: usize, init: &mut Initializer) -> Attention {
        let heads = channels.checked_div(self.head).unwrap_or(1);
        Attention::with_norm(self.norm(channels, init), heads, init)
    }

    fn layer(&self, sizes: BlockPlan, init: &mut Initializer) -> Layer {
        let BlockPlan { inputs, outputs, resample, attention } = sizes;
        let pad_after = self.pad_after;
        if resample != Resample::Keep {
            let conv = Some(Conv::new(3, [inputs, outputs], 1.0, init));
            return Layer { block: None, conv, resample, pad_after };
        }
        let modulation = if self.scale_shift { 2 * outputs } else { outputs };
        let block = Block {
            norm0: self.norm(inputs, init),
            conv0: Conv::new(3, [inputs, outputs], 1.0, init),
            embedding: Linear::new(self.embedding, modulation, 1.0, init),
            norm1: self.norm(outputs, init),
            conv1: Conv::new(3, [outputs, outputs], 1e-5, init),
            skip: (inputs != outputs).then(|| Conv::new(1, [inputs, outputs], 1.0, init)),
            attention: attention.then(|| self.attention(outputs, init)),
            dropout: self.dropout,
            scale_shift: self.scale_shift,
        };
        Layer { block: Some(block), conv: None, resample, pad_after }
    }

    pub(crate) fn activations(&self, shape: Shape) -> usize {
        frame::activations(shape, self.width, &self.multipliers, self.blocks)
    }
}

impl ResidualBlock for Layer {
    fn forward(&self, x: Tensor<4>, embedding: Tensor<2>, masks: &mut Option<&mut Dropout>) -> Tensor<4> {
        match (&self.block, &self.conv) {
            (Some(block), _) => block.forward(x, embedding, masks),
            (None, Some(conv)) if self.resample == Resample::Up => conv.forward(self.resample.apply(x, Filter::Box)),
            (None, Some(conv)) => self.halve(conv, x),
            (None, None) => x,
        }
    }
}

impl Layer {
    /// A convolution of stride 2.
    fn halve(&self, conv: &Conv, x: Tensor<4>) -> Tensor<4> {
        if !self.pad_after {
            return conv.strided(x, 2);
        }
        // Pixel i of the result depends on pixels 2i, 2i + 1 and 2i + 2: those of a symmetric convolution around pixel 2i + 2 of an image
        // shifted by one. The first row and column of that are dropped.
        let moved = x.pad([(0, 0), (1, 1), (1, 1), (0, 0)], 0.0);
        let y = conv.strided(moved, 2);
        let [batch, height, width, channels] = y.dims();
        y.slice([0..batch, 1..height, 1..width, 0..channels])
    }
}

impl Block {
    fn forward(&self, x: Tensor<4>, embedding: Tensor<2>, masks: &mut Option<&mut Dropout>) -> Tensor<4> {
        let h = self.norm0.forward(x.clone(), true);
        let embedding = self.embedding.forward(embedding);
        let h = if self.scale_shift {
            self.norm1.modulated(self.conv0.forward(h), embedding)
        } else {
            self.norm1.forward(self.conv0.fused(h, Some(embedding), None, 1.0), true)
        };
        let h = dropout(masks, h, self.dropout);
        let x = match &self.skip {
            Some(skip) => skip.forward(x),
            None => x,
        };
        let x = self.conv1.fused(h, None, Some(x), 1.0);
        match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        }
    }
}

impl DiffusersUnet {
    pub(crate) fn rows_in_cache(&self) -> usize {
        self.frame.rows_in_cache(self.norm.channels())
    }

    /// # Shapes
    /// `noise`: `[batch, 1]`, result: `[batch, embedding]`
    fn embed(&self, noise: Tensor<2>, conditioning: &ConditioningTensors) -> Tensor<2> {
        let half = self.width / 2;
        let over = half as f64 - self.frequency_shift;
        let angles = sinusoid_angles(noise, half, |k| PERIODS.powf(-(k as f64) / over));
        let (sines, cosines) = (angles.clone().sin(), angles.cos());
        let waves = if self.cosine_first { vec![cosines, sines] } else { vec![sines, cosines] };
        let embedding = self.second.forward(silu(self.first.forward(Tensor::cat(waves, 1))));
        silu(match (&self.classes, &conditioning.classes) {
            (Some(linear), Some(classes)) => embedding + linear.forward(classes.clone()),
            _ => embedding,
        })
    }

    /// `input.log_sigma_ratio` is not used.
    ///
    /// # Shapes
    /// `[batch, N]` to `[batch, N]`
    pub(crate) fn forward(&self, mut input: NetworkInput) -> Tensor<2> {
        let embedding = self.embed(input.noise, &input.conditioning);
        let frame = self.frame.of(input.x.dims()[1]);
        let x = self.input.forward(frame.enter(input.x, input.conditioning.spatial));
        let walk = Walk {
            plan: &self.plan,
            down: &self.down,
            pyramid: &[],
            middle: &self.middle,
            attention: self.middle_attention.as_ref(),
            up: &self.up,
        };
        let x = walk.run(x, None, embedding, &mut input.dropout);
        frame::with_radial(frame.leave(self.output.forward(self.norm.forward(x, true))), false)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn halving_pads_below_and_to_the_right() {
        // A convolution that selects the pixel above and to the left of the center.
        let mut init = Initializer::new(1, Device::flex());
        let conv = Conv::new(3, [1, 1], 1.0, &mut init);
        let weights: Vec<f32> = conv.weight().into_data().try_to_vec().unwrap();
        let image: Vec<f32> = (0..16).map(|at| (at * at % 7) as f32 - 2.0).collect();
        let x = Tensor::<4>::from_data(TensorData::new(image.clone(), [1, 4, 4, 1]), &Device::flex());
        let layer = Layer { block: None, conv: None, resample: Resample::Down, pad_after: true };
        let y: Vec<f32> = layer.halve(&conv, x).into_data().try_to_vec().unwrap();
        let pixel = |row: usize, column: usize| if row < 4 && column < 4 { image[4 * row + column] } else { 0.0 };
        for (at, &value) in y.iter().enumerate() {
            let (row, column) = (2 * (at / 2), 2 * (at % 2));
            let wanted: f32 = (0..9).map(|tap| weights[tap] * pixel(row + tap / 3, column + tap % 3)).sum();
            assert!((value - wanted).abs() < 1e-5, "{at}: {value} {wanted}");
        }
        assert_eq!(y.len(), 4);
    }
}
