//! Image files: their headers and values.

mod header;
mod tiff;

use std::sync::Mutex;

use image::{DynamicImage, ImageFormat, metadata::Orientation};

pub(crate) use header::read as read_header;
pub(crate) use tiff::pages_agree;

/// Extensions of files that are read as images.
pub(crate) const ENDINGS: [&str; 15] =
    ["png", "jpg", "jpeg", "jpe", "jfif", "bmp", "dib", "gif", "tif", "tiff", "webp", "ppm", "pgm", "pnm", "pbm"];
/// Extensions of images without a magic number, and of unsupported images whose error says how to convert them.
const OTHER_ENDINGS: [&str; 9] = ["tga", "pam", "avif", "heic", "heif", "jxl", "jp2", "psd", "exr"];

/// Whether a file has the name of an image.
pub(crate) fn is_image(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| {
        let ending = ending.to_ascii_lowercase();
        ENDINGS.contains(&ending.as_str()) || OTHER_ENDINGS.contains(&ending.as_str())
    })
}

/// Properties of an image before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Header {
    /// Width and height as they are in the file, before the orientation is applied.
    pub size: (u32, u32),
    /// Whether it has colors.
    pub color: bool,
    /// Whether it has an alpha channel.
    pub alpha: bool,
    /// Type of a value.
    pub depth: Depth,
    /// Orientation to apply.
    pub orientation: Orientation,
    /// Frames or pages.
    pub frames: usize,
}

/// Type of a value of an image, from the narrowest to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// At most 8 bits.
    Byte,
    /// 16 bits.
    Word,
    /// Floating point, or integers without a nominal range.
    Float,
}

/// The color that transparent pixels are composited over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    White,
    Black,
}

/// The common kind to which the images of a set are converted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Whether pixels have three colors.
    pub color: bool,
    /// Whether the alpha channel is kept, as the fourth.
    pub alpha: bool,
    pub depth: Depth,
    pub ground: Ground,
    /// Side to which the central square of an image is resized; 0 does nothing.
    pub side: usize,
}

impl Kind {
    /// Values of a pixel.
    pub(crate) fn channels(self) -> usize {
        match (self.alpha, self.color) {
            (true, _) => 4,
            (false, true) => 3,
            (false, false) => 1,
        }
    }
}

/// Images larger than this are decoded one at a time, to limit the memory of several threads.
const LARGE: u64 = 32 << 20;
static ONE_LARGE: Mutex<()> = Mutex::new(());

/// Decodes a page of an image and applies its orientation.
fn decode(name: &str, bytes: &[u8], page: usize, header: &Header) -> Result<DynamicImage, String> {
    let wrong = |error: image::ImageError| format!("cannot be decoded: {error}");
    let image = if header::ends_with(name, "tga") {
        image::load_from_memory_with_format(bytes, ImageFormat::Tga)
    } else {
        let bytes = tiff::with_page(bytes, page).ok_or("cannot be decoded: it lacks a page")?;
        image::load_from_memory(&bytes)
    };
    let mut image = image.map_err(wrong)?;
    image.apply_orientation(header.orientation);
    Ok(image)
}

/// Transparency of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transparency {
    /// Whether any pixel is not opaque.
    pub any: bool,
    /// Whether the image has more than one color when composited over white.
    pub visible_on_white: bool,
}

/// Examines the alpha channel of an image.
pub(crate) fn transparency(name: &str, bytes: &[u8], page: usize, header: &Header) -> Result<Transparency, String> {
    let _one = (header.decoded() > LARGE).then(|| ONE_LARGE.lock());
    let mut pixels = decode(name, bytes, page, header)?.into_rgba8();
    let any = pixels.pixels().any(|pixel| pixel[3] < u8::MAX);
    composite(&mut pixels, u8::MAX);
    let first = pixels.pixels().next().copied();
    Ok(Transparency { any, visible_on_white: pixels.pixels().any(|pixel| Some(*pixel) != first) })
}

fn composite(pixels: &mut image::RgbaImage, ground: u8) {
    for pixel in pixels.pixels_mut() {
        let alpha = u32::from(pixel[3]);
        for color in 0..3 {
            let sum = u32::from(pixel[color]) * alpha + u32::from(ground) * (255 - alpha);
            pixel[color] = ((sum + 127) / 255) as u8;
        }
        pixel[3] = u8::MAX;
    }
}

fn composite_deep(pixels: &mut image::ImageBuffer<image::Rgba<u16>, Vec<u16>>, ground: u16) {
    for pixel in pixels.pixels_mut() {
        let alpha = u64::from(pixel[3]);
        for color in 0..3 {
            let sum = u64::from(pixel[color]) * alpha + u64::from(ground) * (65535 - alpha);
            pixel[color] = ((sum + 32767) / 65535) as u16;
        }
        pixel[3] = u16::MAX;
    }
}

/// Composites the image over the background and removes its alpha channel.
fn opaque(image: DynamicImage, kind: Kind) -> DynamicImage {
    if kind.alpha || !image.color().has_alpha() {
        return image;
    }
    let color = image.color().has_color();
    let deep = image.color().bytes_per_pixel() / image.color().channel_count() > 1;
    let composited: DynamicImage = if deep {
        let mut pixels = image.into_rgba16();
        composite_deep(&mut pixels, if kind.ground == Ground::White { u16::MAX } else { 0 });
        pixels.into()
    } else {
        let mut pixels = image.into_rgba8();
        composite(&mut pixels, if kind.ground == Ground::White { u8::MAX } else { 0 });
        pixels.into()
    };
    match (color, deep) {
        (true, _) => composited,
        (false, true) => composited.into_luma16().into(),
        (false, false) => composited.into_luma8().into(),
    }
}

