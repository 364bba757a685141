//! Selection of the data and the labels among the arrays of a file.

use std::path::Path;

use super::{Array, Flat, labels_of, row_shape};
use crate::{
    DataError, Dataset, Items, Labels, Notice, NumberType, OpenOptions, Shape, Values, dataset::on_disk::OnDisk,
};

/// Names of data arrays, in order of preference.
const DATA: [&str; 15] = [
    "x",
    "images",
    "image",
    "imgs",
    "data",
    "samples",
    "features",
    "x_train",
    "xtrain",
    "train_images",
    "train_x",
    "train_data",
    "train",
    "arr_0",
    "inputs",
];
/// Names of label arrays, in order of preference.
const LABELS: [&str; 16] = [
    "labels",
    "y",
    "label",
    "target",
    "targets",
    "class",
    "classes",
    "fine_labels",
    "y_train",
    "ytrain",
    "train_labels",
    "train_y",
    "train_label",
    "train_targets",
    "gt",
    "category",
];
/// Names of the labels in archives of downsampled ImageNet and of CIFAR, whose rows are planes.
const PLANES: [&str; 2] = ["data", "labels"];

/// Whether the names of the arrays identify the data and the labels.
pub(crate) fn are_named(arrays: &[Array]) -> bool {
    let has =
        |names: &[&str]| arrays.iter().any(|array| names.iter().any(|name| array.name.eq_ignore_ascii_case(name)));
    has(&DATA) && has(&LABELS)
}

/// A choice among arrays.
struct Choice {
    data: Array,
    labels: Option<Array>,
    ignored: Vec<String>,
}

fn describe(arrays: &[Array]) -> String {
    let one = |array: &Array| {
        let sizes: Vec<String> = array.shape.iter().map(ToString::to_string).collect();
        format!("{} ({})", array.name, if sizes.is_empty() { "one value".into() } else { sizes.join("x") })
    };
    arrays.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Finds the array of data, and that of labels if there is one.
pub(super) fn pick(path: &Path, arrays: &[Array], options: &OpenOptions) -> Result<(usize, Option<usize>), DataError> {
    let named = |name: &str| arrays.iter().position(|array| array.name.eq_ignore_ascii_case(name));
    let exact = |name: &str, option: &'static str| {
        let found = arrays.iter().position(|array| array.name == name).or_else(|| named(name));
        found.ok_or_else(|| {
            DataError::malformed(path, format!("{option} = {name:?}: no such array; there are {}", describe(arrays)))
        })
    };
    let could_be_data = |array: &Array| array.number.is_some() && array.shape.len() > 1 && array.shape[0] > 1;
    let data = match &options.array {
        Some(name) => exact(name, "array")?,
        None => match DATA.iter().find_map(|name| named(name)).filter(|&found| !is_column_of_others(arrays, found)) {
            Some(found) => found,
            None => {
                let candidates: Vec<usize> = (0..arrays.len()).filter(|&at| could_be_data(&arrays[at])).collect();
                match (candidates.as_slice(), arrays.len()) {
                    ([one], _) => *one,
                    (_, 1) => 0,
                    (_, 0) => return Err(DataError::empty(path, "no array in it")),
                    _ => {
                        let problem = format!("several arrays may be the data: {}", describe(arrays));
                        return Err(DataError::ambiguous(path, problem, "array", "the name of one"));
                    }
                }
            }
        },
    };
    let rows = arrays[data].shape.first().copied().unwrap_or(0);
    let labels = match &options.labels {
        Some(name) if name.is_empty() => None,
        Some(name) => Some(exact(name, "labels")?),
        None => LABELS.iter().find_map(|name| named(name)).or_else(|| {
            // Names by numpy.savez for arrays without names.
            let other = match arrays[data].name.as_str() {
                "arr_0" => named("arr_1")?,
                "arr_1" => named("arr_0")?,
                _ => return None,
            };
            let array = &arrays[other];
            let is_column = array.shape.len() == 1 || matches!(array.shape[..], [_, 1]);
            (is_column && array.shape[0] == rows).then_some(other)
        }),
    };
    Ok((data, labels.filter(|&labels| labels != data)))
}

/// Whether an array that numpy.savez named has one value a row where another has several: labels that were given first.
fn is_column_of_others(arrays: &[Array], at: usize) -> bool {
    let [rows] = arrays[at].shape[..] else { return false };
    arrays[at].name == "arr_0" && arrays.iter().any(|other| other.shape.len() > 1 && other.shape[0] == rows)
}

fn choose(path: &Path, arrays: Vec<Array>, options: &OpenOptions) -> Result<Choice, DataError> {
    let (data, labels) = pick(path, &arrays, options)?;
    let mut arrays: Vec<Option<Array>> = arrays.into_iter().map(Some).collect();
    let mut take = |at: usize| arrays[at].take().expect("each array is taken once");
    let (data, labels) = (take(data), labels.map(take));
    Ok(Choice { data, labels, ignored: arrays.into_iter().flatten().map(|array| array.name).collect() })
}

