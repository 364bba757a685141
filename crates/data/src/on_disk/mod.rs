//! Rows that stay where they are and are read when they are asked for: data sets that are larger than memory.
//!
//! Files are read at a position, not mapped: the system keeps what is read often, a file that shrinks is an error and not the end of
//! the program, and what was read once does not count as the program's memory. What is kept is one number or two for each row.

mod flat;
mod images;
mod lmdb;
mod shards;

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset, OpenOptions, Shape, Values, cifar, folder, idx, resize};

/// Sets that would take more bytes than this in memory are not loaded unless it is asked for.
const LARGE: u64 = 512 << 20;

/// Whether a data set is loaded whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// Unless it is large and can be read row by row.
    #[default]
    Auto,
    /// Always.
    Whole,
    /// Never: rows are read when they are asked for.
    Stream,
}

/// Whoever finds a row.
pub(crate) trait Rows: fmt::Debug + Send + Sync {
    /// Writes row `row` to `out`.
    fn read(&self, row: usize, out: &mut [f32]) -> Result<(), DataError>;
}

/// Rows in files.
#[derive(Clone, Debug)]
pub struct OnDisk {
    rows: Arc<dyn Rows>,
    /// Which of them these are, where they are not all.
    picked: Option<Arc<[u32]>>,
    count: usize,
    dim: usize,
    /// Whether all values are 8-bit.
    bytes: bool,
}

impl PartialEq for OnDisk {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rows, &other.rows) && self.picked == other.picked
    }
}

impl OnDisk {
    pub(crate) fn new(rows: impl Rows + 'static, count: usize, dim: usize, bytes: bool) -> Self {
        Self { rows: Arc::new(rows), picked: None, count, dim, bytes }
    }

    /// How many values there are in all rows.
    pub fn values(&self) -> usize {
        self.count * self.dim
    }

    /// Whether all values are 8-bit.
    pub fn are_bytes(&self) -> bool {
        self.bytes
    }

    /// Writes a row to `out`.
    ///
    /// # Errors
    /// When the file cannot be read, or what stands there is damaged.
    pub fn read(&self, row: usize, out: &mut [f32]) -> Result<(), DataError> {
        let row = self.picked.as_ref().map_or(row, |picked| picked[row] as usize);
        self.rows.read(row, out)
    }

    /// Hands every row to a visitor, in order; some are read side by side.
    pub(crate) fn each(&self, visit: &mut dyn FnMut(&mut [f32])) -> Result<(), DataError> {
        /// Values that are in memory at a time, about.
        const VALUES: usize = 1 << 20;
        let together = (VALUES / self.dim.max(1)).clamp(1, self.count.max(1));
        let mut values = vec![0.0; together * self.dim];
        for first in (0..self.count).step_by(together) {
            let part = &mut values[..together.min(self.count - first) * self.dim];
            part.par_chunks_exact_mut(self.dim).enumerate().try_for_each(|(at, row)| self.read(first + at, row))?;
            part.chunks_exact_mut(self.dim).for_each(&mut *visit);
        }
        Ok(())
    }

    /// Some of the rows.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        let number = |&row: &usize| self.picked.as_ref().map_or(row as u32, |picked| picked[row]);
        Self { picked: Some(rows.iter().map(number).collect()), count: rows.len(), ..self.clone() }
    }

    /// Images with each pixel the mean of a square of their pixels.
    pub(crate) fn shrunk(&self, shape: Shape, factor: usize) -> Self {
        let dim = resize::shrunk(shape, factor).expect("sides that divide").dim();
        Self::new(Shrunk { whole: self.clone(), shape, factor }, self.count, dim, false)
    }
}

/// Images made smaller when they are read.
#[derive(Debug)]
struct Shrunk {
    whole: OnDisk,
    shape: Shape,
    factor: usize,
}

impl Rows for Shrunk {
    fn read(&self, row: usize, out: &mut [f32]) -> Result<(), DataError> {
        let mut whole = vec![0.0; self.shape.dim()];
        self.whole.read(row, &mut whole)?;
        out.copy_from_slice(&resize::shrink(self.shape, &whole, self.factor));
        Ok(())
    }
}

/// Opens what lies at a path without loading it, where that is asked for or sensible; none where it is to be loaded whole.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Option<Dataset>, DataError> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(None) };
    let found = if metadata.is_dir() { open_folder(path, options)? } else { open_file(path, options)? };
    match (found, options.load) {
        (Some(set), Load::Whole) => set.loaded().map(Some),
        (None, Load::Stream) => Err(DataError::malformed(
            path,
            "data.load = \"stream\", but this cannot be read row by row; unpack it, or leave data.load away",
        )),
        (found, _) => Ok(found),
    }
}

