//! IDX, the format of MNIST and its successors: a magic number, big-endian sizes, elements.

use std::path::{Path, PathBuf};

use crate::{
    DataError, Dataset, Labels, Notice, NumberType, OpenOptions,
    array::{self, Array},
    source::{Source, Span},
};

/// Whether bytes start like an IDX file: two zeros, a type, the number of dimensions.
pub(crate) fn recognizes(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 8 | 9 | 0x0B..=0x0E, 1..=4, ..])
}

/// Opens the array of an IDX file.
pub(crate) fn open(path: &Path, source: &Source) -> Result<Array, DataError> {
    let read = |at: u64, size: u64| {
        source
            .span(Span { at, size })
            .map_err(|_| DataError::malformed(path, "the IDX header is cut short; fetch the file again"))
    };
    let mark = read(0, 4)?;
    let number = match mark[..] {
        [0, 0, 0x08, _] => Some(NumberType::U8),
        [0, 0, 0x09, _] => Some(NumberType::I8),
        [0, 0, 0x0B, _] => Some(NumberType::I16),
        [0, 0, 0x0C, _] => Some(NumberType::I32),
        [0, 0, 0x0D, _] => Some(NumberType::F32),
        [0, 0, 0x0E, _] => Some(NumberType::F64),
        _ => None,
    };
    let dimensions = u64::from(mark[3]);
    let (Some(number), 1..=4) = (number, dimensions) else {
        let problem = format!("magic number {:#010x} is not one of IDX; fetch the file again", big_endian(&mark));
        return Err(DataError::malformed(path, problem));
    };
    let sizes = read(4, 4 * dimensions)?;
    let shape: Vec<usize> = sizes.chunks_exact(4).map(|size| big_endian(size) as usize).collect();
    let start = 4 + 4 * dimensions;
    let expected = crate::limits::bytes(&shape, number.size());
    let payload = source.len() - start;
    if expected.is_none_or(|expected| expected as u64 != payload) {
        let problem = format!(
            "the header announces {} of size {:?}, but {payload} bytes follow; the file is cut short or damaged, fetch it again",
            shape[0],
            &shape[1..]
        );
        return Err(DataError::malformed(path, problem));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Array {
        name,
        shape,
        number: Some(number),
        text: None,
        unread: None,
        big_endian: true,
        source: source.clone(),
        start,
    })
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

/// Creates a data set from a file of images and the file of labels next to it.
pub(crate) fn dataset(
    path: &Path,
    source: &Source,
    labels: Option<(&Path, Source)>,
    options: &OpenOptions,
) -> Result<Dataset, DataError> {
    let images = open(path, source)?;
    let is_label = images.shape.len() == 1 || (images.shape.len() == 2 && images.number == Some(NumberType::I32));
    if is_label {
        let problem = "this is a file of labels; give the file of images, such as train-images-idx3-ubyte, and the labels are \
                       found beside it";
        return Err(DataError::malformed(path, problem));
    }
    let mut notices = Vec::new();
    let labels = match labels {
        Some((path, source)) if options.labels.as_deref() != Some("") => {
            let rows = images.shape[0];
            let (labels, notice) = labels_of(path, &source, rows)?;
            notices.extend(notice);
            Some(labels)
        }
        _ => None,
    };
    let mut set = array::rows(path, &images, labels, false, &mut notices)?;
    set.notices.splice(0..0, notices);
    Ok(set)
}

/// Reads the labels of a file. Those of QMNIST have eight numbers per row; the first is the class.
fn labels_of(path: &Path, source: &Source, rows: usize) -> Result<(Labels, Option<Notice>), DataError> {
    let mut array = open(path, source)?;
    let mut values = array.values(path)?;
    if let [_, columns] = array.shape[..]
        && columns > 1
    {
        values = values.into_iter().step_by(columns).collect();
        array.shape.truncate(1);
    }
    if array.shape.len() != 1 || values.len() != rows {
        let problem = format!("{} labels for {rows} rows; take labels and data from one set", values.len());
        return Err(DataError::malformed(path, problem));
    }
    let is_class = |value: &f64| *value >= 0.0 && value.fract() == 0.0 && *value < f64::from(Labels::MOST);
    if let Some(wrong) = values.iter().find(|value| !is_class(value)) {
        return Err(DataError::malformed(path, format!("label {wrong} is not a class number 0, 1, 2, ...")));
    }
    let numbers: Vec<u32> = values.into_iter().map(|value| value as u32).collect();
    Labels::of_numbers(path, &numbers, &[])
}

/// Returns the path of the labels for a file of images, by the usual names: `train-labels-idx1-ubyte.gz` for
/// `train-images-idx3-ubyte.gz`, `qmnist-train-labels-idx2-int.gz` for QMNIST.
pub(crate) fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let stem = name.trim_end_matches(".gz");
    if !stem.contains("images") {
        return None;
    }
    let renamed = stem.replace("images", "labels");
    let names = [
        renamed.replace("idx3", "idx1"),
        renamed.replace("idx3-ubyte", "idx2-int"),
        renamed.replace("idx4", "idx1"),
        renamed.clone(),
    ];
    let names = names.iter().flat_map(|name| [name.clone(), format!("{name}.gz")]);
    names.map(|name| images.with_file_name(name)).find(|path| path.is_file() && path != images)
}
