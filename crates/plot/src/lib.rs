//! Pictures of arrays.
//!
//! [`sheet`] draws images with captions, and [`grid`] images alone as a PNG file. [`scatter`], [`distribution`] and [`histograms`] draw
//! rows of numbers, [`roc_curves`] the curves of detectors, [`curves`] values with error bars. [`Panel`]s (axes in the plane) and [`Space`]s
//! (views from the side) draw anything else. All of these are [`Canvas`]es: [`Format::encode`] writes them as files, [`animate`] as animations.

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
pub use chart::{Column, Mean, Series, distribution, histograms, roc_curves, scatter};
pub use color::{Color, Theme};
pub use curves::{Curve, Dot, curves};
pub use format::Format;
pub use grid::{Captions, Picture, grid, sheet};
pub use language::Language;
pub use panel::{Axis, Entry, Mark, Panel, header, heading, legend_height};
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
    /// No picture can be written with this ending.
    #[error("pictures cannot be written as .{ending}; end the name in .svg, .pdf, .png, .jpg, .webp or .tiff")]
    Format {
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
