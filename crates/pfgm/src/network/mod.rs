//! Networks: from a scaled point and its noise level to a raw output of the point's shape.
//!
//! A network knows nothing of noise levels' meaning, of D, or of objectives: [`precondition`](crate::precondition) turns
//! it into an estimate of `yhat`. Image networks are channels-last from end to end; the U-Nets are made of the operations
//! of `pfgm-burn-ops`, NCSNv2 of Burn's.

mod embedding;
mod layers;
pub mod mlp;
pub mod ncsnv2;
pub mod resunet;
pub mod unet;

use burn::{
    module::Module,
    tensor::{DType, Device, Tensor},
};
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

pub use layers::{Dropout, Initializer};
pub use mlp::{Mlp, MlpConfig};
pub use ncsnv2::{Ncsnv2, Ncsnv2Config};
pub use resunet::ResUnet;
pub use unet::{AdmUnet, AdmUnetConfig, LevelEmbedding, ScoreUnet, ScoreUnetConfig, Unet, UnetConfig};

/// The choice of a network and its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NetworkConfig {
    /// A residual multilayer perceptron, for vectors.
    Mlp(MlpConfig),
    /// The DDPM++ U-Net, for images.
    Unet(UnetConfig),
    /// The DDPM++ and NCSN++ U-Nets of score-based models and of PFGM, for images.
    ScoreUnet(ScoreUnetConfig),
    /// The ADM U-Net, for images.
    AdmUnet(AdmUnetConfig),
    /// NCSNv2, for images.
    Ncsnv2(Ncsnv2Config),
}

/// Why a network does not fit its data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// A network for images was asked to work on vectors.
    #[error("network.kind: this network works on images, but the data are {0}; use \"mlp\"")]
    NotAnImage(Shape),
    /// The network is told nothing but the image.
    #[error(
        "network.kind = \"ncsnv2\" sees nothing but the image: set data.conditional = false, train.augment = 0, train.patch = 0 and no upscale"
    )]
    SeesTheImageAlone,
    /// A network of vectors was to see an image's pixels.
    #[error("network.kind = \"mlp\" knows no pixels, which upscale and train.patch need: use \"unet\"")]
    NoPixels,
    /// The image cannot be halved often enough.
    #[error(
        "network.multipliers has {levels} levels, which make one pixel of {stride}x{stride}; the data are {shape}: leave levels away"
    )]
    Levels {
        /// The number of levels.
        levels: usize,
        /// What the sides are divided by.
        stride: usize,
        /// The shape of the data.
        shape: Shape,
    },
    /// A size that must be positive is zero, or does not divide.
    #[error("network.{key} = {value}: {problem}")]
    Size {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// How precise the images between the layers of a network are. Weights, their gradients and what becomes of them, embeddings and
/// the point itself are in single precision whatever this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// bf16, 8 bits of a number: half the memory, and faster where the device multiplies in it.
    Bf16,
}

/// Why a network cannot be computed in a precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrecisionError {
    /// The device has no such numbers.
    #[error("bf16: this device does not compute in it; use f32, or another --device")]
    Device,
    /// The network has no images.
    #[error("bf16 is for networks of images, which network.kind = \"mlp\" is not; use f32")]
    NoImages,
}

impl Precision {
    /// Whether a network can be computed in this precision on a device.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(self, network: &NetworkConfig, device: &Device) -> Result<(), PrecisionError> {
        self.suits(network)?;
        if device.supports_dtype(self.dtype()) { Ok(()) } else { Err(PrecisionError::Device) }
    }

    /// Whether a network can be computed in this precision on some device.
    ///
    /// # Errors
    /// When it cannot.
    pub fn suits(self, network: &NetworkConfig) -> Result<(), PrecisionError> {
        match (self, network) {
            (Self::Bf16, NetworkConfig::Mlp(_)) => Err(PrecisionError::NoImages),
            _ => Ok(()),
        }
    }

    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err("give f32 or bf16".into()),
        }
    }
}

/// The most residual blocks of a level, or of a network of vectors.
pub(crate) const MOST_BLOCKS: usize = 1024;
/// The most channels of a layer.
pub(crate) const MOST_CHANNELS: usize = 1 << 20;

/// Returns an error unless a number of blocks is from 1 to [`MOST_BLOCKS`].
fn check_blocks(blocks: usize) -> Result<(), NetworkError> {
    if (1..=MOST_BLOCKS).contains(&blocks) {
        return Ok(());
    }
    Err(NetworkError::Size { key: "blocks", value: blocks.to_string(), problem: "give a number from 1 to 1024" })
}

/// What a network is told beside the noise level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Classes, of which an item has one or none; 0 where it knows none.
    pub classes: usize,
    /// Values that tell how an image was deformed; 0 where it never is.
    pub deformation: usize,
    /// Values that it sees beside each pixel; 0 where it sees the image alone.
    pub maps: usize,
}

