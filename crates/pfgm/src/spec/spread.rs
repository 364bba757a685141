//! Measures of the spread of data in the model's space.

use pfgm_data::{DataError, Dataset, Transform};

use crate::precondition::{detail_mean_square, detail_size, mean_square};

/// Measures of the spread of a data set in the model's space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Mean norm of the rows minus their mean.
    pub norm: f64,
    /// Root mean square of the values minus their mean.
    pub std: f64,
    /// Largest root mean square of a row.
    pub max_row_rms: f64,
    /// Largest root mean square of an image's finest details; `None` for data without.
    pub detail_rms: Option<f64>,
}

impl Spread {
    /// Measures all rows of a data set.
    ///
    /// # Errors
    /// Returns an error if a row cannot be read.
    pub fn measure(dataset: &Dataset, transform: &Transform) -> Result<Self, DataError> {
        let (rows, dim) = (dataset.len(), dataset.shape.dim());
        let mut mean = vec![0.0; dim];
        let each = |visit: &mut dyn FnMut(&[f32])| dataset.each_transformed(transform, &mut |row| visit(row));
        each(&mut |row| mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += f64::from(value) / rows as f64))?;
        let (mut norm, mut square, mut max_row_rms) = (0.0, 0.0, 0.0_f64);
        let size = detail_size(dataset.shape);
        let mut fine = 0.0_f64;
        each(&mut |row| {
            max_row_rms = max_row_rms.max(mean_square(row).sqrt());
            fine = size.map_or(fine, |size| detail_mean_square(size, row).max(fine));
            let squares: f64 = row.iter().zip(&mean).map(|(&value, mean)| (f64::from(value) - mean).powi(2)).sum();
            norm += squares.sqrt() / rows as f64;
            square += squares / (rows * dim) as f64;
        })?;
        // Constant data are one point, for which any scale is valid.
        Ok(Self {
            norm,
            std: if square > 0.0 { square.sqrt() } else { 1.0 },
            max_row_rms,
            detail_rms: size.map(|_| fine.sqrt()),
        })
    }
}
