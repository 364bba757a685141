//! The exact field of a set of charges (docs/equations.md, section 2): `yhat` without a network.

use pfgm_numerics::{fastmath, pairwise};

use crate::{
    extra_dims::ExtraDims,
    flow::{AtLevel, Denoiser, Differentiable, Flow, Query},
    prior,
};

/// The field of unit charges on the hyperplane r = 0, which is `yhat` without a network.
///
/// ```
/// use pfgm_flow::{extra_dims::ExtraDims, field::ExactField, flow::{Denoiser, Query}};
///
/// let field = ExactField::new(vec![-1.0, 1.0], 1, ExtraDims::Finite(1.0));
/// let mut yhat = [0.0];
/// field.denoise(&Query { x: &[0.0], sigma: &[0.5], item: &[0] }, &mut yhat);
/// assert_eq!(yhat, [0.0]);
/// ```
#[derive(Clone, Debug)]
pub struct ExactField {
    charges: Vec<f64>,
    dim: usize,
    extra_dims: ExtraDims,
    /// The logarithm of each charge, of which the mean is 1; None if all are 1.
    log_charges: Option<Vec<f64>>,
}

impl ExactField {
    /// The field of `charges`, rows of `dim` = N coordinates.
    ///
    /// # Panics
    /// If there is no charge, or the length of `charges` is no multiple of N.
    pub fn new(charges: Vec<f64>, dim: usize, extra_dims: ExtraDims) -> Self {
        assert!(dim > 0 && !charges.is_empty() && charges.len().is_multiple_of(dim), "charges are whole rows of {dim}");
        Self { charges, dim, extra_dims, log_charges: None }
    }

    /// The charges, `[charges, N]`.
    pub fn charges(&self) -> &[f64] {
        &self.charges
    }

    /// The field with each charge multiplied by `exp(log_weights[i])`.
    ///
    /// If `log_weights[i] = log p(a | y_i)` of a measurement a, this is the exact field of the posterior distribution: `yhat` becomes
    /// `E[y | x, sigma, a]` and the flow samples the data given a, for every D (docs/equations.md, section 13).
    ///
    /// ```
    /// use pfgm_flow::{extra_dims::ExtraDims, field::ExactField};
    ///
    /// // Three points in the plane, of which the first coordinate is measured as 0.9 with noise of standard deviation 0.2.
    /// let points = vec![1.0, 0.0, 1.0, 2.0, -1.0, 5.0];
    /// let log_likelihood = |y: &[f64]| -0.5 * ((y[0] - 0.9) / 0.2f64).powi(2);
    /// let log_weights: Vec<f64> = points.chunks_exact(2).map(log_likelihood).collect();
    /// let posterior = ExactField::new(points, 2, ExtraDims::Finite(1.0)).reweighted(&log_weights);
    /// // Far away every charge has its own weight: the mean of the two points that agree with the measurement.
    /// let field = posterior.field(&[0.0, 0.0], 1e6);
    /// assert!((field[0] + 1.0).abs() < 1e-6 && (field[1] + 1.0).abs() < 1e-6);
    /// ```
    ///
    /// # Panics
    /// If there is not one weight for each charge, a weight is NaN or infinite, or all are zero (their logarithms minus infinity).
    #[must_use]
    pub fn reweighted(mut self, log_weights: &[f64]) -> Self {
        let count = self.charges.len() / self.dim;
        assert_eq!(log_weights.len(), count, "reweighted: one weight for each charge");
        let mut logs = self.log_charges.take().unwrap_or_else(|| vec![0.0; count]);
        logs.iter_mut().zip(log_weights).for_each(|(log, weight)| *log += weight);
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!(largest.is_finite() && !logs.iter().any(|log| log.is_nan()), "reweighted: a finite weight above zero");
        let mean = logs.iter().map(|log| (log - largest).exp()).sum::<f64>() / count as f64;
        logs.iter_mut().for_each(|log| *log -= largest + mean.ln());
        self.log_charges = Some(logs);
        self
    }

