//! Robustness of a solver: noise added before each step.

use crate::{
    extra_dims::ExtraDims,
    flow::Flow,
    prior,
    random::{Purpose, stream},
};

/// A method with given steps, such as [`euler`](super::euler()) and [`heun`](super::heun()).
pub type FixedStep = fn(&Flow, &[f64], &mut [f64]);

/// A method with given steps that adds Gaussian noise before each step. It measures how robust a model is to errors (PFGM++, arXiv
/// 2302.04265, section 6).
#[derive(Clone, Copy)]
pub struct Perturbed {
    /// The method.
    pub method: FixedStep,
    /// The standard deviation of the noise, as a share of the noise level.
    pub share: f64,
}

impl Perturbed {
    /// Carries every row of `x` along a grid. The noise of a row depends on its seed alone.
    ///
    /// # Shapes
    /// `x`: `[rows, dim]`, carried from the first level of the grid to the last; `seeds`: `[rows]`
    pub fn run(self, flow: &Flow, grid: &[f64], seeds: &[u64], x: &mut [f64]) {
        for (index, pair) in grid.windows(2).enumerate() {
            for (row, seed) in x.chunks_exact_mut(flow.denoiser.dim()).zip(seeds) {
                let mut rng = stream(*seed, Purpose::SolverNoise, index as u64, 0);
                prior::perturb(ExtraDims::Infinite, self.share * pair[0], &mut rng, row);
            }
            (self.method)(flow, pair, x);
        }
    }
}
