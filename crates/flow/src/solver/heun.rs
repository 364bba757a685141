//! Heun's method.

use crate::flow::Flow;

/// Heun's method in sigma along a grid: Euler, then the mean of the slopes at both ends. A step to zero is Euler's,
/// because the slope has no value there.
///
/// # Shapes
/// `x`: `[rows, dim]`, carried from the first level of the grid to the last
pub fn heun(flow: &Flow, grid: &[f64], x: &mut [f64]) {
    let (mut slope, mut next_slope) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    let mut next = vec![0.0; x.len()];
    for pair in grid.windows(2) {
        let (sigma, to) = (pair[0], pair[1]);
        flow.velocity_at(x, sigma, &mut slope);
        for ((next, x), slope) in next.iter_mut().zip(x.iter()).zip(&slope) {
            *next = x + (to - sigma) / sigma * slope;
        }
        if to > 0.0 {
            flow.velocity_at(&next, to, &mut next_slope);
            for (((next, x), slope), next_slope) in next.iter_mut().zip(x.iter()).zip(&slope).zip(&next_slope) {
                *next = x + (to - sigma) * 0.5 * (slope / sigma + next_slope / to);
            }
        }
        x.copy_from_slice(&next);
    }
}
