//! Grids of images.

use crate::{
    PlotError,
    canvas::{Anchor, Area, Canvas},
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
    let ((width, height), rgb) = pixels(picture, values, (columns, zoom_of(picture)))?;
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
/// Width that a sheet of few small pictures is enlarged to, and the largest side of such a picture.
const WIDE: usize = 640;
const LARGEST: usize = 160;

/// Draws pictures in `columns` columns, with captions above and to the left. Small pictures are enlarged with visible pixels, and more if
/// there are few columns.
///
/// # Shapes
/// `values`: `[pictures, height, width, channels]`
///
/// # Errors
/// Returns an error if the values are not whole pictures, there is none, or the sheet is too large.
pub fn sheet(picture: Picture, values: &[f32], columns: usize, captions: &Captions) -> Result<Canvas, PlotError> {
    let side = picture.height.max(picture.width).max(1);
    let wide = (WIDE / (columns.max(1) * picture.width.max(1))).min(LARGEST / side);
    let ((width, height), rgb) = pixels(picture, values, (columns, zoom_of(picture).max(wide)))?;
    let count = values.len() / (picture.height * picture.width * picture.channels);
    let across = columns.clamp(1, count);
    let (width, height) = (f64::from(width), f64::from(height));
    let widest = captions.rows.iter().map(|text| Canvas::text_width(text, LETTERS)).fold(0.0, f64::max);
    let left = if captions.rows.is_empty() { 0.0 } else { widest.ceil() + 14.0 };
    let top = if captions.columns.is_empty() { 0.0 } else { 22.0 };
    let cell = (width / across as f64, height / count.div_ceil(across) as f64);
    // A text that is wider than its column would run into the next.
    let longest = captions.columns.iter().map(|text| Canvas::text_width(text, LETTERS)).fold(0.0, f64::max);
    let size = LETTERS * (0.95 * cell.0 / longest.max(1.0)).clamp(0.5, 1.0);
    let mut canvas = Canvas::new(left + width, top + height, 1.0)?;
    for (column, text) in captions.columns.iter().enumerate() {
        canvas.text(text, (left + (column as f64 + 0.5) * cell.0, 15.0), size, Anchor::Middle, INK);
    }
    for (row, text) in captions.rows.iter().enumerate() {
        canvas.text(text, (left - 7.0, top + (row as f64 + 0.5) * cell.1 + 4.0), LETTERS, Anchor::End, INK);
    }
    canvas.image(Area { left, top, width, height }, width as usize, rgb);
    Ok(canvas)
}

/// The factor by which a picture of a grid is enlarged.
fn zoom_of(picture: Picture) -> usize {
    SMALLEST.div_ceil(picture.height.max(picture.width).max(1)).max(1)
}

/// The size and the RGB pixels of a grid with this many columns of pictures that are enlarged by a factor.
fn pixels(
    picture: Picture,
    values: &[f32],
    (columns, zoom): (usize, usize),
) -> Result<((u32, u32), Vec<u8>), PlotError> {
    let Picture { height, width, channels, .. } = picture;
    let size = height * width * channels;
    if size == 0 || values.is_empty() || !values.len().is_multiple_of(size) {
        return Err(PlotError::Ragged(values.len(), height, width, channels));
    }
    let count = values.len() / size;
    let columns = columns.clamp(1, count);
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
    fn captions_stand_beside_the_pictures() {
        let picture = Picture { height: 2, width: 2, channels: 1, range: (0.0, 1.0) };
        let values = [1.0; 16];
        let plain = sheet(picture, &values, 2, &Captions::default()).unwrap();
        let captions = Captions { columns: vec!["a".into(), "b".into()], rows: vec!["first".into(), "second".into()] };
        let canvas = sheet(picture, &values, 2, &captions).unwrap();
        let decoded = |canvas: &Canvas| image::load_from_memory(&canvas.png().unwrap()).unwrap().into_rgb8();
        let (plain, drawn) = (decoded(&plain), decoded(&canvas));
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
        assert_eq!(canvas.texts().collect::<Vec<_>>(), ["a", "b", "first", "second"]);
    }

    #[test]
    fn few_pictures_are_larger_and_themes_leave_them() {
        let picture = Picture { height: 8, width: 8, channels: 1, range: (0.0, 1.0) };
        let width =
            |columns: usize| sheet(picture, &vec![0.5; 64 * columns], columns, &Captions::default()).unwrap().size().0;
        assert_eq!((width(2), width(4), width(10), width(20)), (2 * 162 + 2, 4 * 162 + 2, 10 * 66 + 2, 20 * 66 + 2));
        // Every value of a channel is there, although a palette has only 256 colors.
        let picture = Picture { height: 16, width: 32, channels: 3, range: (0.0, 255.0) };
        let values: Vec<f32> = (0..512).flat_map(|at| [(at % 256) as f32, (at / 2) as f32, 7.0]).collect();
        let canvas = sheet(picture, &values, 1, &Captions::default()).unwrap();
        let dark = canvas.clone().themed(crate::Theme::Dark);
        for (canvas, scale) in [(canvas.clone(), 1.0), (dark, 1.0), (canvas.scaled(2.5).unwrap(), 2.5)] {
            let drawn = image::load_from_memory(&canvas.png().unwrap()).unwrap().into_rgb8();
            for (at, color) in values.chunks_exact(3).enumerate() {
                let middle = |index: usize| ((2.0 + 5.0 * (index as f64 + 0.5)) * scale) as u32;
                let found = drawn.get_pixel(middle(at % 32), middle(at / 32)).0.map(f32::from);
                assert_eq!(found.as_slice(), color, "pixel {at} at scale {scale}");
            }
        }
    }

    #[test]
    fn refuses_values_that_are_not_whole_pictures() {
        let picture = Picture { height: 2, width: 2, channels: 3, range: (0.0, 1.0) };
        assert!(matches!(grid(picture, &[0.0; 13], 4), Err(PlotError::Ragged(13, 2, 2, 3))));
        assert!(matches!(grid(picture, &[], 4), Err(PlotError::Ragged(..))));
    }
}
