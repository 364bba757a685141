//! Errors and notices about configurations of networks.

use std::fmt;

use pfgm_data::Shape;

/// A configuration that does not fit the data or the conditioning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// A network for images got vectors.
    #[error("network.kind: this network needs images, but the data are {0}; use \"mlp\"")]
    NotAnImage(Shape),
    /// The network has no inputs for conditioning.
    #[error(
        "network.kind = \"ncsnv2\" has no conditioning: set data.conditional = false, train.augment = 0, train.patch = 0 and no upscale"
    )]
    NoConditioning,
    /// A network for vectors got spatial conditioning.
    #[error("upscale and train.patch need a network on images, not network.kind = \"mlp\": use \"unet\"")]
    NoPixels,
    /// The image cannot be halved often enough.
    #[error(
        "network.multipliers has {levels} levels, which divide the sides by {stride}; the data are {shape}: use fewer levels"
    )]
    Levels {
        /// Number of levels.
        levels: usize,
        /// Divisor of the sides.
        stride: usize,
        /// Shape of the data.
        shape: Shape,
    },
    /// A size is out of its range, or does not divide.
    #[error("network.{key} = {value}: {problem}")]
    Size {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// The problem, and what to do.
        problem: &'static str,
    },
}

/// A precision in which a network cannot be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrecisionError {
    /// The device does not compute in bf16.
    #[error("bf16 is not supported by this device; use f32, or another device")]
    Device,
    /// The network has no images.
    #[error("bf16 needs a network on images, not network.kind = \"mlp\"; use f32")]
    NoImages,
}

/// A notice: heights in `network.attention` at which the network has no level, so that nothing attends there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusedAttention {
    /// The heights without a level.
    pub unused: Vec<usize>,
    /// The heights of the levels.
    pub levels: Vec<usize>,
}

impl fmt::Display for UnusedAttention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unused, levels } = self;
        write!(f, "network.attention: no level has images of height {}; the levels have ", list(unused))?;
        write!(f, "{} (heights after padding)", list(levels))
    }
}

fn list(heights: &[usize]) -> String {
    heights.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
