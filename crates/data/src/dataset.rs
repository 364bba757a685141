//! Rows of one shape.

use std::path::Path;

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{DataError, OnDisk, OpenOptions, resize};

/// The shape of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// An image, stored row by row with the channels of a pixel together.
    Image {
        /// Rows of pixels.
        height: usize,
        /// Columns of pixels.
        width: usize,
        /// Values a pixel.
        channels: usize,
    },
    /// Numbers without a place: a line of a table, a point.
    Vector {
        /// How many.
        len: usize,
    },
}

impl Shape {
    /// N, the number of values in a row.
    pub fn dim(self) -> usize {
        match self {
            Self::Image { height, width, channels } => height * width * channels,
            Self::Vector { len } => len,
        }
    }
}

impl From<[usize; 1]> for Shape {
    /// Rows of `len` numbers.
    fn from([len]: [usize; 1]) -> Self {
        Self::Vector { len }
    }
}

impl From<[usize; 2]> for Shape {
    /// Gray images, `[height, width]`.
    fn from([height, width]: [usize; 2]) -> Self {
        Self::Image { height, width, channels: 1 }
    }
}

impl From<[usize; 3]> for Shape {
    /// Images, `[height, width, channels]`.
    fn from([height, width, channels]: [usize; 3]) -> Self {
        Self::Image { height, width, channels }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image { height, width, channels } => write!(f, "{height}x{width}x{channels}"),
            Self::Vector { len } => write!(f, "{len} columns"),
        }
    }
}

/// The values of all rows, one after another, in the type that the file had.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// 8-bit images.
    Bytes(Vec<u8>),
    /// Everything else.
    Floats(Vec<f32>),
    /// Values that stay in files and are read when they are asked for.
    OnDisk(OnDisk),
}

impl Values {
    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Floats(values) => values.len(),
            Self::OnDisk(stored) => stored.values(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all are 8-bit.
    pub fn are_bytes(&self) -> bool {
        match self {
            Self::Bytes(_) => true,
            Self::Floats(_) => false,
            Self::OnDisk(stored) => stored.are_bytes(),
        }
    }

    /// How many bytes they take in memory, or would take.
    pub fn bytes(&self) -> usize {
        if self.are_bytes() { self.len() } else { size_of::<f32>() * self.len() }
    }
}

/// One class a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The class of each row, below `names.len()`.
    pub of_row: Vec<u32>,
    /// What the classes are called.
    pub names: Vec<String>,
}

