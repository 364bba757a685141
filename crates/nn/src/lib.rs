//! The neural networks of Poisson flow generative models, on [Burn](burn).
//!
//! A network maps a scaled point, its noise level and its [`ConditioningTensors`] to a raw output of the point's shape. It does
//! not depend on the meaning of noise levels, the number of extra dimensions D, or the training objective. Networks on
//! images are channels-last throughout.
//!
//! | configuration | network | for |
//! |---|---|---|
//! | [`MlpConfig`] | residual multilayer perceptron | vectors |
//! | [`UnetConfig`] | DDPM++ as in EDM and PFGM++ | images |
//! | [`ScoreUnetConfig`] | DDPM++ and NCSN++ of score-based models and PFGM | images |
//! | [`AdmUnetConfig`] | ADM as in EDM | images |
//! | [`DiffusersUnetConfig`] | DDPM's as in diffusers | images |
//! | [`Edm2UnetConfig`] | EDM2's, which preserves magnitudes | images |
//! | [`Ncsnv2Config`] | NCSNv2 | images |
//!
//! The file of a network has its configuration, its layers, and its forward pass. Names of weights are the paths of
//! fields, such as `down.0.conv0.weight`; they are a public format.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use pfgm_data::Shape;
//! use pfgm_nn::{ConditioningTensors, ConditioningSizes, NetworkConfig, NetworkInput, Precision, UnetConfig};
//!
//! let config = NetworkConfig::Unet(UnetConfig { width: 8, multipliers: vec![1, 2], blocks: 1, ..UnetConfig::default() });
//! let shape = Shape::Image { height: 4, width: 4, channels: 3 };
//! let network = config.init(shape, ConditioningSizes::default(), 1, &Device::flex())?;
//! let device = Device::flex();
//! let output = network.forward(NetworkInput {
//!     x: Tensor::ones([2, 48], &device),
//!     noise: Tensor::zeros([2, 1], &device),
//!     log_sigma_ratio: Tensor::zeros([2, 1], &device),
//!     conditioning: ConditioningTensors::default(),
//!     dropout: None,
//!     precision: Precision::F32,
//! });
//! assert_eq!(output.dims(), [2, 48]);
//! # Ok::<(), pfgm_nn::NetworkError>(())
//! ```

pub mod autoencoder;
mod dropout;
mod embedding;
mod error;
mod initializer;
mod input;
mod layers;
pub mod mlp;
pub mod ncsnv2;
mod network;
pub mod onnx;
mod precision;
pub mod resunet;
pub mod unet;

pub use autoencoder::{AutoencoderConfig, AutoencoderNetwork};
pub use dropout::Dropout;
pub use error::{NetworkError, PrecisionError, UnusedAttention};
pub use initializer::Initializer;
pub use input::{ConditioningSizes, ConditioningTensors, NetworkInput};
pub use layers::Activation;
pub use mlp::{Mlp, MlpConfig};
pub use ncsnv2::{Ncsnv2, Ncsnv2Config};
pub use network::{Network, NetworkConfig};
pub use precision::Precision;
pub use resunet::ResUnet;
pub use unet::{
    AdmUnet, AdmUnetConfig, DiffusersLevel, DiffusersMiddle, DiffusersUnet, DiffusersUnetConfig, Edm2Unet,
    Edm2UnetConfig, LevelEmbedding, ScoreUnet, ScoreUnetConfig, Unet, UnetConfig,
};

/// The most residual blocks of a level, or of a network of vectors.
pub const MAX_BLOCKS: usize = 1024;
/// The most channels of a layer.
pub const MAX_CHANNELS: usize = 1 << 20;

/// Returns an error unless a number of blocks is from 1 to [`MAX_BLOCKS`].
fn check_blocks(blocks: usize) -> Result<(), NetworkError> {
    if (1..=MAX_BLOCKS).contains(&blocks) {
        return Ok(());
    }
    Err(NetworkError::Size { key: "blocks", value: blocks.to_string(), problem: "give a number from 1 to 1024" })
}
