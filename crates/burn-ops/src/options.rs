//! Options of the operations, which the functions and the backend share.

/// Options of a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2dOptions {
    /// Distance in pixels between the centers of neighboring outputs, in both directions.
    pub stride: usize,
    /// Factor of the result.
    pub scale: f32,
}

impl Conv2dOptions {
    /// Stride 1 and factor 1.
    pub const PLAIN: Self = Self { stride: 1, scale: 1.0 };
}

/// Options of a group normalization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNormOptions {
    /// Groups that the channels are split into.
    pub groups: usize,
    /// Term added to the variance.
    pub epsilon: f64,
    /// Whether SiLU follows.
    pub activate: bool,
}

/// The number of heads that the channels are split into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads(pub usize);

/// Weights of neighboring pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A block of 2x2 pixels: the mean when downsampling, the nearest neighbor when upsampling.
    Box,
    /// Binomial weights 1, 3, 3, 1 (arXiv 1912.04958), zeros beyond the border.
    Binomial,
}

impl Filter {
    /// The weights in one direction; their sum is 1.
    pub const fn taps(self) -> &'static [f32] {
        match self {
            Self::Box => &[0.5, 0.5],
            Self::Binomial => &[0.125, 0.375, 0.375, 0.125],
        }
    }
}

/// Options of a resampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resampling {
    /// Whether the image is upsampled; otherwise it is downsampled.
    pub up: bool,
    /// Weights of neighboring pixels.
    pub filter: Filter,
}
