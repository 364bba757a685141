//! The U-Net of DDPM (arXiv 2006.11239) as the library diffusers configures it (`UNet2DModel`).

mod block;
mod onnx;

use std::f64::consts::TAU;

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

pub use self::block::Layer;
use super::{
    block::Attention,
    frame::{self, Frame},
    plan::{Level, Middle, Plan, Sizes, Style},
    walk::{Layers, Walk},
};
use crate::{
    ConditioningSizes, ConditioningTensors, MAX_CHANNELS, NetworkError, NetworkInput,
    embedding::{PERIODS, sinusoid_angles},
    initializer::Initializer,
    layers::{Activation, Conv, GroupNorm, Linear},
};

/// What a level of a [`DiffusersUnet`] consists of, apart from its residual blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiffusersLevel {
    /// A convolution resamples the image: `DownBlock2D`, `UpBlock2D`.
    Plain,
    /// All blocks attend: `AttnDownBlock2D`, `AttnUpBlock2D`.
    Attention,
    /// A residual block resamples the image: `ResnetDownsampleBlock2D`, `ResnetUpsampleBlock2D`.
    Resnet,
    /// All blocks attend, and a residual block resamples the image: `AttnDownBlock2D` with `downsample_type = "resnet"`.
    AttentionResnet,
}

impl DiffusersLevel {
    fn attends(self) -> bool {
        matches!(self, Self::Attention | Self::AttentionResnet)
    }

    fn has_resnet(self) -> bool {
        matches!(self, Self::Resnet | Self::AttentionResnet)
    }
}

/// The bottom of a [`DiffusersUnet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiffusersMiddle {
    /// Two blocks with attention between them.
    Attention,
    /// Two blocks.
    Plain,
    /// Nothing.
    None,
}

/// Configuration of a [`DiffusersUnet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiffusersUnetConfig {
    /// Channels of each level; each level after the first halves the image.
    pub channels: Vec<usize>,
    /// Residual blocks of a level.
    pub blocks: usize,
    /// Levels of the way down, from full size: whether their blocks attend, and whether a residual block halves the image instead of a
    /// convolution.
    pub down: Vec<DiffusersLevel>,
    /// Levels of the way up, from the smallest image: whether their blocks attend, and whether a residual block doubles the image.
    pub up: Vec<DiffusersLevel>,
    /// The bottom: two blocks with or without attention, or nothing.
    pub middle: DiffusersMiddle,
    /// Channels of an attention head; 0 for one head of all channels.
    pub head: usize,
    /// Groups of the normalizations.
    pub groups: usize,
    /// Groups of the normalization before the attention at the bottom; 0 is no normalization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle_groups: Option<usize>,
    /// Divisor of the sums with shortcuts at the bottom.
    pub middle_scale: f64,
    /// Constant in the denominator of the normalizations.
    pub epsilon: f64,
    /// Function between two layers of a block.
    pub activation: Activation,
    /// Size of the embedding of the noise level.
    pub embedding: usize,
    /// Whether random frequencies of the noise level's logarithm are embedded, and the output is divided by the level.
    pub fourier: bool,
    /// Whether the cosines of the noise level come before the sines.
    pub cosine_first: bool,
    /// Frequencies fall from 1 to 1/10000 over half the first channels minus this number.
    pub frequency_shift: f64,
    /// Whether the embedding scales and shifts the second normalization, instead of being added before it.
    pub scale_shift: bool,
    /// Whether images are padded below and to the right only before they are halved.
    pub pad_after: bool,
    /// Whether the network gets 2 x - 1 instead of x.
    pub center: bool,
    /// Probability of dropout in the blocks.
    pub dropout: f64,
}

impl Default for DiffusersUnetConfig {
    /// The network of `ddpm-cifar10-32`.
    fn default() -> Self {
        use DiffusersLevel::{Attention, Plain};
        Self {
            channels: vec![128, 256, 256, 256],
            blocks: 2,
            down: vec![Plain, Attention, Plain, Plain],
            up: vec![Plain, Plain, Attention, Plain],
            middle: DiffusersMiddle::Attention,
            head: 0,
            groups: 32,
            middle_groups: None,
            middle_scale: 1.0,
            epsilon: 1e-6,
            activation: Activation::Silu,
            embedding: 512,
            fourier: false,
            cosine_first: false,
            frequency_shift: 1.0,
            scale_shift: false,
            pad_after: true,
            center: false,
            dropout: 0.0,
        }
    }
}

