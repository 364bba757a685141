//! Group normalization (arXiv 1803.08494), channels-last, with the SiLU that usually follows it.

use burn::{
    backend::Dispatch,
    tensor::{DType, Tensor, activation::silu},
};

use crate::backend::{NetworkOps, is_fused};
pub use crate::options::GroupNormOptions;

/// Normalizes each group of channels of each image to zero mean and unit variance, scales and shifts per channel, and
/// applies SiLU if asked to.
///
/// An embedding that scales by `1 + s` and shifts by `t` is included in `gamma` and `beta`, which may differ between images.
///
/// # Shapes
/// - `x`: `[batch, height, width, channels]`
/// - `gamma`, `beta`: `[1, channels]`, or `[batch, channels]`
/// - result: as `x`
///
/// `x` may be bf16, and then the result is; gamma, beta and the statistics are in single precision.
///
/// # Panics
/// If the groups do not divide the channels, or `gamma` or `beta` does not match the image.
pub fn group_norm(x: Tensor<4>, gamma: Tensor<2>, beta: Tensor<2>, options: GroupNormOptions) -> Tensor<4> {
    let [batch, _, _, channels] = x.dims();
    assert!(
        channels.is_multiple_of(options.groups),
        "group_norm: {channels} channels do not split into {} groups",
        options.groups
    );
    for [rows, columns] in [gamma.dims(), beta.dims()] {
        let fits = columns == channels && (rows == 1 || rows == batch);
        assert!(fits, "group_norm: gamma or beta {:?} against the image {:?}", [rows, columns], x.dims());
    }
    if is_fused(&x) {
        let (gamma, beta) = (gamma.into_dispatch(), beta.into_dispatch());
        return Tensor::from_dispatch(Dispatch::fused_group_norm(x.into_dispatch(), gamma, beta, options));
    }
    reference(x, gamma, beta, options)
}

/// [`group_norm()`] composed of Burn's operations, for other devices and for tests.
pub fn reference(x: Tensor<4>, gamma: Tensor<2>, beta: Tensor<2>, options: GroupNormOptions) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let GroupNormOptions { groups, epsilon, activate } = options;
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
    let centered = x.clone() - group_mean(x);
    let variance = group_mean(centered.clone().square());
    let scale = variance.add_scalar(epsilon).sqrt().recip() * rows(gamma);
    let y = centered * scale + rows(beta);
    let y = if activate { silu(y) } else { y };
    y.reshape([batch, height, width, channels]).cast(dtype)
}
