//! EDM2's U-Net (arXiv 2312.02696, configuration G): all layers preserve the magnitude of what they get.
//!
//! Each output of a layer has weights of unit norm, SiLU is divided by 0.596, sums and concatenations keep unit variance, and the encoder
//! normalizes the channels of each pixel.

mod block;
mod layers;
mod onnx;

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use self::{
    block::Edm2Block,
    layers::{Fourier, MpConv, MpLinear, mp_silu, mp_sum},
};
use super::{
    frame::{self, Frame},
    plan::{BlockPlan, Middle, Plan, Sizes, Stage, Style},
    walk::Walk,
};
use crate::{
    ConditioningSizes, ConditioningTensors, MAX_CHANNELS, NetworkError, NetworkInput, initializer::Initializer,
};

/// Configuration of an [`Edm2Unet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Edm2UnetConfig {
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
    /// Random frequencies of the noise level.
    pub frequencies: usize,
    /// Size of the embedding of the noise level.
    pub embedding: usize,
    /// Share of the class in the sum with the embedding of the noise level.
    pub label_balance: f64,
    /// Share of the image of the way down in a concatenation.
    pub concat_balance: f64,
    /// Share of a block in the sum with its shortcut.
    pub residual_balance: f64,
    /// Share of attention in the sum with its shortcut.
    pub attention_balance: f64,
    /// Largest value of an image between the blocks.
    pub clip: f64,
    /// Random frequencies of the estimate of the loss's variance; 0 if there is none.
    pub variance: usize,
    /// Probability of dropout in the blocks.
    pub dropout: f64,
}

impl Default for Edm2UnetConfig {
    /// The network of size XS.
    fn default() -> Self {
        Self {
            width: 128,
            multipliers: vec![1, 2, 3, 4],
            blocks: 3,
            attention: vec![16, 8],
            head: 64,
            frequencies: 128,
            embedding: 512,
            label_balance: 0.5,
            concat_balance: 0.5,
            residual_balance: 0.3,
            attention_balance: 0.3,
            clip: 256.0,
            variance: 128,
            dropout: 0.0,
        }
    }
}

/// EDM2's U-Net.
#[derive(Module, Debug)]
pub struct Edm2Unet {
    fourier: Fourier,
    noise: MpLinear,
    classes: Option<MpLinear>,
    input: MpConv,
    down: Vec<Edm2Block>,
    middle: Vec<Edm2Block>,
    up: Vec<Edm2Block>,
    output: MpConv,
    /// The factor of the output.
    gain: Param<Tensor<1>>,
    variance_fourier: Option<Fourier>,
    variance: Option<MpLinear>,
    #[module(skip)]
    frame: Frame,
    #[module(skip)]
    plan: Plan,
    label_balance: f64,
    width: usize,
}

impl Edm2UnetConfig {
    const STYLE: Style =
        Style { upsample_first: true, attention_up: true, middle: Middle::AttendingBlock, pyramid: false };

    /// Creates the network with initial weights.
    pub(crate) fn init(
        &self,
        shape: Shape,
        conditioning: ConditioningSizes,
        init: &mut Initializer,
    ) -> Result<Edm2Unet, NetworkError> {
        let frame = Frame::checked(shape, self.width, &self.multipliers, self.blocks)?;
        let plan = self.plan(frame);
        self.check(&plan)?;
        let fourier = Fourier::new(self.frequencies, init);
        let noise = MpLinear::new(self.frequencies, self.embedding, init);
        let classes = (conditioning.classes > 0).then(|| MpLinear::new(conditioning.classes, self.embedding, init));
        // A channel of ones stands for a bias.
        let input = MpConv::new(3, [frame.channels + conditioning.spatial + 1, self.width], init);
        let mut blocks = |stages: &[Stage]| -> Vec<Edm2Block> {
            let sizes = stages.iter().filter_map(|stage| match stage {
                Stage::Block(sizes) => Some(*sizes),
                _ => None,
            });
            sizes.map(|sizes| self.block(sizes, init)).collect()
        };
        let (down, middle, up) = (blocks(&plan.down), blocks(&plan.middle), blocks(&plan.up));
        Ok(Edm2Unet {
            fourier,
            noise,
            classes,
            input,
            down,
            middle,
            up,
            output: MpConv::new(3, [plan.channels, frame.channels], init),
            gain: init.constant(1, 0.0),
            variance_fourier: (self.variance > 0).then(|| Fourier::new(self.variance, init)),
            variance: (self.variance > 0).then(|| MpLinear::new(self.variance, 1, init)),
            frame,
            plan,
            label_balance: self.label_balance,
            width: self.width,
        })
    }

