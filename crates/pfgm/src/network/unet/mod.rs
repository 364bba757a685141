//! U-Nets for images of any size that their strides divide.

mod adm;
mod blocks;
mod ddpmpp;
mod score_sde;

use burn::tensor::Tensor;
use pfgm_data::Shape;

use super::NetworkError;

pub use adm::{AdmUnet, AdmUnetConfig};
pub use ddpmpp::{Unet, UnetConfig};
pub use score_sde::{LevelEmbedding, ScoreUnet, ScoreUnetConfig};

/// Height, width and channels of an image that a U-Net of these sizes can halve often enough.
pub(super) fn check(
    shape: Shape,
    width: usize,
    multipliers: &[usize],
    blocks: usize,
) -> Result<[usize; 3], NetworkError> {
    let Shape::Image { height, width: columns, channels } = shape else { return Err(NetworkError::NotAnImage(shape)) };
    let wrong = |key, value: String, problem| Err(NetworkError::Size { key, value, problem });
    if width < 4 || !width.is_multiple_of(4) {
        return wrong("width", width.to_string(), "give a positive multiple of 4");
    }
    if multipliers.is_empty() || multipliers.contains(&0) {
        return wrong("multipliers", format!("{multipliers:?}"), "give one positive number a level");
    }
    if blocks == 0 {
        return wrong("blocks", "0".into(), "give at least 1");
    }
    let levels = multipliers.len();
    let stride = 1 << (levels - 1);
    if height % stride != 0 || columns % stride != 0 {
        return Err(NetworkError::Stride { levels, stride, shape });
    }
    Ok([height, columns, channels])
}

/// Floats per item that a training step keeps for the backward pass.
fn activations(shape: Shape, width: usize, multipliers: &[usize], blocks: usize) -> usize {
    let Shape::Image { height, width: columns, .. } = shape else { return 0 };
    // A block keeps about 7 images of its channels, measured on the digits preset: the inputs of two norms and two
    // convolutions, dropout, the sum; blocks on the way up have twice the inputs.
    let level = |(level, multiplier): (usize, &usize)| {
        let pixels = (height >> level) * (columns >> level);
        7 * pixels * multiplier * width * (2 * blocks + 3)
    };
    multipliers.iter().enumerate().map(level).sum()
}

/// Items whose images at full size fit into the caches together.
pub(super) fn rows_in_cache([height, width, _]: [usize; 3], channels: usize) -> usize {
    /// Bytes of one image tensor of the batch: several of them are read and written in turn.
    const BYTES: usize = 4 << 20;
    (BYTES / (size_of::<f32>() * height * width * channels)).max(4)
}

/// An image as a row; if `radial`, its last channel is one value, the mean over the image, at the end.
///
/// # Shapes
/// `[batch, height, width, channels]` to `[batch, N]`, or `[batch, N + 1]` with N values of the channels but the last
pub(super) fn with_radial(y: Tensor<4>, radial: bool) -> Tensor<2> {
    let [batch, height, width, channels] = y.dims();
    let pixels = height * width;
    if !radial {
        return y.reshape([batch, pixels * channels]);
    }
    let field = y.clone().narrow(3, 0, channels - 1).reshape([batch, pixels * (channels - 1)]);
    let along_r = y.narrow(3, channels - 1, 1).reshape([batch, pixels]).mean_dim(1);
    Tensor::cat(vec![field, along_r], 1)
}
