//! Doubling and halving of images, channels-last.

use burn::tensor::Tensor;

/// Every pixel becomes a 2x2 block of itself.
///
/// # Shapes
/// `[batch, height, width, channels]` to `[batch, 2 height, 2 width, channels]`
pub fn upsample(x: Tensor<4>) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    x.reshape([batch, height, 1, width, 1, channels]).expand([batch, height, 2, width, 2, channels]).reshape([
        batch,
        2 * height,
        2 * width,
        channels,
    ])
}

/// Every 2x2 block becomes its mean.
///
/// # Shapes
/// `[batch, height, width, channels]` to `[batch, height / 2, width / 2, channels]`
///
/// # Panics
/// When a side is odd.
pub fn downsample(x: Tensor<4>) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    assert!(height % 2 == 0 && width % 2 == 0, "downsample: {height}x{width} has an odd side");
    x.reshape([batch, height / 2, 2, width / 2, 2, channels]).mean_dim(4).mean_dim(2).reshape([
        batch,
        height / 2,
        width / 2,
        channels,
    ])
}
