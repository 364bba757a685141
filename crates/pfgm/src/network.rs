//! Neural networks: [`pfgm_nn`] under the name of this library.

pub use pfgm_nn::*;
