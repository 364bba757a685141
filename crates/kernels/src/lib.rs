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
//! field and by the training targets.

pub mod adam;
pub mod announce;
pub mod attention;
mod backend;
pub mod conv2d;
pub mod cpu;
pub mod double;
pub mod dropout;
pub mod group_norm;
pub mod join;
pub mod operations;
pub mod pairwise;
pub mod resample;

pub use adam::{AdamState, AdamStep, adam};
pub use attention::{Heads, attention};
pub use conv2d::{Convolution, conv2d};
pub use dropout::{Dropped, dropout};
pub use group_norm::{Normalisation, group_norm};
pub use join::join;
pub use resample::{Filter, double, halve};
