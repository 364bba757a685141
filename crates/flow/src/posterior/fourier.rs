//! Some of the Fourier coefficients of an image, as in magnetic resonance imaging.

use std::f64::consts::TAU;

use super::{LinearOperator, MeasurementError};

/// Coefficients of the unitary two-dimensional Fourier transform of each channel, NumPy's `fft2(image, norm="ortho")`.
///
/// A measurement holds the real and then the imaginary part of every coefficient that the mask keeps, frequency by frequency in the
/// order of the mask, channels last: `[kept, channels, 2]`.
///
/// ```
/// use pfgm_flow::posterior::{Fourier, LinearOperator};
///
/// // The mean alone, times the root of the number of pixels.
/// let mean = Fourier::new([2, 2, 1], &[true, false, false, false]).unwrap();
/// let mut out = [0.0; 2];
/// mean.apply(&[1.0, 2.0, 3.0, 4.0], &mut out);
/// assert!((out[0] - 5.0).abs() < 1e-12 && out[1].abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Fourier {
    size: [usize; 3],
    /// Row and column of every frequency that is kept.
    kept: Vec<[usize; 2]>,
    /// Rows and columns with a frequency that is kept.
    columns: Vec<usize>,
    rows_table: Vec<[f64; 2]>,
    columns_table: Vec<[f64; 2]>,
}

impl Fourier {
    /// The frequencies where `is_kept` is true, `[height, width]` in the order of NumPy's `fft2`: frequency 0 first.
    ///
    /// # Errors
    /// Returns an error if the mask has another size than the images, or keeps nothing.
    pub fn new(size: [usize; 3], is_kept: &[bool]) -> Result<Self, MeasurementError> {
        let [height, width, _] = size;
        if is_kept.len() != height * width {
            let problem = format!("{} values for images of {height}x{width} pixels", is_kept.len());
            return Err(MeasurementError::Operator { what: "the mask of frequencies", problem });
        }
        let kept: Vec<[usize; 2]> =
            (0..is_kept.len()).filter(|&at| is_kept[at]).map(|at| [at / width, at % width]).collect();
        if kept.is_empty() {
            return Err(MeasurementError::EmptyMask { inputs: is_kept.len() });
        }
        let columns = (0..width).filter(|&column| kept.iter().any(|at| at[1] == column)).collect();
        Ok(Self { size, kept, columns, rows_table: roots(height), columns_table: roots(width) })
    }

    /// A mask whose frequency 0 is in the middle, as pictures of k-space have it, in the order of [`Fourier::new`] (NumPy's `ifftshift`).
    ///
    /// # Shapes
    /// `is_kept` and the result: `[height, width]`
    pub fn uncentered(is_kept: &[bool], [height, width]: [usize; 2]) -> Vec<bool> {
        let at = |row: usize, column: usize| (row + height / 2) % height * width + (column + width / 2) % width;
        (0..height * width).map(|index| is_kept[at(index / width, index % width)]).collect()
    }

    /// How many frequencies are kept.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    fn scale(&self) -> f64 {
        1.0 / ((self.size[0] * self.size[1]) as f64).sqrt()
    }
}

/// `exp(-2 pi i k / n)` for k = 0 ... n - 1.
fn roots(n: usize) -> Vec<[f64; 2]> {
    (0..n).map(|k| -TAU * k as f64 / n as f64).map(|angle| [angle.cos(), angle.sin()]).collect()
}

impl LinearOperator for Fourier {
    fn inputs(&self) -> usize {
        self.size.iter().product()
    }

    fn outputs(&self) -> usize {
        2 * self.kept.len() * self.size[2]
    }

    fn apply(&self, y: &[f64], out: &mut [f64]) {
        let [height, width, channels] = self.size;
        // Along the rows first, for the columns that are needed: sums[row][column of frequencies].
        let mut sums = vec![[0.0; 2]; height * width];
        for channel in 0..channels {
            for row in 0..height {
                for &v in &self.columns {
                    let mut sum = [0.0; 2];
                    for column in 0..width {
                        let root = self.columns_table[v * column % width];
                        let value = y[(row * width + column) * channels + channel];
                        sum = [sum[0] + value * root[0], sum[1] + value * root[1]];
                    }
                    sums[row * width + v] = sum;
                }
            }
            for (at, &[u, v]) in self.kept.iter().enumerate() {
                let mut sum = [0.0; 2];
                for row in 0..height {
                    let ([re, im], part) = (self.rows_table[u * row % height], sums[row * width + v]);
                    sum = [sum[0] + re * part[0] - im * part[1], sum[1] + re * part[1] + im * part[0]];
                }
                let to = 2 * (at * channels + channel);
                (out[to], out[to + 1]) = (self.scale() * sum[0], self.scale() * sum[1]);
            }
        }
    }

    fn transpose(&self, v: &[f64], out: &mut [f64]) {
        let [height, width, channels] = self.size;
        for channel in 0..channels {
            let mut sums = vec![[0.0; 2]; height * width];
            for (at, &[u, column]) in self.kept.iter().enumerate() {
                let from = 2 * (at * channels + channel);
                let (a, b) = (self.scale() * v[from], self.scale() * v[from + 1]);
                for row in 0..height {
                    let [re, im] = self.rows_table[u * row % height];
                    // The transpose of (re, im) -> (re part0 - im part1, re part1 + im part0).
                    let sum = &mut sums[row * width + column];
                    *sum = [sum[0] + re * a + im * b, sum[1] + re * b - im * a];
                }
            }
            for row in 0..height {
                for column in 0..width {
                    let of = |&frequency: &usize| {
                        let ([re, im], part) =
                            (self.columns_table[frequency * column % width], sums[row * width + frequency]);
                        re * part[0] + im * part[1]
                    };
                    out[(row * width + column) * channels + channel] = self.columns.iter().map(of).sum();
                }
            }
        }
    }
}
