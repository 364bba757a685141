//! Euler's method.

use crate::flow::Flow;

/// Euler's method in sigma along a grid: `x' = yhat + (sigma'/sigma) (x - yhat)`.
///
/// # Shapes
/// `x`: `[rows, dim]`, carried from the first level of the grid to the last
pub fn euler(flow: &Flow, grid: &[f64], x: &mut [f64]) {
    let mut slope = vec![0.0; x.len()];
    for pair in grid.windows(2) {
        flow.velocity_at(x, pair[0], &mut slope);
        let step = (pair[1] - pair[0]) / pair[0];
        x.iter_mut().zip(&slope).for_each(|(x, slope)| *x += step * slope);
    }
}
