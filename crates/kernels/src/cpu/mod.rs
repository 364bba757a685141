//! The operations on plain slices, for the CPU.

pub mod conv2d;
pub mod group_norm;
mod math;
