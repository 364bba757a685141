//! Scaled dot-product self-attention.

use burn::{
    backend::Dispatch,
    tensor::{DType, Tensor, activation::softmax},
};

pub use crate::options::Heads;
use crate::{
    backend::{NetworkOps, is_fused},
    flop_count,
};

/// Computes `softmax(q k^T / sqrt(width)) v` for every head of `width` channels.
///
/// # Shapes
/// - `qkv`: `[batch, pixels, 3 channels]`: queries, then keys, then values, whose channels the heads split in turn
/// - result: `[batch, pixels, channels]`
///
/// `qkv` may be bf16, and then the result is; the softmax is in single precision.
///
/// # Panics
/// If there are not three times as many channels as the heads divide.
pub fn attention(qkv: Tensor<3>, heads: Heads) -> Tensor<3> {
    let [batch, pixels, channels] = qkv.dims();
    assert!(
        heads.0 > 0 && channels.is_multiple_of(3 * heads.0),
        "attention: {:?} does not split into queries, keys and values of {} heads",
        qkv.dims(),
        heads.0
    );
    flop_count::add(4 * batch * pixels * pixels * channels / 3);
    if is_fused(&qkv) {
        return Tensor::from_dispatch(Dispatch::fused_attention(qkv.into_dispatch(), heads));
    }
    reference(qkv, heads)
}

/// [`attention()`] composed of Burn's operations, for other devices and for tests.
pub fn reference(qkv: Tensor<3>, Heads(heads): Heads) -> Tensor<3> {
    let [batch, pixels, channels] = qkv.dims();
    let channels = channels / 3;
    let width = channels / heads;
    let split = |which: usize| {
        let part = qkv.clone().narrow(2, which * channels, channels);
        part.reshape([batch, pixels, heads, width]).swap_dims(1, 2)
    };
    let logits = split(0).matmul(split(1).swap_dims(2, 3)).mul_scalar((width as f64).powf(-0.5));
    let shares = softmax(logits.cast(DType::F32), 3).cast(qkv.dtype());
    let mixed = shares.matmul(split(2));
    mixed.swap_dims(1, 2).reshape([batch, pixels, channels])
}