/// The standard deviation of random frequencies.
const FREQUENCIES: f32 = 16.0;

/// The U-Net of diffusers' `UNet2DModel`.
#[derive(Module, Debug)]
pub struct DiffusersUnet {
    /// Random frequencies, which are not trained.
    frequencies: Option<Param<Tensor<1>>>,
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
    #[module(skip)]
    activation: Activation,
    width: usize,
    cosine_first: bool,
    frequency_shift: f64,
    center: bool,
}

impl DiffusersUnetConfig {
    /// Creates the network with initial weights.
    pub(crate) fn init(
        &self,
        shape: Shape,
        conditioning: ConditioningSizes,
        init: &mut Initializer,
    ) -> Result<DiffusersUnet, NetworkError> {
        self.check_levels()?;
        let frame = Frame::of_levels(shape, self.channels.len(), self.blocks)?;
        self.check()?;
        let plan = self.plan(frame);
        let width = self.channels[0];
        let frequencies = self.fourier.then(|| init.normal(width, 0.0, FREQUENCIES));
        let first = Linear::new(if self.fourier { 2 * width } else { width }, self.embedding, 1.0, init);
        let second = Linear::new(self.embedding, self.embedding, 1.0, init);
        let classes = Linear::of_values(conditioning.classes, self.embedding, init);
        let input = Conv::new(3, [frame.channels + conditioning.spatial, width], 1.0, init);
        let layer = |sizes, init: &mut Initializer| self.layer(sizes, init);
        let attention = |channels, init: &mut Initializer| self.middle_attention(channels, init);
        let Layers { down, middle, attention: middle_attention, up, .. } = Layers::new(&plan, init, layer, attention);
        let norm = self.norm(plan.channels, init);
        let output = Conv::new(3, [plan.channels, frame.channels], 1e-5, init);
        let Self { activation, cosine_first, frequency_shift, center, .. } = *self;
        Ok(DiffusersUnet {
            frequencies,
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
            activation,
            width,
            cosine_first,
            frequency_shift,
            center,
        })
    }

    fn plan(&self, frame: Frame) -> Plan {
        let middle = match self.middle {
            DiffusersMiddle::Attention => Middle::Attention,
            DiffusersMiddle::Plain => Middle::Blocks,
            DiffusersMiddle::None => Middle::Nothing,
        };
        let kinds = self.down.iter().zip(self.up.iter().rev());
        let level = |(&channels, (down, up)): (&usize, (&DiffusersLevel, &DiffusersLevel))| Level {
            channels,
            attention_down: down.attends(),
            attention_up: up.attends(),
        };
        let levels = self.channels.iter().zip(kinds).map(level).collect();
        let sizes = Sizes { width: self.channels[0], levels, blocks: self.blocks, channels: frame.channels };
        Plan::new(&sizes, Style { upsample_first: false, attention_up: true, middle, pyramid: false })
    }

    /// Returns an error unless there is one kind on each way for each level.
    fn check_levels(&self) -> Result<(), NetworkError> {
        let wrong = |key, value: String, problem| Err(NetworkError::Size { key, value, problem });
        let Self { channels, down, up, .. } = self;
        if !(1..=frame::MAX_LEVELS).contains(&channels.len())
            || channels.iter().any(|n| !(1..=MAX_CHANNELS).contains(n))
        {
            return wrong(
                "channels",
                format!("{channels:?}"),
                "give a number up to 1048576 for each of at most 32 levels",
            );
        }
        for (key, kinds) in [("down", down), ("up", up)] {
            if kinds.len() != channels.len() {
                return wrong(key, format!("{kinds:?}"), "give one for each of network.channels");
            }
        }
        Ok(())
    }

