//! Reading and writing of NumPy's `.npz` archives.

use std::{
    collections::BTreeMap,
    io::{self, Seek, Write},
    path::Path,
};

use super::{Array, npy};
use crate::{DataError, Limit, LimitOverrides, source::Source, zip};

/// Opens the arrays of an archive. Compressed arrays are expanded now, the others are read on demand.
pub(crate) fn open(
    path: &Path,
    source: &Source,
    limits: &LimitOverrides,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Array>, DataError> {
    let limits = limits.of(source.len());
    let mut expanded = 0_u64;
    let mut arrays = Vec::new();
    for entry in zip::directory(path, source)? {
        let Some(name) = entry.name.strip_suffix(".npy") else { continue };
        if !wanted(name) {
            continue;
        }
        if entry.is_plain() {
            arrays.push(npy::open(path, name, source, zip::data_start(path, source, &entry)?)?);
            continue;
        }
        expanded = expanded.saturating_add(entry.size);
        if expanded > limits.expanded {
            return Err(DataError::too_large(
                path,
                "the arrays, expanded,",
                expanded,
                (Limit::Expanded, limits.expanded),
            ));
        }
        let content = Source::Bytes(zip::read(path, source, &entry, &limits)?.into());
        arrays.push(npy::open(path, name, &content, 0)?);
    }
    Ok(arrays)
}

/// An array in single precision.
#[derive(Clone, Debug, PartialEq)]
pub struct Floats {
    /// Its shape, slowest dimension first.
    pub shape: Vec<usize>,
    /// Its values in that order.
    pub values: Vec<f32>,
}

/// Shape and values of an array in double precision.
pub type Doubles = (Vec<usize>, Vec<f64>);

/// Reads arrays of an archive in double precision, such as statistics of features. Missing arrays are `None`.
///
/// # Errors
/// Returns an error if the archive or an array is damaged, or an array holds no numbers.
pub fn read_doubles<const N: usize>(
    path: &Path,
    bytes: &[u8],
    names: [&str; N],
) -> Result<[Option<Doubles>; N], DataError> {
    let mut arrays = [const { None }; N];
    for array in open(path, &Source::Bytes(bytes.into()), &LimitOverrides::default(), |name| names.contains(&name))? {
        let values = array.values(path)?;
        if let Some(at) = names.iter().position(|name| *name == array.name) {
            arrays[at] = Some((array.shape, values));
        }
    }
    Ok(arrays)
}

/// Reads the array of a `.npy` file in double precision.
///
/// # Errors
/// Returns an error if the file is damaged, or holds no numbers.
pub fn read_npy(path: &Path, bytes: &[u8]) -> Result<Doubles, DataError> {
    let array = npy::open(path, "of the file", &Source::Bytes(bytes.into()), 0)?;
    let values = array.values(path)?;
    Ok((array.shape, values))
}

/// Reads every array of an archive, by name.
///
/// # Errors
/// Returns an error if the archive or an array is damaged, or an array holds no numbers.
pub fn read_arrays(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Floats>, DataError> {
    let mut arrays = BTreeMap::new();
    for array in open(path, &Source::Bytes(bytes.into()), &LimitOverrides::default(), |_| true)? {
        let values = array.values(path)?.into_iter().map(|value| value as f32).collect();
        arrays.insert(array.name, Floats { shape: array.shape, values });
    }
    Ok(arrays)
}

/// An array to be written.
pub struct Named<'a> {
    /// Name in the archive.
    pub name: &'a str,
    /// Its shape, slowest dimension first.
    pub shape: &'a [usize],
    /// Its values in that order.
    pub values: Column<'a>,
}

/// Values of an array to be written.
#[non_exhaustive]
pub enum Column<'a> {
    /// 8-bit values.
    Bytes(&'a [u8]),
    /// 16-bit values.
    Words(&'a [u16]),
    /// Single precision.
    Floats(&'a [f32]),
    /// Double precision.
    Doubles(&'a [f64]),
    /// Whole numbers: labels.
    Integers(&'a [i64]),
    /// Seeds.
    Seeds(&'a [u64]),
}

/// Writes a compressed archive.
///
/// # Errors
/// Returns an error if `out` cannot be written.
pub fn write_npz<W: Write + Seek>(mut out: W, arrays: &[Named]) -> io::Result<()> {
    let mut bytes = io::Cursor::new(Vec::new());
    let mut archive = ::zip::ZipWriter::new(&mut bytes);
    let options = ::zip::write::SimpleFileOptions::default()
        .compression_method(::zip::CompressionMethod::Deflated)
        .large_file(true);
    for array in arrays {
        archive.start_file(format!("{}.npy", array.name), options)?;
        match array.values {
            Column::Bytes(values) => npy::write(&mut archive, array.shape, values)?,
            Column::Words(values) => npy::write(&mut archive, array.shape, values)?,
            Column::Floats(values) => npy::write(&mut archive, array.shape, values)?,
            Column::Doubles(values) => npy::write(&mut archive, array.shape, values)?,
            Column::Integers(values) => npy::write(&mut archive, array.shape, values)?,
            Column::Seeds(values) => npy::write(&mut archive, array.shape, values)?,
        }
    }
    archive.finish()?;
    out.write_all(bytes.get_ref())?;
    out.flush()
}
