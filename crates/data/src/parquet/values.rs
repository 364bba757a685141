//! From the bytes of a page to its levels and values.

use std::{ops::Range, sync::Arc};

use super::{
    page::{Encoding, Levels, Page},
    schema::{Leaf, Meaning, Physical},
    thrift::Reader,
};
use crate::{NumberType, source::Source};

/// Values of a page.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Numbers(Vec<f64>),
    /// Places of values in bytes that they share.
    Places(Arc<[u8]>, Vec<Range<usize>>),
}

/// A page: which of its values are there, how they are repeated, and the values that are there.
#[derive(Debug)]
pub(super) struct Content {
    /// Whether each value is there; empty if all are.
    pub present: Vec<bool>,
    /// Levels of repetition; empty if nothing is.
    pub repetition: Vec<u32>,
    pub values: Values,
}

/// Reads a page of a column. `dictionary` holds the values of its dictionary, if there is one.
///
/// The error says what is wrong.
pub(super) fn read(source: &Source, leaf: &Leaf, page: &Page, dictionary: Option<&Values>) -> Result<Content, String> {
    let bytes = page.bytes(source)?;
    let (repetition, definition, from) = levels(leaf, page, &bytes).ok_or("its levels are cut short")?;
    let present: Vec<bool> = definition.iter().map(|&level| level == leaf.definition).collect();
    let count = if leaf.definition == 0 { page.values } else { present.iter().filter(|present| **present).count() };
    let values = match page.encoding {
        Encoding::Dictionary => {
            let dictionary = dictionary.ok_or("its dictionary is missing")?;
            let width = u32::from(*bytes.get(from).ok_or("a page without values")?);
            let entries = runs(width, &bytes[from + 1..], count).ok_or("its values are cut short")?;
            pick(dictionary, &entries).ok_or("a value is not in the dictionary")?
        }
        _ => plain(leaf, page.encoding, bytes, from, count).ok_or("its values are cut short")?,
    };
    let present = if present.contains(&false) { present } else { Vec::new() };
    Ok(Content { present, repetition, values })
}

/// Reads the page of a dictionary.
pub(super) fn read_dictionary(source: &Source, leaf: &Leaf, page: &Page) -> Result<Values, String> {
    let bytes = page.bytes(source)?;
    plain(leaf, Encoding::Plain, bytes, 0, page.values).ok_or_else(|| "its dictionary is cut short".into())
}

/// Levels of repetition and definition, and where the values begin.
fn levels(leaf: &Leaf, page: &Page, bytes: &[u8]) -> Option<(Vec<u32>, Vec<u32>, usize)> {
    let bits = |most: u32| u32::BITS - most.leading_zeros();
    let mut at = 0;
    let mut part = |most: u32, size: Option<usize>| -> Option<Vec<u32>> {
        let size = match size {
            Some(size) => size,
            None if most == 0 => return Some(Vec::new()),
            // Within the page, the number of their bytes stands before them.
            None => {
                let size = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize;
                at += 4;
                size
            }
        };
        let part = bytes.get(at..at.checked_add(size)?)?;
        at += size;
        if most == 0 { Some(Vec::new()) } else { runs(bits(most), part, page.values) }
    };
    let (repetition, definition) = match page.levels {
        Levels::Within => (part(leaf.repetition, None)?, part(leaf.definition, None)?),
        Levels::Before { definition, repetition } => {
            (part(leaf.repetition, Some(repetition))?, part(leaf.definition, Some(definition))?)
        }
    };
    Some((repetition, definition, at))
}

/// Numbers of `width` bits: runs of one number, and groups of eight numbers that are packed.
fn runs(width: u32, bytes: &[u8], count: usize) -> Option<Vec<u32>> {
    if width > 32 {
        return None;
    }
    let mut numbers = Vec::with_capacity(count);
    let mut reader = Reader::new(bytes);
    while numbers.len() < count {
        let head = reader.varint()?;
        let left = count - numbers.len();
        if head & 1 == 0 {
            let field = reader.take(width.div_ceil(8) as usize)?;
            let number = field.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte));
            let run = usize::try_from(head >> 1).ok().filter(|&run| run > 0)?;
            numbers.resize(numbers.len() + run.min(left), number);
            continue;
        }
        // The last group may be shorter than it says.
        let many = usize::try_from(head >> 1).ok()?.checked_mul(8)?.min(left);
        let rest = &bytes[reader.position()..];
        if (rest.len() as u64) * 8 < many as u64 * u64::from(width) || many == 0 {
            return None;
        }
        numbers.extend((0..many).map(|at| bits(rest, at, width)));
        let whole = usize::try_from(head >> 1).ok()?.checked_mul(width as usize)?;
        reader.take(whole.min(rest.len()))?;
    }
    Some(numbers)
}