    /// Returns an error unless groups and heads divide the channels, and the frequencies are finite.
    fn check(&self) -> Result<(), NetworkError> {
        let wrong = |key, value: String, problem| Err(NetworkError::Size { key, value, problem });
        let last = self.channels[self.channels.len() - 1];
        if self.groups == 0 || self.channels.iter().any(|channels| !channels.is_multiple_of(self.groups)) {
            return wrong("groups", self.groups.to_string(), "give a divisor of the channels of all levels");
        }
        if let Some(groups) = self.middle_groups.filter(|&groups| groups > 0 && !last.is_multiple_of(groups)) {
            return wrong(
                "middle_groups",
                groups.to_string(),
                "give a divisor of the channels of the last level, or 0",
            );
        }
        let up = self.up.iter().rev();
        let mut attending =
            self.channels.iter().zip(self.down.iter().zip(up)).filter(|(_, (a, b))| a.attends() || b.attends());
        let at_bottom = self.middle == DiffusersMiddle::Attention && last < self.head;
        if at_bottom || attending.any(|(&channels, _)| channels < self.head) {
            return wrong("head", self.head.to_string(), "a level that attends has fewer channels; give fewer, or 0");
        }
        if !(1..=MAX_CHANNELS).contains(&self.embedding) {
            return wrong("embedding", self.embedding.to_string(), "give a number from 1 to 1048576");
        }
        let over = (self.channels[0] / 2) as f64 - self.frequency_shift;
        if !(self.fourier || self.frequency_shift.is_finite() && over >= 1.0) {
            return wrong("frequency_shift", self.frequency_shift.to_string(), "give a number below half the channels");
        }
        for (key, value) in [("epsilon", self.epsilon), ("middle_scale", self.middle_scale)] {
            if !(value > 0.0 && value.is_finite()) {
                return wrong(key, value.to_string(), "give a number above 0");
            }
        }
        Ok(())
    }

    pub(crate) fn activations(&self, shape: Shape) -> usize {
        frame::activations_of(shape, &self.channels, self.blocks)
    }
}

impl DiffusersUnet {
    pub(crate) fn rows_in_cache(&self) -> usize {
        self.frame.rows_in_cache(self.norm.channels())
    }

    /// # Shapes
    /// `noise`: `[batch, 1]`, result: `[batch, embedding]`
    fn embed(&self, noise: Tensor<2>, conditioning: &ConditioningTensors) -> Tensor<2> {
        let angles = match &self.frequencies {
            Some(frequencies) => (noise.log() * frequencies.val().detach().unsqueeze()).mul_scalar(TAU),
            None => {
                let over = (self.width / 2) as f64 - self.frequency_shift;
                sinusoid_angles(noise, self.width / 2, |k| PERIODS.powf(-(k as f64) / over))
            }
        };
        let (sines, cosines) = (angles.clone().sin(), angles.cos());
        let mut waves = if self.cosine_first { vec![cosines, sines] } else { vec![sines, cosines] };
        if self.frequencies.is_none() && !self.width.is_multiple_of(2) {
            // An odd number of values ends with a zero.
            waves.push(waves[0].clone().narrow(1, 0, 1).zeros_like());
        }
        let embedding = Activation::Silu.apply(self.first.forward(Tensor::cat(waves, 1)));
        let embedding = self.second.forward(embedding);
        self.activation.apply(match (&self.classes, &conditioning.classes) {
            (Some(linear), Some(classes)) => embedding + linear.forward(classes.clone()),
            _ => embedding,
        })
    }

    /// `input.log_sigma_ratio` is not used.
    ///
    /// # Shapes
    /// `[batch, N]` to `[batch, N]`
    pub(crate) fn forward(&self, mut input: NetworkInput) -> Tensor<2> {
        let level = self.frequencies.as_ref().map(|_| input.noise.clone());
        let embedding = self.embed(input.noise, &input.conditioning);
        let frame = self.frame.of(input.x.dims()[1]);
        let x = if self.center { input.x.mul_scalar(2.0).sub_scalar(1.0) } else { input.x };
        let x = self.input.forward(frame.enter(x, input.conditioning.spatial));
        let walk = Walk {
            plan: &self.plan,
            down: &self.down,
            pyramid: &[],
            middle: &self.middle,
            attention: self.middle_attention.as_ref(),
            up: &self.up,
        };
        let x = walk.run(x, None, embedding, &mut input.dropout);
        let raw = frame::with_radial(frame.leave(self.output.forward(self.norm.forward(x, true))), false);
        match level {
            Some(level) => {
                let dtype = raw.dtype();
                raw / level.cast(dtype)
            }
            None => raw,
        }
    }
}
