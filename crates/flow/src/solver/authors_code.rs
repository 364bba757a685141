//! The samplers of PFGM's authors to the letter, which the published numbers of their checkpoints were computed with.

use super::{Euler, ScheduleName, Solver, SolverError, euler, heun, rk45};
use crate::flow::{Denoiser, Flow, Query};

/// A batch as one point, with z as one more channel of every image.
///
/// The authors' RK45 chooses its steps for the whole batch, and z, whose slope is z itself, counts in the error.
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

/// Carries every row of `x` from the upper end of `range` to the lower as the code of PFGM's authors does: Euler and improved Euler in z on
/// a log-uniform grid (the last step Euler's), RK45 in ln z on the whole batch. Images have `plane` pixels.
///
/// # Errors
/// If the solver is none of these three, or RK45 cannot meet its tolerance.
pub fn authors_code(
    flow: &Flow,
    solver: &Solver,
    range: (f64, f64),
    plane: usize,
    x: &mut [f64],
) -> Result<(), SolverError> {
    solver.check(flow.extra_dims)?;
    let (low, high) = range;
    match solver {
        Solver::Euler(Euler { grid, afs: false, improved, .. })
            if grid.schedule() == Some(ScheduleName::LogUniform) =>
        {
            let (steps, levels) = (grid.steps(solver.method()), grid.levels(solver.method(), range)?);
            if *improved {
                heun(flow, &levels[..steps], x);
                euler(flow, &levels[steps - 1..], x);
            } else {
                euler(flow, &levels, x);
            }
        }
        Solver::Rk45(options) => {
            let dim = flow.denoiser.dim();
            let batch = WholeBatch { inner: flow.denoiser, rows: x.len() / dim, plane };
            let mut state: Vec<f64> =
                x.chunks_exact(dim).flat_map(|row| row.iter().copied().chain(vec![high; plane])).collect();
            let whole = Flow { denoiser: &batch, extra_dims: flow.extra_dims };
            rk45(&whole, high, low, options.tolerance, &mut state)?;
            for (x, state) in x.chunks_exact_mut(dim).zip(state.chunks_exact(dim + plane)) {
                x.copy_from_slice(&state[..dim]);
            }
        }
        _ => return Err(SolverError::NotInAuthorsCode),
    }
    Ok(())
}
