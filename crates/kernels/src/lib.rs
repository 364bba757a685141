//! The operations that Poisson flow networks and fields are made of.
//!
//! Everything the networks compute goes through the few functions here, so that a faster implementation has one
//! place to live. Image tensors are channels-last, `[batch, height, width, channels]`; convolution weights are
//! `[height, width, in, out]`, which makes a convolution one matrix product over rows of patches.
//!
//! On Burn's CPU backend these are [`cpu`] operations with explicit gradients; every other backend runs the `reference`
//! that stands beside each in Burn's own operations.
//!
//! [`pairwise`] is the other half: the softmax-weighted mean of a set of charges, on plain slices, used by the exact
//! field and by the training targets. Without the feature `networks` it is all there is, and needs no tensor framework.

#[cfg(feature = "networks")]
pub mod adam;
#[cfg(feature = "networks")]
pub mod announce;
#[cfg(feature = "networks")]
pub mod attention;
#[cfg(feature = "networks")]
mod backend;
#[cfg(feature = "networks")]
pub mod conv2d;
pub mod cpu;
pub mod double;
#[cfg(feature = "networks")]
pub mod dropout;
#[cfg(feature = "networks")]
pub mod group_norm;
#[cfg(feature = "networks")]
pub mod join;
#[cfg(feature = "networks")]
pub mod operations;
pub mod pairwise;
#[cfg(feature = "networks")]
pub mod resample;

#[cfg(feature = "networks")]
pub use adam::{AdamState, AdamStep, adam};
#[cfg(feature = "networks")]
pub use attention::{Heads, attention};
#[cfg(feature = "networks")]
pub use conv2d::{Convolution, conv2d};
#[cfg(feature = "networks")]
pub use dropout::{Dropped, dropout};
#[cfg(feature = "networks")]
pub use group_norm::{Normalisation, group_norm};
#[cfg(feature = "networks")]
pub use join::join;
#[cfg(feature = "networks")]
pub use resample::{Filter, double, halve};
