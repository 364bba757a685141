//! Images made smaller by means of squares.

use super::{LinearOperator, MeasurementError};

/// The mean of every square of `factor` x `factor` pixels, channel by channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downsampling {
    size: [usize; 3],
    factor: usize,
}

impl Downsampling {
    /// Images of height, width and channels `size`, smaller by `factor` along both sides.
    ///
    /// # Errors
    /// Returns an error if the factor is 0 or does not divide both sides.
    pub fn new(size: [usize; 3], factor: usize) -> Result<Self, MeasurementError> {
        let [height, width, _] = size;
        if factor == 0 || !height.is_multiple_of(factor) || !width.is_multiple_of(factor) {
            let problem = format!("{factor} does not divide {height}x{width} pixels; give a divisor of both sides");
            return Err(MeasurementError::Operator { what: "the factor", problem });
        }
        Ok(Self { size, factor })
    }

    /// Height, width and channels of a measurement.
    pub fn output_size(&self) -> [usize; 3] {
        [self.size[0] / self.factor, self.size[1] / self.factor, self.size[2]]
    }

    /// The value of a measurement that a value of an image goes into.
    fn target(&self, index: usize) -> usize {
        let [_, width, channels] = self.size;
        let (pixel, channel) = (index / channels, index % channels);
        let (row, column) = (pixel / width / self.factor, pixel % width / self.factor);
        (row * (width / self.factor) + column) * channels + channel
    }

    fn weight(&self) -> f64 {
        1.0 / (self.factor * self.factor) as f64
    }
}

impl LinearOperator for Downsampling {
    fn inputs(&self) -> usize {
        self.size.iter().product()
    }

    fn outputs(&self) -> usize {
        self.output_size().iter().product()
    }

    fn apply(&self, y: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        y.iter().enumerate().for_each(|(index, y)| out[self.target(index)] += self.weight() * y);
    }

    fn transpose(&self, v: &[f64], out: &mut [f64]) {
        out.iter_mut().enumerate().for_each(|(index, out)| *out = self.weight() * v[self.target(index)]);
    }
}
