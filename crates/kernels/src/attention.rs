//! Scaled dot-product attention.

use burn::tensor::{Tensor, activation::softmax};

/// `softmax(q k^T / sqrt(channels)) v` for one or more heads.
///
/// # Shapes
/// - `q`, `k`, `v`, result: `[batch, pixels, channels]`; the heads split the channels
///
/// # Panics
/// When `heads` does not divide the channels.
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, pixels, channels] = q.dims();
    assert!(channels % heads == 0, "attention: {channels} channels do not split into {heads} heads");
    let width = channels / heads;
    let split = |t: Tensor<3>| t.reshape([batch, pixels, heads, width]).swap_dims(1, 2);
    let logits = split(q).matmul(split(k).swap_dims(2, 3)).mul_scalar((width as f64).powf(-0.5));
    let mixed = softmax(logits, 3).matmul(split(v));
    mixed.swap_dims(1, 2).reshape([batch, pixels, channels])
}
