//! The U-Nets of score-based models (arXiv 2011.13456), DDPM++ and NCSN++, as published for PFGM (arXiv 2209.11178), and
//! NCSN++ with class conditioning as in EDM (arXiv 2206.00364).

mod onnx;

use burn::{
    module::{Module, Param},
    tensor::{Tensor, activation::silu},
};
use pfgm_burn_ops::Filter;
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use super::{
    block::{Attention, Block, BlockKind, BlockOptions},
    frame::{self, Frame},
    plan::{Middle, Plan, Sizes, Style},
    walk::{Layers, Walk},
};
use crate::{
    ConditioningSizes, ConditioningTensors, NetworkError, NetworkInput,
    embedding::{PERIODS, add_augmentation, add_classes, sinusoid_angles},
    initializer::Initializer,
    layers::{Conv, GroupNorm, Linear},
};

/// The embedding of the noise level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LevelEmbedding {
    /// Sinusoids of the level itself.
    Positional,
    /// Sinusoids of random frequencies of the level's logarithm.
    Fourier,
}

/// Configuration of a [`ScoreUnet`]. The defaults are DDPM++; NCSN++ has `fir`, `pyramid` and the Fourier embedding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreUnetConfig {
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
    /// Embedding of the noise level: sinusoids of the level, or of its logarithm with random frequencies.
    pub embedding: LevelEmbedding,
    /// Standard deviation of the random frequencies.
    pub fourier_scale: f64,
    /// Whether images are resampled with the weights 1, 3, 3, 1 instead of 2x2 boxes.
    pub fir: bool,
    /// Whether downscaled versions of the input join the way down.
    pub pyramid: bool,
    /// Whether the network has an output for the field's component along z; for output field.
    pub radial: bool,
}

impl Default for ScoreUnetConfig {
    fn default() -> Self {
        Self {
            width: 128,
            multipliers: vec![1, 2, 2, 2],
            blocks: 4,
            attention: vec![16],
            dropout: 0.1,
            embedding: LevelEmbedding::Positional,
            fourier_scale: 16.0,
            fir: false,
            pyramid: false,
            radial: false,
        }
    }
}

/// A U-Net of score-based models: attention between two blocks at the bottom.
#[derive(Module, Debug)]
pub struct ScoreUnet {
    /// Random frequencies, which are not trained.
    frequencies: Option<Param<Tensor<1>>>,
    classes: Option<Linear>,
    /// Of the augmentation labels.
    deformation: Option<Linear>,
    first: Linear,
    second: Linear,
    input: Conv,
    down: Vec<Block>,
    pyramid: Vec<Conv>,
    middle: Vec<Block>,
    middle_attention: Attention,
    up: Vec<Block>,
    norm: GroupNorm,
    output: Conv,
    #[module(skip)]
    frame: Frame,
    width: usize,
    radial: bool,
    #[module(skip)]
    plan: Plan,
}

impl ScoreUnetConfig {
    /// Creates the network with initial weights.
    pub(crate) fn init(
        &self,
        shape: Shape,
        conditioning: ConditioningSizes,
        init: &mut Initializer,
    ) -> Result<ScoreUnet, NetworkError> {
        let frame = Frame::checked(shape, self.width, &self.multipliers, self.blocks)?;
        let plan = self.plan(frame);
        let wide = 4 * self.width;
        let options = self.block_options();
        let frequencies = match self.embedding {
            LevelEmbedding::Positional => None,
            LevelEmbedding::Fourier => Some(init.normal(self.width, 0.0, self.fourier_scale as f32)),
        };
        let embedded = if frequencies.is_some() { 2 * self.width } else { self.width };
        let classes = Linear::of_values(conditioning.classes, embedded, init);
        let deformation = Linear::of_values(conditioning.augmentation, embedded, init);
        let first = Linear::new(embedded, wide, 1.0, init);
        let second = Linear::new(wide, wide, 1.0, init);
        let input = Conv::new(3, [frame.channels + conditioning.spatial, self.width], 1.0, init);
        let block = |sizes, init: &mut Initializer| options.block(sizes, init);
        let attention = |channels, init: &mut Initializer| options.attention(channels, init);
        let Layers { down, pyramid, middle, attention, up } = Layers::new(&plan, init, block, attention);
        let norm = options.kind.norm(plan.channels, init);
        let output = Conv::new(3, [plan.channels, frame.channels + usize::from(self.radial)], 1e-5, init);
        Ok(ScoreUnet {
            frequencies,
            classes,
            deformation,
            first,
            second,
            input,
            down,
            pyramid,
            middle,
            middle_attention: attention.expect("the plan has attention at the bottom"),
            up,
            norm,
            output,
            frame,
            width: self.width,
            radial: self.radial,
            plan,
        })
    }

