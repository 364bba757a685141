//! U-Nets for images of any size: zeros beside an image bring it to one that can be halved often enough. The heights at which a network attends
//! are those of the image with its zeros.

mod adm;
mod blocks;
mod ddpmpp;
mod score_sde;

use burn::tensor::Tensor;
use pfgm_data::Shape;

use super::{MOST_CHANNELS, NetworkError, check_blocks};

pub use adm::{AdmUnet, AdmUnetConfig};
pub use ddpmpp::{Unet, UnetConfig};
pub use score_sde::{LevelEmbedding, ScoreUnet, ScoreUnetConfig};

/// An image, and the size that zeros beside it bring it to, so that it can be halved often enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    height: usize,
    width: usize,
    /// Channels of the image.
    pub channels: usize,
    /// What its sides are made multiples of.
    stride: usize,
    /// Height and width with the zeros.
    pub padded: [usize; 2],
}

impl Frame {
    fn new(height: usize, width: usize, channels: usize, stride: usize) -> Self {
        let padded = [height.next_multiple_of(stride), width.next_multiple_of(stride)];
        Self { height, width, channels, stride, padded }
    }

    /// The frame of rows of `dim` values: this one, or a square patch's.
    pub fn of(&self, dim: usize) -> Self {
        let pixels = dim / self.channels;
        if pixels == self.height * self.width {
            return *self;
        }
        let side = pixels.isqrt();
        debug_assert_eq!(side * side * self.channels, dim, "a square patch");
        Self::new(side, side, self.channels, self.stride)
    }

    /// The rows of a batch as images with zeros below and to the right, with the maps beside them as further channels.
    ///
    /// # Shapes
    /// `[batch, N]` to `[batch, padded height, padded width, channels]`
    pub fn enter(&self, x: Tensor<2>, maps: Option<Tensor<2>>) -> Tensor<4> {
        let image = self.pad(x);
        match maps {
            Some(maps) => Tensor::cat(vec![image, self.pad(maps)], 3),
            None => image,
        }
    }

    fn pad(&self, x: Tensor<2>) -> Tensor<4> {
        let [batch, values] = x.dims();
        let image = x.reshape([batch, self.height, self.width, values / (self.height * self.width)]);
        let [height, width] = self.padded;
        if [height, width] == [self.height, self.width] {
            return image;
        }
        image.pad([(0, 0), (0, height - self.height), (0, width - self.width), (0, 0)], 0.0)
    }

    /// The part of a result that is the image's.
    pub fn leave(&self, y: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = y.dims();
        if [height, width] == [self.height, self.width] {
            return y;
        }
        y.slice([0..batch, 0..self.height, 0..self.width, 0..channels])
    }
}

/// The most levels: images are halved once less.
const MOST_LEVELS: usize = 32;

/// The frame of images for a U-Net of these sizes.
pub(super) fn check(shape: Shape, width: usize, multipliers: &[usize], blocks: usize) -> Result<Frame, NetworkError> {
    let Shape::Image { height, width: columns, channels } = shape else { return Err(NetworkError::NotAnImage(shape)) };
    let wrong = |key, value: String, problem| Err(NetworkError::Size { key, value, problem });
    if !(4..=MOST_CHANNELS).contains(&width) || !width.is_multiple_of(4) {
        return wrong("width", width.to_string(), "give a multiple of 4 from 4 to 1048576");
    }
    if multipliers.is_empty() || multipliers.len() > MOST_LEVELS || multipliers.contains(&0) {
        return wrong("multipliers", format!("{multipliers:?}"), "give one positive number a level, for at most 32");
    }
    if multipliers.iter().any(|&multiplier| multiplier > MOST_CHANNELS / width) {
        return wrong("multipliers", format!("{multipliers:?}"), "the channels of a level are more than 1048576");
    }
    check_blocks(blocks)?;
    let levels = multipliers.len();
    let stride = 1_usize << (levels - 1);
    if stride > height.min(columns) {
        return Err(NetworkError::Levels { levels, stride, shape });
    }
    Ok(Frame::new(height, columns, channels, stride))
}

/// Floats per item that a training step keeps for the backward pass.
fn activations(shape: Shape, width: usize, multipliers: &[usize], blocks: usize) -> usize {
    let Shape::Image { height, width: columns, .. } = shape else { return 0 };
    // A block keeps about 7 images of its channels, measured on the digits preset: the inputs of two norms and two
    // convolutions, dropout, the sum; blocks on the way up have twice the inputs.
    let stride = 1 << multipliers.len().saturating_sub(1);
    let [height, columns] = [height, columns].map(|side| side.next_multiple_of(stride));
    let level = |(level, multiplier): (usize, &usize)| {
        let pixels = (height >> level).saturating_mul(columns >> level);
        [pixels, *multiplier, width, 2 * blocks + 3].into_iter().fold(7, usize::saturating_mul)
    };
    multipliers.iter().enumerate().map(level).fold(0, usize::saturating_add)
}

/// Items whose images at full size fit into the caches together.
pub(super) fn rows_in_cache(frame: Frame, channels: usize) -> usize {
    let [height, width] = frame.padded;
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