/// Crops the central square of an image and resizes it to `side` pixels; returns the image if `side` is 0.
fn fit(image: DynamicImage, side: usize) -> DynamicImage {
    if side == 0 {
        return image;
    }
    let (width, height) = (image.width(), image.height());
    let square = width.min(height);
    let middle = image.crop_imm((width - square) / 2, (height - square) / 2, square, square);
    // A triangle filter with the width of a step: averages when shrinking, linear interpolation when enlarging.
    middle.resize_exact(side as u32, side as u32, image::imageops::FilterType::Triangle)
}

/// Writes the values of an image to a row. Bytes are 0 to 255, words 0 to 65535.
///
/// The error says what is wrong with the image.
pub(crate) fn read_values(name: &str, bytes: &[u8], page: usize, kind: Kind, out: &mut [f32]) -> Result<(), String> {
    let header = page_header(name, bytes, page)?;
    let _one = (header.decoded() > LARGE).then(|| ONE_LARGE.lock());
    let fill = |values: &mut dyn Iterator<Item = f32>, count: usize, out: &mut [f32]| {
        if count != out.len() {
            return Err("has changed its size since it was opened".to_owned());
        }
        out.iter_mut().zip(values).for_each(|(out, value)| *out = value);
        Ok(())
    };
    if kind.depth == Depth::Float {
        let bytes = tiff::with_page(bytes, page).ok_or("cannot be decoded: it lacks a page")?;
        let values = tiff::floats(&bytes)?;
        return fill(&mut values.iter().copied(), values.len(), out);
    }
    let image = fit(opaque(decode(name, bytes, page, &header)?, kind), kind.side);
    match kind.depth {
        Depth::Byte => {
            let values = match kind.channels() {
                4 => image.into_rgba8().into_raw(),
                3 => image.into_rgb8().into_raw(),
                _ => image.into_luma8().into_raw(),
            };
            fill(&mut values.iter().map(|&value| f32::from(value)), values.len(), out)
        }
        _ => {
            let values = match kind.channels() {
                4 => image.into_rgba16().into_raw(),
                3 => image.into_rgb16().into_raw(),
                _ => image.into_luma16().into_raw(),
            };
            fill(&mut values.iter().map(|&value| f32::from(value)), values.len(), out)
        }
    }
}

/// The header of one page.
pub(crate) fn page_header(name: &str, bytes: &[u8], page: usize) -> Result<Header, String> {
    match page {
        0 => read_header(name, bytes),
        page => {
            let bytes = tiff::with_page(bytes, page).ok_or("cannot be decoded: it lacks a page")?;
            read_header(name, &bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(image: DynamicImage) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn kind(color: bool, alpha: bool, ground: Ground) -> Kind {
        Kind { color, alpha, depth: Depth::Byte, ground, side: 0 }
    }

    #[test]
    fn transparent_pixels_take_the_color_of_the_ground() {
        // Black ink with three alphas: 0, half, 1.
        let mut image = image::RgbaImage::new(3, 1);
        image.put_pixel(1, 0, image::Rgba([0, 0, 0, 128]));
        image.put_pixel(2, 0, image::Rgba([0, 0, 0, 255]));
        let bytes = png(image.into());
        let header = read_header("a.png", &bytes).unwrap();
        let seen = transparency("a.png", &bytes, 0, &header).unwrap();
        assert_eq!(seen, Transparency { any: true, visible_on_white: true });
        let mut row = [0.0; 9];
        read_values("a.png", &bytes, 0, kind(true, false, Ground::White), &mut row).unwrap();
        assert_eq!(row, [255., 255., 255., 127., 127., 127., 0., 0., 0.]);
        read_values("a.png", &bytes, 0, kind(true, false, Ground::Black), &mut row).unwrap();
        assert_eq!(row, [0.0; 9]);
        let mut row = [0.0; 12];
        read_values("a.png", &bytes, 0, kind(true, true, Ground::White), &mut row).unwrap();
        assert_eq!(row[4..], [0., 0., 0., 128., 0., 0., 0., 255.]);
    }

    #[test]
    fn white_ink_cannot_be_seen_on_white() {
        let mut image = image::GrayAlphaImage::from_pixel(2, 1, image::LumaA([255, 0]));
        image.put_pixel(1, 0, image::LumaA([255, 255]));
        let bytes = png(image.into());
        let header = read_header("a.png", &bytes).unwrap();
        let seen = transparency("a.png", &bytes, 0, &header).unwrap();
        assert_eq!(seen, Transparency { any: true, visible_on_white: false });
        let mut row = [0.0; 2];
        read_values("a.png", &bytes, 0, kind(false, false, Ground::Black), &mut row).unwrap();
        assert_eq!(row, [0.0, 255.0]);
    }

    #[test]
    fn eight_bits_among_sixteen_keep_their_brightness() {
        let bytes = png(image::GrayImage::from_pixel(1, 1, image::Luma([128])).into());
        let mut row = [0.0];
        let kind = Kind { depth: Depth::Word, ..kind(false, false, Ground::White) };
        read_values("a.png", &bytes, 0, kind, &mut row).unwrap();
        assert_eq!(row, [128.0 * 257.0]);
    }
}
