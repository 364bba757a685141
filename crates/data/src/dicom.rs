//! DICOM: the slices and frames of files, in the units of their headers.

mod lengths;

use std::{io::Cursor, path::Path};

use dicom_object::{DefaultDicomObject, OpenFileOptions, Tag, file::ReadPreamble};
use dicom_pixeldata::{PixelDecoder, PlanarConfiguration};

use crate::{
    DataError, Dataset, Labels, Limits, Notice, NumberType, OpenOptions,
    array::{self, Array},
    source::{Source, Span},
};

const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const SAMPLES: Tag = Tag(0x0028, 0x0002);
const FRAMES: Tag = Tag(0x0028, 0x0008);
const COLORS: Tag = Tag(0x0028, 0x0004);
const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
const BITS_STORED: Tag = Tag(0x0028, 0x0101);
const HIGH_BIT: Tag = Tag(0x0028, 0x0102);
const IS_SIGNED: Tag = Tag(0x0028, 0x0103);
const INTERCEPT: Tag = Tag(0x0028, 0x1052);
const SLOPE: Tag = Tag(0x0028, 0x1053);
const WINDOW_CENTER: Tag = Tag(0x0028, 0x1050);
const WINDOW_WIDTH: Tag = Tag(0x0028, 0x1051);
const RESCALE_TYPE: Tag = Tag(0x0028, 0x1054);
const LOOKUP_TABLE: Tag = Tag(0x0028, 0x3000);
const MODALITY: Tag = Tag(0x0008, 0x0060);
const PIXELS: Tag = Tag(0x7FE0, 0x0010);
/// The transfer syntax of frames packed as run lengths.
const RUN_LENGTHS: &str = "1.2.840.10008.1.2.5";

/// A file by its name.
pub(crate) type File = (String, Source);

/// Whether bytes begin as a DICOM file does.
pub(crate) fn recognizes(first: &[u8]) -> bool {
    first.get(128..132) == Some(b"DICM")
}

/// Frames of a file.
struct Slices {
    height: usize,
    width: usize,
    channels: usize,
    frames: usize,
    values: Vec<f64>,
    /// The lowest and the highest value that the bits of a pixel can stand for, in the units of the file.
    range: (f64, f64),
    is_inverted: bool,
    /// Slope, intercept and unit, if values were scaled.
    units: Option<String>,
    window: Option<String>,
}

/// Opens files as one data set: each frame a row. `classes` are those of the files.
pub(crate) fn dataset(
    path: &Path,
    files: Vec<File>,
    classes: Option<Labels>,
    options: &OpenOptions,
) -> Result<Dataset, DataError> {
    let limits = options.limits.of(files.iter().map(|(_, source)| source.len()).sum());
    let mut joined = Joined::default();
    let mut of_row = Vec::new();
    for (index, (name, source)) in files.iter().enumerate() {
        let wrong = |problem: String| DataError::malformed(path, format!("{name} {problem}"));
        let bytes = source.span(Span { at: 0, size: source.len() }).map_err(|error| DataError::read(path, error))?;
        let Some(slices) = read(path, &bytes, &limits, &wrong)? else {
            joined.without_pixels.push(name.clone());
            continue;
        };
        of_row.extend(classes.iter().flat_map(|labels| vec![labels.of_row[index]; slices.frames]));
        joined.add(path, name, slices, &limits)?;
    }
    let labels = classes.map(|labels| Labels { of_row, names: labels.names });
    joined.dataset(path, labels, options)
}

fn read(
    path: &Path,
    bytes: &[u8],
    limits: &Limits,
    wrong: &dyn Fn(String) -> DataError,
) -> Result<Option<Slices>, DataError> {
    lengths::check(bytes).map_err(wrong)?;
    let object = OpenFileOptions::new()
        .read_preamble(ReadPreamble::Auto)
        .from_reader(Cursor::new(bytes))
        .map_err(|error| wrong(format!("is no whole DICOM file: {error}")))?;
    if object.get(PIXELS).is_none() {
        return Ok(None);
    }
    let number = |tag: Tag| object.get(tag).and_then(|element| element.to_int::<u32>().ok());
    let size = |tag: Tag| number(tag).filter(|&size| size > 0).map(|size| size as usize);
    let (Some(height), Some(width)) = (size(ROWS), size(COLUMNS)) else {
        return Err(wrong("has no size".into()));
    };
    let (channels, frames) = (size(SAMPLES).unwrap_or(1), size(FRAMES).unwrap_or(1));
    if !matches!(number(BITS_ALLOCATED), Some(8 | 16 | 32)) || !matches!(channels, 1 | 3) {
        return Err(wrong("has pixels of a kind that is not read; convert it with pydicom".into()));
    }
    if object.get(LOOKUP_TABLE).is_some() {
        return Err(wrong("has a modality lookup table, which is not applied; convert it with pydicom".into()));
    }
    limits.check_rows(path, frames, height.saturating_mul(width).saturating_mul(channels), size_of::<f64>())?;
    decode(&object, (height, width, channels, frames), wrong).map(Some)
}

