//! Rows of one shape.

mod build;
mod labels;
pub mod on_disk;
mod range;
mod read;
mod shape;

use std::{path::Path, sync::Arc};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

pub use labels::Labels;
pub use shape::Shape;

use crate::{DataError, Notice, NumberType, OnDisk, resize, table::TableSchema};

/// The values of all rows, one after another.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// 8-bit values.
    Bytes(Vec<u8>),
    /// Everything else. The values of a table whose columns are far from zero are relative to [`Dataset::origin`].
    Floats(Vec<f32>),
    /// Values that stay in files and are read when they are asked for.
    OnDisk(OnDisk),
}

impl Values {
    /// Returns the number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Floats(values) => values.len(),
            Self::OnDisk(rows) => rows.values(),
        }
    }

    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether all values are 8-bit.
    pub fn are_bytes(&self) -> bool {
        match self {
            Self::Bytes(_) => true,
            Self::Floats(_) => false,
            Self::OnDisk(rows) => rows.are_bytes(),
        }
    }

    /// Returns how many bytes the values take in memory, or would take.
    pub fn bytes(&self) -> usize {
        if self.are_bytes() { self.len() } else { size_of::<f32>() * self.len() }
    }
}

/// A data set: rows of one shape in memory or on disk, with the nominal range of their values and labels if there are any.
///
/// ```
/// use pfgm_data::{Dataset, Shape};
///
/// # fn main() -> Result<(), pfgm_data::DataError> {
/// let data = Dataset::from_rows(vec![0.0; 6 * 28 * 28], [28, 28, 1])?
///     .with_labels(vec![0, 1, 2, 0, 1, 2])?
///     .with_class_names(["shirt", "coat", "shoe"])?;
/// let (train, held_out) = data.split(2, 0)?;
/// assert_eq!((train.len(), held_out.len()), (4, 2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Name of the data set.
    pub name: String,
    /// Shape of a row.
    pub shape: Shape,
    /// The values, row after row.
    pub values: Values,
    /// Nominal range of the values: for images, the values of black and white.
    pub range: (f32, f32),
    /// Type of the numbers in the file.
    pub number: NumberType,
    /// Classes of the rows, if there are any.
    pub labels: Option<Labels>,
    /// Names of the columns of a table; empty otherwise.
    pub columns: Vec<String>,
    /// Which columns of a table hold whole numbers only; empty otherwise.
    pub whole_columns: Vec<bool>,
    /// Name of the column that the classes of a table come from.
    pub label_column: Option<String>,
    /// The columns of a table whose cells are encoded, by which rows become cells again.
    pub table: Option<Arc<TableSchema>>,
    /// What is added to the values of each column; empty for zero. Coordinates far from zero keep their digits in this way.
    pub origin: Vec<f64>,
    /// What the reader left out or decided.
    pub notices: Vec<Notice>,
    /// Whether the range is that of bytes, [0, 1] or [-1, 1], or was given. Otherwise it is the set's own lowest and highest value,
    /// which another set of the same kind need not share.
    pub range_is_nominal: bool,
}

