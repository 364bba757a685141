//! Test problems whose solution is known.

use std::f64::consts::PI;

use crate::{
    extra_dims::ExtraDims,
    field::ExactField,
    flow::{Denoiser, Differentiable, Query},
    prior,
    random::{Purpose, stream},
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

/// Data with the density of equally probable Gaussians of one spread, at infinite D: yhat, its Jacobian, and the posterior distribution given
/// a linear measurement have closed forms.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// The means, `[components, N]`.
    pub means: Vec<f64>,
    /// N.
    pub dim: usize,
    /// The standard deviation of each coordinate of each component.
    pub spread: f64,
}

impl Mixture {
    /// The share of each component at a point of noise level `sigma`.
    fn shares(&self, x: &[f64], sigma: f64) -> Vec<f64> {
        let variance = self.spread * self.spread + sigma * sigma;
        let square = |mean: &[f64]| x.iter().zip(mean).map(|(x, m)| (x - m) * (x - m)).sum::<f64>();
        let logs: Vec<f64> = self.means.chunks_exact(self.dim).map(|mean| -0.5 * square(mean) / variance).collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / total).collect()
    }

    fn shrink(&self, sigma: f64) -> f64 {
        let variance = self.spread * self.spread;
        variance / (variance + sigma * sigma)
    }

    /// The mean of the components at a point.
    fn center(&self, shares: &[f64]) -> Vec<f64> {
        let mut center = vec![0.0; self.dim];
        for (mean, share) in self.means.chunks_exact(self.dim).zip(shares) {
            center.iter_mut().zip(mean).for_each(|(center, mean)| *center += share * mean);
        }
        center
    }
}

impl Denoiser for Mixture {
    fn dim(&self) -> usize {
        self.dim
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let rows = query.x.chunks_exact(self.dim).zip(out.chunks_exact_mut(self.dim));
        for ((x, out), &sigma) in rows.zip(query.sigma) {
            let (center, k) = (self.center(&self.shares(x, sigma)), self.shrink(sigma));
            out.iter_mut().zip(x).zip(&center).for_each(|((out, x), m)| *out = k * x + (1.0 - k) * m);
        }
    }
}

/// The Jacobian is `k + (1 - k) Cov(means) / (spread^2 + sigma^2)`, with the covariance under the shares.
impl Differentiable for Mixture {
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]) {
        self.denoise(query, out);
        for (row, &sigma) in query.sigma.iter().enumerate() {
            let at = row * self.dim..(row + 1) * self.dim;
            let (x, probe, pulled) = (&query.x[at.clone()], &probes[at.clone()], &mut pulled[at]);
            let (shares, k) = (self.shares(x, sigma), self.shrink(sigma));
            let (center, variance) = (self.center(&shares), self.spread * self.spread + sigma * sigma);
            pulled.iter_mut().zip(probe).for_each(|(pulled, probe)| *pulled = k * probe);
            for (mean, share) in self.means.chunks_exact(self.dim).zip(&shares) {
                let along: f64 = mean.iter().zip(&center).zip(probe).map(|((m, c), p)| (m - c) * p).sum();
                let factor = (1.0 - k) * share * along / variance;
                pulled.iter_mut().zip(mean).zip(&center).for_each(|((pulled, m), c)| *pulled += factor * (m - c));
            }
        }
    }
}

/// The sliced Wasserstein distance of order 2 between two sets of as many points: the root mean square over 128 fixed random directions of the
/// distance between the sorted projections.
///
/// # Shapes
/// `a` and `b`: `[points, dim]`
///
/// # Panics
/// Panics if the sets are not of one size.
pub fn sliced_wasserstein(a: &[f64], b: &[f64], dim: usize) -> f64 {
    const DIRECTIONS: u64 = 128;
    assert!(a.len() == b.len() && !a.is_empty(), "sliced_wasserstein: as many points");
    let square = |number: u64| {
        let mut direction = vec![0.0; dim];
        prior::perturb(ExtraDims::Infinite, 1.0, &mut stream(0, Purpose::Evaluation, 0, number), &mut direction);
        let norm = direction.iter().map(|d| d * d).sum::<f64>().sqrt();
        let projected = |x: &[f64]| {
            let along = |row: &[f64]| row.iter().zip(&direction).map(|(x, d)| x * d).sum::<f64>() / norm;
            let mut values: Vec<f64> = x.chunks_exact(dim).map(along).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (a, b) = (projected(a), projected(b));
        a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / a.len() as f64
    };
    ((0..DIRECTIONS).map(square).sum::<f64>() / DIRECTIONS as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_has_the_field_of_its_means_far_from_them() {
        // With little spread the components are charges.
        let means = vec![0.5, 0.25, -1.0, 0.75, 0.25, -0.5];
        let mixture = Mixture { means: means.clone(), dim: 2, spread: 1e-6 };
        let charges = ExactField::new(means, 2, ExtraDims::Infinite);
        let (x, probe) = ([0.3, -0.2], [0.7, -1.1]);
        let query = Query { x: &x, sigma: &[0.6], item: &[0] };
        let of = |denoiser: &dyn Differentiable| {
            let (mut yhat, mut product) = ([0.0; 2], [0.0; 2]);
            denoiser.vjp(&query, &probe, &mut yhat, &mut product);
            [yhat, product].concat()
        };
        let (found, expected) = (of(&mixture), of(&charges));
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?} {expected:?}");
    }

    #[test]
    fn the_jacobian_of_a_mixture_is_its_derivative() {
        let mixture = Mixture { means: vec![0.5, 0.25, -1.0, 0.75, 0.25, -0.5], dim: 2, spread: 0.4 };
        let (x, probe, h) = ([0.3, -0.2], [0.7, -1.1], 1e-5);
        let yhat = |x: [f64; 2]| {
            let mut out = [0.0; 2];
            mixture.denoise(&Query { x: &x, sigma: &[0.6], item: &[0] }, &mut out);
            out[0] * probe[0] + out[1] * probe[1]
        };
        let (mut out, mut product) = ([0.0; 2], [0.0; 2]);
        mixture.vjp(&Query { x: &x, sigma: &[0.6], item: &[0] }, &probe, &mut out, &mut product);
        let slopes =
            [(yhat([x[0] + h, x[1]]) - yhat([x[0] - h, x[1]])), (yhat([x[0], x[1] + h]) - yhat([x[0], x[1] - h]))];
        assert!(slopes.iter().zip(product).all(|(a, b)| (a / (2.0 * h) - b).abs() < 1e-8), "{slopes:?} {product:?}");
    }

    #[test]
    fn the_distance_of_a_moved_set_is_the_mean_of_the_move() {
        let points: Vec<f64> = (0..60).map(|at| (f64::from(at) * 1.7).sin()).collect();
        assert_eq!(sliced_wasserstein(&points, &points, 3), 0.0);
        let moved: Vec<f64> = points.iter().map(|x| x + 2.0).collect();
        // The mean square of a projection is a third of the squared length.
        let found = sliced_wasserstein(&points, &moved, 3);
        assert!((found - 2.0).abs() < 0.3, "{found}");
    }
}
