//! CIFAR-10 and CIFAR-100, in the binary and the Python version. Pickles are read without executing them.

use std::{collections::BTreeSet, path::Path};

use crate::{
    DataError, Dataset, Labels, Notice, NumberType, Shape, Values,
    array::Flat,
    dataset::on_disk::OnDisk,
    source::{Source, Span},
};

const PIXELS: usize = 3 * 32 * 32;
const SHAPE: Shape = Shape::Image { height: 32, width: 32, channels: 3 };

/// A batch: its name and its bytes.
pub(crate) type Batch = (String, Source);

/// Whether a file has the name of a training batch of the binary version (five of CIFAR-10, one of CIFAR-100).
pub(crate) fn is_training_batch(file_name: &str) -> bool {
    file_name == "train.bin" || (file_name.starts_with("data_batch_") && file_name.ends_with(".bin"))
}

/// Whether a file has the name of a batch of the binary version, the test ones included.
pub(crate) fn recognizes(file_name: &str) -> bool {
    is_training_batch(file_name) || matches!(file_name, "test_batch.bin" | "test.bin")
}

/// Whether a file is a training batch of the Python version. That of CIFAR-100 is called `train`, so its content is checked as well.
pub(crate) fn is_python_batch(file_name: &str, first: &[u8]) -> bool {
    let is_named = file_name == "train" || (file_name.starts_with("data_batch_") && !file_name.contains('.'));
    is_named && is_pickle(first)
}

/// Whether a file has the name of any batch of the Python version.
pub(crate) fn is_any_python_batch(file_name: &str, first: &[u8]) -> bool {
    is_python_batch(file_name, first) || (matches!(file_name, "test_batch" | "test") && is_pickle(first))
}

fn is_pickle(first: &[u8]) -> bool {
    matches!(first, [0x80, 2..=5, ..] | [b'(', b'd', b'p', ..])
}

/// Returns the class names, if bytes are a list of names, one per line.
pub(crate) fn names_of_text(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Returns the number of label bytes of a record and the size of a record, for a batch with this name and size.
fn record(path: &Path, name: &str, size: u64) -> Result<(u64, u64), DataError> {
    // The files of CIFAR-100 are train.bin and test.bin, with the coarse label before the fine one.
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

fn rows(path: &Path, source: Source, start: u64, stride: u64, count: usize) -> OnDisk {
    let flat =
        Flat { path: path.to_owned(), source, start, stride, number: NumberType::U8, big_endian: false, planes: 3 };
    OnDisk::new(flat, count, SHAPE.dim(), true)
}

/// Opens a batch of the binary version. CIFAR-100 keeps its fine labels.
fn open(path: &Path, (name, source): Batch) -> Result<(OnDisk, Vec<u32>), DataError> {
    let (label_bytes, record) = record(path, &name, source.len())?;
    let count = (source.len() / record) as usize;
    let mut classes = Vec::with_capacity(count);
    let mut label = [0];
    for row in 0..count as u64 {
        source.read_at(row * record + label_bytes - 1, &mut label).map_err(|error| DataError::read(path, error))?;
        classes.push(u32::from(label[0]));
    }
    Ok((rows(path, source, label_bytes, record, count), classes))
}

/// Opens batches of the binary version as one data set; `names` are the class names, if known.
pub(crate) fn dataset(path: &Path, batches: Vec<Batch>, names: &[String]) -> Result<Dataset, DataError> {
    let has_coarse = batches.iter().any(|(name, _)| matches!(name.as_str(), "train.bin" | "test.bin"));
    let parts = batches.into_iter().map(|batch| open(path, batch)).collect::<Result<Vec<_>, _>>()?;
    let mut set = join(path, parts, names)?;
    if has_coarse {
        set.notices.push(coarse_labels_dropped());
    }
    Ok(set)
}

fn coarse_labels_dropped() -> Notice {
    Notice::LabelsDropped { name: "coarse_labels".into(), reason: "the fine labels are read".into() }
}

fn join(path: &Path, parts: Vec<(OnDisk, Vec<u32>)>, names: &[String]) -> Result<Dataset, DataError> {
    let classes: Vec<u32> = parts.iter().flat_map(|(_, classes)| classes).copied().collect();
    let sets = parts.into_iter().map(|(rows, _)| Dataset::new(path, SHAPE, Values::OnDisk(rows), None, None));
    let mut set = crate::dataset::on_disk::shards::joined(path, sets.collect::<Result<_, _>>()?)?;
    let (labels, notice) = Labels::of_numbers(path, &classes, names)?;
    set.labels = Some(labels);
    set.notices.extend(notice);
    Ok(set)
}

/// Opens batches of the Python version as one data set, with the class names of `meta`, the pickle `batches.meta`.
pub(crate) fn python(path: &Path, batches: Vec<Batch>, meta: Option<&Source>) -> Result<Dataset, DataError> {
    let mut labels_from = BTreeSet::new();
    let parts = batches.into_iter().map(|(name, source)| python_batch(path, &name, &source, &mut labels_from));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let names = match meta {
        Some(source) => python_names(path, source, labels_from.contains("fine_labels"))?,
        None => Vec::new(),
    };
    let mut set = join(path, parts, &names)?;
    if labels_from.contains("fine_labels") {
        set.notices.push(coarse_labels_dropped());
    }
    Ok(set)
}

fn pickle(path: &Path, name: &str, source: &Source) -> Result<pfgm_torch::File, DataError> {
    let bytes = source.span(Span { at: 0, size: source.len() }).map_err(|error| DataError::read(path, error))?;
    pfgm_torch::from_bytes(bytes).map_err(|error| DataError::malformed(path, format!("{name}: {error}")))
}

/// Returns the value of a key, which is a Python 2 string or bytes.
fn get<'a>(root: pfgm_torch::Value<'a>, key: &str) -> Option<pfgm_torch::Value<'a>> {
    root.get(key)
        .or_else(|| root.entries().find(|(name, _)| text(*name).as_deref() == Some(key)).map(|(_, value)| value))
}

