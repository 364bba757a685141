//! Headers of image files: size, kind, orientation, and a check for truncation.

use image::metadata::Orientation;

use super::{Depth, Header, tiff};

impl Header {
    pub(super) fn new(size: (u32, u32)) -> Self {
        Self { size, color: true, alpha: false, depth: Depth::Byte, orientation: Orientation::NoTransforms, frames: 1 }
    }

    /// Width and height after applying the orientation.
    pub(crate) fn turned(&self) -> (u32, u32) {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        match self.orientation {
            Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => (self.size.1, self.size.0),
            _ => self.size,
        }
    }

    /// Bytes of the decoded image.
    pub(crate) fn decoded(&self) -> u64 {
        let channels = if self.color { 3 } else { 1 } + u64::from(self.alpha);
        let value = match self.depth {
            Depth::Byte => 1,
            Depth::Word => 2,
            Depth::Float => 4,
        };
        u64::from(self.size.0).saturating_mul(self.size.1.into()).saturating_mul(channels * value)
    }
}

fn big(bytes: &[u8], at: usize, size: usize) -> Option<u32> {
    Some(bytes.get(at..at + size)?.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte)))
}

fn little(bytes: &[u8], at: usize, size: usize) -> Option<u32> {
    Some(bytes.get(at..at + size)?.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte)))
}

/// Reads the header of an image, of the first page if there are several. `name` identifies formats without a magic number.
///
/// The error says what is wrong.
pub(crate) fn read(name: &str, bytes: &[u8]) -> Result<Header, String> {
    let found = match bytes {
        [] => return Err("is empty".into()),
        [0x89, b'P', b'N', b'G', ..] => return png(bytes).unwrap_or_else(|| Err("is cut short".into())),
        [0xFF, 0xD8, ..] => return jpeg(bytes),
        [b'G', b'I', b'F', b'8', ..] => return gif(bytes).unwrap_or_else(|| Err("is cut short".into())),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp(bytes),
        [b'B', b'M', ..] => bmp(bytes),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => return tiff::header(bytes, 0),
        [b'P', b'1'..=b'7', ..] => pnm(bytes),
        _ if ends_with(name, "tga") => tga(bytes),
        _ => return Err(unknown(bytes)),
    };
    found.ok_or_else(|| "is cut short".into())
}

pub(super) fn ends_with(name: &str, ending: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, found)| found.eq_ignore_ascii_case(ending))
}

/// Returns the name of an unsupported format, and how to convert it.
fn unknown(bytes: &[u8]) -> String {
    let brand = bytes.get(4..12).unwrap_or_default();
    let name = match (bytes, brand) {
        (_, b"ftypavif" | b"ftypavis") => "AVIF",
        (_, [b'f', b't', b'y', b'p', b'h', b'e', ..] | b"ftypmif1") => "HEIC",
        ([0xFF, 0x0A, ..], _) | ([0, 0, 0, 12, b'J', b'X', b'L', ..], _) => "JPEG XL",
        ([0, 0, 0, 12, b'j', b'P', ..], _) => "JPEG 2000",
        ([b'8', b'B', b'P', b'S', ..], _) => "Photoshop",
        ([0x76, 0x2F, 0x31, 0x01, ..], _) => "OpenEXR",
        ([b'<', ..], _) => "SVG or HTML",
        _ => return "cannot be decoded: it is not an image of a format known here".into(),
    };
    format!("cannot be decoded: {name} is not read; convert the images with `mogrify -format png *`")
}

fn png(bytes: &[u8]) -> Option<Result<Header, String>> {
    let mut header = Header::new((big(bytes, 16, 4)?, big(bytes, 20, 4)?));
    let (depth, color) = (*bytes.get(24)?, *bytes.get(25)?);
    header.color = matches!(color, 2 | 3 | 6);
    header.alpha = color >= 4;
    header.depth = if depth == 16 { Depth::Word } else { Depth::Byte };
    let mut at = 8;
    while let (Some(size), Some(kind)) = (big(bytes, at, 4), bytes.get(at + 4..at + 8)) {
        let body = bytes.get(at + 8..).and_then(|rest| rest.get(..size as usize));
        match (kind, body) {
            // The `png` crate expands such a palette without a check and panics. Without indices, it is not used.
            (b"PLTE", _) if color == 3 && !size.is_multiple_of(3) => {
                let problem =
                    format!("cannot be decoded: its palette of {size} bytes is not one of three bytes a color");
                return Some(Err(format!("{problem}; save it again")));
            }
            (b"tRNS", _) => header.alpha = true,
            (b"acTL", Some(body)) => header.frames = big(body, 0, 4)?.max(1) as usize,
            (b"eXIf", Some(body)) => header.orientation = orientation(body),
            (b"IDAT" | b"IEND", _) | (_, None) => break,
            _ => {}
        }
        at += 12 + size as usize;
    }
    Some(Ok(header))
}

