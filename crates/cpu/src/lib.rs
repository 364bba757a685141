//! Neural network operations on plain `f32` slices, for the CPU, without a tensor framework.
//!
//! Images are channels-last, `[batch, height, width, channels]`; weights of convolutions are `[height, width, in, out]`.
//! Each operation receives the processor's vector instructions as an [`Arch`], found at run time by
//! [`pfgm_numerics::simd`], and is written once, for all of them. Tests compare every kind with double precision.
//!
//! **Batch independence.** An item of a batch gets the same result, to the bit, whatever else is in the batch: no
//! operation adds in an order that depends on an item's place or on the size of the batch. Gradients of weights are sums
//! over the batch; they are split into a fixed number of parts, so that they do not depend on the number of threads.
//!
//! **Vector instructions.** Results of different instruction sets differ by rounding only. Relative to the standard
//! deviation of the result, each is within 2e-5 of double precision (convolutions) or 1e-5 (everything else), so any two
//! are within twice that (`tests/processors.rs`).
//!
//! | module | operation |
//! |---|---|
//! | [`conv2d`] | convolution: 3x3 of stride 1 by Winograd's method, others as matrix products; gradients |
//! | [`linear`] | matrix product of rows with a weight; gradient for the rows |
//! | [`group_norm`] | group normalization, with SiLU; gradients |
//! | [`attention`] | scaled dot-product self-attention; gradients |
//! | [`resample`] | downsampling and upsampling of images by a factor of two |
//! | [`mod@concat`] | concatenation of channels |
//! | [`dropout`] | dropout by given masks |
//! | [`adam`] | Adam with an average of the weights |
//! | [`elementwise`] | scaling, sums, bf16 |
//! | [`probe`] | arithmetic and memory speed of the processor |

pub mod adam;
pub mod attention;
mod buffer;
pub mod concat;
pub mod conv2d;
pub mod dropout;
pub mod elementwise;
pub mod group_norm;
pub mod linear;
mod math;
mod matrix;
pub mod probe;
mod product;
pub mod resample;

pub use buffer::Buffer;
pub use pfgm_numerics::simd::{self, Arch, arch};
