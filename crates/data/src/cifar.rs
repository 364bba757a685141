//! CIFAR-10 and CIFAR-100 in the binary version: records of label bytes and 3x32x32 colour planes.

use std::path::Path;

use crate::{DataError, Dataset, Labels, Shape, Values};

const PLANE: usize = 32 * 32;
const PIXELS: usize = 3 * PLANE;

/// The training batches of a folder or archive, in order: CIFAR-10's five, or CIFAR-100's one.
pub fn is_training_batch(file_name: &str) -> bool {
    file_name == "train.bin" || (file_name.starts_with("data_batch_") && file_name.ends_with(".bin"))
}

/// Whether a file is called like one of the released batches, the test ones included.
pub fn recognises(file_name: &str) -> bool {
    is_training_batch(file_name) || matches!(file_name, "test_batch.bin" | "test.bin")
}

/// How many bytes of a record are labels, and how long it is, in a batch of this name and size.
///
/// # Errors
/// When the batch is no whole number of records.
pub(crate) fn record(path: &Path, name: &str, size: u64) -> Result<(u64, u64), DataError> {
    // CIFAR-100 calls its files train.bin and test.bin and puts the coarse label before the fine one.
    let label_bytes = if matches!(name, "train.bin" | "test.bin") { 2 } else { 1 };
    let record = label_bytes + PIXELS as u64;
    if size == 0 || !size.is_multiple_of(record) {
        let problem = format!(
            "{name} has {size} bytes, no whole number of CIFAR records of {record}; it is cut short or another file, \
             fetch it again"
        );
        return Err(DataError::malformed(path, problem));
    }
    Ok((label_bytes, record))
}

/// Reads batches (name and content) as one data set. CIFAR-100 keeps its fine labels.
///
/// # Errors
/// When a batch is no whole number of records.
pub fn read(path: &Path, batches: &[(String, Vec<u8>)]) -> Result<Dataset, DataError> {
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for (name, bytes) in batches {
        let (label_bytes, record) = record(path, name, bytes.len() as u64)?;
        let (label_bytes, record) = (label_bytes as usize, record as usize);
        for record in bytes.chunks_exact(record) {
            labels.push(u32::from(record[label_bytes - 1]));
            let planes = &record[label_bytes..];
            values.extend((0..PLANE).flat_map(|pixel| (0..3).map(move |channel| planes[channel * PLANE + pixel])));
        }
    }
    let shape = Shape::Image { height: 32, width: 32, channels: 3 };
    Dataset::new(path, shape, Values::Bytes(values), None, Some(Labels::numbered(path, labels)?))
}
