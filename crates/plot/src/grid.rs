//! Grids of images.

use crate::{
    PlotError,
    canvas::{
        Anchor, Canvas,
        indexed::{Animation, animate_pixels},
    },
    color::INK,
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
const SMALLEST: usize = 64;
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

/// What the columns and the rows of a grid show; none or one text for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captions {
    /// The texts above the columns.
    pub columns: Vec<String>,
    /// The texts to the left of the rows.
    pub rows: Vec<String>,
}

/// Size of the letters of captions.
const LETTERS: f64 = 12.0;

/// Draws pictures in `columns` columns, as [`grid`], with captions on white above and to the left of it.
///
/// # Errors
/// As [`grid`], and if the picture is too large.
pub fn captioned_grid(
    picture: Picture,
    values: &[f32],
    columns: usize,
    captions: &Captions,
) -> Result<Vec<u8>, PlotError> {
    let ((width, height), rgb) = pixels(picture, values, columns)?;
    let count = values.len() / (picture.height * picture.width * picture.channels);
    let across = columns.clamp(1, count);
    let widest = captions.rows.iter().map(|text| Canvas::text_width(text, LETTERS)).fold(0.0, f64::max);
    let left = if captions.rows.is_empty() { 0 } else { widest.ceil() as u32 + 14 };
    let top = if captions.columns.is_empty() { 0 } else { 22 };
    let cell = (f64::from(width) / across as f64, f64::from(height) / count.div_ceil(across) as f64);
    // A text that is wider than its column would run into the next.
    let longest = captions.columns.iter().map(|text| Canvas::text_width(text, LETTERS)).fold(0.0, f64::max);
    let size = LETTERS * (0.95 * cell.0 / longest.max(1.0)).clamp(0.5, 1.0);
    let mut canvas = Canvas::new(f64::from(left + width), f64::from(top + height), 1.0)?;
    for (column, text) in captions.columns.iter().enumerate() {
        let at = (f64::from(left) + (column as f64 + 0.5) * cell.0, 15.0);
        canvas.text(text, at, size, Anchor::Middle, INK);
    }
    for (row, text) in captions.rows.iter().enumerate() {
        let at = (f64::from(left) - 7.0, f64::from(top) + (row as f64 + 0.5) * cell.1 + 4.0);
        canvas.text(text, at, LETTERS, Anchor::End, INK);
    }
    let mut whole = canvas.rgb();
    let (stride, line) = (3 * (left + width) as usize, 3 * width as usize);
    for (row, line_of_grid) in rgb.chunks_exact(line).enumerate() {
        let at = (top as usize + row) * stride + 3 * left as usize;
        whole[at..at + line].copy_from_slice(line_of_grid);
    }
    png(left + width, top + height, &whole)
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
        let (zoom, gap) = (32, 2);
        assert_eq!((image.width(), image.height()), (2 * (2 * zoom + gap) + gap, 2 * (zoom + gap) + gap));
        let at = |x, y| image.get_pixel(x, y).0[0];
        assert_eq!((at(gap, gap), at(gap + zoom, gap)), (0, 255));
        let right = gap + 2 * zoom + gap;
        assert_eq!((at(right, gap), at(right + zoom, gap)), (255, 0));
        let below = gap + zoom + gap;
        assert_eq!((at(gap, below), at(right, below)), (128, BACKGROUND));
    }

    #[test]
    fn captions_stand_beside_the_grid() {
        let picture = Picture { height: 2, width: 2, channels: 1, range: (0.0, 1.0) };
        let values = [1.0; 16];
        let plain = image::load_from_memory(&grid(picture, &values, 2).unwrap()).unwrap().into_rgb8();
        let captions = Captions { columns: vec!["a".into(), "b".into()], rows: vec!["first".into(), "second".into()] };
        let file = captioned_grid(picture, &values, 2, &captions).unwrap();
        let drawn = image::load_from_memory(&file).unwrap().into_rgb8();
        let (left, top) = (drawn.width() - plain.width(), drawn.height() - plain.height());
        assert!(left > 40 && top == 22, "{left} {top}");
        let inside = image::imageops::crop_imm(&drawn, left, top, plain.width(), plain.height()).to_image();
        assert_eq!(inside, plain);
        let dark = |x: std::ops::Range<u32>, y: std::ops::Range<u32>| {
            x.flat_map(|x| y.clone().map(move |y| (x, y))).filter(|&(x, y)| drawn.get_pixel(x, y).0[0] < 128).count()
        };
        let half = left + plain.width() / 2;
        assert!(dark(left..half, 0..22) > 5 && dark(half..drawn.width(), 0..22) > 5, "a caption above each column");
        assert!(dark(0..left, 22..drawn.height()) > 20 && dark(0..left, 0..22) == 0, "captions of the rows");
        let none = captioned_grid(picture, &values, 2, &Captions::default()).unwrap();
        assert_eq!(image::load_from_memory(&none).unwrap().into_rgb8(), plain);
    }

    #[test]
    fn refuses_values_that_are_not_whole_pictures() {
        let picture = Picture { height: 2, width: 2, channels: 3, range: (0.0, 1.0) };
        assert!(matches!(grid(picture, &[0.0; 13], 4), Err(PlotError::Ragged(13, 2, 2, 3))));
        assert!(matches!(grid(picture, &[], 4), Err(PlotError::Ragged(..))));
    }
}
