//! TIFF: pages, and gray images with floating point values, which the image crate does not read.

use std::{borrow::Cow, io::Cursor};

use image::metadata::Orientation;
use tiff::decoder::{Decoder, DecodingResult};

use super::{Depth, Header};

/// Maximum number of pages of a file.
const MOST_PAGES: usize = 1 << 16;

/// A TIFF file's byte order and whether offsets have 64 bits.
struct File<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    large: bool,
}

/// One page: the position and the contents of its directory.
#[derive(Clone, Copy, Debug)]
struct Page {
    at: u64,
    next: u64,
    width: u64,
    height: u64,
    bits: u64,
    /// 1 unsigned, 2 signed, 3 floating point.
    format: u64,
    photometric: u64,
    samples: u64,
    extra: bool,
    orientation: u64,
    /// Whether it is a reduced copy of another page.
    reduced: bool,
}

impl File<'_> {
    fn open(bytes: &[u8]) -> Option<File<'_>> {
        let big_endian = bytes.starts_with(b"MM");
        let file = File { bytes, big_endian, large: false };
        let large = file.number(2, 2)? == 43;
        Some(File { large, ..file })
    }

    fn number(&self, at: u64, size: usize) -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let field = self.bytes.get(at..at.checked_add(size)?)?;
        let join = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.big_endian { field.iter().fold(0, join) } else { field.iter().rev().fold(0, join) })
    }

    /// Returns the position and the size of the first directory's offset.
    fn first(&self) -> (u64, usize) {
        if self.large { (8, 8) } else { (4, 4) }
    }

    fn page(&self, at: u64) -> Option<Page> {
        let (count_size, entry_size, offset_size) = if self.large { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(at, count_size)?;
        let entries = at.checked_add(count_size as u64)?;
        let end = entries.checked_add(count.checked_mul(entry_size)?)?;
        let mut page = Page {
            at,
            next: self.number(end, offset_size)?,
            width: 0,
            height: 0,
            bits: 1,
            format: 1,
            photometric: 0,
            samples: 1,
            extra: false,
            orientation: 1,
            reduced: false,
        };
        for entry in (0..count).map(|index| entries + index * entry_size) {
            let (tag, kind) = (self.number(entry, 2)?, self.number(entry + 2, 2)?);
            let size = match kind {
                1 => 1,
                3 => 2,
                16 => 8,
                _ => 4,
            };
            // The value, or where the values are if they do not fit here; the first of them is enough.
            let (count_at, value_at) = (entry + 4, entry + 4 + offset_size as u64);
            let values = self.number(count_at, offset_size)?;
            let fits = values.checked_mul(size).is_some_and(|bytes| bytes <= offset_size as u64);
            let place = if fits { value_at } else { self.number(value_at, offset_size)? };
            let value = self.number(place, size as usize);
            let field = match tag {
                254 => {
                    page.reduced = value? & 1 == 1;
                    continue;
                }
                256 => &mut page.width,
                257 => &mut page.height,
                258 => &mut page.bits,
                262 => &mut page.photometric,
                274 => &mut page.orientation,
                277 => &mut page.samples,
                338 => {
                    page.extra = true;
                    continue;
                }
                339 => &mut page.format,
                _ => continue,
            };
            *field = value?;
        }
        Some(page)
    }

    /// Returns the pages without reduced copies.
    fn pages(&self) -> Option<Vec<Page>> {
        let (first, size) = self.first();
        let mut at = self.number(first, size)?;
        let mut pages: Vec<Page> = Vec::new();
        // Directories may form a cycle.
        while at != 0 && pages.len() < MOST_PAGES && pages.iter().all(|page| page.at != at) {
            let page = self.page(at)?;
            at = page.next;
            pages.push(page);
        }
        if pages.len() > 1 && pages.iter().any(|page| !page.reduced) {
            pages.retain(|page| !page.reduced);
        }
        Some(pages)
    }
}

impl Page {
    fn header(&self, frames: usize) -> Option<Header> {
        let mut header = Header::new((u32::try_from(self.width).ok()?, u32::try_from(self.height).ok()?));
        header.color = !matches!(self.photometric, 0 | 1);
        header.alpha = self.extra && matches!(self.samples, 2 | 4);
        header.depth = match (self.bits, self.format) {
            (..=8, 1) => Depth::Byte,
            (9..=16, 1) => Depth::Word,
            _ => Depth::Float,
        };
        header.orientation = Orientation::from_exif(self.orientation as u8).unwrap_or(Orientation::NoTransforms);
        header.frames = frames;
        Some(header)
    }
}

/// The header of a page, with the number of pages that have its size and kind: 1 if they differ.
pub(super) fn header(bytes: &[u8], page: usize) -> Result<Header, String> {
    let read = || {
        let pages = File::open(bytes)?.pages()?;
        pages.get(page)?.header(pages.len())
    };
    read()
        .filter(|header| header.size.0 > 0)
        .ok_or_else(|| "is cut short or damaged: a TIFF without a whole page".into())
}

/// Whether all pages have one size.
pub(crate) fn pages_agree(bytes: &[u8]) -> bool {
    let pages = File::open(bytes).and_then(|file| file.pages()).unwrap_or_default();
    pages.windows(2).all(|pair| (pair[0].width, pair[0].height) == (pair[1].width, pair[1].height))
}

/// Returns the file with one of its pages as the first.
pub(super) fn with_page(bytes: &[u8], page: usize) -> Option<Cow<'_, [u8]>> {
    if page == 0 {
        return Some(bytes.into());
    }
    let file = File::open(bytes)?;
    let at = file.pages()?.get(page)?.at;
    let (first, size) = file.first();
    let mut turned = bytes.to_vec();
    let number =
        if file.big_endian { at.to_be_bytes()[8 - size..].to_vec() } else { at.to_le_bytes()[..size].to_vec() };
    turned[first as usize..first as usize + size].copy_from_slice(&number);
    Some(turned.into())
}

/// Reads the values of the first page, a gray image of floating point values or of integers without a nominal range.
pub(super) fn floats(bytes: &[u8]) -> Result<Vec<f32>, String> {
    let wrong = |error: tiff::TiffError| format!("cannot be decoded: {error}");
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(wrong)?;
    if !matches!(decoder.colortype().map_err(wrong)?, tiff::ColorType::Gray(_)) {
        return Err("cannot be decoded: colors of floating point values are not read; save the image as .npy".into());
    }
    Ok(match decoder.read_image().map_err(wrong)? {
        DecodingResult::F16(values) => values.into_iter().map(|value| value.to_f32()).collect(),
        DecodingResult::F32(values) => values,
        DecodingResult::F64(values) => values.into_iter().map(|value| value as f32).collect(),
        DecodingResult::I8(values) => values.into_iter().map(f32::from).collect(),
        DecodingResult::I16(values) => values.into_iter().map(f32::from).collect(),
        DecodingResult::I32(values) => values.into_iter().map(|value| value as f32).collect(),
        DecodingResult::I64(values) => values.into_iter().map(|value| value as f32).collect(),
        DecodingResult::U8(values) => values.into_iter().map(f32::from).collect(),
        DecodingResult::U16(values) => values.into_iter().map(f32::from).collect(),
        DecodingResult::U32(values) => values.into_iter().map(|value| value as f32).collect(),
        DecodingResult::U64(values) => values.into_iter().map(|value| value as f32).collect(),
    })
}
