//! EDM's stochastic sampler (arXiv 2206.00364, algorithm 2): before each step of Heun's method the noise level is raised a little by
//! fresh noise.
//!
//! What makes it right is that the noise takes the distribution of one level to that of another. Gaussian noise does so where D is
//! infinite, Cauchy's at D = 1 ([`ExtraDims::noise_increment`](crate::extra_dims::ExtraDims::noise_increment)); other D have no such sampler here.

use super::{SolverConfig, SolverError, heun};
use crate::{
    flow::Flow,
    prior,
    random::{Purpose, stream},
};

/// How much noise is added, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    /// `S_churn`: each of n steps raises sigma by a share `min(amount / n, sqrt(2) - 1)`.
    pub amount: f64,
    /// `S_min` to `S_max`: the levels that are raised.
    pub levels: (f64, f64),
    /// `S_noise`: the size of the noise; 1 keeps the distribution.
    pub noise: f64,
}

impl Churn {
    /// As a configuration says.
    pub fn of(config: &SolverConfig) -> Self {
        let levels = (config.churn_min, config.churn_max.unwrap_or(f64::INFINITY));
        Self { amount: config.churn, levels, noise: config.churn_noise }
    }
}

/// Heun's method along a grid downwards, each step from a level that fresh noise has raised. The noise of a row comes from its
/// seed alone.
///
/// # Shapes
/// `x`: `[rows, dim]`, carried from the grid's first level to its last; `seeds`: `[rows]`
///
/// # Errors
/// When D is neither infinite nor 1.
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
            let noise =
                flow.extra_dims.noise_increment(sigma, raised).ok_or(SolverError::Stochastic(flow.extra_dims))?;
            for (row, seed) in x.chunks_exact_mut(flow.denoiser.dim()).zip(seeds) {
                let mut rng = stream(*seed, Purpose::SolverNoise, index as u64, 0);
                prior::perturb(flow.extra_dims, noise * churn.noise, &mut rng, row);
            }
        }
        heun(flow, &[raised, pair[1]], x);
    }
    Ok(())
}
