//! Arrays of HDF5 files, MATLAB's of version 7.3 among them.

use std::{collections::HashSet, path::Path, sync::Arc};

use hdf5_reader::{
    BlockCacheStorage, ByteOrder, Dataset as Stored, Datatype, Hdf5File, OpenOptions as Hdf5Options,
    RangeRequestStorage, StringSize, VarLenKind, error::Error as Hdf5Error, group::Group,
};

use super::{Array, choose::pick, dataset, mat};
use crate::{
    DataError, Dataset, Limit, Limits, NumberType, OpenOptions, limits,
    source::{Source, Span},
};

/// Bytes of a chunk at the most.
const LARGEST_CHUNK: u64 = 256 << 20;
/// What MATLAB calls the group that its cells and structures are kept in.
const MATLAB_CELLS: &str = "#refs#";

/// Whether bytes begin as an HDF5 file does.
pub(crate) fn recognizes(first: &[u8]) -> bool {
    first.starts_with(b"\x89HDF\r\n\x1a\n")
}

/// Opens a file: of its arrays, those that names or options say.
pub(crate) fn open(path: &Path, source: &Source, options: &OpenOptions) -> Result<Dataset, DataError> {
    let is_matlab = mat::is_hdf5(&source.start(0, 16).map_err(|error| DataError::read(path, error))?);
    let limits = options.limits.of(source.len());
    let wrong = |error: Hdf5Error| DataError::malformed(path, format!("the HDF5 file cannot be read: {error}"));
    let file = file(source, &limits).map_err(wrong)?;
    let mut found = Found { limits: &limits, arrays: Vec::new(), visited: HashSet::new() };
    found.below(&file.root_group().map_err(wrong)?, "", 0).map_err(wrong)?;
    let mut arrays: Vec<Array> = found.arrays.iter().map(|(name, stored)| describe(name, stored)).collect();
    let (data, labels) = pick(path, &arrays, options)?;
    for index in std::iter::once(data).chain(labels) {
        let array = read(path, &arrays[index], &found.arrays[index].1, &limits)?;
        arrays[index] = if is_matlab && array.number.is_some() { mat::as_rows(array, path)? } else { array };
    }
    dataset(path, arrays, options)
}

fn file(source: &Source, limits: &Limits) -> Result<Hdf5File, Hdf5Error> {
    let reader = source.clone();
    let read = move |at: u64, size: usize| Ok(reader.span(Span { at, size: size as u64 })?);
    let storage = BlockCacheStorage::with_defaults(Arc::new(RangeRequestStorage::new(source.len(), read)));
    let bytes = |most: u64| usize::try_from(most).unwrap_or(usize::MAX);
    let options = Hdf5Options::default()
        .with_max_read_bytes(bytes(limits.expanded))
        .with_max_chunk_bytes(bytes(limits.expanded.min(LARGEST_CHUNK)));
    Hdf5File::from_storage_with_options(Arc::new(storage), options)
}

/// The arrays of a file, by their paths.
struct Found<'a> {
    limits: &'a Limits,
    arrays: Vec<(String, Stored)>,
    visited: HashSet<u64>,
}

impl Found<'_> {
    fn below(&mut self, group: &Group, path: &str, depth: usize) -> Result<(), Hdf5Error> {
        // Links may form circles.
        if depth > self.limits.depth || !self.visited.insert(group.address()) {
            return Ok(());
        }
        let (groups, arrays) = group.members()?;
        for array in arrays {
            if self.arrays.len() == self.limits.entries {
                return Err(Hdf5Error::InvalidData("more arrays than can be read".into()));
            }
            self.arrays.push((format!("{path}{}", last(array.name())), array));
        }
        for group in groups.iter().filter(|group| last(group.name()) != MATLAB_CELLS) {
            self.below(group, &format!("{path}{}/", last(group.name())), depth + 1)?;
        }
        Ok(())
    }
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The type of numbers, and whether their highest byte is the first.
fn number(kind: &Datatype) -> Option<(NumberType, bool)> {
    let is_big = |order: &ByteOrder| matches!(order, ByteOrder::BigEndian);
    Some(match kind {
        Datatype::FixedPoint { size, signed, byte_order } => {
            let number = match (size, signed) {
                (1, false) => NumberType::U8,
                (2, false) => NumberType::U16,
                (4, false) => NumberType::U32,
                (8, false) => NumberType::U64,
                (1, true) => NumberType::I8,
                (2, true) => NumberType::I16,
                (4, true) => NumberType::I32,
                (8, true) => NumberType::I64,
                _ => return None,
            };
            (number, is_big(byte_order))
        }
        Datatype::FloatingPoint { size, byte_order } => {
            let number = match size {
                2 => NumberType::F16,
                4 => NumberType::F32,
                8 => NumberType::F64,
                _ => return None,
            };
            (number, is_big(byte_order))
        }
        // What h5py makes of truth values.
        Datatype::Enum { base, members } if members.len() == 2 => match number(base)? {
            (NumberType::I8 | NumberType::U8, big_endian) => (NumberType::Bool, big_endian),
            other => other,
        },
        Datatype::Enum { base, .. } => number(base)?,
        _ => return None,
    })
}

fn is_text_of_any_length(kind: &Datatype) -> bool {
    matches!(
        kind,
        Datatype::VarLen { kind: VarLenKind::String, .. } | Datatype::String { size: StringSize::Variable, .. }
    )
}

/// What an array is, without its values.
fn describe(name: &str, stored: &Stored) -> Array {
    let number = number(stored.dtype());
    let text = match stored.dtype() {
        Datatype::String { size: StringSize::Fixed(size), .. } => Some((1, *size as usize)),
        kind if is_text_of_any_length(kind) => Some((4, 1)),
        _ => None,
    };
    Array {
        name: name.to_owned(),
        shape: stored.shape().iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect(),
        number: number.map(|(number, _)| number),
        unread: (number.is_none() && text.is_none()).then(|| "neither numbers nor text".to_owned()),
        text,
        big_endian: number.is_some_and(|(_, big_endian)| big_endian),
        source: Source::Bytes([].into()),
        start: 0,
    }
}

/// An array with its values.
fn read(path: &Path, array: &Array, stored: &Stored, limits: &Limits) -> Result<Array, DataError> {
    let wrong = |error: Hdf5Error| DataError::malformed(path, format!("array {} cannot be read: {error}", array.name));
    if array.text.is_none() {
        array.numbers(path)?;
    }
    let size = array.number.map_or(8, NumberType::size);
    let need = limits::bytes(&array.shape, size).map_or(u64::MAX, |n| n as u64);
    if need > limits.expanded {
        let what = format!("array {}", array.name);
        return Err(DataError::too_large(path, what, need, (Limit::Expanded, limits.expanded)));
    }
    if is_text_of_any_length(stored.dtype()) {
        let texts = stored.read_strings().map_err(wrong)?;
        let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).clamp(1, 1 << 12);
        let wide = |text: &String| -> Vec<u8> {
            let characters = text.chars().chain(std::iter::repeat('\0')).take(longest);
            characters.flat_map(|character| u32::from(character).to_le_bytes()).collect()
        };
        let bytes: Vec<u8> = texts.iter().flat_map(wide).collect();
        return Ok(Array { text: Some((4, longest)), source: Source::Bytes(bytes.into()), ..array.clone() });
    }
    let bytes = stored.read_raw_bytes().map_err(wrong)?;
    let array = Array { source: Source::Bytes(bytes.into()), ..array.clone() };
    array.check_size(path)?;
    Ok(array)
}
