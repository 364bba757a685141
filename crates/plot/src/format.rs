//! File formats of figures.

use std::{io::Cursor, path::Path};

use image::{DynamicImage, ImageFormat, ImageReader};

use crate::{Canvas, PlotError};

/// Quality of JPEG files, from 1 to 100.
const JPEG_QUALITY: u8 = 95;

/// A file format of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PNG: lossless, 8 or 16 bits.
    Png,
    /// JPEG: lossy, 8 bits, no transparency.
    Jpeg,
    /// WebP: lossless, 8 bits.
    WebP,
    /// TIFF: lossless, 8 or 16 bits.
    Tiff,
    /// SVG: shapes and texts.
    Svg,
    /// PDF: shapes and texts on a page of their size.
    Pdf,
}

impl Format {
    /// The format that a file's ending names. A name without an ending stands for PNG.
    ///
    /// # Errors
    /// Returns [`PlotError::Format`] if no picture can be written with this ending.
    pub fn of(path: &Path) -> Result<Self, PlotError> {
        let Some(ending) = path.extension() else { return Ok(Self::Png) };
        let ending = ending.to_string_lossy().to_lowercase();
        match ending.as_str() {
            "png" => Ok(Self::Png),
            "jpg" | "jpeg" | "jpe" | "jfif" => Ok(Self::Jpeg),
            "webp" => Ok(Self::WebP),
            "tif" | "tiff" => Ok(Self::Tiff),
            "svg" => Ok(Self::Svg),
            "pdf" => Ok(Self::Pdf),
            _ => Err(PlotError::Format { ending }),
        }
    }

    /// Encodes a picture. In SVG and PDF, shapes and texts stay what they are, and images are embedded.
    ///
    /// # Errors
    /// Returns an error if the encoder fails.
    pub fn encode(self, canvas: &Canvas) -> Result<Vec<u8>, PlotError> {
        match self {
            Self::Svg => canvas.svg(),
            Self::Pdf => Ok(canvas.pdf()),
            format => format.convert(canvas.png()?),
        }
    }

    /// Converts a PNG file into this format of pixels. JPEG and WebP have 8 bits; JPEG shows transparent pixels over white.
    ///
    /// # Errors
    /// Returns [`PlotError::Encode`] if the bytes are not a PNG file, or the format cannot hold the picture.
    fn convert(self, png: Vec<u8>) -> Result<Vec<u8>, PlotError> {
        if !matches!(self, Self::Jpeg | Self::WebP | Self::Tiff) {
            return Ok(png);
        }
        let mut reader = ImageReader::with_format(Cursor::new(&png), ImageFormat::Png);
        // The picture was drawn by this program.
        reader.no_limits();
        let image = reader.decode()?;
        let mut bytes = Cursor::new(Vec::new());
        match self {
            Self::Png | Self::Svg | Self::Pdf => {}
            Self::Jpeg => {
                let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
                opaque(image).write_with_encoder(encoder)?;
            }
            Self::WebP => eight_bits(image).write_to(&mut bytes, ImageFormat::WebP)?,
            Self::Tiff => without_gray_alpha(image).write_to(&mut bytes, ImageFormat::Tiff)?,
        }
        Ok(bytes.into_inner())
    }
}

/// The picture with 8 bits a channel and without transparency, over white.
fn opaque(image: DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return eight_bits(image);
    }
    let gray = !image.color().has_color();
    let mut rgba = image.into_rgba8();
    for pixel in rgba.pixels_mut() {
        let [red, green, blue, alpha] = pixel.0;
        pixel.0 = [over_white(red, alpha), over_white(green, alpha), over_white(blue, alpha), 255];
    }
    let image = DynamicImage::ImageRgba8(rgba);
    if gray { image.into_luma8().into() } else { image.into_rgb8().into() }
}

/// A value of a pixel over white.
pub(crate) fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

fn eight_bits(image: DynamicImage) -> DynamicImage {
    match (image.color().has_color(), image.color().has_alpha()) {
        (false, false) => image.into_luma8().into(),
        (false, true) | (true, true) => image.into_rgba8().into(),
        (true, false) => image.into_rgb8().into(),
    }
}

