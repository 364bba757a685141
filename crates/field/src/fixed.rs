//! Methods with given steps.

use crate::{
    augmentation::Augmentation,
    flow::Flow,
    kernel,
    random::{Purpose, stream},
};

/// Euler's method in sigma along a grid: `x' = yhat + (sigma'/sigma) (x - yhat)`.
///
/// # Shapes
/// `x`: `[rows, dim]`, carried from the grid's first level to its last
pub fn euler(flow: &Flow, grid: &[f64], x: &mut [f64]) {
    let mut slope = vec![0.0; x.len()];
    for pair in grid.windows(2) {
        flow.velocity_at(x, pair[0], &mut slope);
        let step = (pair[1] - pair[0]) / pair[0];
        x.iter_mut().zip(&slope).for_each(|(x, slope)| *x += step * slope);
    }
}

/// Heun's method in sigma along a grid: Euler, then the mean of the slopes at both ends. A step to zero stays Euler's,
/// for the slope has no value there.
///
/// # Shapes
/// `x`: `[rows, dim]`, carried from the grid's first level to its last
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

/// A method with given steps: [`euler`] or [`heun`].
pub type Fixed = fn(&Flow, &[f64], &mut [f64]);

/// A method along a grid whose every step starts from a state to which Gaussian noise is added, of a standard deviation that is a
/// `share` of the noise level: how well a flow bears errors on its way (PFGM++, arXiv 2302.04265, section 6). The noise of a row
/// comes from its seed alone.
///
/// # Shapes
/// `x`: `[rows, dim]`, carried from the grid's first level to its last; `seeds`: `[rows]`
pub fn with_noise(method: Fixed, flow: &Flow, share: f64, grid: &[f64], seeds: &[u64], x: &mut [f64]) {
    for (index, pair) in grid.windows(2).enumerate() {
        for (row, seed) in x.chunks_exact_mut(flow.denoiser.dim()).zip(seeds) {
            let mut rng = stream(*seed, Purpose::SolverNoise, index as u64, 0);
            kernel::perturb(Augmentation::Infinite, share * pair[0], &mut rng, row);
        }
        method(flow, pair, x);
    }
}
