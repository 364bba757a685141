//! Common scale of the rows of two data sets.

use pfgm_data::{DataError, Dataset, Shape, Transform};

/// Map from the values of rows to the inputs of extractors.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    /// Images: the darkest value is mapped to 0, the brightest to 1; if `bytes`, values are rounded first, as in image files and
    /// published scores.
    Images {
        /// The darkest and the brightest value.
        range: (f32, f32),
        /// Whether the values are those of bytes.
        bytes: bool,
    },
    /// Tables: standardized, so that every column counts.
    Columns(Transform),
    /// Tables: the lowest and highest value of each column of the reference are mapped to 0 and 1, and values outside are clipped, as
    /// those of images are. Differences are bounded, whatever the samples are.
    Ranges(Vec<(f32, f32)>),
}

/// The range of bytes.
const BYTES: (f32, f32) = (0.0, 255.0);

/// Returns the nominal range of images from the range of their values: \[0, 1\] or \[-1, 1\] if the values fit, otherwise the range itself.
///
/// Dark images have no value of 1. Scaling by their extremes would make them incomparable with other images.
pub fn nominal_range((low, high): (f32, f32)) -> (f32, f32) {
    match (low, high) {
        (low, high) if low >= 0.0 && high <= 1.0 => (0.0, 1.0),
        (low, high) if low >= -1.0 && high <= 1.0 => (-1.0, 1.0),
        own => own,
    }
}

/// Whether a range is nominal: that of bytes, \[0, 1\] or \[-1, 1\].
pub fn is_nominal(range: (f32, f32)) -> bool {
    [BYTES, (0.0, 1.0), (-1.0, 1.0)].contains(&range)
}

impl Scaling {
    /// Returns the scaling for the values of a data set.
    ///
    /// # Errors
    /// Returns an error if a row is in a file that cannot be read.
    pub fn of(dataset: &Dataset) -> Result<Self, DataError> {
        Ok(match dataset.shape {
            Shape::Image { .. } => Self::images(dataset.range),
            Shape::Vector { .. } => Self::Columns(Transform::fit(dataset)?),
        })
    }

    /// Returns the scaling of each column by its range; that of [`Scaling::of`] for images.
    ///
    /// # Errors
    /// Returns an error if a row is in a file that cannot be read.
    pub fn ranges(dataset: &Dataset) -> Result<Self, DataError> {
        let Shape::Vector { len } = dataset.shape else { return Self::of(dataset) };
        let (mut ranges, mut row) = (vec![(f32::INFINITY, f32::NEG_INFINITY); len], vec![0.0; len]);
        for index in 0..dataset.len() {
            dataset.read(index, &mut row)?;
            for ((low, high), value) in ranges.iter_mut().zip(&row) {
                (*low, *high) = (low.min(*value), high.max(*value));
            }
        }
        Ok(Self::Ranges(ranges))
    }

    /// The scaling of images whose values have this range.
    pub fn images(range: (f32, f32)) -> Self {
        let range = nominal_range(range);
        Self::Images { range, bytes: range == BYTES }
    }

    /// Returns the scaling for rows that are compared with a reference. Images with a nominal range (\[0, 255\], \[0, 1\], \[-1, 1\]) use it; other
    /// images and tables use that of the reference.
    pub fn against(own: (f32, f32), reference: &Self) -> Self {
        let own = nominal_range(own);
        match reference {
            Self::Images { .. } if is_nominal(own) => Self::images(own),
            Self::Images { range, .. } => Self::Images { range: *range, bytes: false },
            Self::Columns(_) | Self::Ranges(_) => reference.clone(),
        }
    }

    /// Scales a row, in place.
    pub fn apply(&self, row: &mut [f32]) {
        match self {
            Self::Images { range: (low, high), bytes } => {
                let range = (high - low).max(f32::MIN_POSITIVE);
                for value in row {
                    let value_or_byte = if *bytes { value.round() } else { *value };
                    *value = ((value_or_byte - low) / range).clamp(0.0, 1.0);
                }
            }
            Self::Columns(transform) => transform.forward(row),
            Self::Ranges(ranges) => {
                for (value, (low, high)) in row.iter_mut().zip(ranges) {
                    // A column with one value stays at 0, and what differs from it is at an end of the range.
                    let range = if high > low { high - low } else { f32::MIN_POSITIVE };
                    *value = ((*value - low) / range).clamp(0.0, 1.0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(scaling: &Scaling, value: f32) -> f32 {
        let mut row = [value];
        scaling.apply(&mut row);
        row[0]
    }

    #[test]
    fn columns_are_scaled_by_the_ranges_of_the_reference() {
        let reference = Dataset::from_rows(vec![1.0, 100.0, 3.0, 300.0, 2.0, 200.0], [2]).unwrap();
        let scaling = Scaling::ranges(&reference).unwrap();
        let mut row = [1.5, 1e9];
        Scaling::against((0.0, 1.0), &scaling).apply(&mut row);
        assert_eq!(row, [0.25, 1.0]);
        let image = Dataset::from_bytes(vec![0; 4], [2, 2]).unwrap();
        assert_eq!(Scaling::ranges(&image).unwrap(), Scaling::images(BYTES));
    }

    #[test]
    fn images_have_their_nominal_range_whatever_their_extremes() {
        let (floats, bytes) = (Scaling::images((0.0, 16.0)), Scaling::images(BYTES));
        assert!((scaled(&Scaling::against((0.0, 15.5), &floats), 8.0) - 0.5).abs() < 1e-6);
        assert!((scaled(&Scaling::against(BYTES, &floats), 51.0) - 0.2).abs() < 1e-6);
        // Dark images of [0, 1] are as dark as the same images of bytes.
        for reference in [&bytes, &Scaling::images((0.01, 0.98))] {
            assert!((scaled(&Scaling::against((0.0, 0.3), reference), 0.2) - 0.2).abs() < 1e-6);
            assert!((scaled(&Scaling::against(BYTES, reference), 51.0) - 0.2).abs() < 1e-6);
            assert!((scaled(&Scaling::against((-0.9, 0.3), reference), -0.6) - 0.2).abs() < 1e-6);
        }
        // Bytes are integers and stay in their range.
        assert!((scaled(&bytes, 50.7) - 0.2).abs() < 1e-6);
        assert!((scaled(&bytes, 300.0) - 1.0).abs() < 1e-6);
        assert_eq!(nominal_range((3.0, 11.0)), (3.0, 11.0));
    }
}