    /// Adds the logarithms of the charges to those of their kernels.
    fn add_log_charges(&self, logs: &mut [f64]) {
        if let Some(charges) = &self.log_charges {
            logs.iter_mut().zip(charges).for_each(|(log, charge)| *log += charge);
        }
    }

    /// The field `E = (x - yhat, r)`, normalized so that the weights of the charges add up to one: N components, then the
    /// component along r.
    pub fn field(&self, x: &[f64], sigma: f64) -> Vec<f64> {
        let mut field = vec![0.0; self.dim];
        self.denoise(&Query { x, sigma: &[sigma], item: &[0] }, &mut field);
        field.iter_mut().zip(x).for_each(|(e, x)| *e = x - *e);
        field.push(self.extra_dims.r(sigma));
        field
    }

    /// The logarithm of the density of the flow at `x` and noise level `sigma`: the mean of the kernels of the charges,
    /// which is the vertical component of the unnormalized field up to a factor (docs/equations.md, section 11).
    pub fn log_density(&self, x: &[f64], sigma: f64) -> f64 {
        let mut logs: Vec<f64> = self
            .charges
            .chunks_exact(self.dim)
            .map(|y| x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum())
            .collect();
        self.extra_dims.log_weights(self.dim, &vec![self.extra_dims.scale(sigma); logs.len()], &mut logs);
        self.add_log_charges(&mut logs);
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = logs.iter().map(|log| (log - largest).exp()).sum::<f64>() / logs.len() as f64;
        // The density of a kernel is that at its center times the weight.
        prior::log_density(self.extra_dims, self.dim, sigma, 0.0) + largest + mean.ln()
    }

    /// The logarithm of the strength `|sum_i (x - y_i, r) / |(x - y_i, r)|^(N+D)| / n` of the unnormalized field of n
    /// charges, for finite D.
    ///
    /// # Panics
    /// If D is infinite, where the sum has no limit.
    pub fn log_strength(&self, x: &[f64], sigma: f64) -> f64 {
        let ExtraDims::Finite(d) = self.extra_dims else { panic!("log_strength: D must be finite") };
        let length = self.field(x, sigma).iter().map(|e| e * e).sum::<f64>().sqrt();
        // The density's kernel is r^D / |(x - y, r)|^(N+D) times a constant.
        let r = self.extra_dims.r(sigma);
        let kernel = prior::log_density(self.extra_dims, self.dim, sigma, 0.0) + self.dim as f64 * r.ln();
        self.log_density(x, sigma) - kernel - d * r.ln() + length.ln()
    }

    /// The logarithm of the potential `sum_i |(x - y_i, r)|^-(N+D-2)` at each point, up to a constant that depends on the noise
    /// level; if D is infinite, its limit, a sum of Gaussians. The field is minus the gradient of the potential, up to a factor.
    ///
    /// # Shapes
    /// `x`: `[points, N]`, `out`: `[points]`
    ///
    /// # Panics
    /// If N = 1, where the exponent may change its sign.
    pub fn log_potentials(&self, x: &[f64], sigma: f64, out: &mut [f64]) {
        assert!(self.dim > 1, "log_potentials: N must be at least 2");
        let scales = vec![self.extra_dims.scale(sigma); self.charges.len() / self.dim];
        let mut logs = vec![0.0; scales.len()];
        for (x, out) in x.chunks_exact(self.dim).zip(out) {
            self.squared_distances(x, &mut logs);
            self.extra_dims.log_weights(self.dim - 2, &scales, &mut logs);
            self.add_log_charges(&mut logs);
            let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            logs.iter_mut().for_each(|log| *log = fastmath::exp(*log - largest));
            let sum: f64 = logs.iter().sum();
            *out = largest + (sum / logs.len() as f64).ln();
        }
    }

