//! Group normalisation (arXiv 1803.08494), channels-last, with the SiLU that usually follows it.

use burn::{
    backend::Dispatch,
    tensor::{DType, Tensor, activation::silu},
};

use crate::backend::{KernelOps, is_fused};

/// How a group normalisation is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Groups that the channels are split into.
    pub groups: usize,
    /// What is added to the variance.
    pub epsilon: f64,
    /// Whether SiLU follows.
    pub activate: bool,
}

/// Normalises each group of channels of each image to zero mean and unit variance, scales and shifts per channel, and
/// applies SiLU if asked to.
///
/// An embedding that scales by `1 + s` and shifts by `t` goes into `gamma` and `beta`, which every image may have of its own.
///
/// # Shapes
/// - `x`: `[batch, height, width, channels]`
/// - `gamma`, `beta`: `[1, channels]`, or `[batch, channels]`
/// - result: as `x`
///
/// `x` may be bf16, and then the result is; gamma, beta and the statistics are in single precision.
///
/// # Panics
/// When the groups do not divide the channels, or `gamma` or `beta` does not go with the image.
pub fn group_norm(x: Tensor<4>, gamma: Tensor<2>, beta: Tensor<2>, how: Normalisation) -> Tensor<4> {
    let [batch, _, _, channels] = x.dims();
    assert!(
        channels.is_multiple_of(how.groups),
        "group_norm: {channels} channels do not split into {} groups",
        how.groups
    );
    for [rows, columns] in [gamma.dims(), beta.dims()] {
        let fits = columns == channels && (rows == 1 || rows == batch);
        assert!(fits, "group_norm: gamma or beta {:?} against the image {:?}", [rows, columns], x.dims());
    }
    if is_fused(&x) {
        let (gamma, beta) = (gamma.into_dispatch(), beta.into_dispatch());
        return Tensor::from_dispatch(Dispatch::fused_group_norm(x.into_dispatch(), gamma, beta, how));
    }
    reference(x, gamma, beta, how)
}

/// [`group_norm`] in Burn's own operations: what other backends run, and what tests compare with.
pub fn reference(x: Tensor<4>, gamma: Tensor<2>, beta: Tensor<2>, how: Normalisation) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let Normalisation { groups, epsilon, activate } = how;
    let pixels = height * width;
    // Means over a group are means over the pixels and then over the group's channels: both reductions run along
    // contiguous memory, and the statistics broadcast back as one row of channels per image.
    let group_mean = |per_pixel: Tensor<3>| -> Tensor<3> {
        per_pixel
            .mean_dim(1)
            .reshape([batch, groups, channels / groups])
            .mean_dim(2)
            .expand([batch, groups, channels / groups])
            .reshape([batch, 1, channels])
    };
    let rows = |row: Tensor<2>| {
        let [rows, channels] = row.dims();
        row.reshape([rows, 1, channels])
    };
    let dtype = x.dtype();
    let x = x.reshape([batch, pixels, channels]).cast(DType::F32);
    let centred = x.clone() - group_mean(x);
    let variance = group_mean(centred.clone().square());
    let scale = variance.add_scalar(epsilon).sqrt().recip() * rows(gamma);
    let y = centred * scale + rows(beta);
    let y = if activate { silu(y) } else { y };
    y.reshape([batch, height, width, channels]).cast(dtype)
}