impl Labels {
    /// Labels from class numbers, called by their numbers. `path` is where they came from, for the error's message.
    ///
    /// # Errors
    /// When a number is so large that it cannot count classes.
    pub fn numbered(path: &Path, of_row: Vec<u32>) -> Result<Self, DataError> {
        const MOST: u32 = 100_000;
        let largest = of_row.iter().copied().max().unwrap_or(0);
        if largest >= MOST {
            let problem = format!("label {largest} is no class number; classes count from 0, up to {MOST} of them");
            return Err(DataError::malformed(path, problem));
        }
        Ok(Self { of_row, names: (0..=largest).map(|class| class.to_string()).collect() })
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
    /// What it is called.
    pub name: String,
    /// The shape of a row.
    pub shape: Shape,
    /// The values, row after row.
    pub values: Values,
    /// The nominal range of the values, the darkest and the brightest for images.
    pub range: (f32, f32),
    /// The classes, if the data set has any.
    pub labels: Option<Labels>,
    /// The names of the columns of a table; empty otherwise.
    pub columns: Vec<String>,
}

impl Dataset {
    /// A data set that has been checked: at least one row, whole rows, as many labels as rows, finite values.
    ///
    /// `path` is where it came from, for the error's message. Without a `range` the values' own is taken.
    ///
    /// # Errors
    /// When one of these does not hold.
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
        let observed = match &values {
            Values::Bytes(_) => (0.0, 255.0),
            Values::Floats(floats) => finite_range(path, floats, dim, 0)?,
            Values::OnDisk(stored) if stored.are_bytes() => (0.0, 255.0),
            Values::OnDisk(stored) => {
                let (mut low, mut high, mut index, mut wrong) = (f32::INFINITY, f32::NEG_INFINITY, 0, None);
                stored.each(&mut |row| {
                    match finite_range(path, row, dim, index) {
                        Ok((least, most)) => (low, high) = (low.min(least), high.max(most)),
                        Err(error) => wrong = wrong.take().or(Some(error)),
                    }
                    index += 1;
                })?;
                wrong.map_or(Ok((low, high)), Err)?
            }
        };
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { name, shape, values, range: range.unwrap_or(observed), labels, columns: Vec::new() })
    }

    /// Opens a built-in data set by its name, or the file or folder at a path, with the default [`OpenOptions`].
    ///
    /// # Errors
    /// Returns an error if nothing is there, no reader knows the format, or the data are damaged or ambiguous.
    pub fn open(source: impl AsRef<Path>) -> Result<Self, DataError> {
        crate::open(&source.as_ref().to_string_lossy(), &OpenOptions::default())
    }

    /// Makes a data set of numbers in memory. Rows follow one another; an image is stored row by row of pixels, and the channels of a
    /// pixel stand together.
    ///
    /// # Shapes
    /// `rows`: `[n, shape]`; `shape`: `[columns]`, `[height, width]` or `[height, width, channels]`
    ///
    /// # Errors
    /// Returns an error if there is no row, the last row is not whole, or a value is not finite.
    pub fn from_rows(rows: Vec<f32>, shape: impl Into<Shape>) -> Result<Self, DataError> {
        Self::new(Path::new("rows"), shape.into(), Values::Floats(rows), None, None)
    }

    /// Makes a data set of 8-bit images in memory, as [`Dataset::from_rows`] does.
    ///
    /// # Errors
    /// Returns an error if there is no row, or the last row is not whole.
    pub fn from_bytes(rows: Vec<u8>, shape: impl Into<Shape>) -> Result<Self, DataError> {
        Self::new(Path::new("rows"), shape.into(), Values::Bytes(rows), None, None)
    }

    /// Sets the name of the data set.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the class of each row, a number from 0. The classes are named by their numbers.
    ///
    /// # Errors
    /// Returns an error if the number of labels is not the number of rows.
    pub fn with_labels(mut self, labels: Vec<u32>) -> Result<Self, DataError> {
        let path = Path::new(&self.name);
        check_labels(path, labels.len(), self.len())?;
        self.labels = Some(Labels::numbered(path, labels)?);
        Ok(self)
    }

    /// Names the classes, in the order of their numbers.
    ///
    /// # Errors
    /// Returns an error if there are no labels, or a label has no name.
    pub fn with_class_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Result<Self, DataError> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let Some(labels) = &mut self.labels else {
            return Err(DataError::malformed(Path::new(&self.name), "class names were given, but there are no labels"));
        };
        let largest = labels.of_row.iter().copied().max().unwrap_or(0) as usize;
        if largest >= names.len() {
            let problem = format!("label {largest} has no name: {} class names were given", names.len());
            return Err(DataError::malformed(Path::new(&self.name), problem));
        }
        labels.names = names;
        Ok(self)
    }

    /// Names the columns of a table.
    ///
    /// # Errors
    /// Returns an error if the number of names is not the number of columns.
    pub fn with_columns<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Result<Self, DataError> {
        self.columns = names.into_iter().map(Into::into).collect();
        if self.columns.len() == self.shape.dim() {
            return Ok(self);
        }
        let problem = format!("{} column names for {}", self.columns.len(), self.shape);
        Err(DataError::malformed(Path::new(&self.name), problem))
    }

    /// Sets the nominal range of the values, for images the values of black and white.
    ///
    /// # Errors
    /// Returns an error if the range is empty or not finite.
    pub fn with_range(mut self, low: f32, high: f32) -> Result<Self, DataError> {
        if !(low.is_finite() && high.is_finite() && low < high) {
            let problem = format!("range {low} to {high}: give two finite numbers, the lower first");
            return Err(DataError::malformed(Path::new(&self.name), problem));
        }
        self.range = (low, high);
        Ok(self)
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

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.shape.dim()
    }

    /// Whether there are none: never, for a data set that was checked.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Copies row `index` to `out`.
    ///
    /// # Errors
    /// When the row lies in a file that cannot be read, or is damaged.
    ///
    /// # Panics
    /// When there is no such row, or `out` is not one row long.
    pub fn read(&self, index: usize, out: &mut [f32]) -> Result<(), DataError> {
        let dim = self.shape.dim();
        let row = index * dim..(index + 1) * dim;
        match &self.values {
            Values::Bytes(values) => {
                out.iter_mut().zip(&values[row]).for_each(|(out, &value)| *out = f32::from(value));
            }
            Values::Floats(values) => out.copy_from_slice(&values[row]),
            Values::OnDisk(stored) => stored.read(index, out)?,
        }
        Ok(())
    }

    /// At most so many rows, spread over the data set: `[rows, N]`.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    pub fn some(&self, most: usize) -> Result<Vec<f32>, DataError> {
        let count = self.len().min(most);
        let mut values = vec![0.0; count * self.shape.dim()];
        for (index, row) in values.chunks_exact_mut(self.shape.dim()).enumerate() {
            self.read(index * self.len() / count, row)?;
        }
        Ok(values)
    }

    /// Hands every row to a visitor, who may change what it is given, in order.
    ///
    /// # Errors
    /// When a row lies in a file that cannot be read.
    pub fn each(&self, visit: &mut dyn FnMut(&mut [f32])) -> Result<(), DataError> {
        if let Values::OnDisk(stored) = &self.values {
            return stored.each(visit);
        }
        let mut row = vec![0.0; self.shape.dim()];
        for index in 0..self.len() {
            self.read(index, &mut row)?;
            visit(&mut row);
        }
        Ok(())
    }

    /// The data set with each pixel the mean of `factor` times `factor` of its pixels. The range stays that of the originals.
    ///
    /// # Errors
    /// When the rows are no images, or `factor` does not divide their sides.
    pub fn shrunk(&self, factor: usize) -> Result<Self, DataError> {
        if factor == 1 {
            return Ok(self.clone());
        }
        let Some(shape) = resize::shrunk(self.shape, factor) else {
            let problem =
                format!("{} cannot be made {factor} times smaller; give a number that divides both sides", self.shape);
            return Err(DataError::malformed(Path::new(&self.name), problem));
        };
        if let Values::OnDisk(stored) = &self.values {
            let values = Values::OnDisk(stored.shrunk(self.shape, factor));
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

    /// The rows with these indices as a data set of its own.
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
        Self { values, labels, name: self.name.clone(), columns: self.columns.clone(), ..*self }
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