fn decode(
    object: &DefaultDicomObject,
    (height, width, channels, frames): (usize, usize, usize, usize),
    wrong: &dyn Fn(String) -> DataError,
) -> Result<Slices, DataError> {
    let size = height * width * channels;
    let pixels = if object.meta().transfer_syntax().trim_end_matches('\0') == RUN_LENGTHS {
        run_lengths(object, size, channels, frames)
    } else {
        check_jpegs(object, height, width).and_then(|()| by_library(object, size * frames))
    };
    let pixels = pixels.map_err(|problem| wrong(format!("cannot be decoded: {problem}")))?;
    let (is_inverted, is_color) = (pixels.colors == "MONOCHROME1", pixels.colors == "RGB");
    if !(is_inverted || is_color || pixels.colors == "MONOCHROME2") || is_color != (channels == 3) {
        return Err(wrong(format!("has colors of the kind {}, which is not read", pixels.colors)));
    }
    let number = |tag: Tag| object.get(tag).and_then(|element| element.to_int::<u32>().ok());
    let bits = number(BITS_STORED).unwrap_or(16).clamp(1, 32);
    let shift = number(HIGH_BIT).map_or(0, |high| high.saturating_add(1).saturating_sub(bits)).min(31);
    let (low, high) = match number(IS_SIGNED) {
        Some(1) => (-(1_i64 << (bits - 1)), (1 << (bits - 1)) - 1),
        _ => (0, (1 << bits) - 1),
    };
    let value = |raw: u32| {
        let raw = i64::from(raw >> shift) & ((1 << bits) - 1);
        let raw = if raw > high { raw - (1 << bits) } else { raw };
        (if is_inverted { low + high - raw } else { raw }) as f64
    };
    let mut values: Vec<f64> = pixels.stored.into_iter().map(value).collect();
    if pixels.are_planes && is_color {
        values = values.chunks_exact(size).flat_map(|frame| pixels_first(frame, height * width)).collect();
    }
    let scale = |frame: usize| match pixels.scales.get(frame).or(pixels.scales.first()) {
        Some(&scale) if !is_color => scale,
        _ => (1.0, 0.0),
    };
    let mut range = (f64::INFINITY, f64::NEG_INFINITY);
    for (frame, values) in values.chunks_exact_mut(size).enumerate() {
        let (slope, intercept) = scale(frame);
        values.iter_mut().for_each(|value| *value = *value * slope + intercept);
        for end in [low as f64 * slope + intercept, high as f64 * slope + intercept] {
            range = (range.0.min(end), range.1.max(end));
        }
    }
    let units = units(object, scale(0));
    Ok(Slices { height, width, channels, frames, values, range, is_inverted, units, window: window(object) })
}

/// Pixels as they are stored, and what is needed to read them.
struct Pixels {
    stored: Vec<u32>,
    /// The photometric interpretation.
    colors: String,
    /// Whether the colors of a frame are planes.
    are_planes: bool,
    /// Slope and intercept, of each frame or of all.
    scales: Vec<(f64, f64)>,
}

/// Returns an error if a JPEG in the object has another size than the object says. The library allocates what the JPEG says.
fn check_jpegs(object: &DefaultDicomObject, height: usize, width: usize) -> Result<(), String> {
    let fragments = object.get(PIXELS).and_then(|element| element.value().fragments()).unwrap_or_default();
    let mut jpegs = fragments.iter().filter(|fragment| fragment.starts_with(&[0xFF, 0xD8])).peekable();
    if !fragments.is_empty() && jpegs.peek().is_none() {
        return Err("its frames are compressed by a method that is not read".into());
    }
    match jpegs.all(|jpeg| jpeg_size(jpeg) == Some((height, width))) {
        true => Ok(()),
        false => Err("a frame has another size than its header says".into()),
    }
}

