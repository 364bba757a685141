//! Rows of a data set: in single or double precision, or in the model's space.

use super::{Dataset, Values};
use crate::{DataError, Transform};

impl Dataset {
    /// Copies row `index` to `out`.
    ///
    /// # Errors
    /// Returns an error if the row lies in a file that cannot be read, or is damaged.
    ///
    /// # Panics
    /// If there is no such row, or `out` is not one row long.
    pub fn read(&self, index: usize, out: &mut [f32]) -> Result<(), DataError> {
        self.read_values(index, out)?;
        if !self.origin.is_empty() {
            out.iter_mut().zip(&self.origin).for_each(|(value, origin)| *value = (origin + f64::from(*value)) as f32);
        }
        Ok(())
    }

    /// Copies row `index` to `out` in double precision.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    ///
    /// # Panics
    /// As [`Dataset::read`].
    pub fn read_wide(&self, index: usize, out: &mut [f64]) -> Result<(), DataError> {
        if let Values::OnDisk(rows) = &self.values {
            return rows.read_wide(index, out);
        }
        let mut row = vec![0.0; out.len()];
        self.read_values(index, &mut row)?;
        out.iter_mut().zip(row).for_each(|(out, value)| *out = value.into());
        out.iter_mut().zip(&self.origin).for_each(|(value, origin)| *value += origin);
        Ok(())
    }

    /// Copies row `index` to `out` in the model's space, without the rounding that values far from zero have in single precision.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    ///
    /// # Panics
    /// As [`Dataset::read`].
    pub fn read_transformed(&self, index: usize, transform: &Transform, out: &mut [f32]) -> Result<(), DataError> {
        if self.origin.is_empty() {
            self.read(index, out)?;
            transform.forward(out);
            return Ok(());
        }
        let mut wide = vec![0.0; out.len()];
        self.read_wide(index, &mut wide)?;
        transform.forward_wide(&wide, out);
        Ok(())
    }

    /// The values of a row without the origin.
    pub(super) fn read_values(&self, index: usize, out: &mut [f32]) -> Result<(), DataError> {
        let dim = self.shape.dim();
        let row = index * dim..(index + 1) * dim;
        match &self.values {
            Values::Bytes(values) => {
                out.iter_mut().zip(&values[row]).for_each(|(out, &value)| *out = f32::from(value));
            }
            Values::Floats(values) => out.copy_from_slice(&values[row]),
            Values::OnDisk(rows) => rows.read(index, out)?,
        }
        Ok(())
    }

    /// Returns at most `most` rows, spread over the data set.
    ///
    /// # Shapes
    /// Returns `[rows, N]`.
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

    /// Passes every row, in order, to a visitor, who may change the copy.
    ///
    /// # Errors
    /// Returns an error if a row lies in a file that cannot be read.
    pub fn each(&self, visit: &mut dyn FnMut(&mut [f32])) -> Result<(), DataError> {
        if let Values::OnDisk(rows) = &self.values {
            return rows.each(visit);
        }
        let mut row = vec![0.0; self.shape.dim()];
        for index in 0..self.len() {
            self.read(index, &mut row)?;
            visit(&mut row);
        }
        Ok(())
    }

    /// Passes every row in the model's space, in order, to a visitor, as [`Dataset::read_transformed`] reads it.
    ///
    /// # Errors
    /// Returns an error if a row lies in a file that cannot be read.
    pub fn each_transformed(&self, transform: &Transform, visit: &mut dyn FnMut(&mut [f32])) -> Result<(), DataError> {
        if self.origin.is_empty() {
            return self.each(&mut |row| {
                transform.forward(row);
                visit(row);
            });
        }
        let mut row = vec![0.0; self.shape.dim()];
        for index in 0..self.len() {
            self.read_transformed(index, transform, &mut row)?;
            visit(&mut row);
        }
        Ok(())
    }

    /// Returns at most `most` rows in double precision, spread over the data set.
    ///
    /// # Shapes
    /// Returns `[rows, N]`.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    pub fn some_wide(&self, most: usize) -> Result<Vec<f64>, DataError> {
        let count = self.len().min(most);
        let mut values = vec![0.0; count * self.shape.dim()];
        for (index, row) in values.chunks_exact_mut(self.shape.dim()).enumerate() {
            self.read_wide(index * self.len() / count, row)?;
        }
        Ok(values)
    }
}
