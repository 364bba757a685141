//! Errors on the way: a solver whose every step starts from a perturbed state.

use crate::{
    extra_dims::ExtraDims,
    flow::Flow,
    prior,
    random::{Purpose, stream},
};

/// A method with given steps: [`euler`](super::euler) or [`heun`](super::heun).
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
            prior::perturb(ExtraDims::Infinite, share * pair[0], &mut rng, row);
        }
        method(flow, pair, x);
    }
}
