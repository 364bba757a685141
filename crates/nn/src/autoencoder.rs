//! Autoencoders of images with a normal distribution of latents (arXiv 2112.10752), as the library diffusers configures them
//! (`AutoencoderKL`).

mod onnx;

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use crate::{
    DiffusersLevel, DiffusersUnetConfig, MAX_CHANNELS, NetworkError, check_blocks,
    initializer::Initializer,
    layers::{Activation, Conv, GroupNorm},
    unet::{
        block::Attention,
        diffusers::Layer,
        plan::{BlockPlan, Resample, Side},
    },
};

/// The most levels of an autoencoder.
const MAX_LEVELS: usize = 16;

/// Configuration of an [`AutoencoderNetwork`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoencoderConfig {
    /// Channels of the images.
    pub image: usize,
    /// Channels of the latents.
    pub latent: usize,
    /// Channels of each level. Each level after the first halves the image.
    pub channels: Vec<usize>,
    /// Residual blocks of a level of the encoder; the decoder has one more.
    pub blocks: usize,
    /// Groups of the normalizations.
    pub groups: usize,
    /// The function between two layers.
    pub activation: Activation,
    /// Whether the smallest images attend.
    pub attention: bool,
    /// Whether a linear map of the channels follows the encoder.
    pub quant: bool,
    /// Whether a linear map of the channels precedes the decoder.
    pub post_quant: bool,
}

/// An autoencoder: an encoder from images to the moments of their latents, and a decoder.
#[derive(Module, Debug)]
pub struct AutoencoderNetwork {
    encoder: Half,
    decoder: Half,
    quant: Option<Conv>,
    post_quant: Option<Conv>,
}

/// An encoder or a decoder.
#[derive(Module, Debug)]
struct Half {
    input: Conv,
    /// The levels, in the order in which they are computed.
    layers: Vec<Layer>,
    middle: Vec<Layer>,
    attention: Option<Attention>,
    norm: GroupNorm,
    output: Conv,
}

impl AutoencoderConfig {
    /// The ratio of the sides of images and latents.
    pub fn factor(&self) -> usize {
        1 << (self.channels.len() - 1)
    }

    /// Estimates the most values that encoding or decoding an image of so many latents keeps at once, without the weights.
    pub fn activations(&self, [height, width]: [usize; 2]) -> usize {
        let last = self.channels.len() - 1;
        let of_level = |level: usize| {
            let pixels = height.saturating_mul(width).saturating_mul(1 << (2 * (last - level)).min(60));
            // A block keeps its input, two images within and its output. The decoder's first has the channels of the level below.
            let widest = self.channels[level].max(self.channels[(level + 1).min(last)]);
            pixels.saturating_mul(2 * (self.channels[level] + widest) + self.image)
        };
        (0..=last).map(of_level).max().unwrap_or(0)
    }

    /// Creates the network; its weights have shapes, and no values until they are assigned.
    ///
    /// # Errors
    /// Returns an error if a size is not possible.
    pub fn shapes(&self, device: &Device) -> Result<AutoencoderNetwork, NetworkError> {
        self.check()?;
        let init = &mut Initializer::shapes_only(device.clone());
        let moments = 2 * self.latent;
        Ok(AutoencoderNetwork {
            encoder: self.encoder(moments, init),
            decoder: self.decoder(init),
            quant: self.quant.then(|| Conv::new(1, [moments, moments], 1.0, init)),
            post_quant: self.post_quant.then(|| Conv::new(1, [self.latent, self.latent], 1.0, init)),
        })
    }

    fn check(&self) -> Result<(), NetworkError> {
        let wrong = |key, value: String, problem| Err(NetworkError::Size { key, value, problem });
        check_blocks(self.blocks)?;
        let possible = |channels: usize| (1..=MAX_CHANNELS).contains(&channels);
        if !(1..=MAX_LEVELS).contains(&self.channels.len()) || !self.channels.iter().all(|&channels| possible(channels))
        {
            let problem = "give a number up to 1048576 for each of at most 16 levels";
            return wrong("channels", format!("{:?}", self.channels), problem);
        }
        if !possible(self.image) || !possible(self.latent) {
            return wrong("latent", format!("{} of {}", self.latent, self.image), "give numbers from 1 to 1048576");
        }
        if self.groups == 0 || self.channels.iter().any(|channels| !channels.is_multiple_of(self.groups)) {
            return wrong("groups", self.groups.to_string(), "give a divisor of the channels of all levels");
        }
        Ok(())
    }

