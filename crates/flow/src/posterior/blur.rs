//! Convolution of images.

use super::{LinearOperator, MeasurementError};

/// Standard deviations of a Gaussian kernel on each side, as in SciPy.
const TRUNCATE: f64 = 4.0;

/// Convolution of each channel of an image with one kernel; edges are reflected (`d c b a | a b c d | d c b a`, SciPy's `reflect`).
///
/// ```
/// use pfgm_flow::posterior::{Blur, LinearOperator};
///
/// let blur = Blur::gaussian([5, 5, 1], 0.8).unwrap();
/// let mut blurred = [0.0; 25];
/// blur.apply(&[2.0; 25], &mut blurred);
/// // The kernel sums to one.
/// assert!(blurred.iter().all(|value| (value - 2.0).abs() < 1e-12));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Blur {
    size: [usize; 3],
    passes: Vec<Kernel>,
}

/// A kernel of odd size.
#[derive(Clone, Debug, PartialEq)]
struct Kernel {
    height: usize,
    width: usize,
    values: Vec<f64>,
}

impl Blur {
    /// A Gaussian of standard deviation `sigma` in pixels, cut off at four standard deviations.
    ///
    /// # Errors
    /// Returns an error if `sigma` is not above 0 and finite.
    pub fn gaussian(size: [usize; 3], sigma: f64) -> Result<Self, MeasurementError> {
        if !(sigma.is_finite() && sigma > 0.0) {
            return Err(MeasurementError::Number { what: "the width of the blur", value: sigma, at_least: " above 0" });
        }
        let reach = (TRUNCATE * sigma + 0.5).min(size[0].max(size[1]) as f64 * 64.0) as usize;
        let weight = |at: usize| (-0.5 * ((at as f64 - reach as f64) / sigma).powi(2)).exp();
        let total: f64 = (0..=2 * reach).map(weight).sum();
        let values: Vec<f64> = (0..=2 * reach).map(|at| weight(at) / total).collect();
        let along = |height, width| Kernel { height, width, values: values.clone() };
        let length = 2 * reach + 1;
        Ok(Self { size, passes: vec![along(length, 1), along(1, length)] })
    }

    /// A kernel of `height` rows and `width` columns, both odd. The kernel is mirrored as in a mathematical convolution.
    ///
    /// # Errors
    /// Returns an error if a side is even, the kernel has another number of values, or a value is not finite.
    pub fn new(size: [usize; 3], [height, width]: [usize; 2], values: Vec<f64>) -> Result<Self, MeasurementError> {
        if height.is_multiple_of(2) || width.is_multiple_of(2) || height * width != values.len() {
            let problem = format!("{height}x{width} with {} values; both sides must be odd", values.len());
            return Err(MeasurementError::Operator { what: "the kernel", problem });
        }
        if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
            return Err(MeasurementError::Number { what: "a value of the kernel", value, at_least: "" });
        }
        Ok(Self { size, passes: vec![Kernel { height, width, values }] })
    }

    /// Calls `at(output, input, weight)` for every product of a pass.
    fn products(&self, kernel: &Kernel, mut at: impl FnMut(usize, usize, f64)) {
        let [height, width, channels] = self.size;
        let offsets = |size: usize| (size / 2) as isize;
        let (up, left) = (offsets(kernel.height), offsets(kernel.width));
        for row in 0..height {
            for (k, weights) in kernel.values.chunks_exact(kernel.width).enumerate() {
                let from_row = reflected(row as isize + up - k as isize, height);
                for column in 0..width {
                    for (l, &weight) in weights.iter().enumerate() {
                        let from = from_row * width + reflected(column as isize + left - l as isize, width);
                        for channel in 0..channels {
                            at((row * width + column) * channels + channel, from * channels + channel, weight);
                        }
                    }
                }
            }
        }
    }
}

/// The index in `0..size` that an index outside is reflected to.
fn reflected(index: isize, size: usize) -> usize {
    let period = 2 * size as isize;
    let index = index.rem_euclid(period) as usize;
    if index < size { index } else { 2 * size - 1 - index }
}

impl LinearOperator for Blur {
    fn inputs(&self) -> usize {
        self.size.iter().product()
    }

    fn outputs(&self) -> usize {
        self.inputs()
    }

    fn apply(&self, y: &[f64], out: &mut [f64]) {
        out.copy_from_slice(y);
        for kernel in &self.passes {
            let input = out.to_vec();
            out.fill(0.0);
            self.products(kernel, |to, from, weight| out[to] += weight * input[from]);
        }
    }

    fn transpose(&self, v: &[f64], out: &mut [f64]) {
        out.copy_from_slice(v);
        for kernel in self.passes.iter().rev() {
            let input = out.to_vec();
            out.fill(0.0);
            self.products(kernel, |to, from, weight| out[from] += weight * input[to]);
        }
    }
}