fn open_folder(path: &Path, options: &OpenOptions) -> Result<Option<Dataset>, DataError> {
    let entries = fs::read_dir(path).map_err(|error| DataError::read(path, error))?;
    let mut names: Vec<String> =
        entries.flatten().take(100_000).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.iter().any(|name| name == "data.mdb") {
        return lmdb_set(&path.join("data.mdb"), options);
    }
    let batches: Vec<&String> = names.iter().filter(|name| cifar::is_training_batch(name)).collect();
    if !batches.is_empty() {
        let size = |name: &&String| fs::metadata(path.join(name)).map_or(0, |metadata| metadata.len());
        let parts = || batches.iter().map(|name| flat::cifar(&path.join(name)).map(Some)).collect::<Result<_, _>>();
        return match wants(options, batches.iter().map(size).sum()) {
            true => shards::joined(path, parts()?),
            false => Ok(None),
        };
    }
    if let Some(images) = names.iter().find(|name| name.starts_with("train") && name.contains("idx3")) {
        return open_file(&path.join(images), options);
    }
    let parts: Vec<&String> = names.iter().filter(|name| shards::is_shard(name)).collect();
    // Arrays beside images are no part of them.
    if !parts.is_empty() && !names.iter().any(|name| folder::is_image(name) || path.join(name).is_dir()) {
        // Shards are one set only together: none of them is loaded by itself.
        let inner = OpenOptions { load: Load::Stream, ..options.clone() };
        let parts = parts.into_iter().map(|name| open_file(&path.join(name), &inner)).collect::<Result<_, _>>()?;
        let joined = shards::joined(path, parts)?;
        return match joined {
            Some(set) if !wants(options, set.values.bytes() as u64) => set.loaded().map(Some),
            joined => Ok(joined),
        };
    }
    images::folder(path, options)
}

fn open_file(path: &Path, options: &OpenOptions) -> Result<Option<Dataset>, DataError> {
    let read = |error| DataError::read(path, error);
    let file = File::open(path).map_err(read)?;
    let size = file.metadata().map_err(read)?.len();
    let mut first = Vec::new();
    file.take(8).read_to_end(&mut first).map_err(read)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if name.ends_with(".mdb") {
        return lmdb_set(path, options);
    }
    if name.ends_with(".zip") {
        return images::zipped(path, options);
    }
    if !wants(options, size) {
        return Ok(None);
    }
    if idx::recognises(&first) {
        flat::idx(path).map(Some)
    } else if cifar::recognises(&name) && !first.starts_with(&[0x1f, 0x8b]) {
        flat::cifar(path).map(Some)
    } else if first.starts_with(b"\x93NUMPY") {
        flat::npy(path)
    } else if name.ends_with(".npz") {
        flat::npz(path)
    } else {
        Ok(None)
    }
}

/// LMDB has no other reader: it is loaded from here where it is small.
fn lmdb_set(path: &Path, options: &OpenOptions) -> Result<Option<Dataset>, DataError> {
    let set = images::lmdb(path, options)?;
    if wants(options, set.values.bytes() as u64) { Ok(Some(set)) } else { set.loaded().map(Some) }
}

/// Whether rows are to be read when they are asked for.
fn wants(options: &OpenOptions, bytes: u64) -> bool {
    match options.load {
        Load::Auto => bytes > LARGE,
        Load::Whole => false,
        Load::Stream => true,
    }
}

/// Reads at a position; every thread may.
fn read_at(file: &File, mut at: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(file, buffer, at);
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, at);
        match read {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before it")),
            Ok(count) => {
                at += count as u64;
                buffer = &mut buffer[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Dataset {
    /// The same rows in memory.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn loaded(&self) -> Result<Self, DataError> {
        let Values::OnDisk(stored) = &self.values else { return Ok(self.clone()) };
        let (mut bytes, mut floats) = (Vec::new(), Vec::new());
        stored.each(&mut |row| match stored.bytes {
            true => bytes.extend(row.iter().map(|&value| value as u8)),
            false => floats.extend_from_slice(row),
        })?;
        let values = if stored.bytes { Values::Bytes(bytes) } else { Values::Floats(floats) };
        Ok(Self { values, ..self.clone() })
    }
}
