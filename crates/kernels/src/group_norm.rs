//! Group normalisation (arXiv 1803.08494), channels-last, with the SiLU that usually follows it.

use burn::tensor::{Tensor, activation::silu};

/// Normalises each group of channels of each image to zero mean and unit variance, scales and shifts per channel, and
/// applies SiLU when `activate` is set.
///
/// # Shapes
/// - `x`: `[batch, height, width, channels]`
/// - `gamma`, `beta`: `[channels]`
/// - result: as `x`
///
/// # Panics
/// When `groups` does not divide the channels.
pub fn group_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    groups: usize,
    epsilon: f64,
    activate: bool,
) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    assert!(channels % groups == 0, "group_norm: {channels} channels do not split into {groups} groups");
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
    let x = x.reshape([batch, pixels, channels]);
    let centred = x.clone() - group_mean(x);
    let variance = group_mean(centred.clone().square());
    let scale = variance.add_scalar(epsilon).sqrt().recip() * gamma.unsqueeze();
    let y = centred * scale + beta.unsqueeze();
    let y = if activate { silu(y) } else { y };
    y.reshape([batch, height, width, channels])
}
