//! The blocks of the DDPM++ U-Net (arXiv 2011.13456, appendix H).

use std::f64::consts::FRAC_1_SQRT_2;

use burn::{module::Module, tensor::Tensor};
use pfgm_burn_ops::{Filter, Heads};

use crate::network::layers::{Conv, Dropout, GroupNorm, Initializer, Linear, dropout};

/// What a block does to the size of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    Keep,
    Down,
    Up,
}

impl Resample {
    pub fn apply(self, x: Tensor<4>, filter: Filter) -> Tensor<4> {
        match self {
            Self::Keep => x,
            Self::Down => pfgm_burn_ops::downsample2x(x, filter),
            Self::Up => pfgm_burn_ops::upsample2x(x, filter),
        }
    }
}

/// What a block is made from.
#[derive(Clone, Copy, Debug)]
pub struct BlockConfig {
    pub inputs: usize,
    pub outputs: usize,
    pub embedding: usize,
    pub resample: Resample,
    /// What neighbouring pixels count where the image changes its size.
    pub filter: Filter,
    pub attention: bool,
    pub dropout: f64,
}

/// A residual block of BigGAN's kind: both branches are resampled, and their sum is divided by sqrt(2).
#[derive(Module, Debug)]
pub struct Block {
    norm0: GroupNorm,
    conv0: Conv,
    embedding: Linear,
    norm1: GroupNorm,
    conv1: Conv,
    skip: Option<Conv>,
    attention: Option<Attention>,
    dropout: f64,
    #[module(skip)]
    resample: Resample,
    #[module(skip)]
    filter: Filter,
}

impl Block {
    pub fn new(config: BlockConfig, init: &mut Initializer) -> Self {
        let BlockConfig { inputs, outputs, embedding, resample, filter, attention, dropout } = config;
        Self {
            norm0: GroupNorm::new(inputs, init),
            conv0: Conv::new(3, inputs, outputs, 1.0, init),
            embedding: Linear::new(embedding, outputs, 1.0, init),
            norm1: GroupNorm::new(outputs, init),
            conv1: Conv::new(3, outputs, outputs, 1e-5, init),
            skip: (inputs != outputs || resample != Resample::Keep).then(|| Conv::new(1, inputs, outputs, 1.0, init)),
            attention: attention.then(|| Attention::new(outputs, init)),
            dropout,
            resample,
            filter,
        }
    }

    /// # Shapes
    /// `x`: `[batch, height, width, inputs]`, `embedding`: `[batch, embedding]`
    pub fn forward(&self, x: Tensor<4>, embedding: Tensor<2>, masks: &mut Option<&mut Dropout>) -> Tensor<4> {
        let h = self.resample.apply(self.norm0.forward(x.clone(), true), self.filter);
        let h = self.conv0.fused(h, Some(self.embedding.forward(embedding)), None, 1.0);
        let h = dropout(masks, self.norm1.forward(h, true), self.dropout);
        let x = self.resample.apply(x, self.filter);
        let x = match &self.skip {
            Some(skip) => skip.forward(x),
            None => x,
        };
        let x = self.conv1.fused(h, None, Some(x), FRAC_1_SQRT_2);
        match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        }
    }
}

/// Self-attention over the pixels with one head, as a residual.
#[derive(Module, Debug)]
pub struct Attention {
    norm: GroupNorm,
    qkv: Conv,
    project: Conv,
}

impl Attention {
    pub fn new(channels: usize, init: &mut Initializer) -> Self {
        Self {
            norm: GroupNorm::new(channels, init),
            qkv: Conv::new(1, channels, 3 * channels, 0.2_f32.sqrt(), init),
            project: Conv::new(1, channels, channels, 1e-5, init),
        }
    }

    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = x.dims();
        let qkv = self.qkv.forward(self.norm.forward(x.clone(), false));
        let mixed = pfgm_burn_ops::attention(qkv.reshape([batch, height * width, 3 * channels]), Heads(1));
        let mixed = mixed.reshape([batch, height, width, channels]);
        self.project.fused(mixed, None, Some(x), FRAC_1_SQRT_2)
    }
}
