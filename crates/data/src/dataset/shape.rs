//! Shapes of rows.

use serde::{Deserialize, Serialize};

/// The shape of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// An image, stored row by row with the channels of a pixel together.
    Image {
        /// Rows of pixels.
        height: usize,
        /// Columns of pixels.
        width: usize,
        /// Values a pixel.
        channels: usize,
    },
    /// Numbers without a place: a row of a table, a point.
    Vector {
        /// How many.
        len: usize,
    },
}

impl Shape {
    /// N, the number of values in a row.
    pub fn dim(self) -> usize {
        match self {
            Self::Image { height, width, channels } => height * width * channels,
            Self::Vector { len } => len,
        }
    }
}

impl From<[usize; 1]> for Shape {
    /// Rows of `len` numbers.
    fn from([len]: [usize; 1]) -> Self {
        Self::Vector { len }
    }
}

impl From<[usize; 2]> for Shape {
    /// Gray images, `[height, width]`.
    fn from([height, width]: [usize; 2]) -> Self {
        Self::Image { height, width, channels: 1 }
    }
}

impl From<[usize; 3]> for Shape {
    /// Images, `[height, width, channels]`.
    fn from([height, width, channels]: [usize; 3]) -> Self {
        Self::Image { height, width, channels }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image { height, width, channels } => write!(f, "{height}x{width}x{channels}"),
            Self::Vector { len } => write!(f, "{len} columns"),
        }
    }
}