    /// The potential of [`ExactField::without_extra_dims`] in the plane, `-sum_i ln |(x - y_i, softening)| / n`, up to a constant.
    ///
    /// # Shapes
    /// `x`: `[points, 2]`, `out`: `[points]`
    pub fn plane_potentials(charges: &[f64], softening: f64, x: &[f64], out: &mut [f64]) {
        let scale = 1.0 / (softening * softening);
        for (x, out) in x.chunks_exact(2).zip(out) {
            let of_charge = |y: &[f64]| fastmath::ln_1p(((x[0] - y[0]).powi(2) + (x[1] - y[1]).powi(2)) * scale);
            let sum: f64 = charges.chunks_exact(2).map(of_charge).sum();
            *out = -0.5 * sum / (charges.len() / 2) as f64;
        }
    }

    /// `|x - y_i|^2` of every charge.
    fn squared_distances(&self, x: &[f64], out: &mut [f64]) {
        if let [a, b] = *x {
            for (y, out) in self.charges.chunks_exact(2).zip(out) {
                *out = (a - y[0]) * (a - y[0]) + (b - y[1]) * (b - y[1]);
            }
            return;
        }
        for (y, out) in self.charges.chunks_exact(self.dim).zip(out) {
            *out = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
        }
    }

    /// The residual of the continuity equation at `x`: `d ln p / d ln sigma` along the flow plus the divergence of the velocity,
    /// which is zero if the flow transports `p` (docs/equations.md, section 8). Both by central differences.
    pub fn continuity_residual(&self, x: &[f64], sigma: f64) -> f64 {
        let flow = Flow { denoiser: self, extra_dims: self.extra_dims };
        let velocity = |x: &[f64]| {
            let mut out = vec![0.0; self.dim];
            flow.velocity(&Query { x, sigma: &[sigma], item: &[0] }, &mut out);
            out
        };
        let moved = |along: &[f64], by: f64| -> Vec<f64> { x.iter().zip(along).map(|(x, v)| x + by * v).collect() };
        let divergence: f64 = (0..self.dim)
            .map(|axis| {
                let mut unit = vec![0.0; self.dim];
                unit[axis] = 1.0;
                let h = 1e-5 * sigma;
                (velocity(&moved(&unit, h))[axis] - velocity(&moved(&unit, -h))[axis]) / (2.0 * h)
            })
            .sum();
        let (here, h) = (velocity(x), 1e-5_f64);
        let at = |s: f64| self.log_density(&moved(&here, s), sigma * s.exp());
        (at(h) - at(-h)) / (2.0 * h) + divergence
    }

    /// The field of the charges in their own space, without an extra dimension: `E = sum_i (x - y_i) / |x - y_i|^N`, the limit of D to
    /// zero. Each charge is smoothed over about `softening` (r does not vanish), like the smooth distribution that a network learns.
    ///
    /// # Panics
    /// As [`ExactField::new`].
    pub fn without_extra_dims(charges: Vec<f64>, dim: usize, softening: f64) -> AtLevel<Self> {
        // Small enough that N + D is N to nine digits, large enough for its square root.
        const VANISHING: f64 = 1e-9;
        let inner = Self::new(charges, dim, ExtraDims::Finite(VANISHING));
        AtLevel { inner, sigma: softening / VANISHING.sqrt() }
    }
}

impl Denoiser for ExactField {
    fn dim(&self) -> usize {
        self.dim
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        if self.log_charges.is_none() {
            let charges = ChargesView { values: &self.charges, dim: self.dim, extra_dims: self.extra_dims };
            charges.weighted_mean(query.x, query.sigma, out);
            return;
        }
        let rows = query.x.chunks_exact(self.dim).zip(out.chunks_exact_mut(self.dim));
        for ((x, out), &sigma) in rows.zip(query.sigma) {
            out.fill(0.0);
            for (y, weight, _) in self.weights(x, sigma) {
                out.iter_mut().zip(y).for_each(|(out, y)| *out += weight * y);
            }
        }
    }
}