fn orientation(exif: &[u8]) -> Orientation {
    Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms)
}

/// Reads the header of a JPEG. It scans the whole file, because a truncated one would decode with a gray lower part.
fn jpeg(bytes: &[u8]) -> Result<Header, String> {
    let cut = || "is cut short: the JPEG has no end; fetch or save it again".to_owned();
    let mut header: Option<Header> = None;
    let mut exif = Orientation::NoTransforms;
    let mut at = 2;
    loop {
        // Markers may be preceded by any number of 0xFF.
        if bytes.get(at) != Some(&0xFF) {
            return Err(if at >= bytes.len() { cut() } else { "cannot be decoded: no marker where one is due".into() });
        }
        let marker = *bytes.get(at + 1).ok_or_else(cut)?;
        match marker {
            0xFF => at += 1,
            0xD9 => break,
            0x01 | 0xD0..=0xD8 => at += 2,
            _ => {
                let size = big(bytes, at + 2, 2).ok_or_else(cut)? as usize;
                let body = bytes.get(at + 4..at + 2 + size.max(2)).ok_or_else(cut)?;
                match marker {
                    0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                        let size = (big(body, 3, 2).ok_or_else(cut)?, big(body, 1, 2).ok_or_else(cut)?);
                        let found = Header { color: body.get(5) != Some(&1), ..Header::new(size) };
                        header = Some(found);
                    }
                    0xE1 => {
                        if let Some(chunk) = body.strip_prefix(b"Exif\0\0") {
                            exif = orientation(chunk);
                        }
                    }
                    _ => {}
                }
                at += 2 + size.max(2);
                if marker == 0xDA {
                    at += after_scan(&bytes[at..]).ok_or_else(cut)?;
                }
            }
        }
    }
    let header = header.ok_or("cannot be decoded: a JPEG without an image")?;
    Ok(Header { orientation: exif, ..header })
}

/// Returns the end of the entropy-coded bytes of a scan: a marker other than a restart.
fn after_scan(bytes: &[u8]) -> Option<usize> {
    let is_end = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF | 0xD0..=0xD7);
    bytes.windows(2).position(is_end)
}

/// Frames lie within the picture by the format. Decoders reserve memory for whole frames, so a frame of 11308x11308 in a picture of 9x7 is refused.
fn gif(bytes: &[u8]) -> Option<Result<Header, String>> {
    let mut header = Header::new((little(bytes, 6, 2)?, little(bytes, 8, 2)?));
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + table(*bytes.get(10)?);
    let mut frames = 0;
    // Extensions and frames, each followed by blocks up to an empty one.
    while let Some(&kind) = bytes.get(at) {
        let (flags, start) = match kind {
            0x21 => {
                if bytes.get(at + 1) == Some(&0xF9) && bytes.get(at + 3).is_some_and(|flags| flags & 1 == 1) {
                    header.alpha = true;
                }
                (0, at + 2)
            }
            0x2C => {
                frames += 1;
                let (left, top) = (little(bytes, at + 1, 2)?, little(bytes, at + 3, 2)?);
                let (width, height) = (little(bytes, at + 5, 2)?, little(bytes, at + 7, 2)?);
                let size = header.size;
                // The first frame is the one that is decoded.
                if frames == 1 && (left + width > size.0 || top + height > size.1) {
                    return Some(Err(format!(
                        "has a frame of {width}x{height} at {left}, {top}, outside of the picture of {}x{}",
                        size.0, size.1
                    )));
                }
                // Pixels outside of the frame are transparent.
                header.alpha |= (width, height) != header.size;
                (*bytes.get(at + 9)?, at + 10)
            }
            _ => break,
        };
        at = start + table(flags) + usize::from(kind == 0x2C);
        while let Some(&size) = bytes.get(at) {
            at += 1 + usize::from(size);
            if size == 0 {
                break;
            }
        }
    }
    header.frames = frames.max(1);
    Some(Ok(header))
}

