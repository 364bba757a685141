//! The map between the values of a file and the model's space.

use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset, Shape};

/// Scale of values that are 0 or 1: they have variance 1 if both are equally frequent.
const INDICATOR_SCALE: f32 = 0.5;

/// The map `model = (value - offset) / scale`, with one pair for all values (images) or one per column (tables).
///
/// It is stored in a run, so that samples are returned in the units of the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// Offsets in double precision, to preserve the digits of coordinates far from zero.
    pub offset: Vec<f64>,
    /// Scales, never zero.
    pub scale: Vec<f32>,
}

impl Transform {
    /// Fits the transform of a data set: its range to [-1, 1] for images, zero mean and unit variance of each column for vectors.
    ///
    /// # Errors
    /// Returns an error if a row cannot be read from its file.
    pub fn fit(dataset: &Dataset) -> Result<Self, DataError> {
        match dataset.shape {
            Shape::Image { .. } => {
                let (low, high) = dataset.range;
                let scale = if high > low { (high - low) / 2.0 } else { 1.0 };
                Ok(Self { offset: vec![f64::from((low + high) / 2.0)], scale: vec![scale] })
            }
            Shape::Vector { len } => Self::standardize(dataset, len),
        }
    }

    fn standardize(dataset: &Dataset, len: usize) -> Result<Self, DataError> {
        let rows = dataset.len();
        let mut row = vec![0.0; len];
        let mut mean = vec![0.0_f64; len];
        let mut square = vec![0.0_f64; len];
        let mut range = vec![(f64::INFINITY, f64::NEG_INFINITY); len];
        for index in 0..rows {
            dataset.read_wide(index, &mut row)?;
            mean.iter_mut().zip(&row).for_each(|(sum, value)| *sum += value / rows as f64);
            range.iter_mut().zip(&row).for_each(|(range, &value)| *range = (range.0.min(value), range.1.max(value)));
        }
        for index in 0..rows {
            dataset.read_wide(index, &mut row)?;
            for (column, sum) in square.iter_mut().enumerate() {
                *sum += (row[column] - mean[column]).powi(2) / rows as f64;
            }
        }
        // A constant column has scale 1. Its computed variance may be slightly above zero because the mean is rounded.
        let scale = |(square, range): (&f64, &(f64, f64))| if range.0 < range.1 { square.sqrt() as f32 } else { 1.0 };
        let scale: Vec<f32> =
            square.iter().zip(&range).map(scale).map(|scale| if scale > 0.0 { scale } else { 1.0 }).collect();
        let constant = |(mean, range): (f64, &(f64, f64))| if range.0 < range.1 { mean } else { range.0 };
        let offset = mean.into_iter().zip(&range).map(constant);
        // Values that are 0 or 1 keep their distance: a rare category must not be far from all others.
        let indicators = dataset.table.as_ref().map_or_else(Vec::new, |table| table.are_indicators());
        let indicated =
            |(at, scale)| if indicators.get(at).copied().unwrap_or(false) { INDICATOR_SCALE } else { scale };
        let scale: Vec<f32> = scale.into_iter().enumerate().map(indicated).collect();
        // Single precision is sufficient for columns near zero, and compatible with older runs.
        let offset = if dataset.origin.is_empty() {
            offset.map(|mean| f64::from(mean as f32)).collect()
        } else {
            offset.collect()
        };
        Ok(Self { offset, scale })
    }

    /// Maps a row to the model's space, in place.
    pub fn forward(&self, row: &mut [f32]) {
        for (index, value) in row.iter_mut().enumerate() {
            let (offset, scale) = self.at(index);
            *value = (*value - offset as f32) / scale;
        }
    }

    /// Maps a row in double precision to the model's space.
    pub fn forward_wide(&self, row: &[f64], out: &mut [f32]) {
        for (index, (out, value)) in out.iter_mut().zip(row).enumerate() {
            let (offset, scale) = self.at(index);
            *out = ((value - offset) / f64::from(scale)) as f32;
        }
    }

    /// Maps a row back to the units of the data, in place.
    pub fn inverse(&self, row: &mut [f32]) {
        for (index, value) in row.iter_mut().enumerate() {
            let (offset, scale) = self.at(index);
            *value = value.mul_add(scale, offset as f32);
        }
    }

    /// Maps a row back to the units of the data, in double precision.
    pub fn inverse_wide(&self, row: &[f32]) -> Vec<f64> {
        let value = |(index, &value): (usize, &f32)| {
            let (offset, scale) = self.at(index);
            f64::from(value) * f64::from(scale) + offset
        };
        row.iter().enumerate().map(value).collect()
    }

    /// Whether the units of the data need double precision, because single precision rounds an offset visibly.
    pub fn is_wide(&self) -> bool {
        let rounds = |index: usize| {
            let (offset, scale) = self.at(index);
            offset.abs() * f64::from(f32::EPSILON) > 1e-5 * f64::from(scale)
        };
        (0..self.offset.len().max(self.scale.len())).any(rounds)
    }

    fn at(&self, index: usize) -> (f64, f32) {
        (self.offset[index % self.offset.len()], self.scale[index % self.scale.len()])
    }
}

/// Mirrors an image left to right, in place. A vector is unchanged.
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
    fn coordinates_far_from_zero_keep_their_digits_and_constants_their_unit() {
        let northing = |row: usize| 5_600_000.0 + 0.01 * row as f64;
        let values: Vec<f64> = (0..50).flat_map(|row| [northing(row), 0.1]).collect();
        let set = Dataset::from_wide(std::path::Path::new("utm"), &values, 2, None).unwrap();
        let transform = Transform::fit(&set).unwrap();
        assert_eq!((transform.offset[1], transform.scale[1]), (f64::from(0.1_f32), 1.0));
        let mut row = [0.0; 2];
        for index in 0..50 {
            set.read_transformed(index, &transform, &mut row).unwrap();
            assert!(row[1].abs() < 1e-7, "{row:?}");
            let back = transform.inverse_wide(&row)[0];
            assert!((back - northing(index)).abs() < 1e-6, "{back} for {}", northing(index));
        }
        assert!(transform.is_wide());
    }

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
