//! iPNDM: the noise `d = (x - yhat)/sigma` extrapolated with the coefficients of Adams and Bashforth for equal steps, whatever the lengths
//! of the steps are (PNDM, arXiv 2202.09778, eq. 12, without its warm-up; DEIS, arXiv 2204.13902, section 4).
//!
//! The order is k if the steps of sigma are equal. On other smooth grids it is at most 2, because the coefficients ignore the differences of
//! neighboring steps.

use super::Step;

/// The coefficients of the step from `levels[0]` to noise level `to`; `levels` has as many levels as the order, the newest first.
pub fn step(to: f64, levels: &[f64]) -> Step {
    let (coefficients, divisor): (&[f64], f64) = match levels.len() {
        1 => (&[1.0], 1.0),
        2 => (&[3.0, -1.0], 2.0),
        3 => (&[23.0, -16.0, 5.0], 12.0),
        _ => (&[55.0, -59.0, 37.0, -9.0], 24.0),
    };
    let length = to - levels[0];
    Step { carry: 1.0, weights: coefficients.iter().map(|c| length * c / divisor).collect() }
}
