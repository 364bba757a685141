//! File formats of figures.

use std::{io::Cursor, path::Path};

use image::{DynamicImage, ImageFormat, ImageReader};

use crate::{Canvas, PlotError};

/// Quality of JPEG files, from 1 to 100.
const JPEG_QUALITY: u8 = 95;

/// What a figure is made of, which decides the formats that it can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureKind {
    /// Images: pixels.
    Images,
    /// A chart: shapes and texts.
    Chart,
}

/// A figure to be written.
#[derive(Clone, Debug)]
pub enum Figure {
    /// Images, as a PNG file.
    Images(Vec<u8>),
    /// A chart.
    Chart(Canvas),
}

impl From<Canvas> for Figure {
    fn from(canvas: Canvas) -> Self {
        Self::Chart(canvas)
    }
}

impl Figure {
    /// What the figure is made of.
    pub fn kind(&self) -> FigureKind {
        match self {
            Self::Images(_) => FigureKind::Images,
            Self::Chart(_) => FigureKind::Chart,
        }
    }

    /// Encodes the figure.
    ///
    /// # Errors
    /// Returns [`PlotError::Format`] if the figure is of images and the format is SVG or PDF, and [`PlotError::Encode`] if the encoder
    /// fails.
    pub fn encode(self, format: Format) -> Result<Vec<u8>, PlotError> {
        match (self, format) {
            (Self::Chart(canvas), Format::Svg) => canvas.svg(),
            (Self::Chart(canvas), Format::Pdf) => Ok(canvas.pdf()),
            (Self::Chart(canvas), format) => format.convert(canvas.png()?),
            (Self::Images(png), format) => format.convert(png),
        }
    }
}

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
    /// Returns [`PlotError::Format`] if no figure of this kind can be written with this ending.
    pub fn of(path: &Path, kind: FigureKind) -> Result<Self, PlotError> {
        let Some(ending) = path.extension() else { return Ok(Self::Png) };
        let ending = ending.to_string_lossy().to_lowercase();
        match (ending.as_str(), kind) {
            ("png", _) => Ok(Self::Png),
            ("jpg" | "jpeg" | "jpe" | "jfif", _) => Ok(Self::Jpeg),
            ("webp", _) => Ok(Self::WebP),
            ("tif" | "tiff", _) => Ok(Self::Tiff),
            ("svg", FigureKind::Chart) => Ok(Self::Svg),
            ("pdf", FigureKind::Chart) => Ok(Self::Pdf),
            _ => Err(PlotError::Format { kind, ending }),
        }
    }

    /// Converts a PNG file into this format. JPEG and WebP have 8 bits; JPEG shows transparent pixels over white.
    ///
    /// # Errors
    /// Returns [`PlotError::Encode`] if the bytes are not a PNG file, or the format cannot hold the picture, and [`PlotError::Format`] if
    /// the format has no pixels.
    fn convert(self, png: Vec<u8>) -> Result<Vec<u8>, PlotError> {
        match self {
            Self::Png => return Ok(png),
            Self::Svg => return Err(PlotError::Format { kind: FigureKind::Images, ending: "svg".into() }),
            Self::Pdf => return Err(PlotError::Format { kind: FigureKind::Images, ending: "pdf".into() }),
            Self::Jpeg | Self::WebP | Self::Tiff => {}
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

/// Says that an ending cannot be written, and which can.
pub(crate) fn refusal(kind: FigureKind, ending: &str) -> String {
    match (kind, ending) {
        (FigureKind::Images, "svg" | "pdf") => format!(
            "images are made of pixels and are not written as .{ending}, which is for charts; end the name in .png, .jpg, .webp or .tiff"
        ),
        (FigureKind::Images, _) => {
            format!("images cannot be written as .{ending}; end the name in .png, .jpg, .webp or .tiff")
        }
        (FigureKind::Chart, _) => {
            format!("charts cannot be written as .{ending}; end the name in .svg, .pdf, .png, .jpg, .webp or .tiff")
        }
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
        let format = Format::of(Path::new(path), FigureKind::Images).unwrap();
        let bytes = Figure::Images(picture.png(values).unwrap()).encode(format).unwrap();
        let expected = ImageFormat::from_path(path).unwrap();
        assert_eq!(image::guess_format(&bytes).unwrap(), expected, "{path}");
        image::load_from_memory(&bytes).unwrap()
    }

    #[test]
    fn the_ending_decides() {
        let of = |name: &str, kind| Format::of(Path::new(name), kind);
        for (name, format) in
            [("a.PNG", Format::Png), ("a.jpeg", Format::Jpeg), ("a.webp", Format::WebP), ("a.tif", Format::Tiff)]
        {
            assert_eq!(of(name, FigureKind::Images).unwrap(), format);
            assert_eq!(of(name, FigureKind::Chart).unwrap(), format);
        }
        assert_eq!(of("folder.d/picture", FigureKind::Images).unwrap(), Format::Png);
        assert_eq!(of("a.SVG", FigureKind::Chart).unwrap(), Format::Svg);
        assert_eq!(of("a.pdf", FigureKind::Chart).unwrap(), Format::Pdf);
        for name in ["a.svg", "a.pdf", "a.txt", "a.gif", "a.npz"] {
            let found = of(name, FigureKind::Images);
            assert!(matches!(found, Err(PlotError::Format { kind: FigureKind::Images, .. })), "{name}");
        }
        let error = of("a.gif", FigureKind::Chart).unwrap_err().to_string();
        assert!(error.contains(".gif") && error.contains(".svg, .pdf"), "{error}");
    }

    #[test]
    fn charts_have_all_formats_and_images_those_of_pixels() {
        let chart = || Figure::from(Canvas::new(20.0, 10.0, 1.0).unwrap());
        assert!(chart().encode(Format::Svg).unwrap().starts_with(b"<svg "));
        assert!(chart().encode(Format::Pdf).unwrap().starts_with(b"%PDF-"));
        let image = image::load_from_memory(&chart().encode(Format::WebP).unwrap()).unwrap();
        assert_eq!((image.width(), image.height()), (20, 10));
        for format in [Format::Svg, Format::Pdf] {
            let error = Figure::Images(Vec::new()).encode(format).unwrap_err();
            assert!(matches!(error, PlotError::Format { kind: FigureKind::Images, .. }), "{error}");
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
