//! EDM's stochastic sampler (arXiv 2206.00364, algorithm 2): fresh noise raises the noise level a little before each step of Heun's
//! method.
//!
//! It is right if the noise turns the distribution of one level into that of another. Gaussian noise does so where D is infinite,
//! Cauchy's at D = 1 ([`ExtraDims::noise_increment`](crate::extra_dims::ExtraDims::noise_increment)); for other D no such noise is known.

use super::{SolverError, error::no_noise_increment, heun};
use crate::{
    flow::Flow,
    prior,
    random::{Purpose, stream},
};

/// The noise that EDM's stochastic sampler adds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    /// `S_churn`: each of n steps raises sigma by a share `min(amount / n, sqrt(2) - 1)`.
    pub amount: f64,
    /// `S_min` and `S_max`: the lowest and the highest level that is raised.
    pub levels: (f64, f64),
    /// `S_noise`: the size of the noise; 1 keeps the distribution.
    pub noise: f64,
}

impl Churn {
    /// Noise of the right size at all levels.
    pub fn new(amount: f64) -> Self {
        Self { amount, levels: (0.0, f64::INFINITY), noise: 1.0 }
    }
}

/// Heun's method down a grid, each step from a level that fresh noise has raised. The noise of a row depends on its seed alone.
///
/// # Shapes
/// `x`: `[rows, dim]`, carried from the first level of the grid to the last; `seeds`: `[rows]`
///
/// # Errors
/// If D is neither infinite nor 1.
pub fn heun_with_churn(
    flow: &Flow,
    churn: &Churn,
    grid: &[f64],
    seeds: &[u64],
    x: &mut [f64],
) -> Result<(), SolverError> {
    let share = (churn.amount / (grid.len() - 1) as f64).min(2_f64.sqrt() - 1.0);
    for (index, pair) in grid.windows(2).enumerate() {
        let sigma = pair[0];
        let inside = (churn.levels.0..=churn.levels.1).contains(&sigma);
        let raised = if inside { sigma * (1.0 + share) } else { sigma };
        if raised > sigma {
            let increment = flow.extra_dims.noise_increment(sigma, raised);
            let noise = increment.ok_or_else(|| no_noise_increment(churn.amount, flow.extra_dims))?;
            for (row, seed) in x.chunks_exact_mut(flow.denoiser.dim()).zip(seeds) {
                let mut rng = stream(*seed, Purpose::SolverNoise, index as u64, 0);
                prior::perturb(flow.extra_dims, noise * churn.noise, &mut rng, row);
            }
        }
        heun(flow, &[raised, pair[1]], x);
    }
    Ok(())
}
