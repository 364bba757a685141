//! Test problems whose solution is known.

use std::f64::consts::PI;

use crate::{
    extra_dims::ExtraDims,
    field::ExactField,
    flow::{Denoiser, Differentiable, Query},
};

/// Data with the same Gaussian distribution in each coordinate, at infinite D: yhat, the flow, and the density have closed forms.
///
/// ```
/// use pfgm_flow::{extra_dims::ExtraDims, flow::Flow, solver::{Solver, sample}, testing::Gaussian};
///
/// let data = Gaussian { dim: 1, mean: 1.0, spread: 0.5 };
/// let flow = Flow { denoiser: &data, extra_dims: ExtraDims::Infinite };
/// let mut x = [7.0];
/// sample(&flow, &Solver::rk45(1e-10).into(), (0.1, 10.0), &mut x).unwrap();
/// assert!((x[0] - data.flow_line(7.0, 10.0, 0.1)).abs() < 1e-8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    /// N.
    pub dim: usize,
    /// The mean of each coordinate.
    pub mean: f64,
    /// The standard deviation of each coordinate.
    pub spread: f64,
}

impl Gaussian {
    /// The Jacobian of yhat, a multiple of the identity: `s^2 / (s^2 + sigma^2)`.
    pub fn slope(&self, sigma: f64) -> f64 {
        let variance = self.spread * self.spread;
        variance / (variance + sigma * sigma)
    }

    /// A coordinate of the flow at noise level `to` that is `x` at noise level `from`.
    pub fn flow_line(&self, x: f64, from: f64, to: f64) -> f64 {
        self.mean + (x - self.mean) * self.spread.hypot(to) / self.spread.hypot(from)
    }

    /// The logarithm of the density of the flow at noise level `sigma`.
    pub fn log_density(&self, x: &[f64], sigma: f64) -> f64 {
        let variance = self.spread * self.spread + sigma * sigma;
        let squares: f64 = x.iter().map(|x| (x - self.mean).powi(2)).sum();
        -0.5 * (self.dim as f64 * (2.0 * PI * variance).ln() + squares / variance)
    }
}

impl Denoiser for Gaussian {
    fn dim(&self) -> usize {
        self.dim
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let rows = query.x.chunks_exact(self.dim).zip(out.chunks_exact_mut(self.dim));
        for ((x, out), sigma) in rows.zip(query.sigma) {
            out.iter_mut().zip(x).for_each(|(out, x)| *out = self.mean + self.slope(*sigma) * (x - self.mean));
        }
    }
}

impl Differentiable for Gaussian {
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]) {
        self.denoise(query, out);
        for (at, pulled) in pulled.iter_mut().enumerate() {
            *pulled = self.slope(query.sigma[at / self.dim]) * probes[at];
        }
    }
}

/// The field of three charges in the plane.
pub fn three_charges(extra_dims: ExtraDims) -> ExactField {
    ExactField::new(vec![0.5, 0.25, -1.0, 0.75, 0.25, -0.5], 2, extra_dims)
}
