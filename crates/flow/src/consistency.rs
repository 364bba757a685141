//! Consistency functions: from a point to the end of its flow line (arXiv 2303.01469; docs/equations.md, section 14).
//!
//! `f(x, sigma)` is the point that the flow reaches at sigma = 0 from `x` at level sigma. It is constant along a flow line, and
//! `f(x, 0) = x`. A distilled network estimates it in one evaluation. Here it is computed by integration: with the exact field
//! of charges, this is the truth that a network can be compared with.
//!
//! ```
//! use pfgm_flow::{consistency::flow_line_ends, extra_dims::ExtraDims, flow::Flow, solver::Tolerance, testing::Gaussian};
//!
//! let data = Gaussian { dim: 1, mean: 1.0, spread: 0.5 };
//! let flow = Flow { denoiser: &data, extra_dims: ExtraDims::Infinite };
//! let (mut x, tolerance) = ([7.0, 3.0], Tolerance { rtol: 1e-8, atol: 1e-8 });
//! flow_line_ends(&flow, &[10.0, 2.0], 1e-4, tolerance, &mut x).unwrap();
//! assert!((x[0] - data.flow_line(7.0, 10.0, 0.0)).abs() < 1e-5);
//! assert!((x[1] - data.flow_line(3.0, 2.0, 0.0)).abs() < 1e-5);
//! ```

use crate::{
    flow::{Denoiser, Flow, Query},
    solver::{SolverError, Tolerance, euler, rk45},
};

/// Replaces each row of `x` by the end of its flow line. RK45 integrates from the level of the row down to `low`; an Euler step to
/// sigma = 0 replaces the state by `yhat`. Rows at or below `low` take that last step only, and rows at level 0 stay.
///
/// # Shapes
/// `x`: `[rows, dim]`, `sigma`: `[rows]`
///
/// # Errors
/// Returns an error if RK45 cannot meet its tolerance, or the flow is not finite.
///
/// # Panics
/// Panics unless there is a level for each row.
pub fn flow_line_ends(
    flow: &Flow,
    sigma: &[f64],
    low: f64,
    tolerance: Tolerance,
    x: &mut [f64],
) -> Result<(), SolverError> {
    let dim = flow.denoiser.dim();
    assert_eq!(sigma.len() * dim, x.len(), "a level for each row");
    let mut levels: Vec<f64> = sigma.iter().copied().filter(|&level| level > 0.0).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    for level in levels {
        let rows: Vec<usize> = (0..sigma.len()).filter(|&row| sigma[row] == level).collect();
        let mut part: Vec<f64> = rows.iter().flat_map(|&row| &x[row * dim..(row + 1) * dim]).copied().collect();
        let selected = Selected { inner: flow.denoiser, rows: &rows };
        let flow = Flow { denoiser: &selected, ..*flow };
        if level > low {
            rk45(&flow, level, low, tolerance, &mut part)?;
        }
        euler(&flow, &[level.min(low), 0.0], &mut part);
        for (row, values) in rows.iter().zip(part.chunks_exact(dim)) {
            x[row * dim..(row + 1) * dim].copy_from_slice(values);
        }
    }
    match x.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(SolverError::NotFinite { sigma: low, item: at / dim }),
        None => Ok(()),
    }
}

/// A denoiser of some rows of a batch.
struct Selected<'a> {
    inner: &'a dyn Denoiser,
    rows: &'a [usize],
}

impl Denoiser for Selected<'_> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let item: Vec<usize> = query.item.iter().map(|&item| self.rows[item]).collect();
        self.inner.denoise(&Query { item: &item, ..*query }, out);
    }
}
