//! Between the values of a file and the space that models learn in.

use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset, Shape};

/// `model = (value - offset) / scale`, one pair for all values (images: to [-1, 1]) or one a column (tables: to zero
/// mean and unit variance). It is kept with a run, so that samples come back in the data's own units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// What is subtracted.
    pub offset: Vec<f32>,
    /// What is divided by, never zero.
    pub scale: Vec<f32>,
}

impl Transform {
    /// The transform that fits a data set: its range to [-1, 1] for images, standardisation for vectors.
    ///
    /// # Errors
    /// When a row lies in a file that cannot be read.
    pub fn fit(dataset: &Dataset) -> Result<Self, DataError> {
        match dataset.shape {
            Shape::Image { .. } => {
                let (low, high) = dataset.range;
                let scale = if high > low { (high - low) / 2.0 } else { 1.0 };
                Ok(Self { offset: vec![(low + high) / 2.0], scale: vec![scale] })
            }
            Shape::Vector { len } => Self::standardise(dataset, len),
        }
    }

    fn standardise(dataset: &Dataset, len: usize) -> Result<Self, DataError> {
        let rows = dataset.len();
        let mut row = vec![0.0; len];
        let mut mean = vec![0.0_f64; len];
        let mut square = vec![0.0_f64; len];
        for index in 0..rows {
            dataset.read(index, &mut row)?;
            mean.iter_mut().zip(&row).for_each(|(sum, &value)| *sum += f64::from(value) / rows as f64);
        }
        for index in 0..rows {
            dataset.read(index, &mut row)?;
            for (column, sum) in square.iter_mut().enumerate() {
                *sum += (f64::from(row[column]) - mean[column]).powi(2) / rows as f64;
            }
        }
        // A column without spread is a constant: it keeps its unit and becomes zero.
        let scale = square.iter().map(|&v| if v > 0.0 { v.sqrt() as f32 } else { 1.0 }).collect();
        Ok(Self { offset: mean.iter().map(|&m| m as f32).collect(), scale })
    }

    /// To the model's space, in place.
    pub fn forward(&self, row: &mut [f32]) {
        for (index, value) in row.iter_mut().enumerate() {
            let (offset, scale) = self.at(index);
            *value = (*value - offset) / scale;
        }
    }

    /// Back to the data's own units, in place.
    pub fn inverse(&self, row: &mut [f32]) {
        for (index, value) in row.iter_mut().enumerate() {
            let (offset, scale) = self.at(index);
            *value = value.mul_add(scale, offset);
        }
    }

    fn at(&self, index: usize) -> (f32, f32) {
        (self.offset[index % self.offset.len()], self.scale[index % self.scale.len()])
    }
}

/// Mirrors an image left to right, in place; a vector stays as it is.
pub fn flip_horizontally(shape: Shape, row: &mut [f32]) {
    if let Shape::Image { width, channels, .. } = shape {
        for line in row.chunks_exact_mut(width * channels) {
            for column in 0..width / 2 {
                for channel in 0..channels {
                    line.swap(column * channels + channel, (width - 1 - column) * channels + channel);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flipping_twice_is_nothing_and_once_mirrors_each_line() {
        let shape = Shape::Image { height: 2, width: 3, channels: 2 };
        let image: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let mut flipped = image.clone();
        flip_horizontally(shape, &mut flipped);
        assert_eq!(flipped, [4.0, 5.0, 2.0, 3.0, 0.0, 1.0, 10.0, 11.0, 8.0, 9.0, 6.0, 7.0]);
        flip_horizontally(shape, &mut flipped);
        assert_eq!(flipped, image);
    }
}
