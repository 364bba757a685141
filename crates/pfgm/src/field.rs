//! The exact field of a set of charges (docs/equations.md, section 2): `yhat` without a network.

use pfgm_kernels::pairwise;

use crate::{
    augmentation::Augmentation,
    flow::{Denoiser, Differentiable, Query},
    kernel,
};

/// The field of unit charges on the hyperplane r = 0.
#[derive(Clone, Debug)]
pub struct ExactField {
    charges: Vec<f64>,
    dim: usize,
    augmentation: Augmentation,
}

impl ExactField {
    /// The field of `charges`, rows of `dim` = N coordinates.
    ///
    /// # Panics
    /// When there is no charge, or the rows are ragged.
    pub fn new(charges: Vec<f64>, dim: usize, augmentation: Augmentation) -> Self {
        assert!(dim > 0 && !charges.is_empty() && charges.len().is_multiple_of(dim), "charges are whole rows of {dim}");
        Self { charges, dim, augmentation }
    }

    /// The field `E = (x - yhat, r)`, normalised so that the weights of the charges add up to one: N components, then
    /// the one along the augmented direction.
    pub fn field(&self, x: &[f64], sigma: f64) -> Vec<f64> {
        let mut field = vec![0.0; self.dim];
        self.denoise(&Query { x, sigma: &[sigma], item: &[0] }, &mut field);
        field.iter_mut().zip(x).for_each(|(e, x)| *e = x - *e);
        field.push(self.augmentation.r(sigma));
        field
    }

    /// The logarithm of the density of the flow at `x` and noise level `sigma`: the mean of the charges' kernels, which
    /// is the vertical component of the unnormalised field up to a factor (section 11).
    pub fn log_density(&self, x: &[f64], sigma: f64) -> f64 {
        let logs: Vec<f64> = self
            .charges
            .chunks_exact(self.dim)
            .map(|y| {
                let squared: f64 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
                kernel::log_density(self.augmentation, self.dim, sigma, squared)
            })
            .collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        largest + (logs.iter().map(|log| (log - largest).exp()).sum::<f64>() / logs.len() as f64).ln()
    }
}

impl Denoiser for ExactField {
    fn dim(&self) -> usize {
        self.dim
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        weighted_mean(self.augmentation, query.x, query.sigma, &self.charges, self.dim, out);
    }
}

impl ExactField {
    /// The charges, their weights at a point, and how fast the logarithms of these fall with half the squared distance.
    fn weights(&self, x: &[f64], sigma: f64) -> Vec<(&[f64], f64, f64)> {
        let n = self.dim as f64;
        let parts = self.charges.chunks_exact(self.dim).map(|y| {
            let squared: f64 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
            let fall = match self.augmentation {
                Augmentation::Finite(d) => (n + d) / (squared + d * sigma * sigma),
                Augmentation::Infinite => 1.0 / (sigma * sigma),
            };
            (y, self.augmentation.log_weight(self.dim, sigma, squared), fall)
        });
        let mut parts: Vec<_> = parts.collect();
        let largest = parts.iter().map(|part| part.1).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = parts.iter().map(|part| (part.1 - largest).exp()).sum();
        parts.iter_mut().for_each(|part| part.1 = (part.1 - largest).exp() / total);
        parts
    }
}

/// The Jacobian is `sum_i w_i a_i (y_i - yhat) (y_i - x)^T`, with `a_i = (N + D) / (|x - y_i|^2 + r^2)`, or 1/sigma^2 where D is infinite.
impl Differentiable for ExactField {
    fn pull_back(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]) {
        let dim = self.dim;
        self.denoise(query, out);
        for (row, &sigma) in query.sigma.iter().enumerate() {
            let range = row * dim..(row + 1) * dim;
            let (x, yhat, probe) = (&query.x[range.clone()], &out[range.clone()], &probes[range.clone()]);
            let pulled = &mut pulled[range];
            pulled.fill(0.0);
            for (y, weight, fall) in self.weights(x, sigma) {
                let along: f64 = y.iter().zip(yhat).zip(probe).map(|((y, yhat), probe)| (y - yhat) * probe).sum();
                pulled.iter_mut().zip(y).zip(x).for_each(|((pulled, y), x)| *pulled += weight * fall * along * (y - x));
            }
        }
    }

    fn divergence(&self, query: &Query, out: &mut [f64], divergence: &mut [f64]) {
        let dim = self.dim;
        self.denoise(query, out);
        for (row, &sigma) in query.sigma.iter().enumerate() {
            let (x, yhat) = (&query.x[row * dim..(row + 1) * dim], &out[row * dim..(row + 1) * dim]);
            let of_charge = |(y, weight, fall): (&[f64], f64, f64)| {
                let product: f64 = y.iter().zip(yhat).zip(x).map(|((y, yhat), x)| (y - yhat) * (y - x)).sum();
                weight * fall * product
            };
            divergence[row] = self.weights(x, sigma).into_iter().map(of_charge).sum();
        }
    }
}

/// `yhat` of each row of `x` at its noise level in the field of `charges`.
///
/// # Shapes
/// `x` and `out`: `[rows, dim]`, `sigma`: `[rows]`, `charges`: `[charges, dim]`
pub fn weighted_mean<T: pairwise::Scalar>(
    augmentation: Augmentation,
    x: &[T],
    sigma: &[f64],
    charges: &[T],
    dim: usize,
    out: &mut [T],
) {
    let logit = |row: usize, squared: f64| augmentation.log_weight(dim, sigma[row], squared);
    pairwise::weighted_mean(x, charges, dim, logit, out);
}