/// Number `at` of numbers of `width` bits that follow one another, the lowest bit first.
fn bits(bytes: &[u8], at: usize, width: u32) -> u32 {
    wide_bits(bytes, at, width) as u32
}

fn wide_bits(bytes: &[u8], at: usize, width: u32) -> u64 {
    let begin = at * width as usize;
    let end = begin + width as usize;
    let field = &bytes[begin / 8..end.div_ceil(8)];
    let joined = field.iter().rev().fold(0_u128, |sum, &byte| sum << 8 | u128::from(byte)) >> (begin % 8);
    (joined & ((1_u128 << width) - 1)) as u64
}

/// The values of some entries of a dictionary.
fn pick(dictionary: &Values, entries: &[u32]) -> Option<Values> {
    Some(match dictionary {
        Values::Numbers(values) => {
            Values::Numbers(entries.iter().map(|&entry| values.get(entry as usize).copied()).collect::<Option<_>>()?)
        }
        Values::Places(bytes, places) => {
            let places = entries.iter().map(|&entry| places.get(entry as usize).cloned()).collect::<Option<_>>()?;
            Values::Places(bytes.clone(), places)
        }
    })
}

/// Values that are no entries of a dictionary, from a position of their page on.
fn plain(leaf: &Leaf, encoding: Encoding, bytes: Vec<u8>, from: usize, count: usize) -> Option<Values> {
    let Meaning::Number(number, divisor) = leaf.meaning else {
        let places = places(leaf.physical, encoding, &bytes, from, count)?;
        return Some(Values::Places(bytes.into(), places));
    };
    let bytes = bytes.get(from..)?;
    let mut values = match (leaf.physical, encoding) {
        (Physical::Boolean, Encoding::Plain) => {
            if bytes.len() < count.div_ceil(8) {
                return None;
            }
            (0..count).map(|at| f64::from(bits(bytes, at, 1))).collect()
        }
        (Physical::Boolean, Encoding::Runs) => {
            let numbers = runs(1, bytes.get(4..)?, count)?;
            numbers.into_iter().map(f64::from).collect()
        }
        (Physical::Int32 | Physical::Int64, Encoding::Deltas) => {
            let size = if leaf.physical == Physical::Int32 { 4 } else { 8 };
            let raw = deltas(&mut Reader::new(bytes), count)?;
            let raw: Vec<u8> = raw.into_iter().flat_map(|value| value.to_le_bytes().into_iter().take(size)).collect();
            decode(leaf.physical, number, &raw, count)?
        }
        (physical, Encoding::Split) => {
            let size = size(physical)?;
            let raw: Vec<u8> = bytes.get(..count.checked_mul(size)?)?.to_vec();
            let joined: Vec<u8> = (0..count)
                .flat_map(|at| (0..size).map(move |byte| (byte, at)))
                .map(|(b, at)| raw[b * count + at])
                .collect();
            decode(physical, number, &joined, count)?
        }
        (physical, Encoding::Plain) => decode(physical, number, bytes, count)?,
        _ => return None,
    };
    if divisor != 1.0 {
        values.iter_mut().for_each(|value| *value /= divisor);
    }
    Some(Values::Numbers(values))
}

/// Bytes of a value.
fn size(physical: Physical) -> Option<usize> {
    Some(match physical {
        Physical::Int32 | Physical::Float => 4,
        Physical::Int64 | Physical::Double => 8,
        Physical::Fixed(size) => size,
        Physical::Boolean | Physical::Bytes => return None,
    })
}

