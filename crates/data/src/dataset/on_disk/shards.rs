//! Several files as one data set.

use std::path::Path;

use super::{OnDisk, Rows};
use crate::{DataError, Dataset, Labels, Notice, Values};

/// Concatenated data sets.
#[derive(Debug)]
struct Joined {
    parts: Vec<OnDisk>,
    /// Index after the last row of each part.
    ends: Vec<usize>,
}

impl Rows for Joined {
    fn read(&self, row: usize, out: &mut [f32]) -> Result<(), DataError> {
        let part = self.ends.partition_point(|&end| end <= row);
        let first = if part == 0 { 0 } else { self.ends[part - 1] };
        self.parts[part].read(row - first, out)
    }

    fn read_wide(&self, row: usize, out: &mut [f64]) -> Result<(), DataError> {
        let part = self.ends.partition_point(|&end| end <= row);
        let first = if part == 0 { 0 } else { self.ends[part - 1] };
        self.parts[part].read_wide(row - first, out)
    }
}

/// Concatenates data sets.
pub(crate) fn joined(path: &Path, sets: Vec<Dataset>) -> Result<Dataset, DataError> {
    let Some(first) = sets.first() else { return Err(DataError::empty(path, "no file in it")) };
    let shape = first.shape;
    if let Some(other) = sets.iter().find(|set| set.shape != shape) {
        let problem = format!(
            "{} holds rows of {} where {} holds rows of {shape}; give parts of one shape",
            other.name, other.shape, first.name
        );
        return Err(DataError::malformed(path, problem));
    }
    let same_range = sets.iter().all(|set| set.range == first.range);
    let range = sets.iter().fold(first.range, |(low, high), set| (low.min(set.range.0), high.max(set.range.1)));
    let nominal = (same_range || sets.iter().all(|set| set.range_is_nominal)).then_some(range);
    let labels = labels(path, &sets)?;
    let mut notices: Vec<Notice> = Vec::new();
    for notice in sets.iter().flat_map(|set| &set.notices) {
        if !notices.contains(notice) {
            notices.push(notice.clone());
        }
    }
    let number = first.number;
    let (mut ends, mut parts, mut rows, mut bytes) = (Vec::new(), Vec::new(), 0_usize, true);
    for set in sets {
        rows =
            rows.checked_add(set.len()).ok_or_else(|| DataError::malformed(path, "more rows than can be counted"))?;
        ends.push(rows);
        bytes &= set.values.are_bytes();
        if let Values::OnDisk(stored) = set.values {
            parts.push(stored);
        }
    }
    let stored = OnDisk::new(Joined { parts, ends }, rows, shape.dim(), bytes);
    let mut set = Dataset::new(path, shape, Values::OnDisk(stored), nominal, labels)?;
    set.number = number;
    set.notices = notices;
    Ok(set)
}

/// Merges the classes of all parts by name, if all parts have classes.
fn labels(path: &Path, sets: &[Dataset]) -> Result<Option<Labels>, DataError> {
    let Some(all) = sets.iter().map(|set| set.labels.as_ref()).collect::<Option<Vec<_>>>() else {
        if sets.iter().any(|set| set.labels.is_some()) {
            return Err(DataError::malformed(
                path,
                "some parts have labels and some do not; set labels to \"\" to ignore them",
            ));
        }
        return Ok(None);
    };
    let texts = all.iter().flat_map(|labels| labels.of_row.iter().map(|&class| labels.names[class as usize].as_str()));
    Ok(Some(Labels::of_texts(texts)))
}
