//! Neural network operations as Burn tensor operations, with gradients.
//!
//! Each function has two implementations. On Burn's CPU backend (Flex) it runs the operation of [`pfgm_cpu`] with an
//! explicit gradient. On other devices it runs `reference`, composed of Burn's operations; tests compare both.
//! Networks compute with these functions only.
//!
//! Images are channels-last, `[batch, height, width, channels]`, in single precision or bf16; the result has the
//! precision of the image. Weights are in single precision.
//!
//! - [`flop_count`] counts arithmetic operations.
//! - [`recompute_count`] counts the operations that a backward pass recomputes.
//! - [`gradient_hooks`] reports gradients of weights during the backward pass.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use pfgm_burn_ops::{Filter, upsample2x};
//!
//! let image = Tensor::<4>::ones([1, 2, 2, 3], &Device::flex());
//! assert_eq!(upsample2x(image, Filter::Box).dims(), [1, 4, 4, 3]);
//! ```

pub mod adam;
pub mod attention;
mod backend;
pub mod concat;
pub mod conv2d;
pub mod dropout;
pub mod flop_count;
pub mod gradient_hooks;
pub mod group_norm;
pub mod linear;
mod options;
pub mod recompute_count;
pub mod resample;

pub use adam::{AdamState, AdamStep, adam};
pub use attention::{Heads, attention};
pub use concat::concat;
pub use conv2d::{Conv2dOptions, conv2d};
pub use dropout::{DropoutMask, dropout};
pub use group_norm::{GroupNormOptions, group_norm};
pub use linear::linear;
pub use resample::{Filter, downsample2x, upsample2x};