impl ExactField {
    /// The charges, their weights at a point, and the rate at which the logarithm of a weight falls with half the squared distance.
    fn weights(&self, x: &[f64], sigma: f64) -> Vec<(&[f64], f64, f64)> {
        let n = self.dim as f64;
        let parts = self.charges.chunks_exact(self.dim).enumerate().map(|(index, y)| {
            let squared: f64 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
            let fall = match self.extra_dims {
                ExtraDims::Finite(d) => (n + d) / (squared + d * sigma * sigma),
                ExtraDims::Infinite => 1.0 / (sigma * sigma),
            };
            let charge = self.log_charges.as_ref().map_or(0.0, |logs| logs[index]);
            (y, self.extra_dims.log_weight(self.dim, sigma, squared) + charge, fall)
        });
        let mut parts: Vec<_> = parts.collect();
        let largest = parts.iter().map(|part| part.1).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = parts.iter().map(|part| (part.1 - largest).exp()).sum();
        parts.iter_mut().for_each(|part| part.1 = (part.1 - largest).exp() / total);
        parts
    }
}

/// The Jacobian is `sum_i w_i a_i (y_i - yhat) (y_i - x)^T`, with `a_i = (N + D) / (|x - y_i|^2 + r^2)`, or 1/sigma^2 if D is infinite.
impl Differentiable for ExactField {
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]) {
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

/// Borrowed charges in single or double precision; [`ExactField`] owns its charges.
#[derive(Clone, Copy, Debug)]
pub struct ChargesView<'a, T> {
    /// The charges, `[charges, N]`.
    pub values: &'a [T],
    /// N.
    pub dim: usize,
    /// D.
    pub extra_dims: ExtraDims,
}

impl<T: pairwise::Scalar> ChargesView<'_, T> {
    /// Writes `yhat` of each row of `x` at its noise level to `out`.
    ///
    /// # Shapes
    /// `x` and `out`: `[rows, N]`, `sigma`: `[rows]`
    pub fn weighted_mean(&self, x: &[T], sigma: &[f64], out: &mut [T]) {
        let Self { values, dim, extra_dims } = *self;
        let scales = sigma.iter().map(|&sigma| extra_dims.scale(sigma)).collect();
        pairwise::weighted_mean(x, values, dim, LogWeights { extra_dims, dim, scales }, out);
    }
}

/// The logarithms of the weights of the charges, at the noise level of each query.
struct LogWeights {
    extra_dims: ExtraDims,
    dim: usize,
    scales: Vec<f64>,
}

impl pairwise::Logits for LogWeights {
    #[inline(always)]
    fn logits(&self, first: usize, squared: &mut [f64]) {
        self.extra_dims.log_weights(self.dim, &self.scales[first..first + squared.len()], squared);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_the_gradient_of_the_potential() {
        let charges = vec![0.3, -0.2, 1.1, 0.4, -0.7, 0.9];
        let (x, h, sigma) = ([0.2, 0.1], 1e-5, 0.4);
        let gradient = |potentials: &dyn Fn(&[f64], &mut [f64])| -> [f64; 2] {
            let mut values = [0.0; 4];
            potentials(&[x[0] + h, x[1], x[0] - h, x[1], x[0], x[1] + h, x[0], x[1] - h], &mut values);
            [(values[0] - values[1]) / (2.0 * h), (values[2] - values[3]) / (2.0 * h)]
        };
        let parallel =
            |a: [f64; 2], b: &[f64]| (a[0] * b[1] - a[1] * b[0]).abs() / (a[0].hypot(a[1]) * b[0].hypot(b[1]));
        for extra_dims in [0.5, 1.0, 128.0].map(ExtraDims::Finite).into_iter().chain([ExtraDims::Infinite]) {
            let field = ExactField::new(charges.clone(), 2, extra_dims);
            let slope = gradient(&|x, out| field.log_potentials(x, sigma, out));
            let e = field.field(&x, sigma);
            assert!(parallel(slope, &e) < 1e-8, "{extra_dims}");
            assert!(slope[0] * e[0] < 0.0, "{extra_dims}: the field points away from charges");
        }
        let slope = gradient(&|x, out| ExactField::plane_potentials(&charges, sigma, x, out));
        let flat = ExactField::without_extra_dims(charges.clone(), 2, sigma);
        let flow = Flow { denoiser: &flat, extra_dims: ExtraDims::Infinite };
        let mut e = [0.0; 2];
        flow.velocity_at(&x, 1.0, &mut e);
        assert!(parallel(slope, &e) < 1e-8);
    }
}
