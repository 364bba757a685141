//! Grids of images.

use crate::{
    PlotError,
    canvas::indexed::{Animation, animate_pixels},
    encode_png,
    format::over_white,
    png,
};

/// The size of each picture of a grid, and how its values are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Picture {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Values a pixel: 1 is gray, 2 gray and alpha, 3 color, 4 color and alpha; of more, the first three are shown.
    pub channels: usize,
    /// The values shown as black and as full brightness.
    pub range: (f32, f32),
}

/// Pictures smaller than this are enlarged, with visible pixels.
const SMALLEST: usize = 48;
const GAP: usize = 2;
const BACKGROUND: u8 = 40;

impl Picture {
    /// A value as a byte: 0 at the lower end of the range, 255 at the upper.
    fn byte(&self, value: f32) -> u8 {
        let (low, high) = self.range;
        (255.0 * ((value - low) / (high - low).max(f32::MIN_POSITIVE))).clamp(0.0, 255.0).round() as u8
    }

    /// Red, green and blue of a pixel that begins at `values[0]`; what is transparent is shown over white.
    fn color(&self, values: &[f32]) -> [u8; 3] {
        let byte = |channel: usize| self.byte(values[channel]);
        match self.channels {
            1 => [byte(0); 3],
            2 => [over_white(byte(0), byte(1)); 3],
            4 => [0, 1, 2].map(|channel| over_white(byte(channel), byte(3))),
            _ => [0, 1, 2].map(byte),
        }
    }

    /// Whether values are whole numbers that need more than 8 bits.
    fn is_deep(&self) -> bool {
        self.range.0 == 0.0 && self.range.1 > 255.0 && self.range.1 <= 65535.0
    }

    /// Encodes one picture as a PNG file, pixel for pixel: gray or color, with or without alpha. Values from 0 to more than 255 are
    /// written as they are, with 16 bits; other ranges fill 8 bits.
    ///
    /// # Errors
    /// Returns an error if the number of values is not that of the picture.
    pub fn png(&self, values: &[f32]) -> Result<Vec<u8>, PlotError> {
        use image::ExtendedColorType as Kind;
        if values.len() != self.height * self.width * self.channels {
            return Err(PlotError::Ragged(values.len(), self.height, self.width, self.channels));
        }
        let kept = if self.channels > 4 { 3 } else { self.channels };
        let kept = values.chunks_exact(self.channels).flat_map(|pixel| &pixel[..kept]);
        let (width, height) = (self.width as u32, self.height as u32);
        if self.is_deep() {
            let kind = [Kind::L16, Kind::La16, Kind::Rgb16, Kind::Rgba16, Kind::Rgb16][(self.channels - 1).min(4)];
            let word = |value: &f32| (value.round().clamp(0.0, self.range.1) as u16).to_ne_bytes();
            return encode_png(width, height, &kept.flat_map(word).collect::<Vec<u8>>(), kind);
        }
        let kind = [Kind::L8, Kind::La8, Kind::Rgb8, Kind::Rgba8, Kind::Rgb8][(self.channels - 1).min(4)];
        encode_png(width, height, &kept.map(|&value| self.byte(value)).collect::<Vec<u8>>(), kind)
    }
}

/// Draws pictures in `columns` columns, as a PNG file.
///
/// # Shapes
/// `values`: `[pictures, height, width, channels]`
///
/// # Errors
/// Returns an error if the values are not whole pictures, or there is none.
pub fn grid(picture: Picture, values: &[f32], columns: usize) -> Result<Vec<u8>, PlotError> {
    let ((width, height), rgb) = pixels(picture, values, columns)?;
    png(width, height, &rgb)
}

/// Draws grids one after another, as an animation that repeats.
///
/// # Errors
/// As [`grid`], and if frames differ in size.
pub fn animated_grid(
    format: Animation,
    picture: Picture,
    frames: &[Vec<f32>],
    columns: usize,
) -> Result<Vec<u8>, PlotError> {
    animate_pixels(format, frames.len(), |frame| pixels(picture, &frames[frame], columns))
}

/// The size and the RGB pixels of a grid.
fn pixels(picture: Picture, values: &[f32], columns: usize) -> Result<((u32, u32), Vec<u8>), PlotError> {
    let Picture { height, width, channels, .. } = picture;
    let size = height * width * channels;
    if size == 0 || values.is_empty() || !values.len().is_multiple_of(size) {
        return Err(PlotError::Ragged(values.len(), height, width, channels));
    }
    let count = values.len() / size;
    let columns = columns.clamp(1, count);
    let zoom = SMALLEST.div_ceil(height.max(width)).max(1);
    let (cell_h, cell_w) = (zoom * height + GAP, zoom * width + GAP);
    let (full_h, full_w) = (count.div_ceil(columns) * cell_h + GAP, columns * cell_w + GAP);
    let mut rgb = vec![BACKGROUND; 3 * full_h * full_w];
    for (index, values) in values.chunks_exact(size).enumerate() {
        let (top, left) = (GAP + index / columns * cell_h, GAP + index % columns * cell_w);
        for y in 0..zoom * height {
            for x in 0..zoom * width {
                let pixel = ((y / zoom) * width + x / zoom) * channels;
                let at = 3 * ((top + y) * full_w + left + x);
                rgb[at..at + 3].copy_from_slice(&picture.color(&values[pixel..]));
            }
        }
    }
    Ok(((full_w as u32, full_h as u32), rgb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_every_picture_in_its_cell() {
        let picture = Picture { height: 1, width: 2, channels: 1, range: (0.0, 16.0) };
        let file = grid(picture, &[0.0, 16.0, 16.0, 0.0, 8.0, 8.0], 2).unwrap();
        let image = image::load_from_memory(&file).unwrap().into_rgb8();
        let (zoom, gap) = (24, 2);
        assert_eq!((image.width(), image.height()), (2 * (2 * zoom + gap) + gap, 2 * (zoom + gap) + gap));
        let at = |x, y| image.get_pixel(x, y).0[0];
        assert_eq!((at(gap, gap), at(gap + zoom, gap)), (0, 255));
        let right = gap + 2 * zoom + gap;
        assert_eq!((at(right, gap), at(right + zoom, gap)), (255, 0));
        let below = gap + zoom + gap;
        assert_eq!((at(gap, below), at(right, below)), (128, BACKGROUND));
    }

    #[test]
    fn refuses_values_that_are_not_whole_pictures() {
        let picture = Picture { height: 2, width: 2, channels: 3, range: (0.0, 1.0) };
        assert!(matches!(grid(picture, &[0.0; 13], 4), Err(PlotError::Ragged(13, 2, 2, 3))));
        assert!(matches!(grid(picture, &[], 4), Err(PlotError::Ragged(..))));
    }
}
