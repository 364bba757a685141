//! Concatenation of channels.

use burn::{backend::Dispatch, tensor::Tensor};

use crate::backend::{NetworkOps, is_fused};

/// Concatenates the channels of two images.
///
/// # Shapes
/// `[batch, height, width, a]` and `[batch, height, width, b]` to `[batch, height, width, a + b]`
///
/// # Panics
/// If the images differ in anything but their channels.
pub fn concat(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    assert_eq!(a.dims()[..3], b.dims()[..3], "concat: {:?} and {:?}", a.dims(), b.dims());
    if is_fused(&a) && is_fused(&b) {
        return Tensor::from_dispatch(Dispatch::fused_concat(a.into_dispatch(), b.into_dispatch()));
    }
    reference(a, b)
}

/// [`concat()`] composed of Burn's operations, for other devices and for tests.
pub fn reference(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    Tensor::cat(vec![a, b], 3)
}
