//! U-Nets for images.
//!
//! Each network is a file with its configuration, its embedding and the names of its weights: `ddpmpp` (EDM's DDPM++),
//! `score_sde` (DDPM++ and NCSN++ of score-based models), `adm`, `diffusers` (DDPM's). They share
//!
//! - `plan`: the stages of the forward pass, from the configuration;
//! - `walk`: the forward pass along the stages;
//! - `block`: residual blocks and attention;
//! - `frame`: zero padding of images to a size that all levels can halve. The heights at which a
//!   network attends are those of the padded image.
//!
//! A new U-Net is a new file here and a variant of [`NetworkConfig`](crate::NetworkConfig) and [`Network`](crate::Network).

mod adm;
mod block;
mod ddpmpp;
mod diffusers;
pub(crate) mod frame;
mod plan;
mod pyramid;
mod score_sde;
mod walk;

pub use adm::{AdmUnet, AdmUnetConfig};
pub use ddpmpp::{Unet, UnetConfig};
pub use diffusers::{DiffusersUnet, DiffusersUnetConfig};
pub use score_sde::{LevelEmbedding, ScoreUnet, ScoreUnetConfig};