fn text(value: pfgm_torch::Value) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let bytes = value.read_bytes().ok()??;
    String::from_utf8(bytes).ok()
}

fn python_batch(
    path: &Path,
    name: &str,
    source: &Source,
    labels_from: &mut BTreeSet<&'static str>,
) -> Result<(OnDisk, Vec<u32>), DataError> {
    let file = pickle(path, name, source)?;
    let wrong = |problem: &str| DataError::malformed(path, format!("{name} is no batch of CIFAR: {problem}"));
    let (tensor, values) = bytes_of(get(file.root(), "data").ok_or_else(|| wrong("it has no data"))?, &file)
        .ok_or_else(|| wrong("its data are no array of bytes"))?;
    let &[count, PIXELS] = &tensor[..] else {
        return Err(wrong(&format!("its data have the shape {tensor:?} where [n, 3072] is due")));
    };
    let key = ["labels", "fine_labels"].into_iter().find(|key| get(file.root(), key).is_some());
    let key = key.ok_or_else(|| wrong("it has no labels"))?;
    labels_from.insert(key);
    let list = get(file.root(), key)
        .and_then(|labels| Some(labels.as_list()?.map(|label| label.as_int()).collect::<Vec<_>>()));
    let classes =
        list.unwrap_or_default().into_iter().map(|class| u32::try_from(class?).ok()).collect::<Option<Vec<u32>>>();
    let classes = classes.filter(|classes| classes.len() == count).ok_or_else(|| wrong("not one label a row"))?;
    Ok((rows(path, Source::Bytes(values.into()), 0, PIXELS as u64, count), classes))
}

/// Shape and values of a tensor of bytes.
fn bytes_of(value: pfgm_torch::Value, file: &pfgm_torch::File) -> Option<(Vec<usize>, Vec<u8>)> {
    let tensor = value.as_tensor().filter(|tensor| tensor.dtype == pfgm_torch::DType::U8)?;
    let values = file.values(tensor).ok()?;
    Some((tensor.shape.clone(), values.into_iter().map(|value| value as u8).collect()))
}

fn python_names(path: &Path, meta: &Source, fine: bool) -> Result<Vec<String>, DataError> {
    let file = pickle(path, "batches.meta", meta)?;
    let key = if fine { "fine_label_names" } else { "label_names" };
    let names = get(file.root(), key).and_then(|names| names.as_list()?.map(text).collect::<Option<Vec<String>>>());
    Ok(names.unwrap_or_default())
}
