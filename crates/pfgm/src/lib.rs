//! Poisson flow generative models.
//!
//! Data points are charges in a space with D extra dimensions. Everything here is about one function,
//! [`yhat(x, sigma)`](flow::Denoiser), the field-weighted mean of the charges: an [`ExactField`](field::ExactField)
//! computes it from the charges, a [`NetworkDenoiser`](denoiser::NetworkDenoiser) estimates it, and the
//! [`Flow`](flow::Flow) `dx / d ln sigma = x - yhat` turns data into a uniform hemisphere and back. `docs/equations.md` has
//! the mathematics, `docs/architecture.md` says where what is.

pub use pfgm_flow::{
    extra_dims, field, field_lines, flow, hemisphere, latent, likelihood, particles, prior, process, random,
    restoration, solver,
};

pub mod bundled;
pub mod cascade;
pub mod checkpoint;
pub mod conditioning;
pub mod config;
pub mod defaults;
pub mod deformation;
pub mod denoiser;
pub mod device;
mod error;
pub mod evaluate;
pub mod import;
pub mod memory;
pub mod model;
pub mod network;
pub mod objective;
pub mod parallel;
pub mod precondition;
pub mod prediction;
pub mod prelude;
pub mod presets;
mod progress;
pub mod spec;
pub mod train;
pub mod weights;

pub use burn;
pub use pfgm_data as data;
pub use pfgm_eval::extractor as features;

pub use error::{Error, Result};
pub use model::{ExactField, Model};
pub use progress::{CancelToken, Progress};
