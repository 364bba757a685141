//! Numeric arrays in MATLAB files of version 5 (`save -v6`, `-v7`, `scipy.io.savemat`).

use std::path::Path;

use super::Array;
use crate::{DataError, LimitOverrides, Limits, NumberType, source::Source};

const HEADER: usize = 128;
/// Element types of the format.
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
/// Largest nesting of elements with arrays: a matrix in a compressed element.
const DEEPEST: usize = 2;

/// Whether bytes begin as a MATLAB file of version 7.3 does, which is HDF5.
pub(crate) fn is_hdf5(bytes: &[u8]) -> bool {
    bytes.starts_with(b"MATLAB 7.3")
}

/// Whether bytes start like a MATLAB file.
pub(crate) fn recognizes(bytes: &[u8]) -> bool {
    bytes.starts_with(b"MATLAB ")
}

struct Reader<'a> {
    path: &'a Path,
    big_endian: bool,
    limits: Limits,
    expanded: u64,
    arrays: Vec<Array>,
}

/// An element: its type, its bytes, and the bytes after it.
type Element<'a> = (u32, &'a [u8], &'a [u8]);

impl Reader<'_> {
    fn damaged(&self, problem: &str) -> DataError {
        DataError::malformed(self.path, format!("the MATLAB file is damaged ({problem}); save it again"))
    }

    fn number(&self, bytes: &[u8], at: usize, size: usize) -> Option<u32> {
        let field = bytes.get(at..at + size)?;
        let join = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
        Some(if self.big_endian { field.iter().fold(0, join) } else { field.iter().rev().fold(0, join) })
    }

    fn element<'a>(&self, bytes: &'a [u8]) -> Result<Element<'a>, DataError> {
        let cut = || self.damaged("an element is cut short");
        let tag = self.number(bytes, 0, 4).ok_or_else(cut)?;
        // Elements of up to four bytes are stored in the tag, with their size in its upper half.
        if tag >> 16 != 0 {
            let size = (tag >> 16) as usize;
            let body = bytes.get(4..4 + size).filter(|_| size <= 4).ok_or_else(cut)?;
            return Ok((tag & 0xFFFF, body, bytes.get(8..).unwrap_or_default()));
        }
        let size = self.number(bytes, 4, 4).ok_or_else(cut)? as usize;
        let body = bytes.get(8..).and_then(|rest| rest.get(..size)).ok_or_else(cut)?;
        let padded = if tag == COMPRESSED { size } else { size.next_multiple_of(8) };
        Ok((tag, body, bytes.get(8 + padded..).unwrap_or_default()))
    }

    fn elements(&mut self, mut bytes: &[u8], depth: usize) -> Result<(), DataError> {
        while bytes.len() >= 8 {
            let (kind, body, rest) = self.element(bytes)?;
            match kind {
                COMPRESSED if depth < DEEPEST => {
                    let mut limits = self.limits;
                    limits.expanded = limits.expanded.saturating_sub(self.expanded);
                    let mut stream = flate2::read::ZlibDecoder::new(body);
                    let inner = limits.read(self.path, "a compressed array", &mut stream)?;
                    self.expanded += inner.len() as u64;
                    self.elements(&inner, depth + 1)?;
                }
                MATRIX => self.matrix(body)?,
                _ => {}
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Adds a numeric matrix; cells, structures and text are skipped.
    fn matrix(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        let (_, flags, rest) = self.element(bytes)?;
        let class = self.number(flags, 0, 4).unwrap_or(0) & 0xFF;
        let (_, sizes, rest) = self.element(rest)?;
        let sizes: Vec<usize> =
            (0..sizes.len() / 4).filter_map(|at| self.number(sizes, 4 * at, 4)).map(|size| size as usize).collect();
        let (_, name, rest) = self.element(rest)?;
        if !(6..=15).contains(&class) {
            return Ok(());
        }
        let (kind, values, _) = self.element(rest)?;
        let number = match kind {
            1 => NumberType::I8,
            2 => NumberType::U8,
            3 => NumberType::I16,
            4 => NumberType::U16,
            5 => NumberType::I32,
            6 => NumberType::U32,
            7 => NumberType::F32,
            9 => NumberType::F64,
            12 => NumberType::I64,
            13 => NumberType::U64,
            _ => return Err(self.damaged("an array of a type that numbers do not have")),
        };
        let array = Array {
            name: String::from_utf8_lossy(name).into_owned(),
            shape: sizes,
            number: Some(number),
            text: None,
            unread: None,
            big_endian: self.big_endian,
            source: Source::Bytes(values.into()),
            start: 0,
        };
        array.check_size(self.path)?;
        self.arrays.push(rows_first(array.transposed(self.path)?, self.path)?);
        Ok(())
    }
}

/// An array of version 7.3, whose sizes stand in HDF5 in the order from the last to the first.
#[cfg(feature = "hdf5")]
pub(crate) fn as_rows(mut array: Array, path: &Path) -> Result<Array, DataError> {
    array.shape.reverse();
    rows_first(array.transposed(path)?, path)
}

/// Moves the index of images to the front; MATLAB has it last: `[height, width, channels, n]` and `[height, width, n]`.
fn rows_first(array: Array, path: &Path) -> Result<Array, DataError> {
    match array.shape[..] {
        [_, _, 1 | 3 | 4, rows] if rows > 4 => array.permuted(path, &[3, 0, 1, 2]),
        [height, width, rows] if height == width && rows != width => array.permuted(path, &[2, 0, 1]),
        _ => Ok(array),
    }
}

/// Reads the arrays of a file.
pub(crate) fn open(path: &Path, bytes: &[u8], limits: &LimitOverrides) -> Result<Vec<Array>, DataError> {
    if is_hdf5(bytes) {
        let problem = "version 7.3 is HDF5: install the program with `cargo install --path crates/cli --features hdf5`, save the \
                       file again in MATLAB with save(file, \"x\", \"-v7\"), or convert it with python -c 'import h5py,numpy; f=h5py.File(\"FILE.mat\"); numpy.savez(\"FILE.npz\", **{k:f[k][()].T for k in f if hasattr(f[k],\"shape\")})'";
        return Err(DataError::malformed(path, problem));
    }
    let limits = limits.of(bytes.len() as u64);
    let mut reader =
        Reader { path, big_endian: bytes.get(126..128) == Some(b"MI"), limits, expanded: 0, arrays: Vec::new() };
    let content = bytes.get(HEADER..).ok_or_else(|| reader.damaged("its header is cut short"))?;
    reader.elements(content, 0)?;
    if reader.arrays.is_empty() {
        return Err(DataError::empty(path, "no array of numbers in it"));
    }
    Ok(reader.arrays)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = [kind.to_le_bytes(), (body.len() as u32).to_le_bytes()].concat();
        bytes.extend(body);
        bytes.resize(8 + body.len().next_multiple_of(8), 0);
        bytes
    }

    fn matrix(name: &str, sizes: &[u32], values: &[u8]) -> Vec<u8> {
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        let parts = [
            element(6, &[9, 0, 0, 0, 0, 0, 0, 0]),
            element(5, &sizes),
            element(1, name.as_bytes()),
            element(2, values),
        ];
        element(MATRIX, &parts.concat())
    }

    #[test]
    fn images_that_matlab_saved_come_row_by_row() {
        // Values are 1000 n + 100 c + 10 h + w, in MATLAB's order: the first index fastest.
        let value = |n: usize, c: usize, h: usize, w: usize| (50 * n + 20 * c + 4 * h + w) as u8;
        let (height, width, rows) = (2, 3, 5);
        let mut values = Vec::new();
        for (n, c) in (0..rows).flat_map(|n| (0..3).map(move |c| (n, c))) {
            for (w, h) in (0..width).flat_map(|w| (0..height).map(move |h| (w, h))) {
                values.push(value(n, c, h, w));
            }
        }
        let mut bytes = vec![b' '; HEADER];
        bytes[..7].copy_from_slice(b"MATLAB ");
        bytes[126..].copy_from_slice(b"IM");
        let plain = matrix("X", &[height as u32, width as u32, 3, rows as u32], &values);
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, &plain).unwrap();
        let packed = packed.finish().unwrap();
        bytes.extend([COMPRESSED.to_le_bytes(), (packed.len() as u32).to_le_bytes()].concat());
        bytes.extend(packed);
        bytes.extend(matrix("y", &[5, 1], &[1, 2, 3, 2, 1]));
        let arrays = open(Path::new("a.mat"), &bytes, &LimitOverrides::default()).unwrap();
        assert_eq!((arrays[0].name.as_str(), &arrays[0].shape[..]), ("X", &[5, 2, 3, 3][..]));
        let found = arrays[0].values(Path::new("a.mat")).unwrap();
        for (at, &found) in found.iter().enumerate() {
            let (n, h, w, c) = (at / 18, at / 9 % 2, at / 3 % 3, at % 3);
            assert_eq!(found as u8, value(n, c, h, w), "{at}");
        }
        assert_eq!(arrays[1].shape, [5, 1]);
        for length in 0..bytes.len() {
            let _ = open(Path::new("a.mat"), &bytes[..length], &LimitOverrides::default());
        }
    }
}
