//! The density of a flow by the change of variables (docs/equations.md, section 8).
//!
//! `ln p(x0) = ln p_max(x(sigma_max)) + N ln(sigma_max / sigma_min) - integral of div yhat d ln sigma` along the flow's line through x0. Only
//! the divergence of `yhat` is integrated, exactly or with an estimate; the rest is in closed form.

use std::f64::consts::PI;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use crate::{
    extra_dims::ExtraDims,
    flow::{Counted, Denoiser, Differentiable, Flow, Query},
    prior,
    random::Stream,
    solver::{self, Solver, SolverError},
};

/// How the divergence is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trace<'a> {
    /// Exactly, with N vector-Jacobian products.
    Exact,
    /// By Hutchinson's estimate `e^T J e` with a probe for each item, `[items, N]`, which is the same along the whole flow line.
    Probes(&'a [f64]),
}

/// The distribution of probes, with mean zero and unit variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// Random signs: `e^T e = N` adds nothing to the error.
    #[default]
    Rademacher,
    /// Standard normal values.
    Gaussian,
}

impl Probe {
    /// Draws a probe of `dim` values.
    pub fn draw(self, dim: usize, rng: &mut Stream) -> Vec<f64> {
        match self {
            Self::Rademacher => (0..dim).map(|_| if rng.random_bool(0.5) { 1.0 } else { -1.0 }).collect(),
            Self::Gaussian => (0..dim).map(|_| StandardNormal.sample(rng)).collect(),
        }
    }
}

/// The density constant of the prior.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prior {
    /// That of the Student-t distribution, which integrates to one.
    #[default]
    Exact,
    /// That of the code of PFGM's authors, with the area of the sphere in N instead of N + 1 dimensions; D = 1.
    AuthorsCode,
}

impl Prior {
    /// The logarithm of the density of the prior at `x`.
    fn log_density(self, extra_dims: ExtraDims, sigma: f64, x: &[f64]) -> f64 {
        let (dim, squared) = (x.len(), x.iter().map(|x| x * x).sum());
        let exact = prior::log_density(extra_dims, dim, sigma, squared);
        let half = dim as f64 / 2.0;
        match self {
            Self::Exact => exact,
            // ln S_N - ln S_(N-1), with S_N = 2 pi^((N+1)/2) / Gamma((N+1)/2)
            Self::AuthorsCode => exact + PI.ln() / 2.0 + ln_gamma(half) - ln_gamma(half + 0.5),
        }
    }
}

/// The density of a flow.
pub struct Density<'a> {
    /// The estimate of `yhat`.
    pub denoiser: &'a dyn Differentiable,
    /// D.
    pub extra_dims: ExtraDims,
    /// The lowest and the highest noise level.
    pub range: (f64, f64),
    /// The solver, which is reversible.
    pub solver: Solver,
    /// The constant of the prior.
    pub prior: Prior,
}

/// Densities of points.
#[derive(Clone, Debug, PartialEq)]
pub struct LogDensities {
    /// `ln p` of each in the model's space, at the lowest noise level.
    pub values: Vec<f64>,
    /// The latents of the points, `[points, N]`.
    pub latents: Vec<f64>,
    /// The mean number of evaluations of `yhat` and its divergence for a point.
    pub nfe: f64,
}

impl Density<'_> {
    /// Computes `ln p` of the rows of `x`.
    ///
    /// # Errors
    /// If the solver is not reversible, or fails.
    ///
    /// # Shapes
    /// `x`: `[points, N]`
    pub fn log(&self, x: &[f64], trace: Trace) -> Result<LogDensities, SolverError> {
        let dim = self.denoiser.dim();
        let along = WithDivergence { denoiser: self.denoiser, trace };
        let mut states: Vec<f64> = x.chunks_exact(dim).flat_map(|row| row.iter().copied().chain([0.0])).collect();
        let counted = Counted::new(&along);
        let flow = Flow { denoiser: &counted, extra_dims: self.extra_dims };
        let (lowest, highest) = self.range;
        solver::encode(&flow, &self.solver, self.range, &mut states)?;
        let closed = dim as f64 * (highest / lowest).ln();
        let density = |state: &[f64]| {
            let (point, integral) = (&state[..dim], state[dim]);
            self.prior.log_density(self.extra_dims, highest, point) + closed + integral
        };
        Ok(LogDensities {
            values: states.chunks_exact(dim + 1).map(density).collect(),
            latents: states.chunks_exact(dim + 1).flat_map(|state| &state[..dim]).copied().collect(),
            nfe: counted.rows() as f64 / (x.len() / dim).max(1) as f64,
        })
    }
}

/// The flow with one more coordinate l, which integrates the divergence of `yhat`: `d l / d ln sigma = - div yhat`. In the form of the
/// right-hand side `x - yhat`, the `yhat` of this coordinate is `l + div yhat`.
struct WithDivergence<'a> {
    denoiser: &'a dyn Differentiable,
    trace: Trace<'a>,
}

impl Denoiser for WithDivergence<'_> {
    fn dim(&self) -> usize {
        self.denoiser.dim() + 1
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let dim = self.denoiser.dim();
        let x: Vec<f64> = query.x.chunks_exact(dim + 1).flat_map(|state| &state[..dim]).copied().collect();
        let points = Query { x: &x, ..*query };
        let (mut yhat, mut divergence) = (vec![0.0; x.len()], vec![0.0; query.sigma.len()]);
        match self.trace {
            Trace::Exact => self.denoiser.divergence(&points, &mut yhat, &mut divergence),
            Trace::Probes(probes) => {
                let of_item = |&item: &usize| &probes[item * dim..(item + 1) * dim];
                let probes: Vec<f64> = query.item.iter().flat_map(of_item).copied().collect();
                let mut pulled = vec![0.0; x.len()];
                self.denoiser.vjp(&points, &probes, &mut yhat, &mut pulled);
                let rows = probes.chunks_exact(dim).zip(pulled.chunks_exact(dim));
                let product = |(probe, pulled): (&[f64], &[f64])| probe.iter().zip(pulled).map(|(a, b)| a * b).sum();
                divergence = rows.map(product).collect();
            }
        }
        for (row, out) in out.chunks_exact_mut(dim + 1).enumerate() {
            out[..dim].copy_from_slice(&yhat[row * dim..(row + 1) * dim]);
            out[dim] = query.x[row * (dim + 1) + dim] + divergence[row];
        }
    }
}
