//! PFGM's samplers as released: what an imported checkpoint's published numbers were made with.

use super::{Method, Schedule, SolverConfig, SolverError, Tolerance, euler, heun, rk45};
use crate::flow::{Denoiser, Flow, Query};

/// A batch as one point, with z as one more channel of every image.
///
/// RK45 as released chooses its steps for the whole batch, and z, whose slope is z itself, counts in the error.
struct WholeBatch<'a> {
    inner: &'a dyn Denoiser,
    rows: usize,
    /// Pixels of an image.
    plane: usize,
}

impl Denoiser for WholeBatch<'_> {
    fn dim(&self) -> usize {
        self.rows * (self.inner.dim() + self.plane)
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let (dim, each) = (self.inner.dim(), self.inner.dim() + self.plane);
        let item: Vec<usize> = (0..self.rows).collect();
        let batches = query.x.chunks_exact(self.dim()).zip(out.chunks_exact_mut(self.dim()));
        for ((state, out), &z) in batches.zip(query.sigma) {
            let x: Vec<f64> = state.chunks_exact(each).flat_map(|row| &row[..dim]).copied().collect();
            let mut yhat = vec![0.0; x.len()];
            self.inner.denoise(&Query { x: &x, sigma: &vec![z; self.rows], item: &item }, &mut yhat);
            for (row, (state, out)) in state.chunks_exact(each).zip(out.chunks_exact_mut(each)).enumerate() {
                out[..dim].copy_from_slice(&yhat[row * dim..(row + 1) * dim]);
                // The flow's slope is x - yhat.
                out[dim..].iter_mut().zip(&state[dim..]).for_each(|(out, channel)| *out = channel - z);
            }
        }
    }
}

/// Carries every row of `x` from the upper end of `range` to the lower as PFGM's released code does: Euler and improved Euler in z on
/// a logarithmic grid (the last step Euler's), RK45 in ln z on the whole batch. Images have `plane` pixels.
///
/// # Errors
/// When the method is not one of these three, or RK45 gives up.
pub fn authors_code(
    flow: &Flow,
    config: &SolverConfig,
    range: (f64, f64),
    plane: usize,
    x: &mut [f64],
) -> Result<(), SolverError> {
    let (low, high) = range;
    if config.afs || config.schedule.is_some() || !config.levels.is_empty() {
        return Err(SolverError::NotReleased);
    }
    let grid = Schedule::LogUniform.grid(high, low, config.steps);
    match config.method {
        Method::Euler => euler(flow, &grid, x),
        Method::ImprovedEuler => {
            heun(flow, &grid[..config.steps], x);
            euler(flow, &grid[config.steps - 1..], x);
        }
        Method::Rk45 => {
            let dim = flow.denoiser.dim();
            let batch = WholeBatch { inner: flow.denoiser, rows: x.len() / dim, plane };
            let mut state: Vec<f64> =
                x.chunks_exact(dim).flat_map(|row| row.iter().copied().chain(vec![high; plane])).collect();
            let whole = Flow { denoiser: &batch, extra_dims: flow.extra_dims };
            rk45(&whole, high, low, Tolerance { rtol: config.rtol, atol: config.atol }, &mut state)?;
            for (x, state) in x.chunks_exact_mut(dim).zip(state.chunks_exact(dim + plane)) {
                x.copy_from_slice(&state[..dim]);
            }
        }
        _ => return Err(SolverError::NotReleased),
    }
    Ok(())
}