/// Numbers that follow one another. Small whole numbers stand in four bytes.
fn decode(physical: Physical, number: NumberType, bytes: &[u8], count: usize) -> Option<Vec<f64>> {
    let size = size(physical)?;
    let bytes = bytes.get(..count.checked_mul(size)?)?;
    let stored = match physical {
        Physical::Int32 if number == NumberType::U32 => NumberType::U32,
        Physical::Int32 => NumberType::I32,
        Physical::Int64 if number == NumberType::U64 => NumberType::U64,
        Physical::Int64 => NumberType::I64,
        Physical::Fixed(_) if number == NumberType::F16 => NumberType::F16,
        // Decimals, whose highest byte is the first.
        Physical::Fixed(_) => return Some(bytes.chunks_exact(size).map(|field| big_endian(field) as f64).collect()),
        Physical::Float | Physical::Double | Physical::Boolean | Physical::Bytes => number,
    };
    let mut values = vec![0.0; count];
    stored.decode_wide(false, bytes, &mut values);
    Some(values)
}

/// A signed number of at most sixteen bytes.
fn big_endian(field: &[u8]) -> i128 {
    let sign = if field.first().is_some_and(|&first| first & 0x80 != 0) { -1 } else { 0 };
    field.iter().fold(sign, |sum, &byte| sum << 8 | i128::from(byte))
}

/// Where values of bytes are.
fn places(
    physical: Physical,
    encoding: Encoding,
    bytes: &[u8],
    from: usize,
    count: usize,
) -> Option<Vec<Range<usize>>> {
    let mut at = from;
    let mut next = |size: usize| {
        let place = at..at.checked_add(size).filter(|&end| end <= bytes.len())?;
        at = place.end;
        Some(place)
    };
    match (physical, encoding) {
        (Physical::Bytes, Encoding::Plain) => (0..count)
            .map(|_| {
                let size = u32::from_le_bytes(*bytes[next(4)?].first_chunk()?);
                next(size as usize)
            })
            .collect(),
        (Physical::Fixed(size), Encoding::Plain) => (0..count).map(|_| next(size)).collect(),
        (Physical::Bytes, Encoding::DeltaLengths) => {
            let mut reader = Reader::new(bytes.get(from..)?);
            let lengths = deltas(&mut reader, count)?;
            next(reader.position())?;
            lengths.into_iter().map(|length| next(usize::try_from(length).ok()?)).collect()
        }
        _ => None,
    }
}

/// Whole numbers of which the differences are packed, in blocks that each have a smallest difference.
fn deltas(reader: &mut Reader, count: usize) -> Option<Vec<i64>> {
    let (block, parts) = (reader.varint()?, reader.varint()?);
    let total = usize::try_from(reader.varint()?).ok()?;
    let mut value = reader.zigzag()?;
    let size = block.checked_div(parts).filter(|&size| size > 0 && size.is_multiple_of(8) && block < 1 << 20)? as usize;
    if total != count {
        return None;
    }
    let mut values = Vec::with_capacity(count);
    if count > 0 {
        values.push(value);
    }
    while values.len() < count {
        let least = reader.zigzag()?;
        for &width in reader.take(parts as usize)? {
            if values.len() == count {
                break;
            }
            if width > 64 {
                return None;
            }
            let packed = reader.take(size / 8 * usize::from(width))?;
            for at in 0..size.min(count - values.len()) {
                let delta = wide_bits(packed, at, width.into()) as i64;
                value = value.wrapping_add(least).wrapping_add(delta);
                values.push(value);
            }
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_groups_are_read() {
        // Four times 5 as a run; 0 to 7 in three bits each, as the format's own description has them.
        let bytes = [8, 5, 3, 0x88, 0xC6, 0xFA];
        assert_eq!(runs(3, &bytes, 12).unwrap(), [5, 5, 5, 5, 0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(runs(3, &bytes, 2).unwrap(), [5, 5]);
        assert_eq!(runs(3, &bytes, 13), None);
        assert_eq!(runs(0, &[20], 10).unwrap(), [0; 10]);
        assert_eq!(runs(1, &[0, 0, 0, 0], 10), None, "runs of no length");
        assert_eq!(runs(33, &bytes, 1), None);
    }

    #[test]
    fn numbers_with_more_bits_than_a_byte_are_read() {
        let bytes = (0x1_2345_6789_u64 << 3).to_le_bytes();
        assert_eq!(wide_bits(&bytes, 0, 3), 0);
        assert_eq!(wide_bits(&[0xFF; 17], 1, 64), u64::MAX);
        assert_eq!(big_endian(&[0xFF, 0xFE]), -2);
        assert_eq!(big_endian(&[1, 0]), 256);
    }
}
