//! The operations on plain slices, for the CPU.
//!
//! Every operation takes the processor's features as an [`Arch`](pulp::Arch), found at run time, and is written once for
//! all of them: `Arch::Scalar`, which every processor has, is what the others are tested against.

pub mod adam;
pub mod attention;
mod buffer;
pub mod conv2d;
pub mod dropout;
pub mod group_norm;
pub mod join;
mod math;
mod matrix;
pub mod probe;
mod product;
pub mod resample;
mod winograd;

pub use buffer::Buffer;
pub use pulp::Arch;
