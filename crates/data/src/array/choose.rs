//! Selection of the data and the labels among the arrays of a file.

use std::path::Path;

use super::{Array, Flat, labels_of, row_shape};
use crate::{DataError, Dataset, Labels, Notice, NumberType, OpenOptions, Shape, Values, on_disk::OnDisk};

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

fn choose(path: &Path, mut arrays: Vec<Array>, options: &OpenOptions) -> Result<Choice, DataError> {
    let named = |arrays: &[Array], name: &str| arrays.iter().position(|array| array.name.eq_ignore_ascii_case(name));
    let exact = |arrays: &[Array], name: &str, option: &'static str| {
        let found = arrays.iter().position(|array| array.name == name).or_else(|| named(arrays, name));
        found.ok_or_else(|| {
            DataError::malformed(path, format!("{option} = {name:?}: no such array; there are {}", describe(arrays)))
        })
    };
    let could_be_data = |array: &Array| array.number.is_some() && array.shape.len() > 1 && array.shape[0] > 1;
    let data = match &options.array {
        Some(name) => exact(&arrays, name, "array")?,
        None => match DATA.iter().find_map(|name| named(&arrays, name)) {
            Some(found) => found,
            None => {
                let candidates: Vec<usize> = (0..arrays.len()).filter(|&at| could_be_data(&arrays[at])).collect();
                match (candidates.as_slice(), arrays.len()) {
                    ([one], _) => *one,
                    (_, 1) => 0,
                    (_, 0) => return Err(DataError::empty(path, "no array in it")),
                    _ => {
                        let problem = format!("several arrays may be the data: {}", describe(&arrays));
                        return Err(DataError::ambiguous(path, problem, "array", "the name of one"));
                    }
                }
            }
        },
    };
    let data = arrays.remove(data);
    let labels = match &options.labels {
        Some(name) if name.is_empty() => None,
        Some(name) => Some(exact(&arrays, name, "labels")?),
        None => LABELS.iter().find_map(|name| named(&arrays, name)).or_else(|| {
            // Names by numpy.savez for arrays without names.
            let second = (data.name == "arr_0").then(|| named(&arrays, "arr_1")).flatten()?;
            let array = &arrays[second];
            let is_column = array.shape.len() == 1 || matches!(array.shape[..], [_, 1]);
            (is_column && array.shape[0] == data.shape.first().copied().unwrap_or(0)).then_some(second)
        }),
    };
    let labels = labels.map(|at| arrays.remove(at));
    Ok(Choice { data, labels, ignored: arrays.into_iter().map(|array| array.name).collect() })
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
    let (labels, mut about_labels) = match labels {
        Some(array) => read_labels(path, &array, data.shape.first().copied().unwrap_or(0), options)?,
        None => (None, Vec::new()),
    };
    notices.append(&mut about_labels);
    let mut set = rows(path, &data, labels, are_planes, &mut notices)?;
    set.notices.splice(0..0, notices);
    Ok(set)
}

/// The rows of an array as a data set.
pub(crate) fn rows(
    path: &Path,
    data: &Array,
    labels: Option<Labels>,
    are_planes: bool,
    notices: &mut Vec<Notice>,
) -> Result<Dataset, DataError> {
    let Some(number) = data.number else {
        return Err(DataError::malformed(path, format!("array {} holds text, not numbers", data.name)));
    };
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
    match labels_of(path, array, rows)? {
        Ok((labels, notice)) => Ok((Some(labels), notice.into_iter().collect())),
        Err(reason) if options.labels.is_some() => {
            Err(DataError::malformed(path, format!("labels = {:?}: {reason}", array.name)))
        }
        Err(reason) => Ok((None, vec![Notice::LabelsDropped { name: array.name.clone(), reason }])),
    }
}
