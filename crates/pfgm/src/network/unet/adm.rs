//! The ADM U-Net (arXiv 2105.05233) as EDM (arXiv 2206.00364) trains it: the embedding scales and shifts inside the norms, and
//! attention has heads of 64 channels.

use burn::{
    module::Module,
    tensor::{Tensor, TensorData, activation::silu},
};
use pfgm_burn_ops::{Filter, Heads};
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use super::{Frame, blocks::Resample};
use crate::network::{
    Conditions, NetworkError, NetworkInput,
    layers::{Conv, Dropout, GroupNorm, Initializer, Linear, dropout},
};

/// Sizes of an [`AdmUnet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdmUnetConfig {
    /// Channels at full size.
    pub width: usize,
    /// Channels of each level as a multiple of `width`; each level after the first halves the image.
    pub multipliers: Vec<usize>,
    /// Residual blocks of a level.
    pub blocks: usize,
    /// Heights of the image at which blocks attend.
    pub attention: Vec<usize>,
    /// Channels of a head.
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

/// Blocks on the way down, each remembered; two at the bottom, the first with attention; blocks on the way up, each of which also
/// sees what the way down remembered.
#[derive(Module, Debug)]
pub struct AdmUnet {
    first: Linear,
    second: Linear,
    classes: Option<Linear>,
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
    /// Whether each block on the way up takes a remembered image.
    #[module(skip)]
    joins: Vec<bool>,
}

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
    #[module(skip)]
    resample: Resample,
}

#[derive(Module, Debug)]
struct Attention {
    norm: GroupNorm,
    qkv: Conv,
    project: Conv,
    heads: usize,
}

/// At most 32 groups of at least four channels.
fn norm(channels: usize, init: &mut Initializer) -> GroupNorm {
    GroupNorm::with_groups(channels, GroupNorm::groups(channels), 1e-5, init)
}

impl AdmUnetConfig {
    pub(in crate::network) fn init(
        &self,
        shape: Shape,
        conditions: Conditions,
        init: &mut Initializer,
    ) -> Result<AdmUnet, NetworkError> {
        let frame = super::check(shape, self.width, &self.multipliers, self.blocks)?;
        if self.head == 0 {
            let problem = "give at least 1";
            return Err(NetworkError::Size { key: "head", value: "0".into(), problem });
        }
        self.check_heads(frame.padded[0])?;
        let wide = 4 * self.width;
        let first = Linear::new(self.width, wide, 1.0, init);
        let second = Linear::new(wide, wide, 1.0, init);
        let told = |values: usize, outputs: usize, init: &mut Initializer| {
            (values > 0).then(|| Linear::without_bias(values, outputs, init))
        };
        let classes = told(conditions.classes, wide, init);
        let deformation = told(conditions.deformation, self.width, init);
        let input = Conv::new(3, frame.channels + conditions.maps, self.width, 1.0, init);
        let (mut down, mut remembered, mut channels) = (Vec::new(), vec![self.width], self.width);
        for (level, multiplier) in self.multipliers.iter().enumerate() {
            if level > 0 {
                down.push(self.block(channels, channels, Resample::Down, false, init));
                remembered.push(channels);
            }
            let attends = self.attention.contains(&(frame.padded[0] >> level));
            for _ in 0..self.blocks {
                down.push(self.block(channels, multiplier * self.width, Resample::Keep, attends, init));
                channels = multiplier * self.width;
                remembered.push(channels);
            }
        }
        let middle = [true, false].map(|attends| self.block(channels, channels, Resample::Keep, attends, init)).into();
        let (mut up, mut joins) = (Vec::new(), Vec::new());
        for (level, multiplier) in self.multipliers.iter().enumerate().rev() {
            if level + 1 < self.multipliers.len() {
                up.push(self.block(channels, channels, Resample::Up, false, init));
                joins.push(false);
            }
            let attends = self.attention.contains(&(frame.padded[0] >> level));
            for _ in 0..=self.blocks {
                let joined = channels + remembered.pop().expect("as many joins as images remembered");
                channels = multiplier * self.width;
                up.push(self.block(joined, channels, Resample::Keep, attends, init));
                joins.push(true);
            }
        }
        let norm = norm(channels, init);
        let output = Conv::new(3, channels, frame.channels, 1e-5, init);
        let width = self.width;
        Ok(AdmUnet { first, second, classes, deformation, input, down, middle, up, norm, output, frame, width, joins })
    }

