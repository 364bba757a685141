//! Data sets made of numbers in memory.

use std::path::Path;

use super::{Dataset, Labels, Shape, Values, check_labels};
use crate::{DataError, Notice, OpenOptions};

impl Dataset {
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

    /// Removes the labels.
    #[must_use]
    pub fn without_labels(mut self) -> Self {
        self.labels = None;
        self
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
        self.range_is_nominal = true;
        Ok(self)
    }

    /// Makes a table of numbers in double precision. Columns that single precision would round visibly, such as coordinates in meters,
    /// keep their digits. `path` names the table in errors.
    ///
    /// # Shapes
    /// `rows`: `[n, len]`
    ///
    /// ```
    /// use std::path::Path;
    /// use pfgm_data::Dataset;
    ///
    /// let northings = [5_600_000.01, 5_600_000.02, 5_600_000.04];
    /// let table = Dataset::from_rows_f64(Path::new("survey"), &northings, 1)?;
    /// let mut row = [0.0];
    /// table.read_wide(1, &mut row)?;
    /// assert!((row[0] - northings[1]).abs() < 1e-6);
    /// # Ok::<(), pfgm_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if there is no row, the last row is not whole, or a value is not finite.
    pub fn from_rows_f64(path: &Path, rows: &[f64], len: usize) -> Result<Self, DataError> {
        if len == 0 || !rows.len().is_multiple_of(len) {
            return Err(DataError::malformed(path, format!("{} values are no whole rows of {len}", rows.len())));
        }
        Self::from_wide(path, rows, len, None)
    }

    /// Notes columns whose values double precision has rounded visibly: whole numbers beyond 2^53, such as identifiers.
    pub(crate) fn note_lost_digits(&mut self, values: &[f64]) {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let len = self.shape.dim();
        let is_lost = |column: &usize| {
            let of = || values.iter().skip(*column).step_by(len);
            let (low, high) =
                of().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
            let largest = low.abs().max(high.abs());
            largest >= EXACT && of().all(|value| value.fract() == 0.0) && high - low < largest * 1e-12
        };
        let name = |column: usize| self.columns.get(column).cloned().unwrap_or_else(|| (column + 1).to_string());
        let names: Vec<String> = (0..len).filter(is_lost).map(name).collect();
        if !names.is_empty() {
            self.notices.push(Notice::DigitsLost { names });
        }
    }

    /// Makes a data set of a table in double precision. Columns that single precision would round visibly become relative to an
    /// origin of their own.
    pub(crate) fn from_wide(
        path: &Path,
        values: &[f64],
        len: usize,
        labels: Option<Labels>,
    ) -> Result<Self, DataError> {
        /// How much of a column's standard deviation rounding may be.
        const VISIBLE: f64 = 1e-5;
        let rows = (values.len() / len.max(1)).max(1);
        let mut origin = vec![0.0; len];
        for (column, origin) in origin.iter_mut().enumerate() {
            let of = || values.iter().skip(column).step_by(len);
            let mean = of().sum::<f64>() / rows as f64;
            let spread = (of().map(|value| (value - mean).powi(2)).sum::<f64>() / rows as f64).sqrt();
            let largest = of().fold(0.0_f64, |largest, value| largest.max(value.abs()));
            let varies = of().any(|value| *value != values[column]);
            if largest.is_finite() && varies && largest * f64::from(f32::EPSILON) / 2.0 > VISIBLE * spread {
                *origin = mean;
            }
        }
        let narrow: Vec<f32> = values
            .chunks_exact(len.max(1))
            .flat_map(|row| row.iter().zip(&origin).map(|(v, o)| (v - o) as f32))
            .collect();
        let mut set = Self::new(path, Shape::Vector { len }, Values::Floats(narrow), None, labels)?;
        if origin.iter().any(|&origin| origin != 0.0) {
            set.origin = origin;
            let own = |seen: (f32, f32), value: &f64| (seen.0.min(*value as f32), seen.1.max(*value as f32));
            set.range = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), own);
        }
        Ok(set)
    }
}
