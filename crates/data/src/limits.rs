//! Limits on what a file may ask for, so that a small file cannot take all memory.

use std::{
    fmt,
    io::Read,
    path::Path,
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{DataError, Limit, memory};

/// Bytes that any input may expand to.
const LEAST_EXPANDED: u64 = 256 << 20;
/// How many times larger than its file an input may become beyond that.
const EXPANSION: u64 = 32;
/// Bytes that one image of any input may take once it is decoded. Its row in single precision takes four times as much.
const LEAST_IMAGE: u64 = 64 << 20;
/// Bytes that the images of any input may take once they are decoded.
const LEAST_DECODED: u64 = 512 << 20;
/// How many times larger than the files decoded images may be beyond that: masks compress well.
const DECODING: u64 = 300;

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

/// Limits that a user sets, in place of those that follow from the size of an input. Written as `expanded=8GB` and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct LimitOverrides([Option<u64>; Limit::ALL.len()]);

impl LimitOverrides {
    /// Sets a limit: to bytes, or to a number of columns, entries or levels.
    #[must_use]
    pub fn with(mut self, limit: Limit, value: u64) -> Self {
        self.0[limit as usize] = Some(value);
        self
    }

    /// Returns the value that a limit was set to.
    pub fn get(&self, limit: Limit) -> Option<u64> {
        self.0[limit as usize]
    }

    /// Returns these limits, and for those that are not set the others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].or(others.0[at])))
    }

    /// Returns the limits of an input with so many bytes.
    pub fn of(&self, bytes: u64) -> Limits {
        let Limits { expanded, image, rows, columns, entries, depth } = Limits::of(bytes);
        let count = |limit, rule| self.get(limit).map_or(rule, |value| usize::try_from(value).unwrap_or(usize::MAX));
        Limits {
            expanded: self.get(Limit::Expanded).unwrap_or(expanded),
            image: self.get(Limit::Image).unwrap_or(image),
            rows: self.get(Limit::Rows).unwrap_or(rows),
            columns: count(Limit::Columns, columns),
            entries: count(Limit::Entries, entries),
            depth: count(Limit::Depth, depth),
        }
    }
}

impl FromStr for LimitOverrides {
    type Err = String;

    /// Parses one limit, such as `expanded=8GB` or `columns=500000`.
    fn from_str(text: &str) -> Result<Self, String> {
        let names = Limit::ALL.map(Limit::as_str).join(", ");
        let (name, value) = text.split_once('=').ok_or_else(|| format!("write NAME=VALUE; the names are {names}"))?;
        let limit = Limit::ALL.into_iter().find(|limit| limit.as_str() == name.trim());
        let limit = limit.ok_or_else(|| format!("no limit `{}`; the names are {names}", name.trim()))?;
        let value = value.trim();
        let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit: u64 = match &value[digits.len()..] {
            "" => 1,
            "kB" => 1000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            other => return Err(format!("no unit `{other}`; write kB, MB, GB or TB")),
        };
        let number = digits.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        let number = number.filter(|&number| number > 0);
        Ok(Self::default().with(limit, number.ok_or_else(|| format!("`{value}` is no whole number above 0"))?))
    }
}

impl TryFrom<Vec<String>> for LimitOverrides {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        texts.iter().try_fold(Self::default(), |all, text| Ok(text.parse::<Self>()?.or(all)))
    }
}

impl From<LimitOverrides> for Vec<String> {
    fn from(limits: LimitOverrides) -> Self {
        let text = |limit: Limit| limits.get(limit).map(|value| format!("{}={value}", limit.as_str()));
        Limit::ALL.into_iter().filter_map(text).collect()
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Limits {
    /// Limits of an input with so many bytes.
    pub fn of(bytes: u64) -> Self {
        let most = available() / 2;
        let expanded = bytes.saturating_mul(EXPANSION).max(LEAST_EXPANDED).min(most);
        let image = bytes.saturating_mul(EXPANSION).max(LEAST_IMAGE).min(most);
        let rows = bytes.saturating_mul(DECODING).max(LEAST_DECODED).min(most);
        Self { expanded, image, rows, columns: 1 << 17, entries: 1 << 26, depth: 32 }
    }

    /// Returns an error if rows need more memory than they may take.
    pub(crate) fn check_rows(&self, path: &Path, rows: usize, dim: usize, value: usize) -> Result<(), DataError> {
        let need = (rows as u64).checked_mul(dim as u64).and_then(|values| values.checked_mul(value as u64));
        match need {
            Some(need) if need <= self.rows => Ok(()),
            _ => {
                let what = format!("{rows} rows of {dim} values");
                Err(DataError::too_large(path, what, need.unwrap_or(u64::MAX), (Limit::Rows, self.rows)))
            }
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
            let need = bytes.len() as u64;
            return Err(DataError::too_large(path, format!("{what}, expanded,"), need, (Limit::Expanded, limit)));
        }
        Ok(bytes)
    }
}

/// Returns the available memory, which is asked for once a second: folders have many files.
fn available() -> u64 {
    static LATEST: Mutex<Option<(Instant, u64)>> = Mutex::new(None);
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    match *latest {
        Some((when, bytes)) if when.elapsed() < Duration::from_secs(1) => bytes,
        _ => {
            let bytes = memory::available();
            *latest = Some((Instant::now(), bytes));
            bytes
        }
    }
}

/// The product of sizes, if it can be counted.
pub(crate) fn product(sizes: &[usize]) -> Option<usize> {
    bytes(sizes, 1)
}

/// Bytes of an array, `None` if they cannot be counted.
///
/// Sizes beside a zero are counted, too, so that strides of the array, in any order of its axes, cannot overflow.
pub(crate) fn bytes(shape: &[usize], element: usize) -> Option<usize> {
    let others = shape.iter().filter(|&&size| size > 0).try_fold(element, |bytes, &size| bytes.checked_mul(size))?;
    Some(if shape.contains(&0) { 0 } else { others })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_beside_a_zero_are_counted() {
        assert_eq!(bytes(&[], 8), Some(8));
        assert_eq!(bytes(&[3, 0, 4], 8), Some(0));
        assert_eq!(bytes(&[2, usize::MAX], 1), None);
        // In the order of Fortran, the product overflows before it reaches the zero.
        assert_eq!(bytes(&[0, usize::MAX, 2], 1), None);
        assert_eq!(bytes(&[0, 1 << 62], 8), None);
    }

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

    #[test]
    fn limits_are_set_by_their_names() {
        let set: LimitOverrides = vec!["expanded=8GB".to_owned(), "columns= 300000".to_owned()].try_into().unwrap();
        let limits = set.of(10);
        assert_eq!((limits.expanded, limits.columns), (8_000_000_000, 300_000));
        assert_eq!((limits.depth, limits.rows), (Limits::of(10).depth, Limits::of(10).rows));
        assert_eq!(Vec::from(set), ["expanded=8000000000", "columns=300000"]);
        let other = LimitOverrides::default().with(Limit::Expanded, 5).with(Limit::Depth, 7);
        assert_eq!(
            (set.or(other).get(Limit::Expanded), set.or(other).get(Limit::Depth)),
            (Some(8_000_000_000), Some(7))
        );
        for wrong in ["8GB", "memory=1", "rows=-1", "rows=0", "rows=1XB", "rows=", "rows=99999999999TB"] {
            assert!(wrong.parse::<LimitOverrides>().is_err(), "{wrong}");
        }
    }
}
