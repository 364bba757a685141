//! Limits on what a file may ask for, so that a small file cannot take all memory.

use std::{io::Read, path::Path};

use crate::DataError;

/// Bytes that any input may expand to.
const LEAST_EXPANDED: u64 = 256 << 20;
/// How many times larger than its file an input may become beyond that.
const EXPANSION: u64 = 32;
/// Bytes that the images of any input may take once they are decoded.
const LEAST_DECODED: u64 = 512 << 20;
/// How many times larger than the files decoded images may be beyond that: masks compress well.
const DECODING: u64 = 300;
/// Memory that is assumed where the system does not say how much it has.
const ASSUMED_MEMORY: u64 = 8 << 30;

/// How much an input may ask for. [`Limits::of`] derives it from the input's size and the memory that is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that a compressed input may expand to in all.
    pub expanded: u64,
    /// Bytes that one image may take once it is decoded.
    pub image: u64,
    /// Bytes that rows in memory may take in all.
    pub rows: u64,
    /// Columns of a table, and values of a vector.
    pub columns: usize,
    /// Entries of an archive, and files of a folder.
    pub entries: usize,
    /// Levels of folders and of pages that name pages.
    pub depth: usize,
}

impl Limits {
    /// Limits of an input with so many bytes.
    pub fn of(bytes: u64) -> Self {
        let half = memory_available() / 2;
        let expanded = bytes.saturating_mul(EXPANSION).max(LEAST_EXPANDED).min(half);
        let rows = bytes.saturating_mul(DECODING).max(LEAST_DECODED).min(half);
        Self { expanded, image: expanded, rows, columns: 1 << 17, entries: 1 << 26, depth: 32 }
    }

    /// Returns an error if rows need more memory than they may take.
    pub(crate) fn check_rows(&self, path: &Path, rows: usize, dim: usize, value: usize) -> Result<(), DataError> {
        let need = (rows as u64).checked_mul(dim as u64).and_then(|values| values.checked_mul(value as u64));
        match need {
            Some(need) if need <= self.rows => Ok(()),
            _ => Err(DataError::too_large(
                path,
                format!("{rows} rows of {dim} values"),
                need.unwrap_or(u64::MAX),
                self.rows,
            )),
        }
    }

    /// Reads all bytes of a stream that may expand. `what` names it in the message.
    pub(crate) fn read(&self, path: &Path, what: &str, stream: &mut dyn Read) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        let limit = self.expanded;
        stream
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| DataError::malformed(path, format!("{what} is damaged or cut short ({error})")))?;
        if bytes.len() as u64 > limit {
            return Err(DataError::too_large(path, format!("{what}, expanded,"), bytes.len() as u64, limit));
        }
        Ok(bytes)
    }
}

/// Bytes of memory that the system could give to this process.
fn memory_available() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.map_or(ASSUMED_MEMORY, |kilobytes| kilobytes << 10)
}

/// The product of sizes, if it can be counted.
pub(crate) fn product(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_beyond_its_limit_is_refused_while_it_expands() {
        let limits = Limits { expanded: 1000, ..Limits::of(10) };
        let path = Path::new("bomb.gz");
        assert_eq!(limits.read(path, "it", &mut std::io::repeat(0).take(1000)).unwrap().len(), 1000);
        let error = limits.read(path, "it", &mut std::io::repeat(0)).unwrap_err().to_string();
        assert!(error.contains("bomb.gz") && error.contains("at least"), "{error}");
    }

    #[test]
    fn rows_that_cannot_be_counted_are_refused() {
        let limits = Limits::of(100);
        assert!(limits.check_rows(Path::new("x"), 10, 10, 4).is_ok());
        for (rows, dim) in [(1 << 62, 3), (usize::MAX, usize::MAX), (1 << 40, 1)] {
            assert!(limits.check_rows(Path::new("x"), rows, dim, 4).is_err());
        }
        assert_eq!(product(&[3, 1 << 62, 2]), None);
    }
}
