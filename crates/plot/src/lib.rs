//! Pictures of arrays.
//!
//! [`grid`] draws images as a PNG file. [`scatter`], [`lines`] and [`histograms`] draw rows of numbers, [`curves`] draws values with error
//! bars, and [`Panel`]s (axes in the plane) and [`Space`]s (views from the side) draw anything else: these charts are [`Canvas`]es.
//! [`Figure::encode`] writes both in a [`Format`]; [`animate`] returns animations.

mod canvas;
mod chart;
pub mod color;
mod curves;
mod format;
mod grid;
mod language;
mod panel;
mod space;

pub use canvas::{
    Anchor, Area, Canvas, Position,
    indexed::{Animation, animate},
};
pub use chart::{Series, histograms, lines, scatter};
pub use color::{Color, Theme};
pub use curves::{Curve, Dot, curves};
pub use format::{Figure, FigureKind, Format};
pub use grid::{Captions, Picture, animated_grid, captioned_grid, grid};
pub use language::Language;
pub use panel::{Axis, Mark, Panel, heading};
pub use space::{Space, View};

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The values are not pictures of the given size.
    #[error("{0} values are not pictures of {1}x{2}x{3}")]
    Ragged(usize, usize, usize, usize),
    /// The picture cannot be drawn, for the reason in the text.
    #[error("the picture cannot be drawn: {0}")]
    Draw(String),
    /// No figure of this kind can be written with this ending.
    #[error("{}", format::refusal(*kind, ending))]
    Format {
        /// What the figure is made of.
        kind: FigureKind,
        /// The ending, in lower case and without a dot.
        ending: String,
    },
    /// The encoder failed.
    #[error("the picture cannot be encoded: {0}")]
    Encode(#[from] image::ImageError),
}

/// Encodes RGB pixels as a PNG file.
fn png(width: u32, height: u32, rgb: &[u8]) -> Result<Vec<u8>, PlotError> {
    encode_png(width, height, rgb, image::ExtendedColorType::Rgb8)
}

/// Encodes pixels of any kind as a PNG file; 16-bit values are in the machine's byte order.
fn encode_png(width: u32, height: u32, pixels: &[u8], kind: image::ExtendedColorType) -> Result<Vec<u8>, PlotError> {
    use image::ImageEncoder;
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes).write_image(pixels, width, height, kind)?;
    Ok(bytes)
}
