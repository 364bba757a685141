//! iPNDM: the noise `d = (x - yhat)/sigma` extrapolated with the coefficients of Adams and Bashforth for equal steps, however long
//! the steps are (PNDM, arXiv 2202.09778, eq. 12, without its warm-up; DEIS, arXiv 2204.13902, section 4).
//!
//! Order k where the steps of sigma are equal, and order 2 at most on other smooth grids, where the coefficients are off by as much
//! as neighbouring steps differ.

use super::Step;

/// The step to noise level `to` from those of `levels`, the present one first; as many as the order.
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