/// The height and width in a JPEG's header.
fn jpeg_size(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut at = 2;
    loop {
        let field = bytes.get(at..at + 9)?;
        let word = |at: usize| usize::from(field[at]) << 8 | usize::from(field[at + 1]);
        match (field[0], field[1]) {
            (0xFF, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF) => return Some((word(5), word(7))),
            (0xFF, 0xFF) => at += 1,
            (0xFF, _) => at += 2 + word(2),
            _ => return None,
        }
    }
}

fn by_library(object: &DefaultDicomObject, count: usize) -> Result<Pixels, String> {
    let pixels = object.decode_pixel_data().map_err(|error| error.to_string())?;
    let scales = pixels.rescale().map_err(|error| error.to_string())?;
    Ok(Pixels {
        stored: stored(pixels.data(), count).ok_or("fewer pixels than its header says")?,
        colors: pixels.photometric_interpretation().as_str().to_owned(),
        are_planes: pixels.planar_configuration() == PlanarConfiguration::PixelFirst,
        scales: scales.iter().map(|scale| (scale.slope, scale.intercept)).collect(),
    })
}

/// Frames that are packed as run lengths. The library's decoder panics on damaged ones.
fn run_lengths(object: &DefaultDicomObject, size: usize, channels: usize, frames: usize) -> Result<Pixels, String> {
    let number = |tag: Tag| object.get(tag).and_then(|element| element.to_float64().ok());
    let fragments = object.get(PIXELS).and_then(|element| element.value().fragments()).unwrap_or_default();
    if fragments.len() < frames {
        return Err("fewer frames than its header says".into());
    }
    let bytes = number(BITS_ALLOCATED).map_or(1, |bits| bits as usize / 8);
    let mut stored = Vec::with_capacity(size * frames);
    for fragment in &fragments[..frames] {
        let frame = run_length_frame(fragment, size / channels, channels, bytes);
        stored.extend(frame.ok_or("its run lengths are cut short")?);
    }
    Ok(Pixels {
        stored,
        colors: text(object, COLORS).unwrap_or_default(),
        are_planes: false,
        scales: vec![(number(SLOPE).unwrap_or(1.0), number(INTERCEPT).unwrap_or(0.0))],
    })
}

/// A frame in segments, each a byte of a channel, the highest first. The positions of segments stand before them.
fn run_length_frame(fragment: &[u8], pixels: usize, channels: usize, bytes: usize) -> Option<Vec<u32>> {
    let word = |at: usize| Some(u32::from_le_bytes(*fragment.get(4 * at..)?.first_chunk()?) as usize);
    let segments = channels * bytes;
    if word(0)? != segments || segments > 15 {
        return None;
    }
    let mut frame = vec![0_u32; pixels * channels];
    for segment in 0..segments {
        let end = if segment + 1 < segments { word(segment + 2)? } else { fragment.len() };
        let plane = unpack_bits(fragment.get(word(segment + 1)?..end)?, pixels)?;
        let values = frame.iter_mut().skip(segment / bytes).step_by(channels);
        values.zip(plane).for_each(|(value, byte)| *value = *value << 8 | u32::from(byte));
    }
    Some(frame)
}

/// Runs of one byte, and bytes as they are, each behind their number.
fn unpack_bits(mut packed: &[u8], count: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(count);
    while bytes.len() < count {
        let (&head, rest) = packed.split_first()?;
        let used = match head {
            0..=127 => {
                let plain = rest.get(..usize::from(head) + 1)?;
                bytes.extend_from_slice(plain);
                plain.len()
            }
            128 => 0,
            129.. => {
                bytes.resize(bytes.len() + 257 - usize::from(head), *rest.first()?);
                1
            }
        };
        packed = &rest[used..];
    }
    bytes.truncate(count);
    Some(bytes)
}

/// The stored numbers of pixels, of one, two or four bytes each.
fn stored(bytes: &[u8], count: usize) -> Option<Vec<u32>> {
    let numbers: Vec<u32> = match bytes.len().checked_div(count)? {
        1 => bytes.iter().map(|&byte| byte.into()).collect(),
        2 | 3 => bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_ne_bytes(*pair).into()).collect(),
        4.. => bytes.as_chunks::<4>().0.iter().map(|four| u32::from_ne_bytes(*four)).collect(),
        0 => return None,
    };
    (numbers.len() >= count).then(|| numbers[..count].to_vec())
}

