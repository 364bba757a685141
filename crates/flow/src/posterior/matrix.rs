//! A dense matrix as an operator.

use super::{LinearOperator, MeasurementError};

/// A dense matrix, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    values: Vec<f64>,
    columns: usize,
}

impl Matrix {
    /// A matrix of rows of `columns` values.
    ///
    /// # Errors
    /// Returns an error if the values are no whole rows, or one of them is not finite.
    pub fn new(values: Vec<f64>, columns: usize) -> Result<Self, MeasurementError> {
        if columns == 0 || values.is_empty() || !values.len().is_multiple_of(columns) {
            return Err(MeasurementError::Ragged { values: values.len(), columns });
        }
        match values.iter().find(|value| !value.is_finite()) {
            Some(&value) => Err(MeasurementError::Number { what: "a value of the matrix", value, at_least: "" }),
            None => Ok(Self { values, columns }),
        }
    }
}

impl LinearOperator for Matrix {
    fn inputs(&self) -> usize {
        self.columns
    }

    fn outputs(&self) -> usize {
        self.values.len() / self.columns
    }

    fn apply(&self, y: &[f64], out: &mut [f64]) {
        let product = |row: &[f64]| row.iter().zip(y).map(|(a, y)| a * y).sum();
        self.values.chunks_exact(self.columns).zip(out).for_each(|(row, out)| *out = product(row));
    }

    fn transpose(&self, v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (row, v) in self.values.chunks_exact(self.columns).zip(v) {
            out.iter_mut().zip(row).for_each(|(out, a)| *out += a * v);
        }
    }
}
