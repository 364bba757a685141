//! Images of any size for U-Nets: zero padding to a size that all levels can halve.

mod onnx;

use burn::tensor::Tensor;
use pfgm_data::Shape;

use crate::{MAX_CHANNELS, NetworkError, check_blocks};

/// The most levels of a U-Net. The image is halved once less.
pub const MAX_LEVELS: usize = 32;

/// Size of an image, and its size with zero padding below and to the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    height: usize,
    width: usize,
    /// Channels of the image.
    pub channels: usize,
    /// Divisor of the padded sides.
    stride: usize,
    /// Padded height and width.
    pub padded: [usize; 2],
}

impl Frame {
    fn new(height: usize, width: usize, channels: usize, stride: usize) -> Self {
        let padded = [height.next_multiple_of(stride), width.next_multiple_of(stride)];
        Self { height, width, channels, stride, padded }
    }

    /// Returns the frame of images for a U-Net of these sizes.
    ///
    /// # Errors
    /// Returns an error if the data are no images, or a size is not possible.
    pub fn checked(shape: Shape, width: usize, multipliers: &[usize], blocks: usize) -> Result<Self, NetworkError> {
        if !matches!(shape, Shape::Image { .. }) {
            return Err(NetworkError::NotAnImage(shape));
        }
        let wrong = |key, value: String, problem| Err(NetworkError::Size { key, value, problem });
        if !(4..=MAX_CHANNELS).contains(&width) || !width.is_multiple_of(4) {
            return wrong("width", width.to_string(), "give a multiple of 4 from 4 to 1048576");
        }
        if multipliers.is_empty() || multipliers.len() > MAX_LEVELS || multipliers.contains(&0) {
            let problem = "give one positive number for each level, for at most 32";
            return wrong("multipliers", format!("{multipliers:?}"), problem);
        }
        if multipliers.iter().any(|&multiplier| multiplier > MAX_CHANNELS / width) {
            return wrong("multipliers", format!("{multipliers:?}"), "a level has more than 1048576 channels");
        }
        Self::of_levels(shape, multipliers.len(), blocks)
    }

    /// Returns the frame of images for a U-Net of so many levels.
    ///
    /// # Errors
    /// Returns an error if the data are no images, too small for the levels, or the number of blocks is not possible.
    pub fn of_levels(shape: Shape, levels: usize, blocks: usize) -> Result<Self, NetworkError> {
        let Shape::Image { height, width: columns, channels } = shape else {
            return Err(NetworkError::NotAnImage(shape));
        };
        check_blocks(blocks)?;
        let stride = 1_usize << (levels - 1);
        if stride > height.min(columns) {
            return Err(NetworkError::Levels { levels, stride, shape });
        }
        Ok(Self::new(height, columns, channels, stride))
    }

    /// Returns the frame of rows of `dim` values: this one, or that of a square patch.
    pub fn of(&self, dim: usize) -> Self {
        let pixels = dim / self.channels;
        if pixels == self.height * self.width {
            return *self;
        }
        let side = pixels.isqrt();
        debug_assert_eq!(side * side * self.channels, dim, "a square patch");
        Self::new(side, side, self.channels, self.stride)
    }

    /// Reshapes the rows of a batch to padded images, and concatenates the spatial conditioning to their channels.
    ///
    /// # Shapes
    /// `[batch, N]` to `[batch, padded height, padded width, channels]`
    pub fn enter(&self, x: Tensor<2>, spatial: Option<Tensor<2>>) -> Tensor<4> {
        let image = self.pad(x);
        match spatial {
            Some(spatial) => Tensor::cat(vec![image, self.pad(spatial)], 3),
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

    /// Removes the padding from a result.
    pub fn leave(&self, y: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = y.dims();
        if [height, width] == [self.height, self.width] {
            return y;
        }
        y.slice([0..batch, 0..self.height, 0..self.width, 0..channels])
    }

    /// Returns the number of items whose images of `channels` channels fit into the caches.
    pub fn rows_in_cache(&self, channels: usize) -> usize {
        /// Bytes of one image tensor of the batch: several of them are read and written in turn.
        const BYTES: usize = 4 << 20;
        let [height, width] = self.padded;
        (BYTES / (size_of::<f32>() * height * width * channels)).max(4)
    }
}

/// Estimates the floats for each item that a training step keeps for the backward pass.
pub fn activations(shape: Shape, width: usize, multipliers: &[usize], blocks: usize) -> usize {
    let channels: Vec<usize> = multipliers.iter().map(|multiplier| multiplier.saturating_mul(width)).collect();
    activations_of(shape, &channels, blocks)
}

/// As [`activations`], with the channels of each level.
pub fn activations_of(shape: Shape, channels: &[usize], blocks: usize) -> usize {
    let Shape::Image { height, width: columns, .. } = shape else { return 0 };
    // A block keeps about 7 images of its channels, measured on the digits preset: the inputs of two norms and two
    // convolutions, dropout, the sum; blocks on the way up have twice the inputs.
    let stride = 1 << channels.len().saturating_sub(1);
    let [height, columns] = [height, columns].map(|side| side.next_multiple_of(stride));
    let level = |(level, channels): (usize, &usize)| {
        let pixels = (height >> level).saturating_mul(columns >> level);
        [pixels, *channels, 2 * blocks + 3].into_iter().fold(7, usize::saturating_mul)
    };
    channels.iter().enumerate().map(level).fold(0, usize::saturating_add)
}

/// Reshapes an image to a row. If `radial`, the last channel becomes one value at the end, its mean over the image.
///
/// # Shapes
/// `[batch, height, width, channels]` to `[batch, N]`, or `[batch, N + 1]` with N values of the channels but the last
pub fn with_radial(y: Tensor<4>, radial: bool) -> Tensor<2> {
    let [batch, height, width, channels] = y.dims();
    let pixels = height * width;
    if !radial {
        return y.reshape([batch, pixels * channels]);
    }
    let field = y.clone().narrow(3, 0, channels - 1).reshape([batch, pixels * (channels - 1)]);
    let along_r = y.narrow(3, channels - 1, 1).reshape([batch, pixels]).mean_dim(1);
    Tensor::cat(vec![field, along_r], 1)
}
