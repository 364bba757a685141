//! Several files as one data set.

use std::path::Path;

use super::{OnDisk, Rows};
use crate::{DataError, Dataset, Labels, Values};

/// Whether a file of a folder is part of a data set.
pub(super) fn is_shard(name: &str) -> bool {
    [".npy", ".npz", ".zip"].iter().any(|ending| name.to_lowercase().ends_with(ending))
}

/// Data sets one after another.
#[derive(Debug)]
struct Joined {
    parts: Vec<OnDisk>,
    /// The first row behind each part.
    ends: Vec<usize>,
}

impl Rows for Joined {
    fn read(&self, row: usize, out: &mut [f32]) -> Result<(), DataError> {
        let part = self.ends.partition_point(|&end| end <= row);
        let first = if part == 0 { 0 } else { self.ends[part - 1] };
        self.parts[part].read(row - first, out)
    }
}

/// The parts as one data set; none where one of them cannot be read row by row.
pub(super) fn joined(path: &Path, parts: Vec<Option<Dataset>>) -> Result<Option<Dataset>, DataError> {
    let Some(sets) = parts.into_iter().collect::<Option<Vec<Dataset>>>() else { return Ok(None) };
    let Some(first) = sets.first() else { return Ok(None) };
    let shape = first.shape;
    if let Some(other) = sets.iter().find(|set| set.shape != shape) {
        let problem =
            format!("{} holds {} where {} holds {shape}; give parts of one shape", other.name, other.shape, first.name);
        return Err(DataError::malformed(path, problem));
    }
    let range = sets.iter().fold(first.range, |(low, high), set| (low.min(set.range.0), high.max(set.range.1)));
    let labels = labels(path, &sets)?;
    let (mut ends, mut all, mut rows, mut bytes) = (Vec::new(), Vec::new(), 0, true);
    for set in &sets {
        let Values::OnDisk(stored) = &set.values else { return Ok(None) };
        rows += set.len();
        ends.push(rows);
        bytes &= stored.are_bytes();
        all.push(stored.clone());
    }
    let stored = OnDisk::new(Joined { parts: all, ends }, rows, shape.dim(), bytes);
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(Some(Dataset { name, shape, values: Values::OnDisk(stored), range, labels, columns: Vec::new() }))
}

/// The classes of all parts, where all have some; those with the most names name them.
fn labels(path: &Path, sets: &[Dataset]) -> Result<Option<Labels>, DataError> {
    let Some(all) = sets.iter().map(|set| set.labels.as_ref()).collect::<Option<Vec<_>>>() else { return Ok(None) };
    let names = all.iter().map(|labels| &labels.names).max_by_key(|names| names.len()).cloned().unwrap_or_default();
    if all.iter().any(|labels| names[..labels.names.len()] != labels.names[..]) {
        return Err(DataError::malformed(path, "the parts call their classes differently; label them all alike"));
    }
    Ok(Some(Labels { of_row: all.iter().flat_map(|labels| &labels.of_row).copied().collect(), names }))
}
