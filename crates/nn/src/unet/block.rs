//! The residual block of DDPM++ and NCSN++ (arXiv 2011.13456, appendix H) and of ADM (arXiv 2105.05233), and its attention.

pub mod onnx;

use std::f64::consts::FRAC_1_SQRT_2;

use burn::{module::Module, tensor::Tensor};
use pfgm_burn_ops::{Filter, Heads, downsample2x, upsample2x};

use super::plan::{BlockPlan, Resample};
use crate::{
    dropout::{Dropout, dropout},
    initializer::Initializer,
    layers::{Conv, GroupNorm, Linear},
};

impl Resample {
    /// Resamples an image.
    pub fn apply(self, x: Tensor<4>, filter: Filter) -> Tensor<4> {
        match self {
            Self::Keep => x,
            Self::Down => downsample2x(x, filter),
            Self::Up => upsample2x(x, filter),
        }
    }
}

/// The kind of a block, by paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// DDPM++ and NCSN++, after BigGAN: the embedding is added after the first convolution, sums are divided by sqrt(2),
    /// and a block that resamples has a convolution in its shortcut.
    ScoreSde,
    /// ADM as EDM (arXiv 2206.00364) trains it: the embedding scales and shifts inside the second normalization, and sums
    /// are not divided.
    Adm,
}

impl BlockKind {
    /// Group normalization of at most 32 groups of at least four channels each.
    pub fn norm(self, channels: usize, init: &mut Initializer) -> GroupNorm {
        let epsilon = match self {
            Self::ScoreSde => 1e-6,
            Self::Adm => 1e-5,
        };
        GroupNorm::with_groups(channels, GroupNorm::groups(channels), epsilon, init)
    }

    /// The factor of a sum with a shortcut.
    fn residual_scale(self) -> f64 {
        match self {
            Self::ScoreSde => FRAC_1_SQRT_2,
            Self::Adm => 1.0,
        }
    }
}

/// The options that all blocks of a network share.
#[derive(Clone, Copy, Debug)]
pub struct BlockOptions {
    /// The kind of the blocks.
    pub kind: BlockKind,
    /// Values of the embedding.
    pub embedding: usize,
    /// The filter by which images are resampled.
    pub filter: Filter,
    /// Channels of an attention head; all channels are one head if there are fewer, or if this is `None`.
    pub head: Option<usize>,
    /// Probability of dropout.
    pub dropout: f64,
}

/// A residual block: `shortcut(x) + conv(silu(norm(conv(silu(norm(x))))))` with the embedding in between, then attention.
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
    #[module(skip)]
    kind: BlockKind,
}

impl BlockOptions {
    /// Creates a block of the given sizes.
    pub fn block(&self, sizes: BlockPlan, init: &mut Initializer) -> Block {
        let BlockPlan { inputs, outputs, resample, attention, .. } = sizes;
        let (modulation, shortcut) = match self.kind {
            BlockKind::ScoreSde => (outputs, inputs != outputs || resample != Resample::Keep),
            BlockKind::Adm => (2 * outputs, inputs != outputs),
        };
        Block {
            norm0: self.kind.norm(inputs, init),
            conv0: Conv::new(3, [inputs, outputs], 1.0, init),
            embedding: Linear::new(self.embedding, modulation, 1.0, init),
            norm1: self.kind.norm(outputs, init),
            conv1: Conv::new(3, [outputs, outputs], 1e-5, init),
            skip: shortcut.then(|| Conv::new(1, [inputs, outputs], 1.0, init)),
            attention: attention.then(|| self.attention(outputs, init)),
            dropout: self.dropout,
            resample,
            filter: self.filter,
            kind: self.kind,
        }
    }

    /// Creates attention over images of so many channels.
    pub fn attention(&self, channels: usize, init: &mut Initializer) -> Attention {
        let gain = match self.kind {
            BlockKind::ScoreSde => 0.2_f32.sqrt(),
            BlockKind::Adm => 1.0,
        };
        Attention {
            norm: Some(self.kind.norm(channels, init)),
            qkv: Conv::new(1, [channels, 3 * channels], gain, init),
            project: Conv::new(1, [channels, channels], 1e-5, init),
            heads: self.head.map_or(1, |head| (channels / head).max(1)),
            scale: self.kind.residual_scale(),
        }
    }
}

/// A residual block that is conditioned on an embedding.
pub trait ResidualBlock {
    /// # Shapes
    /// `x`: `[batch, height, width, channels]`, `embedding`: `[batch, values]`
    fn forward(&self, x: Tensor<4>, embedding: Tensor<2>, masks: &mut Option<&mut Dropout>) -> Tensor<4>;

    /// Concatenates an image of the way up and one that was stored on the way down, for this block.
    ///
    /// # Shapes
    /// `[batch, height, width, a]` and `[batch, height, width, b]` to `[batch, height, width, a + b]`
    fn concat(&self, x: Tensor<4>, stored: Tensor<4>) -> Tensor<4> {
        pfgm_burn_ops::concat(x, stored)
    }
}

impl ResidualBlock for Block {
    fn forward(&self, x: Tensor<4>, embedding: Tensor<2>, masks: &mut Option<&mut Dropout>) -> Tensor<4> {
        let h = self.resample.apply(self.norm0.forward(x.clone(), true), self.filter);
        let embedding = self.embedding.forward(embedding);
        let h = match self.kind {
            BlockKind::ScoreSde => self.norm1.forward(self.conv0.fused(h, Some(embedding), None, 1.0), true),
            BlockKind::Adm => self.norm1.modulated(self.conv0.forward(h), embedding, true),
        };
        let h = dropout(masks, h, self.dropout);
        let x = self.resample.apply(x, self.filter);
        let x = match &self.skip {
            Some(skip) => skip.forward(x),
            None => x,
        };
        let x = self.conv1.fused(h, None, Some(x), self.kind.residual_scale());
        match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        }
    }
}

/// Self-attention over the pixels, with a shortcut.
#[derive(Module, Debug)]
pub struct Attention {
    norm: Option<GroupNorm>,
    qkv: Conv,
    project: Conv,
    heads: usize,
    scale: f64,
}

impl Attention {
    /// Creates attention of `heads` heads of `width` channels each after a normalization, if there is one. The sum with the shortcut is
    /// multiplied by `scale`.
    pub fn of_heads(
        channels: usize,
        norm: Option<GroupNorm>,
        [heads, width]: [usize; 2],
        scale: f64,
        init: &mut Initializer,
    ) -> Self {
        let qkv = Conv::new(1, [channels, 3 * heads * width], 1.0, init);
        Self { norm, qkv, project: Conv::new(1, [heads * width, channels], 1e-5, init), heads, scale }
    }

    /// # Shapes
    /// `x` and result: `[batch, height, width, channels]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, _] = x.dims();
        let normalized = match &self.norm {
            Some(norm) => norm.forward(x.clone(), false),
            None => x.clone(),
        };
        let qkv = self.qkv.forward(normalized);
        let channels = qkv.dims()[3];
        let mixed = pfgm_burn_ops::attention(qkv.reshape([batch, height * width, channels]), Heads(self.heads));
        self.project.fused(mixed.reshape([batch, height, width, channels / 3]), None, Some(x), self.scale)
    }
}