fn webp(bytes: &[u8]) -> Option<Header> {
    match bytes.get(12..16)? {
        b"VP8 " => Some(Header::new((little(bytes, 26, 2)? & 0x3FFF, little(bytes, 28, 2)? & 0x3FFF))),
        b"VP8L" => {
            let bits = little(bytes, 21, 4)?;
            let size = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1);
            Some(Header { alpha: bits >> 28 & 1 == 1, ..Header::new(size) })
        }
        b"VP8X" => {
            let flags = *bytes.get(20)?;
            let mut header = Header::new((little(bytes, 24, 3)? + 1, little(bytes, 27, 3)? + 1));
            header.alpha = flags & 0x10 != 0;
            let (mut at, mut frames) = (12, 0);
            while let (Some(kind), Some(size)) = (bytes.get(at..at + 4), little(bytes, at + 4, 4)) {
                match (kind, bytes.get(at + 8..).and_then(|rest| rest.get(..size as usize))) {
                    (b"ANMF", _) => frames += 1,
                    (b"EXIF", Some(body)) => {
                        header.orientation = orientation(body.strip_prefix(b"Exif\0\0").unwrap_or(body));
                    }
                    _ => {}
                }
                at += 8 + (size as usize).next_multiple_of(2);
            }
            header.frames = frames.max(1);
            Some(header)
        }
        _ => None,
    }
}

fn bmp(bytes: &[u8]) -> Option<Header> {
    if little(bytes, 14, 4)? == 12 {
        return Some(Header::new((little(bytes, 18, 2)?, little(bytes, 20, 2)?)));
    }
    let size = (little(bytes, 18, 4)?, (little(bytes, 22, 4)? as i32).unsigned_abs());
    let (bits, compression) = (little(bytes, 28, 2)?, little(bytes, 30, 4)?);
    Some(Header { alpha: bits == 32 && compression != 0, ..Header::new(size) })
}

fn pnm(bytes: &[u8]) -> Option<Header> {
    if bytes[1] == b'7' {
        let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(1024))?).into_owned();
        let of = |key: &str| -> Option<u32> { text.split(key).nth(1)?.split_whitespace().next()?.parse().ok() };
        let mut header = Header::new((of("WIDTH")?, of("HEIGHT")?));
        let depth = of("DEPTH")?;
        (header.color, header.alpha) = (depth >= 3, depth.is_multiple_of(2));
        header.depth = if of("MAXVAL")? > 255 { Depth::Word } else { Depth::Byte };
        return Some(header);
    }
    let is_bitmap = matches!(bytes[1], b'1' | b'4');
    let (mut numbers, mut at) = (Vec::new(), 2);
    while numbers.len() < if is_bitmap { 2 } else { 3 } {
        match *bytes.get(at)? {
            b'#' => at += bytes[at..].iter().position(|&byte| byte == b'\n')?,
            byte if byte.is_ascii_digit() => {
                let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                numbers.push(std::str::from_utf8(&bytes[at..at + digits]).ok()?.parse::<u32>().ok()?);
                at += digits;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => return None,
        }
    }
    let mut header = Header::new((numbers[0], numbers[1]));
    header.color = matches!(bytes[1], b'3' | b'6');
    header.depth = if numbers.get(2).is_some_and(|&most| most > 255) { Depth::Word } else { Depth::Byte };
    Some(header)
}