/// Creates a data set from arrays. Rows are read on demand.
pub(crate) fn dataset(path: &Path, arrays: Vec<Array>, options: &OpenOptions) -> Result<Dataset, DataError> {
    let alone = arrays.len() == 1;
    let Choice { data, labels, ignored } = choose(path, arrays, options)?;
    let mut notices = Vec::new();
    if !alone {
        let labels = labels.as_ref().map(|labels| labels.name.clone());
        notices.push(Notice::ArraysTaken { data: data.name.clone(), labels, ignored });
    }
    let are_planes =
        PLANES.contains(&data.name.as_str()) && labels.as_ref().is_some_and(|y| PLANES.contains(&y.name.as_str()));
    let has_labels = labels.is_some();
    let (labels, mut about_labels) = match labels {
        Some(array) => read_labels(path, &array, data.shape.first().copied().unwrap_or(0), options)?,
        None => (None, Vec::new()),
    };
    notices.append(&mut about_labels);
    let data = if has_labels { data } else { one_or_many(path, data, options.items)? };
    let mut set = rows(path, &data, labels, are_planes, &mut notices)?;
    set.notices.splice(0..0, notices);
    Ok(set)
}

/// An array whose last sizes are those of one color image: one row, or as many as its first size, as options say.
fn one_or_many(path: &Path, array: Array, items: Items) -> Result<Array, DataError> {
    let [height, width, channels @ 3..=4] = array.shape[..] else { return Ok(array) };
    match items {
        _ if height <= 4 || width <= 4 => Ok(array),
        Items::Many => Ok(array),
        Items::One => Ok(Array { shape: vec![1, height, width, channels], ..array }),
        Items::Auto => {
            let problem = format!(
                "array {} has the shape {:?}, which may be one color image or {height} rows of {width}x{channels}",
                array.name, array.shape
            );
            Err(DataError::ambiguous(path, problem, "items", "one or many"))
        }
    }
}

/// The rows of an array as a data set.
pub(crate) fn rows(
    path: &Path,
    data: &Array,
    labels: Option<Labels>,
    are_planes: bool,
    notices: &mut Vec<Notice>,
) -> Result<Dataset, DataError> {
    let number = data.numbers(path)?;
    let (mut shape, mut planes) = row_shape(path, &data.name, &data.shape)?;
    if let (Shape::Vector { len }, NumberType::U8) = (shape, number) {
        let side = |pixels: usize| Some(pixels.isqrt()).filter(|side| side * side == pixels && *side >= 4);
        let colors = len.is_multiple_of(3).then(|| side(len / 3)).flatten();
        match (colors, side(len)) {
            (Some(side), _) if are_planes => {
                shape = Shape::Image { height: side, width: side, channels: 3 };
                planes = true;
                notices.push(Notice::RowsAsPlanes { side, channels: 3 });
            }
            (Some(side), _) | (_, Some(side)) => notices.push(Notice::SquareRows { len, side }),
            _ => {}
        }
    }
    let channels = match shape {
        Shape::Image { channels, .. } if planes => channels,
        _ => 0,
    };
    let flat = Flat {
        path: path.to_owned(),
        source: data.source.clone(),
        start: data.start,
        // The size of the whole array was checked, so this cannot overflow.
        stride: (shape.dim() * number.size()) as u64,
        number,
        big_endian: data.big_endian,
        planes: channels,
    };
    let stored = OnDisk::new(flat, data.shape[0], shape.dim(), number.is_byte());
    let range = (number == NumberType::Bool).then_some((0.0, 1.0));
    let mut set = Dataset::new(path, shape, Values::OnDisk(stored), range, labels)?;
    set.number = number;
    Ok(set)
}

/// Reads the labels of an array. Labels that are not classes are not used, and a notice gives the reason; if the option names them, it is an error.
fn read_labels(
    path: &Path,
    array: &Array,
    rows: usize,
    options: &OpenOptions,
) -> Result<(Option<Labels>, Vec<Notice>), DataError> {
    if let Some(what) = array.unread.as_ref().filter(|_| options.labels.is_none()) {
        let reason = format!("it holds {what}");
        return Ok((None, vec![Notice::LabelsDropped { name: array.name.clone(), reason }]));
    }
    match labels_of(path, array, rows)? {
        Ok((labels, notice)) => Ok((Some(labels), notice.into_iter().collect())),
        Err(reason) if options.labels.is_some() => {
            Err(DataError::malformed(path, format!("labels = {:?}: {reason}", array.name)))
        }
        Err(reason) => Ok((None, vec![Notice::LabelsDropped { name: array.name.clone(), reason }])),
    }
}
