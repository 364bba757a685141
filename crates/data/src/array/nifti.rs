//! NIfTI-1 volumes in a single file, read as images, one per slice.

use std::path::Path;

use super::Array;
use crate::{
    DataError, LimitOverrides, Limits, Notice, NumberType, limits,
    source::{Source, Span},
};

const HEADER: u64 = 348;

/// Whether bytes start like a NIfTI-1 file.
pub(crate) fn recognizes(first: &[u8]) -> bool {
    first.get(344..348) == Some(b"n+1\0") && matches!(first[..4], [0x5C, 1, 0, 0] | [0, 0, 1, 0x5C])
}

/// Returns the number type for a code of the header.
fn number_type(kind: i16) -> Option<NumberType> {
    Some(match kind {
        2 => NumberType::U8,
        4 => NumberType::I16,
        8 => NumberType::I32,
        16 => NumberType::F32,
        64 => NumberType::F64,
        256 => NumberType::I8,
        512 => NumberType::U16,
        768 => NumberType::U32,
        _ => return None,
    })
}

/// Opens a volume as `[slices, height, width]`: the axes z (and time), y and x. Values are scaled according to the header.
pub(crate) fn open(
    path: &Path,
    source: &Source,
    limits: &LimitOverrides,
) -> Result<(Array, Option<Notice>), DataError> {
    let wrong =
        |problem: &str| DataError::malformed(path, format!("the NIfTI file is damaged ({problem}); save it again"));
    let header = source.span(Span { at: 0, size: HEADER }).map_err(|_| wrong("its header is cut short"))?;
    let big_endian = header[0] == 0;
    let short = |at: usize| {
        let pair = [header[at], header[at + 1]];
        if big_endian { i16::from_be_bytes(pair) } else { i16::from_le_bytes(pair) }
    };
    let float = |at: usize| {
        let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
        if big_endian { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) }
    };
    let size = |axis: usize| usize::try_from(short(40 + 2 * axis)).ok().filter(|&size| size > 0);
    let axes = size(0).filter(|axes| (2..=7).contains(axes)).ok_or_else(|| wrong("no number of axes"))?;
    let sizes = (1..=axes).map(size).collect::<Option<Vec<usize>>>().ok_or_else(|| wrong("an axis without a size"))?;
    let slices = limits::product(&sizes[2..]).ok_or_else(|| wrong("more slices than can be counted"))?;
    let kind = short(70);
    let number = number_type(kind).ok_or_else(|| {
        DataError::malformed(path, format!("NIfTI values of type {kind} are not read; save it as float32"))
    })?;
    let start = float(108);
    if !(start >= HEADER as f32 && start < 1e9) {
        return Err(wrong("values that begin nowhere"));
    }
    let array = Array {
        name: "volume".into(),
        shape: vec![slices, sizes[1], sizes[0]],
        number: Some(number),
        text: None,
        unread: None,
        big_endian,
        source: source.clone(),
        start: start as u64,
    };
    array.check_size(path)?;
    scaled(path, array, (float(112), float(116)), &limits.of(source.len()))
}

/// Applies the slope and the intercept of a header to the values of a volume; a slope of 0 means none.
fn scaled(
    path: &Path,
    array: Array,
    (slope, intercept): (f32, f32),
    limits: &Limits,
) -> Result<(Array, Option<Notice>), DataError> {
    if slope == 0.0 || !slope.is_finite() || (slope == 1.0 && intercept == 0.0) {
        return Ok((array, None));
    }
    let size = array.shape[1] * array.shape[2];
    limits.check_rows(path, array.shape[0], size, size_of::<f64>())?;
    let scaled = array.values(path)?.into_iter().map(|value| (value * f64::from(slope) + f64::from(intercept)) as f32);
    let bytes: Vec<u8> = scaled.flat_map(f32::to_le_bytes).collect();
    let array = Array {
        number: Some(NumberType::F32),
        big_endian: false,
        source: Source::Bytes(bytes.into()),
        start: 0,
        ..array
    };
    let text = format!("values are {slope} times those of the file plus {intercept}, as its header says");
    Ok((array, Some(Notice::Units { text })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_of_a_volume_are_rows_in_its_units() {
        let mut bytes = vec![0; 352];
        bytes[..4].copy_from_slice(&348_i32.to_le_bytes());
        for (at, size) in [3_i16, 4, 3, 2].into_iter().enumerate() {
            bytes[40 + 2 * at..42 + 2 * at].copy_from_slice(&size.to_le_bytes());
        }
        bytes[70..72].copy_from_slice(&4_i16.to_le_bytes());
        for (at, value) in [(108, 352.0_f32), (112, 0.5), (116, -10.0)] {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes[344..348].copy_from_slice(b"n+1\0");
        bytes.extend((0..24_i16).flat_map(i16::to_le_bytes));
        assert!(recognizes(&bytes));
        let path = Path::new("a.nii");
        let (array, notice) = open(path, &Source::Bytes(bytes.clone().into()), &LimitOverrides::default()).unwrap();
        assert_eq!((array.shape.as_slice(), notice.is_some()), (&[2, 3, 4][..], true));
        let values = array.values(path).unwrap();
        assert_eq!((values[0], values[1], values[12]), (-10.0, -9.5, -4.0));
        assert!(open(path, &Source::Bytes(bytes[..300].into()), &LimitOverrides::default()).is_err());
        bytes.truncate(380);
        assert!(open(path, &Source::Bytes(bytes.into()), &LimitOverrides::default()).is_err());
    }
}
