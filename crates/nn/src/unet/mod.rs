//! U-Nets for images.
//!
//! Each network is a file with its configuration, its embedding and the names of its weights: `ddpmpp` (EDM's DDPM++),
//! `score_sde` (DDPM++ and NCSN++ of score-based models), `adm`, `diffusers` (DDPM's), `edm2`. They share
//!
//! - `plan`: the stages of the forward pass, from the configuration;
//! - `walk`: the forward pass along the stages;
//! - `block`: residual blocks and attention;
//! - `frame`: zero padding of images to a size that all levels can halve. The heights at which a
//!   network attends are those of the padded image.
//!
//! A new U-Net is a new file here and a variant of [`NetworkConfig`](crate::NetworkConfig) and [`Network`](crate::Network).

mod adm;
pub(crate) mod block;
mod ddpmpp;
pub(crate) mod diffusers;
mod edm2;
pub(crate) mod frame;
pub(crate) mod plan;
mod pyramid;
mod score_sde;
mod walk;

pub use adm::{AdmUnet, AdmUnetConfig};
pub use ddpmpp::{Unet, UnetConfig};
pub use diffusers::{DiffusersLevel, DiffusersMiddle, DiffusersUnet, DiffusersUnetConfig};
pub use edm2::{Edm2Unet, Edm2UnetConfig};
pub use score_sde::{LevelEmbedding, ScoreUnet, ScoreUnetConfig};
