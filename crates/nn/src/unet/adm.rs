//! The ADM U-Net (arXiv 2105.05233) as EDM (arXiv 2206.00364) trains it: the embedding scales and shifts inside the norms,
//! attention has heads of 64 channels, and on the way up all blocks of a level attend.

mod onnx;

use burn::{
    module::Module,
    tensor::{Tensor, activation::silu},
};
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
    ConditioningSizes, ConditioningTensors, NetworkError, NetworkInput,
    embedding::{PERIODS, add_augmentation, sinusoid_angles},
    initializer::Initializer,
    layers::{Conv, GroupNorm, Linear},
};

/// Configuration of an [`AdmUnet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdmUnetConfig {
    /// Channels at full size, a multiple of 4.
    pub width: usize,
    /// Channels of each level as a multiple of width; each level after the first halves the image.
    pub multipliers: Vec<usize>,
    /// Residual blocks of a level.
    pub blocks: usize,
    /// Heights of the image at which blocks have self-attention.
    pub attention: Vec<usize>,
    /// Channels of an attention head.
    pub head: usize,
    /// Probability of dropout in the blocks.
    pub dropout: f64,
}

impl Default for AdmUnetConfig {
    fn default() -> Self {
        Self {
            width: 192,
            multipliers: vec![1, 2, 3, 4],
            blocks: 3,
            attention: vec![32, 16, 8],
            head: 64,
            dropout: 0.1,
        }
    }
}

/// The ADM U-Net.
#[derive(Module, Debug)]
pub struct AdmUnet {
    first: Linear,
    second: Linear,
    classes: Option<Linear>,
    /// Of the augmentation labels.
    deformation: Option<Linear>,
    input: Conv,
    down: Vec<Block>,
    middle: Vec<Block>,
    up: Vec<Block>,
    norm: GroupNorm,
    output: Conv,
    #[module(skip)]
    frame: Frame,
    width: usize,
    #[module(skip)]
    plan: Plan,
}

impl AdmUnetConfig {
    const STYLE: Style =
        Style { upsample_first: true, attention_up: true, middle: Middle::AttendingBlock, pyramid: false };

    /// Creates the network with initial weights.
    pub(crate) fn init(
        &self,
        shape: Shape,
        conditioning: ConditioningSizes,
        init: &mut Initializer,
    ) -> Result<AdmUnet, NetworkError> {
        let frame = Frame::checked(shape, self.width, &self.multipliers, self.blocks)?;
        self.check_heads(frame.padded[0])?;
        let plan = Plan::new(&self.sizes(frame), Self::STYLE);
        let (kind, wide) = (BlockKind::Adm, 4 * self.width);
        let (filter, head, dropout) = (Filter::Box, Some(self.head), self.dropout);
        let options = BlockOptions { kind, embedding: wide, filter, head, dropout };
        let first = Linear::new(self.width, wide, 1.0, init);
        let second = Linear::new(wide, wide, 1.0, init);
        let classes = Linear::of_values(conditioning.classes, wide, init);
        let deformation = Linear::of_values(conditioning.augmentation, self.width, init);
        let input = Conv::new(3, [frame.channels + conditioning.spatial, self.width], 1.0, init);
        let block = |sizes, init: &mut Initializer| options.block(sizes, init);
        let attention = |channels, init: &mut Initializer| options.attention(channels, init);
        let Layers { down, middle, up, .. } = Layers::new(&plan, init, block, attention);
        let norm = kind.norm(plan.channels, init);
        let output = Conv::new(3, [plan.channels, frame.channels], 1e-5, init);
        let width = self.width;
        Ok(AdmUnet { first, second, classes, deformation, input, down, middle, up, norm, output, frame, width, plan })
    }

    fn sizes(&self, frame: Frame) -> Sizes {
        Sizes::of_multiples(self.width, &self.multipliers, self.blocks, &self.attention, frame)
    }

    /// Returns an error unless the channels of each level that attends make whole heads.
    fn check_heads(&self, height: usize) -> Result<(), NetworkError> {
        let wrong = |problem| Err(NetworkError::Size { key: "head", value: self.head.to_string(), problem });
        if self.head == 0 {
            return wrong("give at least 1");
        }
        let last = self.multipliers.len() - 1;
        for (level, multiplier) in self.multipliers.iter().enumerate() {
            let (channels, attends) = (multiplier * self.width, self.attention.contains(&(height >> level)));
            if (attends || level == last) && channels % (channels / self.head).max(1) != 0 {
                return wrong("the channels of a level that attends are no whole number of heads; give a divisor");
            }
        }
        Ok(())
    }

    pub(crate) fn activations(&self, shape: Shape) -> usize {
        frame::activations(shape, self.width, &self.multipliers, self.blocks)
    }
}

impl AdmUnet {
    pub(crate) fn rows_in_cache(&self) -> usize {
        self.frame.rows_in_cache(self.norm.channels())
    }

    /// # Shapes
    /// `noise`: `[batch, 1]`, result: `[batch, 4 width]`
    fn embed(&self, noise: Tensor<2>, conditioning: &ConditioningTensors) -> Tensor<2> {
        let half = self.width / 2;
        let angles = sinusoid_angles(noise, half, |k| PERIODS.powf(-(k as f64) / half as f64));
        let waves = Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1);
        let waves = add_augmentation(waves, self.deformation.as_ref(), conditioning.augmentation.clone());
        let embedding = self.second.forward(silu(self.first.forward(waves)));
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
            attention: None,
            up: &self.up,
        };
        let x = walk.run(x, None, embedding, &mut input.dropout);
        frame::with_radial(frame.leave(self.output.forward(self.norm.forward(x, true))), false)
    }
}
