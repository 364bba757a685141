//! Poisson flow generative models: PFGM, PFGM++ and diffusion models in one library.
//!
//! Data points are charges in a space with D extra dimensions. Every model estimates one function, `yhat(x, sigma)`, the field-weighted mean of
//! the charges ([`flow::Denoiser`]). The flow `dx / d ln sigma = x - yhat` turns data into noise and back ([`flow::Flow`]). D = 1 is PFGM
//! (arXiv 2209.11178), any D > 0 is PFGM++ (arXiv 2302.04265), and infinite D is a diffusion model (EDM, arXiv 2206.00364).
//!
//! ```
//! use pfgm::prelude::*;
//!
//! // Two thousand points of a heart; `Dataset::from_rows` takes your own numbers, `Dataset::open` your own files.
//! let data = Dataset::open("heart")?;
//! let mut model = Model::builder().extra_dims(1.0).build(&data)?;
//! model.fit(&data, Fit::steps(10).batch(64))?;
//! let samples = model.sample(5).seed(0).solver(Solver::heun(6)).draw()?;
//! assert_eq!((samples.rows(), samples.row_shape()), (5, &[2][..]));
//! # Ok::<(), Error>(())
//! ```
//!
//! # Where to find what
//!
//! | task | items |
//! |---|---|
//! | train | [`Model::builder`], [`Model::fit`], [`config`] (everything that can be set), [`presets`] |
//! | sample | [`Model::sample`], [`solver`], [`cascade`] (upscaling) |
//! | latents and likelihoods | [`Model::encode`], [`Model::decode`], [`Model::interpolate`], [`Model::log_likelihood`] |
//! | restoration | [`Model::posterior`] (any linear measurement), [`Model::denoise`], [`Model::inpaint`] |
//! | anomaly detection | [`Model::anomaly_scores`] |
//! | evaluation | [`Model::evaluate`], [`evaluate`] |
//! | files | [`Model::save`], [`Model::load`], [`Model::import`] (published checkpoints), [`Model::export`], [`data`] |
//! | the field without a network | [`ExactField`], [`field`], [`hemisphere`], [`field_lines`] |
//! | own algorithms on a network | [`Model::denoiser`], [`Model::yhat`], [`Model::vjp`] |
//! | progress and cancellation | `observer` and `cancel` of every operation, [`Progress`], [`CancelToken`] |
//!
//! # Features
//!
//! - `pretrained` (default): bundled models, `Model::load("digits")`.
//! - `ndarray`: conversions from and to `ndarray`.
//! - `cuda`, `wgpu`: devices for [`device::open`].
//!
//! # Burn
//!
//! Networks are computed by [Burn](burn), which is re-exported. Its `Device` is the only type of Burn in the signatures of [`Model`]; tensors
//! appear in [`network`] and [`train`] alone. The flow, its solvers and the evaluation do not use it.
//!
//! `docs/equations.md` has the mathematics, `docs/architecture.md` the design.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use pfgm_flow::{
    consistency, coulomb, dynamics, extra_dims, field, field_lines, flow, guided, hemisphere, latent, likelihood,
    particles, posterior, prior, process, random, region, restoration, solver,
};

pub mod augmentation;
pub mod autoencoder;
pub mod bundled;
pub mod cascade;
pub mod checkpoint;
pub mod conditioning;
pub mod config;
pub mod defaults;
pub mod denoiser;
pub mod device;
mod error;
pub mod evaluate;
pub mod import;
pub mod memory;
pub mod model;
pub mod network;
pub mod objective;
mod onnx_file;
pub mod parallel;
pub mod power_average;
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
