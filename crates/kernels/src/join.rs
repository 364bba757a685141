//! Channels side by side.

use burn::{backend::Dispatch, tensor::Tensor};

use crate::backend::{KernelOps, is_fused};

/// The channels of `a`, then those of `b`.
///
/// # Shapes
/// `[batch, height, width, a]` and `[batch, height, width, b]` to `[batch, height, width, a + b]`
///
/// # Panics
/// When the images differ in anything but their channels.
pub fn join(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    assert_eq!(a.dims()[..3], b.dims()[..3], "join: {:?} and {:?}", a.dims(), b.dims());
    if is_fused(&a) && is_fused(&b) {
        return Tensor::from_dispatch(Dispatch::fused_join(a.into_dispatch(), b.into_dispatch()));
    }
    reference(a, b)
}

/// [`join`] in Burn's own operations: what other backends run, and what tests compare with.
pub fn reference(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    Tensor::cat(vec![a, b], 3)
}
