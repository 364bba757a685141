//! The DDPM++ U-Net as EDM (arXiv 2206.00364) configures it, with which PFGM++ (arXiv 2302.04265) is trained.

mod onnx;

use burn::{module::Module, tensor::Tensor};
use pfgm_burn_ops::Filter;
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use super::{
    block::{Block, BlockKind, BlockOptions},
    frame::{self, Frame},
    plan::{Middle, Plan, Sizes, Style},
    walk::{Layers, Walk},
};
use crate::{
    ConditioningSizes, NetworkError, NetworkInput,
    embedding::Embedding,
    initializer::Initializer,
    layers::{Conv, GroupNorm},
};

/// Configuration of a [`Unet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnetConfig {
    /// Channels at full size, a multiple of 4.
    pub width: usize,
    /// Channels of each level as a multiple of width; each level after the first halves the image.
    pub multipliers: Vec<usize>,
    /// Residual blocks of a level.
    pub blocks: usize,
    /// Heights of the image at which blocks have self-attention.
    pub attention: Vec<usize>,
    /// Probability of dropout in the blocks.
    pub dropout: f64,
}

impl Default for UnetConfig {
    fn default() -> Self {
        Self { width: 64, multipliers: vec![1, 2, 2], blocks: 2, attention: vec![16], dropout: 0.0 }
    }
}

/// The DDPM++ U-Net: one embedding of noise level, class and augmentation for all blocks; attention in the first of two
/// blocks at the bottom.
#[derive(Module, Debug)]
pub struct Unet {
    embedding: Embedding,
    input: Conv,
    down: Vec<Block>,
    middle: Vec<Block>,
    up: Vec<Block>,
    norm: GroupNorm,
    output: Conv,
    #[module(skip)]
    frame: Frame,
    #[module(skip)]
    plan: Plan,
}

impl UnetConfig {
    /// The rules of the plan. On the way up only the last block of a level attends.
    const STYLE: Style =
        Style { upsample_first: true, attention_up: false, middle: Middle::AttendingBlock, pyramid: false };

    /// Creates the network with initial weights.
    pub(crate) fn init(
        &self,
        shape: Shape,
        conditioning: ConditioningSizes,
        init: &mut Initializer,
    ) -> Result<Unet, NetworkError> {
        let frame = Frame::checked(shape, self.width, &self.multipliers, self.blocks)?;
        let plan = Plan::new(&self.sizes(frame), Self::STYLE);
        let (kind, wide) = (BlockKind::ScoreSde, 4 * self.width);
        let options = BlockOptions { kind, embedding: wide, filter: Filter::Box, head: None, dropout: self.dropout };
        let embedding = Embedding::new(self.width, wide, conditioning, init);
        let input = Conv::new(3, [frame.channels + conditioning.spatial, self.width], 1.0, init);
        let block = |sizes, init: &mut Initializer| options.block(sizes, init);
        let attention = |channels, init: &mut Initializer| options.attention(channels, init);
        let Layers { down, middle, up, .. } = Layers::new(&plan, init, block, attention);
        let norm = kind.norm(plan.channels, init);
        let output = Conv::new(3, [plan.channels, frame.channels], 1e-5, init);
        Ok(Unet { embedding, input, down, middle, up, norm, output, frame, plan })
    }

    fn sizes(&self, frame: Frame) -> Sizes {
        Sizes::of_multiples(self.width, &self.multipliers, self.blocks, &self.attention, frame)
    }

    pub(crate) fn activations(&self, shape: Shape) -> usize {
        frame::activations(shape, self.width, &self.multipliers, self.blocks)
    }
}

impl Unet {
    pub(crate) fn rows_in_cache(&self) -> usize {
        self.frame.rows_in_cache(self.norm.channels())
    }

    /// # Shapes
    /// `[batch, N]` to `[batch, N]`
    pub(crate) fn forward(&self, mut input: NetworkInput) -> Tensor<2> {
        let embedding = self.embedding.forward(input.noise, input.log_sigma_ratio, &input.conditioning);
        let frame = self.frame.of(input.x.dims()[1]);
        let x = self.input.forward(frame.enter(input.x, input.conditioning.spatial));
        let walk = Walk {
            plan: &self.plan,
            down: &self.down,
            pyramid: &[],
            middle: &self.middle,
            attention: None,
            up: &self.up,
        };
        let x = walk.run(x, None, embedding, &mut input.dropout);
        frame::with_radial(frame.leave(self.output.forward(self.norm.forward(x, true))), false)
    }
}