    /// The blocks are those of diffusers' U-Net without a noise level.
    fn blocks(&self) -> DiffusersUnetConfig {
        let plain = vec![DiffusersLevel::Plain; self.channels.len()];
        DiffusersUnetConfig {
            channels: self.channels.clone(),
            down: plain.clone(),
            up: plain,
            groups: self.groups,
            epsilon: 1e-6,
            activation: self.activation,
            embedding: 0,
            ..DiffusersUnetConfig::default()
        }
    }

    fn encoder(&self, outputs: usize, init: &mut Initializer) -> Half {
        let (mut layers, mut channels) = (Vec::new(), self.channels[0]);
        let blocks = self.blocks();
        for (level, &width) in self.channels.iter().enumerate() {
            for _ in 0..self.blocks {
                layers.push(blocks.layer(plan([channels, width], Resample::Keep, Side::Down, level), init));
                channels = width;
            }
            if level + 1 < self.channels.len() {
                layers.push(blocks.layer(plan([width, width], Resample::Down, Side::Down, level), init));
            }
        }
        self.half(layers, [self.image, self.channels[0], channels, outputs], channels, init)
    }

    fn decoder(&self, init: &mut Initializer) -> Half {
        let last = self.channels[self.channels.len() - 1];
        let (mut layers, mut channels) = (Vec::new(), last);
        let blocks = self.blocks();
        for (level, &width) in self.channels.iter().enumerate().rev() {
            for _ in 0..=self.blocks {
                layers.push(blocks.layer(plan([channels, width], Resample::Keep, Side::Up, level), init));
                channels = width;
            }
            if level > 0 {
                layers.push(blocks.layer(plan([width, width], Resample::Up, Side::Up, level), init));
            }
        }
        self.half(layers, [self.latent, last, channels, self.image], last, init)
    }

    /// Channels of the input, after the first convolution, before the last convolution, and of the output; and at the bottom.
    fn half(
        &self,
        layers: Vec<Layer>,
        [inputs, first, last, outputs]: [usize; 4],
        bottom: usize,
        init: &mut Initializer,
    ) -> Half {
        let (blocks, level) = (self.blocks(), self.channels.len() - 1);
        let middle =
            |init: &mut Initializer| blocks.layer(plan([bottom, bottom], Resample::Keep, Side::Middle, level), init);
        Half {
            input: Conv::new(3, [inputs, first], 1.0, init),
            layers,
            middle: vec![middle(init), middle(init)],
            attention: self.attention.then(|| blocks.middle_attention(bottom, init)),
            norm: blocks.norm(last, init),
            output: Conv::new(3, [last, outputs], 1.0, init),
        }
    }
}

fn plan([inputs, outputs]: [usize; 2], resample: Resample, side: Side, level: usize) -> BlockPlan {
    BlockPlan { inputs, outputs, resample, attention: false, side, level }
}

impl Half {
    fn bottom(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.middle[0].forward_plain(x);
        let x = match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        };
        self.middle[1].forward_plain(x)
    }

    fn levels(&self, x: Tensor<4>) -> Tensor<4> {
        self.layers.iter().fold(x, |x, layer| layer.forward_plain(x))
    }

    fn leave(&self, x: Tensor<4>) -> Tensor<4> {
        self.output.forward(self.norm.forward(x, true))
    }
}

impl AutoencoderNetwork {
    /// Computes the means of an image's latents, and the logarithms of their variances.
    ///
    /// # Shapes
    /// `image`: `[batch, height, width, channels]`; the results: `[batch, height / factor, width / factor, latent]`
    pub fn encode(&self, image: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let half = &self.encoder;
        let moments = half.leave(half.bottom(half.levels(half.input.forward(image))));
        let moments = match &self.quant {
            Some(quant) => quant.forward(moments),
            None => moments,
        };
        let latent = moments.dims()[3] / 2;
        (moments.clone().narrow(3, 0, latent), moments.narrow(3, latent, latent))
    }

    /// Computes the image of latents.
    ///
    /// # Shapes
    /// `latents`: `[batch, height, width, latent]`; the result: `[batch, factor height, factor width, channels]`
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let latents = match &self.post_quant {
            Some(post_quant) => post_quant.forward(latents),
            None => latents,
        };
        let half = &self.decoder;
        half.leave(half.levels(half.bottom(half.input.forward(latents))))
    }
}
