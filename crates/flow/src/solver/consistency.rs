//! Sampling with a consistency function (arXiv 2303.01469, algorithm 1; docs/equations.md, section 14).

use crate::{
    flow::{Flow, Query},
    prior,
    random::{Purpose, stream},
};

/// Jumps from each level of a grid except the last to the data: `x = f(x, sigma)`. Before each jump but the first, noise of the kernel of D
/// brings the data back to the level. `flow.denoiser` is the consistency function f in place of `yhat`. The noise of a row depends on its
/// seed alone.
///
/// # Shapes
/// `x`: `[rows, dim]`, points at the first level of the grid, replaced by data; `seeds`: `[rows]`
pub fn consistency(flow: &Flow, grid: &[f64], seeds: &[u64], x: &mut [f64]) {
    let dim = flow.denoiser.dim();
    let item: Vec<usize> = (0..seeds.len()).collect();
    let mut from = x.to_vec();
    for (index, &sigma) in grid[..grid.len().saturating_sub(1)].iter().enumerate() {
        if index > 0 {
            for (row, &seed) in x.chunks_exact_mut(dim).zip(seeds) {
                let mut rng = stream(seed, Purpose::SolverNoise, index as u64, 0);
                prior::perturb(flow.extra_dims, sigma, &mut rng, row);
            }
        }
        from.copy_from_slice(x);
        flow.denoiser.denoise(&Query { x: &from, sigma: &vec![sigma; seeds.len()], item: &item }, x);
    }
}
