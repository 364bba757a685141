//! The U-Nets of score-based models (arXiv 2011.13456) as PFGM (arXiv 2209.11178) releases them, DDPM++ and NCSN++, and the
//! latter as EDM (arXiv 2206.00364) does, with classes.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, TensorData, activation::silu},
};
use pfgm_burn_ops::{Conv2dOptions, Filter};
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use super::{
    Frame,
    blocks::{Attention, Block, BlockConfig, Resample},
};
use crate::network::{
    Conditions, NetworkError, NetworkInput,
    layers::{Conv, GroupNorm, Initializer, Linear},
};

/// How the network sees the noise level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LevelEmbedding {
    /// Sinusoids of the level itself.
    Positional,
    /// Sinusoids of random frequencies; the level comes as its logarithm.
    Fourier,
}

/// Sizes of a [`ScoreUnet`]. What the defaults describe is DDPM++; NCSN++ has `fir`, `pyramid` and the Fourier embedding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreUnetConfig {
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
    /// How the noise level is embedded.
    pub embedding: LevelEmbedding,
    /// The spread of the random frequencies.
    pub fourier_scale: f64,
    /// Images are resampled with the weights 1, 3, 3, 1 instead of 2x2 boxes.
    pub fir: bool,
    /// The image itself, halved again and again, joins the way down.
    pub pyramid: bool,
    /// The output has one more channel, whose mean is the field's component along r: PFGM.
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

/// Blocks on the way down, each remembered; two at the bottom with attention between them; blocks on the way up, each of which
/// also sees what the way down remembered.
#[derive(Module, Debug)]
pub struct ScoreUnet {
    /// Random frequencies, which do not learn.
    frequencies: Option<Param<Tensor<1>>>,
    classes: Option<Linear>,
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
    steps: Steps,
}

/// What happens beside each block.
#[derive(Clone, Debug)]
struct Steps {
    /// Whether the pyramid joins after each block on the way down.
    pyramid: Vec<bool>,
    /// Whether each block on the way up takes a remembered image.
    joins: Vec<bool>,
}

impl ScoreUnetConfig {
    pub(in crate::network) fn init(
        &self,
        shape: Shape,
        conditions: Conditions,
        init: &mut Initializer,
    ) -> Result<ScoreUnet, NetworkError> {
        let frame = super::check(shape, self.width, &self.multipliers, self.blocks)?;
        let filter = if self.fir { Filter::Binomial } else { Filter::Box };
        let wide = 4 * self.width;
        let block = |inputs, outputs, resample, attention| BlockConfig {
            inputs,
            outputs,
            embedding: wide,
            resample,
            filter,
            attention,
            dropout: self.dropout,
        };
        let frequencies = match self.embedding {
            LevelEmbedding::Positional => None,
            LevelEmbedding::Fourier => Some(init.normal(self.width, 0.0, self.fourier_scale as f32)),
        };
        let embedded = if frequencies.is_some() { 2 * self.width } else { self.width };
        let told =
            |values: usize, init: &mut Initializer| (values > 0).then(|| Linear::without_bias(values, embedded, init));
        let (classes, deformation) = (told(conditions.classes, init), told(conditions.deformation, init));
        let first = Linear::new(embedded, wide, 1.0, init);
        let second = Linear::new(wide, wide, 1.0, init);
        let input = Conv::new(3, frame.channels + conditions.maps, self.width, 1.0, init);
        let (mut down, mut pyramid, mut joins_pyramid) = (Vec::new(), Vec::new(), Vec::new());
        let (mut remembered, mut channels, mut pyramid_channels) = (vec![self.width], self.width, frame.channels);
        for (level, multiplier) in self.multipliers.iter().enumerate() {
            let attends = self.attention.contains(&(frame.padded[0] >> level));
            if level > 0 {
                down.push(Block::new(block(channels, channels, Resample::Down, false), init));
                joins_pyramid.push(self.pyramid);
                remembered.push(channels);
                if self.pyramid {
                    pyramid.push(Conv::new(3, pyramid_channels, channels, 1.0, init));
                    pyramid_channels = channels;
                }
            }
            for _ in 0..self.blocks {
                down.push(Block::new(block(channels, multiplier * self.width, Resample::Keep, attends), init));
                joins_pyramid.push(false);
                channels = multiplier * self.width;
                remembered.push(channels);
            }
        }
        let middle = [(); 2].map(|()| Block::new(block(channels, channels, Resample::Keep, false), init)).into();
        let middle_attention = Attention::new(channels, init);
        let (mut up, mut joins) = (Vec::new(), Vec::new());
        for (level, multiplier) in self.multipliers.iter().enumerate().rev() {
            for index in 0..=self.blocks {
                // On the way up only the last block of a level attends.
                let attends = index == self.blocks && self.attention.contains(&(frame.padded[0] >> level));
                let joined = channels + remembered.pop().expect("as many joins as images remembered");
                channels = multiplier * self.width;
                up.push(Block::new(block(joined, channels, Resample::Keep, attends), init));
                joins.push(true);
            }
            if level > 0 {
                up.push(Block::new(block(channels, channels, Resample::Up, false), init));
                joins.push(false);
            }
        }
        let norm = GroupNorm::new(channels, init);
        let outputs = frame.channels + usize::from(self.radial);
        let output = Conv::new(3, channels, outputs, 1e-5, init);
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
            middle_attention,
            up,
            norm,
            output,
            frame,
            width: self.width,
            radial: self.radial,
            steps: Steps { pyramid: joins_pyramid, joins },
        })
    }

    pub(in crate::network) fn activations(&self, shape: Shape) -> usize {
        super::activations(shape, self.width, &self.multipliers, self.blocks)
    }
}