    /// Returns an error unless the channels of each level that attends make whole heads.
    fn check_heads(&self, height: usize) -> Result<(), NetworkError> {
        let last = self.multipliers.len() - 1;
        for (level, multiplier) in self.multipliers.iter().enumerate() {
            let (channels, attends) = (multiplier * self.width, self.attention.contains(&(height >> level)));
            if (attends || level == last) && channels % (channels / self.head).max(1) != 0 {
                let problem = "the channels of a level that attends are no whole number of heads; give a divisor";
                return Err(NetworkError::Size { key: "head", value: self.head.to_string(), problem });
            }
        }
        Ok(())
    }

    fn block(&self, inputs: usize, outputs: usize, resample: Resample, attends: bool, init: &mut Initializer) -> Block {
        Block {
            norm0: norm(inputs, init),
            conv0: Conv::new(3, inputs, outputs, 1.0, init),
            embedding: Linear::new(4 * self.width, 2 * outputs, 1.0, init),
            norm1: norm(outputs, init),
            conv1: Conv::new(3, outputs, outputs, 1e-5, init),
            skip: (inputs != outputs).then(|| Conv::new(1, inputs, outputs, 1.0, init)),
            attention: attends.then(|| Attention {
                norm: norm(outputs, init),
                qkv: Conv::new(1, outputs, 3 * outputs, 1.0, init),
                project: Conv::new(1, outputs, outputs, 1e-5, init),
                heads: (outputs / self.head).max(1),
            }),
            dropout: self.dropout,
            resample,
        }
    }

    pub(in crate::network) fn activations(&self, shape: Shape) -> usize {
        super::activations(shape, self.width, &self.multipliers, self.blocks)
    }
}

impl Block {
    fn forward(&self, x: Tensor<4>, embedding: Tensor<2>, masks: &mut Option<&mut Dropout>) -> Tensor<4> {
        let h = self.resample.apply(self.norm0.forward(x.clone(), true), Filter::Box);
        let h = self.conv0.forward(h);
        let h = self.norm1.modulated(h, self.embedding.forward(embedding));
        let h = dropout(masks, h, self.dropout);
        let x = self.resample.apply(x, Filter::Box);
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

impl Attention {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = x.dims();
        let qkv = self.qkv.forward(self.norm.forward(x.clone(), false));
        let mixed = pfgm_burn_ops::attention(qkv.reshape([batch, height * width, 3 * channels]), Heads(self.heads));
        self.project.fused(mixed.reshape([batch, height, width, channels]), None, Some(x), 1.0)
    }
}

impl AdmUnet {
    pub(in crate::network) fn rows_in_cache(&self) -> usize {
        super::rows_in_cache(self.frame, self.norm.channels())
    }

    /// # Shapes
    /// `level`: `[batch, 1]`, `classes`: `[batch, classes]`, `deformation`: `[batch, values]`, result: `[batch, 4 width]`
    fn embed(&self, level: Tensor<2>, classes: Option<Tensor<2>>, deformation: Option<Tensor<2>>) -> Tensor<2> {
        let half = self.width / 2;
        let rate = |k: usize| 10_000_f64.powf(-(k as f64) / half as f64) as f32;
        let frequencies = TensorData::new((0..half).map(rate).collect::<Vec<_>>(), [1, half]);
        let angles = level.clone() * Tensor::from_data(frequencies, &level.device());
        let mut waves = Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1);
        if let (Some(linear), Some(deformation)) = (&self.deformation, deformation) {
            waves = waves + linear.forward(deformation);
        }
        let embedding = self.second.forward(silu(self.first.forward(waves)));
        silu(match (&self.classes, classes) {
            (Some(linear), Some(classes)) => embedding + linear.forward(classes),
            _ => embedding,
        })
    }

    /// # Shapes
    /// `[batch, N]` to `[batch, N]`
    pub(in crate::network) fn forward(&self, mut input: NetworkInput) -> Tensor<2> {
        let embedding = self.embed(input.noise, input.classes, input.deformation);
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
        for (block, &joins) in self.up.iter().zip(&self.joins) {
            if joins {
                x = pfgm_burn_ops::concat(x, remembered.pop().expect("as many joins as images remembered"));
            }
            x = block.forward(x, embedding.clone(), &mut input.dropout);
        }
        super::with_radial(frame.leave(self.output.forward(self.norm.forward(x, true))), false)
    }
}