/// One of the networks.
#[expect(clippy::large_enum_variant, reason = "there is one network, not many")]
#[derive(Module, Debug)]
pub enum Network {
    /// For vectors.
    Mlp(Mlp),
    /// For images.
    Unet(Unet),
    /// For images, as PFGM and score-based models release them.
    ScoreUnet(ScoreUnet),
    /// For images, as EDM trains them on ImageNet.
    AdmUnet(AdmUnet),
    /// For images, as the first score-based models were released.
    Ncsnv2(Ncsnv2),
}

impl NetworkConfig {
    /// Makes a network with initial weights drawn from `seed`.
    ///
    /// # Errors
    /// When the sizes do not fit the shape of the data.
    pub fn init(
        &self,
        shape: Shape,
        conditions: Conditions,
        seed: u64,
        device: &Device,
    ) -> Result<Network, NetworkError> {
        self.build(shape, conditions, &mut Initializer::new(seed, device.clone()))
    }

    /// Makes a network whose weights have shapes but no values, and take no memory, until values are assigned to them.
    ///
    /// # Errors
    /// When the sizes do not fit the shape of the data.
    pub fn shapes(&self, shape: Shape, conditions: Conditions, device: &Device) -> Result<Network, NetworkError> {
        self.build(shape, conditions, &mut Initializer::shapes_only(device.clone()))
    }

    fn build(
        &self,
        shape: Shape,
        conditions: Conditions,
        initializer: &mut Initializer,
    ) -> Result<Network, NetworkError> {
        match self {
            Self::Mlp(_) if conditions.maps > 0 => Err(NetworkError::NoPixels),
            Self::Mlp(config) => Ok(Network::Mlp(config.init(shape.dim(), conditions, initializer)?)),
            Self::Unet(config) => Ok(Network::Unet(config.init(shape, conditions, initializer)?)),
            Self::AdmUnet(config) => Ok(Network::AdmUnet(config.init(shape, conditions, initializer)?)),
            Self::Ncsnv2(_) if conditions != Conditions::default() => Err(NetworkError::SeesTheImageAlone),
            Self::Ncsnv2(config) => Ok(Network::Ncsnv2(config.init(shape, initializer)?)),
            Self::ScoreUnet(config) => Ok(Network::ScoreUnet(config.init(shape, conditions, initializer)?)),
        }
    }

    /// Whether the network's output has a component along r at the end.
    pub fn is_radial(&self) -> bool {
        match self {
            Self::ScoreUnet(config) => config.radial,
            Self::Ncsnv2(config) => config.radial,
            Self::Mlp(_) | Self::Unet(_) | Self::AdmUnet(_) => false,
        }
    }

    /// Floats per item that a training step keeps for the backward pass, roughly: what memory estimates rest on.
    pub fn activations(&self, shape: Shape) -> usize {
        match self {
            Self::Mlp(config) => config.activations(shape.dim()),
            Self::Unet(config) => config.activations(shape),
            Self::ScoreUnet(config) => config.activations(shape),
            Self::AdmUnet(config) => config.activations(shape),
            Self::Ncsnv2(config) => config.activations(shape),
        }
    }
}

/// What a network is evaluated on.
pub struct NetworkInput<'a> {
    /// The scaled points, `[batch, N]`; of images that are patches of the network's, square ones.
    pub x: Tensor<2>,
    /// What it sees beside each pixel, `[batch, pixels * maps]`; none where it sees the image alone.
    pub maps: Option<Tensor<2>>,
    /// What the network is told of the noise level of each, `[batch, 1]`.
    pub noise: Tensor<2>,
    /// What the network is told of points that are far out, `[batch, 1]`.
    pub log_sigma_ratio: Tensor<2>,
    /// The classes as rows of zeros and a one, `[batch, classes]`; a row of zeros has no class.
    pub classes: Option<Tensor<2>>,
    /// How the images were deformed, `[batch, values]`; none if they were not.
    pub deformation: Option<Tensor<2>>,
    /// Where dropout takes its masks from; none outside training.
    pub dropout: Option<&'a mut Dropout>,
    /// How precise the images between the layers are.
    pub precision: Precision,
}

impl Network {
    /// Items whose images at full size fit into a processor's caches together: evaluating more at once is slower there.
    pub fn rows_in_cache(&self) -> usize {
        match self {
            Self::Mlp(_) => usize::MAX,
            Self::Unet(network) => network.rows_in_cache(),
            Self::ScoreUnet(network) => network.rows_in_cache(),
            Self::AdmUnet(network) => network.rows_in_cache(),
            Self::Ncsnv2(network) => network.rows_in_cache(),
        }
    }

    /// The raw output, `[batch, N]`, in single precision.
    pub fn forward(&self, mut input: NetworkInput) -> Tensor<2> {
        let dtype = input.precision.dtype();
        input.x = input.x.cast(dtype);
        input.maps = input.maps.map(|maps| maps.cast(dtype));
        let raw = match self {
            Self::Mlp(network) => network.forward(input),
            Self::Unet(network) => network.forward(input),
            Self::ScoreUnet(network) => network.forward(input),
            Self::AdmUnet(network) => network.forward(input),
            Self::Ncsnv2(network) => network.forward(input),
        };
        raw.cast(DType::F32)
    }
}
