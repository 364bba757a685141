//! Projections of an image along straight lines, as in computed tomography.

use super::{LinearOperator, MeasurementError};

/// The Radon transform of square images for parallel beams: for each angle the sums along the lines of the image turned by that angle
/// around pixel (side/2, side/2), with bilinear interpolation. Values outside of the image are zero.
///
/// A measurement is `[angles, detectors, channels]` with as many detectors as the image has columns: the transposed sinogram of
/// scikit-image's `radon(image, theta, circle=True)`.
///
/// ```
/// use pfgm_flow::posterior::{LinearOperator, Radon};
///
/// // The sums of the columns.
/// let radon = Radon::new([2, 2, 1], &[0.0]).unwrap();
/// let mut sums = [0.0; 2];
/// radon.apply(&[1.0, 2.0, 3.0, 4.0], &mut sums);
/// assert_eq!(sums, [4.0, 6.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Radon {
    size: [usize; 3],
    /// Cosine and sine of each angle.
    angles: Vec<[f64; 2]>,
}

impl Radon {
    /// Projections of images of height, width and channels `size` at `angles` in degrees.
    ///
    /// # Errors
    /// Returns an error if the images are not square, or there are no angles, or one is not finite.
    pub fn new(size: [usize; 3], angles: &[f64]) -> Result<Self, MeasurementError> {
        let [height, width, _] = size;
        if height != width {
            let problem = format!("needs square images, not {height}x{width}");
            return Err(MeasurementError::Operator { what: "the Radon transform", problem });
        }
        if angles.is_empty() {
            let problem = "has no angles; give at least one".to_owned();
            return Err(MeasurementError::Operator { what: "the Radon transform", problem });
        }
        if let Some(&value) = angles.iter().find(|angle| !angle.is_finite()) {
            return Err(MeasurementError::Number { what: "an angle", value, at_least: "" });
        }
        // The sine and cosine of quarter turns are exact, so that those projections are plain sums.
        let turn = |degrees: f64| match degrees.rem_euclid(360.0) {
            0.0 => [1.0, 0.0],
            90.0 => [0.0, 1.0],
            180.0 => [-1.0, 0.0],
            270.0 => [0.0, -1.0],
            other => [other.to_radians().cos(), other.to_radians().sin()],
        };
        Ok(Self { size, angles: angles.iter().map(|&angle| turn(angle)).collect() })
    }

    /// `count` angles spread evenly over half a turn, in degrees, starting at 0.
    pub fn evenly_spaced(count: usize) -> Vec<f64> {
        (0..count).map(|index| 180.0 * index as f64 / count as f64).collect()
    }

    /// Calls `at(output, input, weight)` for every product of one angle, for pixels instead of values.
    fn products(&self, number: usize, mut at: impl FnMut(usize, usize, f64)) {
        let (side, [cos, sin]) = (self.size[0], self.angles[number]);
        let center = (side / 2) as f64;
        for detector in 0..side {
            for step in 0..side {
                // The point of the image that comes to this row and column when the image is turned.
                let (dx, dy) = (detector as f64 - center, step as f64 - center);
                let (x, y) = (center + cos * dx + sin * dy, center - sin * dx + cos * dy);
                let (left, top) = (x.floor(), y.floor());
                for (row, weight_y) in [(top, 1.0 - (y - top)), (top + 1.0, y - top)] {
                    for (column, weight_x) in [(left, 1.0 - (x - left)), (left + 1.0, x - left)] {
                        let is_inside = |at: f64| at >= 0.0 && at < side as f64;
                        if is_inside(row) && is_inside(column) {
                            let from = row as usize * side + column as usize;
                            at(number * side + detector, from, weight_x * weight_y);
                        }
                    }
                }
            }
        }
    }
}

impl LinearOperator for Radon {
    fn inputs(&self) -> usize {
        self.size.iter().product()
    }

    fn outputs(&self) -> usize {
        self.angles.len() * self.size[1] * self.size[2]
    }

    fn apply(&self, y: &[f64], out: &mut [f64]) {
        let channels = self.size[2];
        out.fill(0.0);
        for number in 0..self.angles.len() {
            self.products(number, |to, from, weight| {
                for channel in 0..channels {
                    out[to * channels + channel] += weight * y[from * channels + channel];
                }
            });
        }
    }

    fn transpose(&self, v: &[f64], out: &mut [f64]) {
        let channels = self.size[2];
        out.fill(0.0);
        for number in 0..self.angles.len() {
            self.products(number, |to, from, weight| {
                for channel in 0..channels {
                    out[from * channels + channel] += weight * v[to * channels + channel];
                }
            });
        }
    }
}