    fn plan(&self, frame: Frame) -> Plan {
        let sizes = Sizes::of_multiples(self.width, &self.multipliers, self.blocks, &self.attention, frame);
        Plan::new(&sizes, Self::STYLE)
    }

    fn check(&self, plan: &Plan) -> Result<(), NetworkError> {
        let wrong = |key, value: String, problem| Err(NetworkError::Size { key, value, problem });
        let attending = [&plan.down, &plan.middle, &plan.up].into_iter().flatten().filter_map(|stage| match stage {
            Stage::Block(BlockPlan { outputs, attention: true, .. }) => Some(*outputs),
            _ => None,
        });
        if self.head == 0 || attending.into_iter().any(|channels| !channels.is_multiple_of(self.head)) {
            return wrong("head", self.head.to_string(), "give a divisor of the channels of all levels that attend");
        }
        for (key, value, least) in
            [("frequencies", self.frequencies, 1), ("embedding", self.embedding, 1), ("variance", self.variance, 0)]
        {
            if !(least..=MAX_CHANNELS).contains(&value) {
                return wrong(key, value.to_string(), "give a number up to 1048576");
            }
        }
        for (key, share) in [
            ("label_balance", self.label_balance),
            ("concat_balance", self.concat_balance),
            ("residual_balance", self.residual_balance),
            ("attention_balance", self.attention_balance),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return wrong(key, share.to_string(), "give a number from 0 to 1");
            }
        }
        if self.clip.is_nan() || self.clip <= 0.0 {
            return wrong("clip", self.clip.to_string(), "give a number above 0");
        }
        Ok(())
    }

    pub(crate) fn activations(&self, shape: Shape) -> usize {
        frame::activations(shape, self.width, &self.multipliers, self.blocks)
    }
}

impl Edm2Unet {
    pub(crate) fn rows_in_cache(&self) -> usize {
        self.frame.rows_in_cache(self.width)
    }

    /// The same network, whose weights are normalized once and not at each use. It is for sampling, not for training.
    #[must_use]
    pub(crate) fn ready(self) -> Self {
        let blocks = |blocks: Vec<Edm2Block>| blocks.into_iter().map(Edm2Block::ready).collect();
        Self {
            noise: self.noise.ready(),
            classes: self.classes.map(MpLinear::ready),
            input: self.input.ready(),
            down: blocks(self.down),
            middle: blocks(self.middle),
            up: blocks(self.up),
            output: self.output.ready(),
            variance: self.variance.map(MpLinear::ready),
            ..self
        }
    }

    /// The logarithm of the loss's variance that the network expects at noise levels; `None` if it does not estimate it.
    ///
    /// # Shapes
    /// `noise`: `[batch, 1]`, as the network gets it; the result: `[batch, 1]`
    pub fn log_variance(&self, noise: Tensor<2>) -> Option<Tensor<2>> {
        let (fourier, linear) = self.variance_fourier.as_ref().zip(self.variance.as_ref())?;
        Some(linear.forward(fourier.forward(noise)))
    }

    /// # Shapes
    /// `noise`: `[batch, 1]`, result: `[batch, embedding]`
    fn embed(&self, noise: Tensor<2>, conditioning: &ConditioningTensors) -> Tensor<2> {
        let embedding = self.noise.forward(self.fourier.forward(noise));
        let Some(linear) = &self.classes else { return mp_silu(embedding) };
        let class = match &conditioning.classes {
            // One of many entries is one: the factor restores unit variance.
            Some(classes) => linear.forward(classes.clone().mul_scalar((classes.dims()[1] as f64).sqrt())),
            None => embedding.zeros_like(),
        };
        mp_silu(mp_sum(embedding, class, self.label_balance))
    }

    /// `input.log_sigma_ratio` is not used.
    ///
    /// # Shapes
    /// `[batch, N]` to `[batch, N]`
    pub(crate) fn forward(&self, mut input: NetworkInput) -> Tensor<2> {
        let embedding = self.embed(input.noise, &input.conditioning);
        let frame = self.frame.of(input.x.dims()[1]);
        let x = frame.enter(input.x, input.conditioning.spatial);
        let ones = x.clone().narrow(3, 0, 1).ones_like();
        let x = self.input.forward(Tensor::cat(vec![x, ones], 3));
        let walk = Walk {
            plan: &self.plan,
            down: &self.down,
            pyramid: &[],
            middle: &self.middle,
            attention: None,
            up: &self.up,
        };
        let y = self.output.forward(walk.run(x, None, embedding, &mut input.dropout));
        let y = y.clone() * self.gain.val().cast(y.dtype()).unsqueeze();
        frame::with_radial(frame.leave(y), false)
    }
}
