//! Arrays in, pictures out: grids of images, and charts of points and columns. All are PNG.

mod chart;
mod grid;

pub use chart::{Series, histograms, scatter};
pub use grid::{Picture, grid};

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The values are no pictures of the announced size.
    #[error("{0} values are no pictures of {1}x{2}x{3}")]
    Ragged(usize, usize, usize, usize),
    /// The drawing library failed.
    #[error("the picture cannot be drawn: {0}")]
    Draw(String),
    /// The encoder failed.
    #[error("the picture cannot be encoded: {0}")]
    Encode(#[from] image::ImageError),
}

/// RGB pixels as a PNG file.
fn png(width: u32, height: u32, rgb: &[u8]) -> Result<Vec<u8>, PlotError> {
    use image::ImageEncoder;
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes).write_image(rgb, width, height, image::ExtendedColorType::Rgb8)?;
    Ok(bytes)
}
