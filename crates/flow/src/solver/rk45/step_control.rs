//! The lengths of steps, as in SciPy's RK45: Hairer, Norsett and Wanner, *Solving Ordinary Differential Equations I*, section II.4.

use super::{Row, System, Tolerance, tableau::ERROR_ORDER};

const SAFETY: f64 = 0.9;
/// The smallest and the largest change of a step's length.
const SMALLEST_FACTOR: f64 = 0.2;
const LARGEST_FACTOR: f64 = 10.0;

impl Tolerance {
    /// The norm of `values` in units of what is tolerated at states of these sizes; an accepted error is below 1.
    pub(super) fn norm(self, values_and_sizes: impl ExactSizeIterator<Item = (f64, f64)>) -> f64 {
        let count = values_and_sizes.len() as f64;
        let share = |(value, size): (f64, f64)| value / (self.atol + self.rtol * size);
        (values_and_sizes.map(share).map(|value| value * value).sum::<f64>() / count).sqrt()
    }
}

impl Row {
    /// Chooses the length of the next step from the error of this one. Returns whether this one is accepted.
    pub(super) fn judge(&mut self, error: f64) -> bool {
        let factor = SAFETY * error.powf(-1.0 / ERROR_ORDER);
        if error < 1.0 {
            // An error of zero makes the factor infinite, which the bound catches.
            self.step *= factor.min(if self.is_rejected { 1.0 } else { LARGEST_FACTOR });
            self.is_rejected = false;
            return true;
        }
        // An error that is NaN leaves a step that is NaN, which is reported before the next trial.
        self.step *= if factor.is_nan() { f64::NAN } else { factor.max(SMALLEST_FACTOR) };
        self.is_rejected = true;
        false
    }
}

/// Chooses the first step of each row.
///
/// # Shapes
/// `x`, `slope`: `[rows, dim]`
pub(super) fn first_steps(system: &System, rows: &mut [Row], x: &[f64], slope: &[f64]) {
    let (dim, end) = (system.dim(), system.end);
    let Some(start) = rows.first().map(|row| row.t) else { return };
    let (length, direction) = ((end - start).abs(), (end - start).signum());
    let norm = |values: &[f64], index: usize| {
        let range = index * dim..(index + 1) * dim;
        system.tolerance.norm(range.map(|at| (values[at], x[at].abs())))
    };
    let guess = |index: usize| {
        let (d0, d1) = (norm(x, index), norm(slope, index));
        let guess = if d0 < 1e-5 || d1 < 1e-5 { 1e-6 } else { 0.01 * d0 / d1 };
        guess.min(length)
    };
    let guesses: Vec<f64> = (0..rows.len()).map(guess).collect();
    let mut ahead = x.to_vec();
    for (index, guess) in guesses.iter().enumerate() {
        for at in index * dim..(index + 1) * dim {
            ahead[at] += direction * guess * slope[at];
        }
    }
    let t: Vec<f64> = rows.iter().zip(&guesses).map(|(row, guess)| row.t + direction * guess).collect();
    let slope_ahead = system.slope(rows, &t, &ahead);
    let change: Vec<f64> = slope_ahead.iter().zip(slope).map(|(ahead, here)| ahead - here).collect();
    for (index, row) in rows.iter_mut().enumerate() {
        let guess = guesses[index];
        let (d1, d2) = (norm(slope, index), norm(&change, index) / guess);
        let better = if d1 <= 1e-15 && d2 <= 1e-15 {
            (guess * 1e-3).max(1e-6)
        } else {
            (0.01 / d1.max(d2)).powf(1.0 / ERROR_ORDER)
        };
        row.step = (100.0 * guess).min(better).min(length);
    }
}
