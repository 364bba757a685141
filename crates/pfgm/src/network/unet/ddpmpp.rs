//! The DDPM++ U-Net of score-based models (arXiv 2011.13456), which PFGM and PFGM++ train.

use burn::{module::Module, tensor::Tensor};
use pfgm_burn_ops::Filter;
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use super::{
    Frame,
    blocks::{Block, BlockConfig, Resample},
};
use crate::network::{
    Conditions, NetworkError, NetworkInput,
    embedding::Embedding,
    layers::{Conv, GroupNorm, Initializer},
};

/// Sizes of a [`Unet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnetConfig {
    /// Channels at full size.
    pub width: usize,
    /// Channels of each level as a multiple of `width`; each level after the first halves the image.
    pub multipliers: Vec<usize>,
    /// Residual blocks of a level.
    pub blocks: usize,
    /// Heights of the image at which blocks attend.
    pub attention: Vec<usize>,
    /// Probability of dropout in the blocks.
    pub dropout: f64,
}

impl Default for UnetConfig {
    fn default() -> Self {
        Self { width: 64, multipliers: vec![1, 2, 2], blocks: 2, attention: vec![16], dropout: 0.0 }
    }
}

/// Blocks on the way down, each remembered; two blocks at the bottom, the first with attention; blocks on the way up, each of
/// which also sees what the way down remembered.
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
    /// Whether each block on the way up takes a remembered image.
    #[module(skip)]
    joins: Vec<bool>,
}

impl UnetConfig {
    pub(in crate::network) fn init(
        &self,
        shape: Shape,
        conditions: Conditions,
        init: &mut Initializer,
    ) -> Result<Unet, NetworkError> {
        let frame = super::check(shape, self.width, &self.multipliers, self.blocks)?;
        let embedding_width = 4 * self.width;
        let embedding = Embedding::new(self.width, embedding_width, conditions, init);
        let block = |inputs, outputs, resample, attention| BlockConfig {
            inputs,
            outputs,
            embedding: embedding_width,
            resample,
            filter: Filter::Box,
            attention,
            dropout: self.dropout,
        };
        let input = Conv::new(3, frame.channels + conditions.maps, self.width, 1.0, init);
        let (mut down, mut remembered, mut channels) = (Vec::new(), vec![self.width], self.width);
        for (level, multiplier) in self.multipliers.iter().enumerate() {
            if level > 0 {
                down.push(Block::new(block(channels, channels, Resample::Down, false), init));
                remembered.push(channels);
            }
            let attends = self.attention.contains(&(frame.padded[0] >> level));
            for _ in 0..self.blocks {
                down.push(Block::new(block(channels, multiplier * self.width, Resample::Keep, attends), init));
                channels = multiplier * self.width;
                remembered.push(channels);
            }
        }
        let middle =
            [true, false].map(|attends| Block::new(block(channels, channels, Resample::Keep, attends), init)).into();
        let (mut up, mut joins) = (Vec::new(), Vec::new());
        for (level, multiplier) in self.multipliers.iter().enumerate().rev() {
            if level + 1 < self.multipliers.len() {
                up.push(Block::new(block(channels, channels, Resample::Up, false), init));
                joins.push(false);
            }
            for index in 0..=self.blocks {
                // On the way up only the last block of a level attends.
                let attends = index == self.blocks && self.attention.contains(&(frame.padded[0] >> level));
                let joined = channels + remembered.pop().expect("as many joins as images remembered");
                channels = multiplier * self.width;
                up.push(Block::new(block(joined, channels, Resample::Keep, attends), init));
                joins.push(true);
            }
        }
        let norm = GroupNorm::new(channels, init);
        let output = Conv::new(3, channels, frame.channels, 1e-5, init);
        Ok(Unet { embedding, input, down, middle, up, norm, output, frame, joins })
    }

    pub(in crate::network) fn activations(&self, shape: Shape) -> usize {
        super::activations(shape, self.width, &self.multipliers, self.blocks)
    }
}

impl Unet {
    pub(in crate::network) fn rows_in_cache(&self) -> usize {
        super::rows_in_cache(self.frame, self.norm.channels())
    }

    pub(in crate::network) fn forward(&self, mut input: NetworkInput) -> Tensor<2> {
        let embedding = self.embedding.forward(input.noise, input.log_sigma_ratio, input.classes, input.deformation);
        let frame = self.frame.of(input.x.dims()[1]);
        let mut x = self.input.forward(frame.enter(input.x, input.maps));
        let mut remembered = vec![x.clone()];
        for block in &self.down {
            x = block.forward(x, embedding.clone(), &mut input.dropout);
            remembered.push(x.clone());
        }
        for block in &self.middle {
            x = block.forward(x, embedding.clone(), &mut input.dropout);
        }
        for (block, &join) in self.up.iter().zip(&self.joins) {
            if join {
                x = pfgm_burn_ops::concat(x, remembered.pop().expect("as many joins as images remembered"));
            }
            x = block.forward(x, embedding.clone(), &mut input.dropout);
        }
        super::with_radial(frame.leave(self.output.forward(self.norm.forward(x, true))), false)
    }
}