impl Dataset {
    /// Makes a checked data set: at least one row, whole rows, as many labels as rows, finite values.
    ///
    /// `path` names the data in errors. Without a `range`, that of bytes is 0 to 255, and that of other images is found from the
    /// values by rule; that of vectors is their own.
    ///
    /// # Errors
    /// Returns an error if one of these does not hold.
    pub fn new(
        path: &Path,
        shape: Shape,
        values: Values,
        range: Option<(f32, f32)>,
        labels: Option<Labels>,
    ) -> Result<Self, DataError> {
        let dim = shape.dim();
        if values.is_empty() || dim == 0 {
            return Err(DataError::empty(path, "it has no rows"));
        }
        if !values.len().is_multiple_of(dim) {
            return Err(DataError::malformed(path, format!("{} values are no whole rows of {dim}", values.len())));
        }
        let rows = values.len() / dim;
        if let Some(labels) = &labels {
            check_labels(path, labels.of_row.len(), rows)?;
        }
        let own = own_range(path, &values, dim)?;
        let found = match shape {
            _ if values.are_bytes() => Some((0.0, 255.0)),
            Shape::Image { .. } => range::nominal(range::Observed { low: own.0, high: own.1 }),
            Shape::Vector { .. } => None,
        };
        let number = if values.are_bytes() { NumberType::U8 } else { NumberType::F32 };
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self {
            name,
            shape,
            values,
            range: range.or(found).unwrap_or(own),
            number,
            labels,
            columns: Vec::new(),
            whole_columns: Vec::new(),
            label_column: None,
            table: None,
            origin: Vec::new(),
            notices: Vec::new(),
            range_is_nominal: range.or(found).is_some(),
        })
    }

    /// Returns all values, row after row.
    ///
    /// # Errors
    /// Returns an error if rows lie in a file that cannot be read.
    pub fn values(&self) -> Result<Vec<f32>, DataError> {
        let mut all = Vec::with_capacity(self.values.len());
        self.each(&mut |row| all.extend_from_slice(row))?;
        Ok(all)
    }

    /// Splits the rows at random into those to train on and `held_out` others. The order of rows is kept in both parts; the same seed
    /// holds out the same rows.
    ///
    /// # Errors
    /// Returns an error if no row would be left to train on, or `held_out` is 0.
    pub fn split(&self, held_out: usize, seed: u64) -> Result<(Self, Self), DataError> {
        if held_out == 0 || held_out >= self.len() {
            let problem = format!(
                "{held_out} rows cannot be held out of {}; give a number from 1 to {}",
                self.len(),
                self.len().saturating_sub(1)
            );
            return Err(DataError::malformed(Path::new(&self.name), problem));
        }
        let mut rows: Vec<usize> = (0..self.len()).collect();
        rows.shuffle(&mut split_stream(seed));
        let (held, kept) = rows.split_at_mut(held_out);
        held.sort_unstable();
        kept.sort_unstable();
        Ok((self.select(kept), self.select(held)))
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.shape.dim()
    }

    /// Returns whether there are no rows: never, for a data set that was checked.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the data set with images that are `factor` times smaller, each pixel the mean of `factor` times `factor` pixels. The
    /// range stays that of the originals.
    ///
    /// # Errors
    /// Returns an error if the rows are no images, or `factor` does not divide their sides.
    pub fn shrunk(&self, factor: usize) -> Result<Self, DataError> {
        if factor == 1 {
            return Ok(self.clone());
        }
        let Some(shape) = resize::shrunk(self.shape, factor) else {
            let problem =
                format!("{} cannot be made {factor} times smaller; give a number that divides both sides", self.shape);
            return Err(DataError::malformed(Path::new(&self.name), problem));
        };
        if let Values::OnDisk(rows) = &self.values {
            let values = Values::OnDisk(rows.shrunk(self.shape, factor));
            return Ok(Self { shape, values, ..self.clone() });
        }
        let mut row = vec![0.0; self.shape.dim()];
        let mut values = Vec::with_capacity(self.len() * shape.dim());
        for index in 0..self.len() {
            self.read(index, &mut row)?;
            values.extend(resize::shrink(self.shape, &row, factor));
        }
        Ok(Self { shape, values: Values::Floats(values), ..self.clone() })
    }

    /// Returns the data set with gray images as color images, or color images whose channels agree as gray ones, so that rows have the
    /// wanted shape; `None` if that would lose something or the sizes differ.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    pub fn matching(&self, wanted: Shape) -> Result<Option<Self>, DataError> {
        if self.shape == wanted {
            return Ok(Some(self.clone()));
        }
        let (Shape::Image { height, width, channels }, Shape::Image { height: h, width: w, channels: c }) =
            (self.shape, wanted)
        else {
            return Ok(None);
        };
        if (height, width) != (h, w) || !matches!((channels, c), (1, 3) | (3, 1)) {
            return Ok(None);
        }
        let (mut values, mut agree) = (Vec::new(), true);
        self.each(&mut |row| {
            if c == 3 {
                values.extend(row.iter().flat_map(|&value| [value; 3]));
            } else {
                agree &= row.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]);
                values.extend(row.iter().step_by(3));
            }
        })?;
        let values = if self.values.are_bytes() {
            Values::Bytes(values.into_iter().map(|value| value as u8).collect())
        } else {
            Values::Floats(values)
        };
        Ok(agree.then(|| Self { shape: wanted, values, ..self.clone() }))
    }

    /// Returns the rows with these indices as a data set of its own.
    pub fn select(&self, rows: &[usize]) -> Self {
        let dim = self.shape.dim();
        let values = match &self.values {
            Values::Bytes(all) => Values::Bytes(gather(all, rows, dim)),
            Values::Floats(all) => Values::Floats(gather(all, rows, dim)),
            Values::OnDisk(stored) => Values::OnDisk(stored.select(rows)),
        };
        let labels = self.labels.as_ref().map(|labels| Labels {
            of_row: rows.iter().map(|&row| labels.of_row[row]).collect(),
            names: labels.names.clone(),
        });
        Self {
            values,
            labels,
            name: self.name.clone(),
            columns: self.columns.clone(),
            whole_columns: self.whole_columns.clone(),
            label_column: self.label_column.clone(),
            table: self.table.clone(),
            origin: self.origin.clone(),
            notices: self.notices.clone(),
            ..*self
        }
    }
}

fn check_labels(path: &Path, labels: usize, rows: usize) -> Result<(), DataError> {
    if labels == rows {
        return Ok(());
    }
    Err(DataError::malformed(path, format!("{labels} labels for {rows} rows; take labels and data from one set")))
}

/// The random stream of [`Dataset::split`]: the library's stream of this seed for the purpose number 7, step 0, item 0.
fn split_stream(seed: u64) -> ChaCha8Rng {
    const PURPOSE: u64 = 7;
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&PURPOSE.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

fn gather<T: Copy>(all: &[T], rows: &[usize], dim: usize) -> Vec<T> {
    rows.iter().flat_map(|&row| &all[row * dim..(row + 1) * dim]).copied().collect()
}

/// The lowest and the highest value.
fn own_range(path: &Path, values: &Values, dim: usize) -> Result<(f32, f32), DataError> {
    match values {
        Values::Bytes(_) => Ok((0.0, 255.0)),
        Values::Floats(floats) => finite_range(path, floats, dim, 0),
        Values::OnDisk(rows) if rows.are_bytes() => Ok((0.0, 255.0)),
        Values::OnDisk(rows) => {
            let (mut low, mut high, mut index, mut wrong) = (f32::INFINITY, f32::NEG_INFINITY, 0, None);
            rows.each(&mut |row| {
                match finite_range(path, row, dim, index) {
                    Ok((least, most)) => (low, high) = (low.min(least), high.max(most)),
                    Err(error) => wrong = wrong.take().or(Some(error)),
                }
                index += 1;
            })?;
            wrong.map_or(Ok((low, high)), Err)
        }
    }
}

fn finite_range(path: &Path, values: &[f32], dim: usize, first: usize) -> Result<(f32, f32), DataError> {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for (index, &value) in values.iter().enumerate() {
        if !value.is_finite() {
            let problem = format!(
                "row {}, value {} is {value}; replace values that are not finite before training",
                first + index / dim,
                index % dim
            );
            return Err(DataError::malformed(path, problem));
        }
        (low, high) = (low.min(value), high.max(value));
    }
    Ok((low, high))
}