/// The colors of each pixel together, of a frame whose colors are planes.
fn pixels_first(frame: &[f64], size: usize) -> Vec<f64> {
    (0..size).flat_map(|pixel| (0..3).map(move |color| frame[color * size + pixel])).collect()
}

fn text(object: &DefaultDicomObject, tag: Tag) -> Option<String> {
    let text = object.get(tag)?.to_str().ok()?.trim_matches(['\0', ' ']).to_owned();
    (!text.is_empty()).then_some(text)
}

fn units(object: &DefaultDicomObject, (slope, intercept): (f64, f64)) -> Option<String> {
    let unit = text(object, RESCALE_TYPE).or_else(|| (text(object, MODALITY)? == "CT").then(|| "HU".to_owned()));
    let of = unit.as_ref().map_or_else(String::new, |unit| format!(" in {unit}"));
    match (unit, slope, intercept) {
        (None, 1.0, 0.0) => None,
        _ => Some(format!("values are{of}: {slope} times those of the file plus {intercept}, as its header says")),
    }
}

fn window(object: &DefaultDicomObject) -> Option<String> {
    let (center, width) = (text(object, WINDOW_CENTER)?, text(object, WINDOW_WIDTH)?);
    Some(format!(
        "the window (center {center}, width {width}) is for screens and is not applied; range sets another range"
    ))
}

/// The slices of all files.
#[derive(Default)]
struct Joined {
    size: Option<(usize, usize, usize)>,
    values: Vec<f64>,
    rows: usize,
    range: Option<(f64, f64)>,
    inverted: usize,
    notes: Vec<String>,
    without_pixels: Vec<String>,
}

impl Joined {
    fn add(&mut self, path: &Path, name: &str, slices: Slices, limits: &Limits) -> Result<(), DataError> {
        let size = (slices.height, slices.width, slices.channels);
        if *self.size.get_or_insert(size) != size {
            let text = |(height, width, channels)| format!("{width}x{height} with {channels} channels");
            return Err(DataError::MixedSizes {
                path: path.display().to_string(),
                file: name.to_owned(),
                found: text(size),
                expected: self.size.map(text).unwrap_or_default(),
            });
        }
        self.rows += slices.frames;
        limits.check_rows(path, self.rows, size.0 * size.1 * size.2, size_of::<f64>())?;
        self.values.extend(slices.values);
        let (low, high) = self.range.unwrap_or(slices.range);
        self.range = Some((low.min(slices.range.0), high.max(slices.range.1)));
        self.inverted += usize::from(slices.is_inverted);
        for note in slices.units.into_iter().chain(slices.window) {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        Ok(())
    }

    /// The narrowest type that holds every value.
    fn number(&self) -> NumberType {
        let (low, high) = self.range.unwrap_or_default();
        let is_whole = self.values.iter().all(|value| value.fract() == 0.0);
        match () {
            () if !is_whole => NumberType::F32,
            () if low >= 0.0 && high <= 255.0 => NumberType::U8,
            () if low >= 0.0 && high <= 65535.0 => NumberType::U16,
            () if low >= -32768.0 && high <= 32767.0 => NumberType::I16,
            () => NumberType::F32,
        }
    }

    fn dataset(self, path: &Path, labels: Option<Labels>, options: &OpenOptions) -> Result<Dataset, DataError> {
        let Some((height, width, channels)) = self.size else {
            return Err(DataError::empty(path, "no DICOM file with pixels in it"));
        };
        let (number, bytes) = self.number().encode(&self.values);
        let array = Array {
            name: "pixels".into(),
            shape: vec![self.rows, height, width, channels],
            number: Some(number),
            text: None,
            unread: None,
            big_endian: false,
            source: Source::Bytes(bytes.into()),
            start: 0,
        };
        let mut notices = Vec::new();
        if let Some(example) = self.without_pixels.first() {
            let (count, endings) = (self.without_pixels.len(), vec!["DICOM without pixels".to_owned()]);
            notices.push(Notice::FilesSkipped { count, endings, example: example.clone() });
        }
        if self.inverted > 0 {
            let text = format!("{} of the files have white as 0 (MONOCHROME1) and are inverted", self.inverted);
            notices.push(Notice::Units { text });
        }
        notices.extend(self.notes.into_iter().take(8).map(|text| Notice::Units { text }));
        let mut set = array::rows(path, &array, labels, false, &mut notices)?;
        if let (Some((low, high)), None) = (self.range, options.range) {
            set = set.with_range(low as f32, high as f32)?;
        }
        set.notices.splice(0..0, notices);
        Ok(set)
    }
}
