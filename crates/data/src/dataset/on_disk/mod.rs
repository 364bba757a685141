//! Rows that stay on disk and are read on demand, for data sets larger than memory.
//!
//! Files are read at a position and not mapped. The page cache of the system serves repeated reads, a truncated file is an error instead of a
//! crash, and pages that were read do not count as memory of the program. One or two numbers per row are stored.

pub(crate) mod lmdb;
pub(crate) mod shards;

use std::{fmt, sync::Arc};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset, Shape, Values, limits, resize};

/// Data sets with more bytes than this in memory are not loaded by default.
const LARGE: u64 = 512 << 20;

/// Whether a data set is loaded into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// Loads it unless it is large and can be streamed.
    #[default]
    Auto,
    /// Always loads it.
    Whole,
    /// Never loads it: rows are read on demand.
    Stream,
}

/// A reader of rows.
pub(crate) trait Rows: fmt::Debug + Send + Sync {
    /// Writes row `row` to `out`.
    fn read(&self, row: usize, out: &mut [f32]) -> Result<(), DataError>;

    /// Writes row `row` to `out` in double precision.
    fn read_wide(&self, row: usize, out: &mut [f64]) -> Result<(), DataError> {
        let mut narrow = vec![0.0; out.len()];
        self.read(row, &mut narrow)?;
        out.iter_mut().zip(narrow).for_each(|(out, value)| *out = value.into());
        Ok(())
    }

    /// Bytes of memory that the reader uses.
    fn held_bytes(&self) -> u64 {
        0
    }
}

/// Rows in files.
#[derive(Clone, Debug)]
pub struct OnDisk {
    rows: Arc<dyn Rows>,
    /// Indices of the rows in the files, unless these are all rows.
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

    /// Returns the number of values in all rows.
    pub fn values(&self) -> usize {
        self.count * self.dim
    }

    /// Returns whether all values are 8-bit.
    pub fn are_bytes(&self) -> bool {
        self.bytes
    }

    /// Writes a row to `out`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or the row is damaged.
    pub fn read(&self, row: usize, out: &mut [f32]) -> Result<(), DataError> {
        let row = self.picked.as_ref().map_or(row, |picked| picked[row] as usize);
        self.rows.read(row, out)
    }

    /// Writes a row to `out` in double precision.
    pub(crate) fn read_wide(&self, row: usize, out: &mut [f64]) -> Result<(), DataError> {
        let row = self.picked.as_ref().map_or(row, |picked| picked[row] as usize);
        self.rows.read_wide(row, out)
    }

    /// Passes every row to a visitor, in order; blocks of rows are read in parallel.
    pub(crate) fn each(&self, visit: &mut dyn FnMut(&mut [f32])) -> Result<(), DataError> {
        /// Approximate number of values in memory at a time.
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

    /// Returns a selection of the rows.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        let number = |&row: &usize| self.picked.as_ref().map_or(row as u32, |picked| picked[row]);
        Self { picked: Some(rows.iter().map(number).collect()), count: rows.len(), ..self.clone() }
    }

    /// Returns images downsampled by a box filter.
    pub(crate) fn shrunk(&self, shape: Shape, factor: usize) -> Self {
        let dim = resize::shrunk(shape, factor).expect("sides that divide").dim();
        Self::new(Shrunk { whole: self.clone(), shape, factor }, self.count, dim, false)
    }
}

/// Images that are downsampled when they are read.
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

/// Loads rows or keeps them on disk, depending on `load`.
pub(crate) fn load(set: Dataset, load: Load) -> Result<Dataset, DataError> {
    let bytes = set.values.bytes() as u64;
    let stays = match load {
        Load::Auto => bytes > LARGE && bytes > set.held_bytes(),
        Load::Whole => false,
        Load::Stream => true,
    };
    if stays { Ok(set) } else { set.loaded() }
}

impl Dataset {
    /// Returns the same rows in memory.
    ///
    /// # Errors
    /// Returns an error if a row cannot be read.
    pub fn loaded(&self) -> Result<Self, DataError> {
        let Values::OnDisk(stored) = &self.values else { return Ok(self.clone()) };
        if let Shape::Vector { len } = self.shape
            && self.number.is_wide()
        {
            let mut values = vec![0.0; limits::product(&[self.len(), len]).unwrap_or(0)];
            values.chunks_exact_mut(len).enumerate().try_for_each(|(index, row)| stored.read_wide(index, row))?;
            let set = Self::from_wide(self.name.as_ref(), &values, len, self.labels.clone())?;
            let mut set = Self { values: set.values, origin: set.origin, range: set.range, ..self.clone() };
            set.note_lost_digits(&values);
            return Ok(set);
        }
        let (mut bytes, mut floats) = (Vec::new(), Vec::new());
        stored.each(&mut |row| match stored.bytes {
            true => bytes.extend(row.iter().map(|&value| value as u8)),
            false => floats.extend_from_slice(row),
        })?;
        let values = if stored.bytes { Values::Bytes(bytes) } else { Values::Floats(floats) };
        Ok(Self { values, ..self.clone() })
    }

    /// Whether rows are read from files on demand.
    pub(crate) fn is_streamable(&self) -> bool {
        matches!(self.values, Values::OnDisk(_)) && self.held_bytes() == 0
    }

    /// Bytes of memory that rows on disk use.
    fn held_bytes(&self) -> u64 {
        match &self.values {
            Values::OnDisk(stored) => stored.rows.held_bytes(),
            _ => 0,
        }
    }
}