    /// The plan of the network. On the way up only the last block of a level attends.
    fn plan(&self, frame: Frame) -> Plan {
        let middle = Middle::Attention;
        let style = Style { upsample_first: false, attention_up: false, middle, pyramid: self.pyramid };
        let sizes = Sizes::of_multiples(self.width, &self.multipliers, self.blocks, &self.attention, frame);
        Plan::new(&sizes, style)
    }

    fn block_options(&self) -> BlockOptions {
        BlockOptions {
            kind: BlockKind::ScoreSde,
            embedding: 4 * self.width,
            filter: if self.fir { Filter::Binomial } else { Filter::Box },
            head: None,
            dropout: self.dropout,
        }
    }

    pub(crate) fn activations(&self, shape: Shape) -> usize {
        frame::activations(shape, self.width, &self.multipliers, self.blocks)
    }
}

impl ScoreUnet {
    pub(crate) fn rows_in_cache(&self) -> usize {
        self.frame.rows_in_cache(self.norm.channels())
    }

    /// # Shapes
    /// `noise`: `[batch, 1]`, result: `[batch, 4 width]`
    fn embed(&self, noise: Tensor<2>, conditioning: &ConditioningTensors) -> Tensor<2> {
        let angles = match &self.frequencies {
            Some(frequencies) => {
                let frequencies = frequencies.val().detach().mul_scalar(std::f64::consts::TAU);
                noise * frequencies.unsqueeze()
            }
            None => {
                let half = self.width / 2;
                let last = half.saturating_sub(1).max(1) as f64;
                sinusoid_angles(noise, half, |k| PERIODS.powf(-(k as f64) / last))
            }
        };
        let waves = Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1);
        let waves = add_classes(waves, self.classes.as_ref(), conditioning.classes.clone());
        let waves = add_augmentation(waves, self.deformation.as_ref(), conditioning.augmentation.clone());
        silu(self.second.forward(silu(self.first.forward(waves))))
    }

    /// `input.noise` is the level that the embedding expects: z for PFGM, sigma for VE and 999 t for VP; its logarithm for
    /// Fourier embeddings. `input.log_sigma_ratio` is not used.
    ///
    /// # Shapes
    /// `[batch, N]` to `[batch, N]`, or `[batch, N + 1]` with the component along r at the end
    pub(crate) fn forward(&self, mut input: NetworkInput) -> Tensor<2> {
        let embedding = self.embed(input.noise, &input.conditioning);
        let frame = self.frame.of(input.x.dims()[1]);
        let image = (!self.pyramid.is_empty()).then(|| frame.enter(input.x.clone(), None));
        let x = self.input.forward(frame.enter(input.x, input.conditioning.spatial));
        let walk = Walk {
            plan: &self.plan,
            down: &self.down,
            pyramid: &self.pyramid,
            middle: &self.middle,
            attention: Some(&self.middle_attention),
            up: &self.up,
        };
        let x = walk.run(x, image, embedding, &mut input.dropout);
        frame::with_radial(frame.leave(self.output.forward(self.norm.forward(x, true))), self.radial)
    }
}