impl ScoreUnet {
    pub(in crate::network) fn rows_in_cache(&self) -> usize {
        super::rows_in_cache(self.frame, self.norm.channels())
    }

    /// # Shapes
    /// `level`: `[batch, 1]`, `classes`: `[batch, classes]`, `deformation`: `[batch, values]`, result: `[batch, 4 width]`
    fn embed(&self, level: Tensor<2>, classes: Option<Tensor<2>>, deformation: Option<Tensor<2>>) -> Tensor<2> {
        let angles = match &self.frequencies {
            Some(frequencies) => {
                let frequencies = frequencies.val().detach().mul_scalar(std::f64::consts::TAU);
                level * frequencies.unsqueeze()
            }
            None => {
                let half = self.width / 2;
                let last = half.saturating_sub(1).max(1) as f64;
                let rate = |k: usize| 10_000_f64.powf(-(k as f64) / last) as f32;
                let frequencies = TensorData::new((0..half).map(rate).collect::<Vec<_>>(), [1, half]);
                level.clone() * Tensor::from_data(frequencies, &level.device())
            }
        };
        let mut waves = Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1);
        if let (Some(linear), Some(classes)) = (&self.classes, classes) {
            // One of many entries is one: the factor restores unit variance.
            let count = classes.dims()[1] as f64;
            waves = waves + linear.forward(classes.mul_scalar(count.sqrt()));
        }
        if let (Some(linear), Some(deformation)) = (&self.deformation, deformation) {
            waves = waves + linear.forward(deformation);
        }
        silu(self.second.forward(silu(self.first.forward(waves))))
    }

    /// `noise` is the level that the embedding expects, such as z for PFGM, sigma for VE and 999 t for VP, or its logarithm for
    /// Fourier embeddings; `far` is not looked at.
    ///
    /// # Shapes
    /// `[batch, N]` to `[batch, N]`, or `[batch, N + 1]` with the component along r at the end
    pub(in crate::network) fn forward(&self, mut input: NetworkInput) -> Tensor<2> {
        let embedding = self.embed(input.noise, input.classes, input.deformation);
        let frame = self.frame.of(input.x.dims()[1]);
        let image = frame.enter(input.x.clone(), None);
        let mut x = self.input.forward(frame.enter(input.x, input.maps));
        let mut remembered = vec![x.clone()];
        let (mut rungs, mut pyramid) = (self.pyramid.iter(), image);
        for (block, &joins) in self.down.iter().zip(&self.steps.pyramid) {
            x = block.forward(x, embedding.clone(), &mut input.dropout);
            if joins {
                let rung = rungs.next().expect("a rung for every level");
                pyramid = halved(rung, pyramid, x);
                x = pyramid.clone();
            }
            remembered.push(x.clone());
        }
        x = self.middle[0].forward(x, embedding.clone(), &mut input.dropout);
        x = self.middle[1].forward(self.middle_attention.forward(x), embedding.clone(), &mut input.dropout);
        for (block, &joins) in self.up.iter().zip(&self.steps.joins) {
            if joins {
                x = pfgm_burn_ops::concat(x, remembered.pop().expect("as many joins as images remembered"));
            }
            x = block.forward(x, embedding.clone(), &mut input.dropout);
        }
        let y = self.output.forward(self.norm.forward(x, true));
        super::with_radial(frame.leave(y), self.radial)
    }
}

/// `(conv + x) / sqrt(2)`, where the convolution blurs the pyramid with the weights 1, 3, 3, 1 and takes every second pixel.
///
/// Blurring and convolving are one convolution whose 7x7 weights follow from the 3x3 ones: the blur reaches two pixels up and one
/// down, and the border of the blurred image is not cut off before it is convolved.
fn halved(rung: &Conv, pyramid: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
    let weight = rung.weight();
    let [_, _, inputs, outputs] = weight.dims();
    // Row m of the spread matrix: what each of three weights contributes to place m - 3 beside the pixel.
    let taps = Filter::Binomial.taps();
    let spread = (0..7_usize).flat_map(|m| (0..3_usize).map(move |t| m.checked_sub(t + 1).and_then(|u| taps.get(u))));
    let spread: Vec<f32> = spread.map(|tap| tap.copied().unwrap_or(0.0)).collect();
    let spread = Tensor::<2>::from_data(TensorData::new(spread, [7, 3]), &weight.device());
    let pairs = inputs * outputs;
    let rows = spread.clone().matmul(weight.reshape([3, 3 * pairs])).reshape([7, 3, pairs]);
    let columns = spread.matmul(rows.swap_dims(0, 1).reshape([3, 7 * pairs])).reshape([7, 7, pairs]);
    let weight = columns.swap_dims(0, 1).reshape([7, 7, inputs, outputs]);
    let how = Conv2dOptions { stride: 2, scale: std::f32::consts::FRAC_1_SQRT_2 };
    pfgm_burn_ops::conv2d(pyramid, weight, rung.bias().unsqueeze(), Some(x), how)
}
