//! Conversions from and to `ndarray` (feature `ndarray`).

use ndarray::{Array2, ArrayD, ArrayView, Dimension, IxDyn};
use pfgm_data::{Dataset, Shape};

use super::{Latents, Samples};
use crate::error::{Error, Result};

/// A data set of the rows of an array: `[rows, N]` vectors, `[rows, height, width]` gray images, or `[rows, height, width, channels]`
/// images.
///
/// ```
/// use ndarray::Array;
///
/// let points = Array::from_shape_fn((4, 2), |(row, column)| (row * 2 + column) as f32);
/// assert_eq!(pfgm::model::dataset_of(points.view())?.len(), 4);
/// # Ok::<(), pfgm::Error>(())
/// ```
///
/// # Errors
/// Returns an error if the array has another number of axes, no rows, or values that are not finite.
pub fn dataset_of<D: Dimension>(array: ArrayView<f32, D>) -> Result<Dataset> {
    let shape = match array.shape()[..] {
        [_, len] => Shape::Vector { len },
        [_, height, width] => Shape::Image { height, width, channels: 1 },
        [_, height, width, channels] => Shape::Image { height, width, channels },
        _ => {
            let problem = format!(
                "{} axes; give [rows, N], [rows, height, width] or [rows, height, width, channels]",
                array.ndim()
            );
            return Err(Error::argument("array", problem));
        }
    };
    Ok(Dataset::from_rows(array.iter().copied().collect(), shape)?)
}

impl Samples {
    /// The samples as an array, `[rows, ...]` with the shape of a row.
    pub fn to_array(&self) -> ArrayD<f32> {
        let shape: Vec<usize> = std::iter::once(self.rows()).chain(self.row_shape().iter().copied()).collect();
        ArrayD::from_shape_vec(IxDyn(&shape), self.values().to_vec()).expect("whole rows")
    }
}

impl Latents {
    /// The latents as an array, `[rows, N]`.
    pub fn to_array(&self) -> Array2<f64> {
        Array2::from_shape_vec((self.rows(), self.dim()), self.x.clone()).expect("whole rows")
    }
}