fn tga(bytes: &[u8]) -> Option<Header> {
    let mut header = Header::new((little(bytes, 12, 2)?, little(bytes, 14, 2)?));
    let (kind, bits) = (*bytes.get(2)?, *bytes.get(16)?);
    header.color = !matches!(kind, 3 | 11);
    header.alpha = bits == 32 || (!header.color && bits == 16);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(image: image::DynamicImage, format: image::ImageFormat) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn headers_say_what_decoders_find() {
        use image::{DynamicImage, ImageFormat};
        let gray = || DynamicImage::new_luma8(7, 5);
        let color = || DynamicImage::new_rgb8(7, 5);
        for (image, format, name) in [
            (gray(), ImageFormat::Png, "a.png"),
            (color(), ImageFormat::Png, "a.png"),
            (DynamicImage::new_rgba8(7, 5), ImageFormat::Png, "a.png"),
            (DynamicImage::new_luma_a8(7, 5), ImageFormat::Png, "a.png"),
            (DynamicImage::new_luma16(7, 5), ImageFormat::Png, "a.png"),
            (gray(), ImageFormat::Jpeg, "a.jpg"),
            (color(), ImageFormat::Jpeg, "a.jpg"),
            (color(), ImageFormat::Bmp, "a.bmp"),
            (color(), ImageFormat::WebP, "a.webp"),
            (DynamicImage::new_rgba8(7, 5), ImageFormat::WebP, "a.webp"),
            (gray(), ImageFormat::Tiff, "a.tif"),
            (DynamicImage::new_rgb16(7, 5), ImageFormat::Tiff, "a.tif"),
            (gray(), ImageFormat::Pnm, "a.pgm"),
            (color(), ImageFormat::Pnm, "a.ppm"),
            (color(), ImageFormat::Tga, "a.tga"),
        ] {
            let bytes = encoded(image, format);
            let header = read(name, &bytes).unwrap_or_else(|error| panic!("{name} {error}"));
            let decoded = match name {
                "a.tga" => image::load_from_memory_with_format(&bytes, format).unwrap(),
                _ => image::load_from_memory(&bytes).unwrap(),
            };
            assert_eq!(header.size, (7, 5), "{name}");
            assert_eq!(header.color, decoded.color().has_color(), "{name}");
            assert_eq!(header.alpha, decoded.color().has_alpha(), "{name} {:?}", decoded.color());
            let deep = decoded.color().bytes_per_pixel() / decoded.color().channel_count() > 1;
            assert_eq!(header.depth, if deep { Depth::Word } else { Depth::Byte }, "{name}");
        }
    }

    #[test]
    fn a_palette_of_a_png_has_three_bytes_a_color() {
        let with_palette = |color: u8, palette: &[u8]| {
            let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x09\0\0\0\x07\x08".to_vec();
            bytes.extend([color, 0, 0, 0]);
            bytes.extend(b"crc.");
            bytes.extend((palette.len() as u32).to_be_bytes());
            bytes.extend([b"PLTE", palette, b"crc.\0\0\0\0IEND"].concat());
            bytes
        };
        assert_eq!(read("a.png", &with_palette(3, &[1, 2, 3])).unwrap().size, (9, 7));
        for palette in [&[1][..], &[1, 2, 3, 4], &[0; 52]] {
            let problem = read("a.png", &with_palette(3, palette)).unwrap_err();
            assert!(problem.contains("palette"), "{problem}");
            // The palette that an image of full colors suggests is not used.
            read("a.png", &with_palette(2, palette)).unwrap();
        }
    }

    #[test]
    fn the_first_frame_of_a_gif_lies_within_the_picture() {
        let image = image::RgbaImage::from_pixel(9, 7, image::Rgba([1, 2, 3, 255]));
        let bytes = encoded(image.into(), image::ImageFormat::Gif);
        assert_eq!(read("a.gif", &bytes).unwrap().size, (9, 7));
        let frame = bytes.windows(10).position(|from| from == [0x2C, 0, 0, 0, 0, 9, 0, 7, 0, from[9]]).unwrap();
        for (at, value) in [(frame + 1, 1), (frame + 3, 1), (frame + 6, 0x2C), (frame + 8, 0x2C)] {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            let problem = read("a.gif", &bytes).unwrap_err();
            assert!(problem.contains("outside of the picture of 9x7"), "{at}: {problem}");
        }
    }

    #[test]
    fn a_jpeg_without_its_end_is_cut_short() {
        let image = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * y) as u8, x as u8, y as u8]));
        let bytes = encoded(image.into(), image::ImageFormat::Jpeg);
        assert_eq!(read("a.jpg", &bytes).unwrap().size, (64, 64));
        for length in 2..bytes.len() {
            let problem = read("a.jpg", &bytes[..length]).unwrap_err();
            assert!(problem.contains("cut short"), "{length}: {problem}");
        }
        // As left by an interrupted download into a preallocated file.
        let mut blank = bytes.clone();
        let half = bytes.len() / 2;
        blank[half..].fill(0);
        assert!(read("a.jpg", &blank).is_err());
    }
}