/// TIFF files of the image crate have no gray pictures with transparency: their colors are written.
fn without_gray_alpha(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageLumaA8(_) => image.into_rgba8().into(),
        DynamicImage::ImageLumaA16(_) => image.into_rgba16().into(),
        image => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Picture;

    fn decoded(path: &str, picture: Picture, values: &[f32]) -> DynamicImage {
        let bytes = Format::of(Path::new(path)).unwrap().convert(picture.png(values).unwrap()).unwrap();
        let expected = ImageFormat::from_path(path).unwrap();
        assert_eq!(image::guess_format(&bytes).unwrap(), expected, "{path}");
        image::load_from_memory(&bytes).unwrap()
    }

    #[test]
    fn the_ending_decides() {
        let of = |name: &str| Format::of(Path::new(name));
        for (name, format) in [
            ("a.PNG", Format::Png),
            ("a.jpeg", Format::Jpeg),
            ("a.webp", Format::WebP),
            ("a.tif", Format::Tiff),
            ("a.SVG", Format::Svg),
            ("a.pdf", Format::Pdf),
            ("folder.d/picture", Format::Png),
        ] {
            assert_eq!(of(name).unwrap(), format, "{name}");
        }
        for name in ["a.txt", "a.gif", "a.npz"] {
            let error = of(name).unwrap_err();
            assert!(matches!(error, PlotError::Format { .. }) && error.to_string().contains(".svg, .pdf"), "{error}");
        }
    }

    #[test]
    fn pictures_have_all_formats() {
        let mut canvas = Canvas::new(20.0, 10.0, 1.0).unwrap();
        canvas.image(canvas.area(), 2, vec![200; 12]);
        let svg = String::from_utf8(Format::Svg.encode(&canvas).unwrap()).unwrap();
        assert!(svg.starts_with("<svg ") && svg.contains("pixelated"), "{svg}");
        assert!(Format::Pdf.encode(&canvas).unwrap().starts_with(b"%PDF-"));
        for format in [Format::Png, Format::WebP, Format::Tiff, Format::Jpeg] {
            let image = image::load_from_memory(&format.encode(&canvas).unwrap()).unwrap().into_rgb8();
            assert_eq!((image.width(), image.height()), (20, 10));
            assert!(image.pixels().all(|pixel| pixel.0.iter().all(|value| value.abs_diff(200) < 3)), "{format:?}");
        }
    }

    #[test]
    fn lossless_formats_keep_every_value() {
        let gray = Picture { height: 1, width: 4, channels: 1, range: (0.0, 255.0) };
        for path in ["a.png", "a.webp", "a.tiff"] {
            assert_eq!(
                decoded(path, gray, &[0.0, 1.0, 200.0, 255.0]).into_luma8().as_raw(),
                &[0, 1, 200, 255],
                "{path}"
            );
        }
        let color = Picture { height: 1, width: 1, channels: 4, range: (0.0, 255.0) };
        for path in ["a.png", "a.webp", "a.tif"] {
            assert_eq!(decoded(path, color, &[9.0, 8.0, 7.0, 128.0]).into_rgba8().as_raw(), &[9, 8, 7, 128], "{path}");
        }
        let deep = Picture { height: 1, width: 2, channels: 1, range: (0.0, 65535.0) };
        for path in ["a.png", "a.tif"] {
            assert_eq!(decoded(path, deep, &[1.0, 65535.0]).into_luma16().as_raw(), &[1, 65535], "{path}");
        }
    }

    #[test]
    fn jpeg_shows_transparent_pixels_over_white() {
        let picture = Picture { height: 8, width: 8, channels: 4, range: (0.0, 255.0) };
        let image = decoded("a.jpg", picture, &[0.0; 256]);
        assert!(image.into_rgb8().pixels().all(|pixel| pixel.0.iter().all(|value| *value > 250)));
    }
}
