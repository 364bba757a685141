//! Folders of `.npy` files with one row each, and folders of classes with such files.

use std::path::{Path, PathBuf};

use crate::{
    DataError, Dataset, Items, Labels, LimitOverrides, Notice, OpenOptions, Shape, Values,
    array::{self, Array},
    classes::{self, Classified},
    dataset::on_disk::{OnDisk, Rows, shards},
    open::{self, source},
    source::Source,
};

/// Files of equal shape, one row each. Each is opened when it is read, because their number may exceed the limit on open files.
#[derive(Debug)]
struct Files {
    files: Vec<PathBuf>,
    shape: Vec<usize>,
    /// Number of channels if images are channels-first (planes); 0 if they are channels-last.
    planes: usize,
    limits: LimitOverrides,
}

impl Rows for Files {
    fn read(&self, row: usize, out: &mut [f32]) -> Result<(), DataError> {
        let mut wide = vec![0.0; out.len()];
        self.read_wide(row, &mut wide)?;
        out.iter_mut().zip(wide).for_each(|(out, value)| *out = value as f32);
        Ok(())
    }

    fn read_wide(&self, row: usize, out: &mut [f64]) -> Result<(), DataError> {
        let path = &self.files[row];
        let array = array::open_npy(path, "x", &source(path, &self.limits)?, 0)?;
        if array.shape != self.shape {
            return Err(DataError::malformed(path, "the array has changed its shape since it was opened"));
        }
        let values = array.values(path)?;
        let pixels = out.len() / self.planes.max(1);
        for (at, out) in out.iter_mut().enumerate() {
            *out = if self.planes == 0 { values[at] } else { values[at % self.planes * pixels + at / self.planes] };
        }
        Ok(())
    }
}

/// Interpretation of the shapes of files.
enum Guess {
    One,
    Many,
    Either,
}

/// Guesses whether files have one row each. Only arrays of equal shape may be rows; others are parts of one set.
fn guess(arrays: &[Array]) -> Guess {
    let shape = &arrays[0].shape;
    if arrays.len() < 2 || arrays.iter().any(|array| array.shape != *shape) {
        return Guess::Many;
    }
    match shape[..] {
        // The last axis holds channels: no data set has images of 8x3.
        [height, width, 1 | 3 | 4] if height > 4 && width > 4 => Guess::One,
        [1 | 3 | 4, height, width] if height > 4 && width > 4 => Guess::Either,
        [_] => Guess::Either,
        // About as high as wide, as images are.
        [height, width] if height > 4 && width > 4 && height <= 2 * width && width <= 2 * height => Guess::Either,
        _ => Guess::Many,
    }
}

/// Opens files as one row each; returns `None` if they hold several rows each.
pub(crate) fn dataset(
    path: &Path,
    files: Vec<PathBuf>,
    arrays: &[Array],
    options: &OpenOptions,
) -> Result<Option<Dataset>, DataError> {
    let shape = &arrays[0].shape;
    match (options.items, guess(arrays)) {
        (Items::Many, _) | (Items::Auto, Guess::Many) => return Ok(None),
        (Items::Auto, Guess::Either) => {
            let problem =
                format!("each of its {} files has the shape {shape:?}, which may be one row or many", files.len());
            return Err(DataError::ambiguous(path, problem, "items", "one or many"));
        }
        (Items::One, _) | (Items::Auto, Guess::One) => {}
    }
    if let Some(other) = arrays.iter().position(|array| array.shape != *shape) {
        let problem = format!(
            "{} has the shape {:?} where the first file has {shape:?}",
            files[other].display(),
            arrays[other].shape
        );
        return Err(DataError::malformed(path, problem));
    }
    let (row, planes) = match shape[..] {
        [len] => (Shape::Vector { len }, 0),
        [height, width] => (Shape::Image { height, width, channels: 1 }, 0),
        [height, width, channels @ 1..=4] => (Shape::Image { height, width, channels }, 0),
        [channels @ 1..=4, height, width] => (Shape::Image { height, width, channels }, channels),
        _ => {
            let problem = format!(
                "files of the shape {shape:?} are no rows; expected [h, w], [h, w, channels] or [channels, h, w]"
            );
            return Err(DataError::malformed(path, problem));
        }
    };
    if let Some(other) = arrays.iter().position(|array| array.number != arrays[0].number) {
        let problem = format!(
            "{} holds numbers of another type than the first file; save all as one type, in one range",
            files[other].display()
        );
        return Err(DataError::malformed(path, problem));
    }
    let number = arrays[0].numbers(path)?;
    let (count, is_byte) = (files.len(), number.is_byte());
    let rows = Files { files, shape: shape.clone(), planes, limits: options.limits };
    let mut set = Dataset::new(path, row, Values::OnDisk(OnDisk::new(rows, count, row.dim(), is_byte)), None, None)?;
    set.number = number;
    set.notices.push(Notice::FilesAsRows { count });
    Ok(Some(set))
}

/// What a file holds, without the file: there may be more files than a process may have open.
pub(crate) fn describe(path: &Path, limits: &LimitOverrides) -> Result<Array, DataError> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let array = array::open_npy(path, &stem, &source(path, limits)?, 0)?;
    Ok(Array { source: Source::Bytes([].into()), ..array })
}

/// Opens arrays in folders, whose names are the classes: `cats/0001.npy`.
pub(crate) fn in_folders(path: &Path, names: Vec<String>, options: &OpenOptions) -> Result<Dataset, DataError> {
    let Classified { keep, labels, notices } = classes::classify_names(path, &names, &options.classes)?;
    let files: Vec<PathBuf> = keep.iter().map(|&index| path.join(&names[index])).collect();
    let arrays = files.iter().map(|file| describe(file, &options.limits)).collect::<Result<Vec<_>, _>>()?;
    let (mut set, rows) = match dataset(path, files.clone(), &arrays, options)? {
        Some(set) => (set, vec![1; files.len()]),
        None => {
            let sets = files.iter().map(|file| open::file(file, options)).collect::<Result<Vec<_>, _>>()?;
            let rows = sets.iter().map(Dataset::len).collect();
            (shards::joined(path, sets)?, rows)
        }
    };
    set.labels = labels.map(|labels| {
        let repeat = |(&class, &rows): (&u32, &usize)| std::iter::repeat_n(class, rows);
        Labels { of_row: labels.of_row.iter().zip(&rows).flat_map(repeat).collect(), names: labels.names }
    });
    set.notices.splice(0..0, notices);
    Ok(set)
}
