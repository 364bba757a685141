//! The twisted diffusion sampler (TDS, arXiv 2306.17775): particles that are weighted and resampled.
//!
//! Going down from noise level sigma to sigma', an unconditional flow of D extra dimensions moves at random by the kernel
//!
//! ```text
//! x' ~ t_(N+D)( yhat + q (x - yhat), s^2 q (1 - q) ),   q = sigma'^2 / sigma^2,   s^2 = (|x - yhat|^2 + D sigma^2) / (N + D)
//! ```
//!
//! a Student-t distribution with N + D degrees of freedom. For one charge it is exact at every D: given a point at one level, the noise of a
//! point at a lower level has that distribution. At D = infinity it is the ancestral sampler of diffusion models. A particle moves with `yhat_a` in place of
//! `yhat`, and its weight makes up for the difference, so that the draws are exact up to the kernel as the particles grow in number.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::{Measurement, conjugate_gradients::inner, guidance::variances};
use crate::{
    extra_dims::ExtraDims,
    flow::{Differentiable, Query},
    prior,
    random::{Purpose, stream},
};

/// Options of the twisted diffusion sampler.
#[derive(Clone, Debug, PartialEq)]
pub struct Twisted {
    /// Number of particles.
    pub particles: usize,
    /// The noise levels, from the highest to the lowest.
    pub levels: Vec<f64>,
    /// The standard deviation of the data.
    pub spread: f64,
}

/// A flow, and the measurement that its particles are weighted by.
pub struct TwistedSampler<'a> {
    inner: &'a dyn Differentiable,
    extra_dims: ExtraDims,
    measurement: &'a Measurement<'a>,
    how: &'a Twisted,
    gain: f64,
}

/// Particles at one noise level.
struct State {
    x: Vec<f64>,
    yhat: Vec<f64>,
    /// `s^2` of each.
    variances: Vec<f64>,
    /// Approximations of `log p(a | x, sigma)`.
    log_twists: Vec<f64>,
    /// Their gradients.
    gradients: Vec<f64>,
}

impl<'a> TwistedSampler<'a> {
    /// A sampler of the flow of `inner`.
    ///
    /// # Panics
    /// Panics if the operator takes rows of another length than the denoiser's, or there are no particles or less than two levels.
    pub fn new(
        inner: &'a dyn Differentiable,
        extra_dims: ExtraDims,
        measurement: &'a Measurement<'a>,
        how: &'a Twisted,
    ) -> Self {
        assert_eq!(measurement.inputs(), inner.dim(), "the operator takes rows of the model");
        assert!(how.particles > 0 && how.levels.len() > 1, "TwistedSampler: particles and levels");
        Self { inner, extra_dims, measurement, how, gain: measurement.mean_gain() }
    }

    /// Draws `draws` rows from the posterior distribution given the measurement of this number. Item i of the denoiser is particle i.
    ///
    /// Draws of one call come from the same particles: the most probable ones may be drawn more than once.
    ///
    /// # Shapes
    /// The result: `[draws, N]`
    ///
    /// # Panics
    /// Panics if there is no such measurement, or its noise is 0.
    pub fn draw(&self, number: usize, draws: usize, seed: u64) -> Vec<f64> {
        let (dim, count) = (self.inner.dim(), self.how.particles);
        let levels = &self.how.levels;
        let mut state = self.evaluate(number, self.start(seed), levels[0]);
        let mut logs = state.log_twists.clone();
        for (step, pair) in levels.windows(2).enumerate() {
            if effective(&logs) < 0.5 * count as f64 {
                let chosen = systematic(&logs, count, &mut stream(seed, Purpose::Resampling, step as u64, 0));
                state = state.select(&chosen, dim);
                logs.fill(0.0);
            }
            let (x, ratios) = self.advance(&state, (pair[0], pair[1]), seed, step as u64);
            let next = self.evaluate(number, x, pair[1]);
            for (at, log) in logs.iter_mut().enumerate() {
                *log += ratios[at] + next.log_twists[at] - state.log_twists[at];
            }
            state = next;
        }
        for (at, yhat) in state.yhat.chunks_exact(dim).enumerate() {
            logs[at] += self.measurement.log_likelihood(number, yhat) - state.log_twists[at];
        }
        let last = levels.len() as u64;
        let chosen = systematic(&logs, draws, &mut stream(seed, Purpose::Resampling, last, 0));
        chosen.iter().flat_map(|&at| &state.yhat[at * dim..(at + 1) * dim]).copied().collect()
    }

    /// Particles of the prior.
    fn start(&self, seed: u64) -> Vec<f64> {
        let (dim, highest) = (self.inner.dim(), self.how.levels[0]);
        let mut x = vec![0.0; self.how.particles * dim];
        for (at, row) in x.chunks_exact_mut(dim).enumerate() {
            prior::perturb(self.extra_dims, highest, &mut stream(seed, Purpose::Latent, 0, at as u64), row);
        }
        x
    }

    /// `yhat`, and the twisting function with its gradient.
    fn evaluate(&self, number: usize, x: Vec<f64>, sigma: f64) -> State {
        let (dim, count) = (self.inner.dim(), self.how.particles);
        let (levels, item): (Vec<f64>, Vec<usize>) = (vec![sigma; count], (0..count).collect());
        let query = Query { x: &x, sigma: &levels, item: &item };
        let (mut yhat, mut gradients) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        self.inner.denoise(&query, &mut yhat);
        let variances = variances(self.extra_dims, &query, &yhat);
        let (mut probes, mut log_twists) = (Vec::with_capacity(x.len()), Vec::with_capacity(count));
        for (yhat, s) in yhat.chunks_exact(dim).zip(&variances) {
            // p(a | x) is about Gaussian around A yhat.
            let spread = self.how.spread * self.how.spread;
            let total = self.measurement.variance(number) + self.gain * s * spread / (s + spread);
            let residual = self.measurement.residual(number, yhat);
            let (square, outputs) = (inner(&residual, &residual), residual.len() as f64);
            log_twists.push(-0.5 * (square / total + outputs * total.ln()));
            let scaled: Vec<f64> = residual.iter().map(|e| e / total).collect();
            probes.extend(self.measurement.back(&scaled));
        }
        let mut again = vec![0.0; x.len()];
        self.inner.vjp(&query, &probes, &mut again, &mut gradients);
        State { x, yhat, variances, log_twists, gradients }
    }

    /// Moves every particle to the next level. Returns the points, and the logarithm of the kernel over the proposal of each.
    fn advance(&self, state: &State, (sigma, next): (f64, f64), seed: u64, step: u64) -> (Vec<f64>, Vec<f64>) {
        let dim = self.inner.dim();
        let share = (next / sigma).powi(2);
        let kernel = match self.extra_dims {
            ExtraDims::Finite(d) => ExtraDims::Finite(dim as f64 + d),
            ExtraDims::Infinite => ExtraDims::Infinite,
        };
        let (mut x, mut ratios) = (Vec::with_capacity(state.x.len()), Vec::with_capacity(self.how.particles));
        for (at, &variance) in state.variances.iter().enumerate() {
            let row = at * dim..(at + 1) * dim;
            let width = (variance * share * (1.0 - share)).sqrt();
            let mut rng = stream(seed, Purpose::SolverNoise, step, at as u64);
            let scale = width * prior::scale(kernel, &mut rng);
            let (mut from_kernel, mut from_proposal) = (0.0, 0.0);
            for k in row {
                let center = state.yhat[k] + share * (state.x[k] - state.yhat[k]);
                let shift = (1.0 - share) * variance * state.gradients[k];
                let gauss: f64 = StandardNormal.sample(&mut rng);
                let noise = scale * gauss;
                x.push(center + shift + noise);
                from_kernel += (shift + noise) * (shift + noise);
                from_proposal += noise * noise;
            }
            let log = |squared| prior::log_density(kernel, dim, width, squared);
            ratios.push(log(from_kernel) - log(from_proposal));
        }
        (x, ratios)
    }
}

impl State {
    /// The particles of these numbers.
    fn select(&self, chosen: &[usize], dim: usize) -> Self {
        let rows = |values: &[f64]| chosen.iter().flat_map(|&at| &values[at * dim..(at + 1) * dim]).copied().collect();
        let each = |values: &[f64]| chosen.iter().map(|&at| values[at]).collect();
        Self {
            x: rows(&self.x),
            yhat: rows(&self.yhat),
            variances: each(&self.variances),
            log_twists: each(&self.log_twists),
            gradients: rows(&self.gradients),
        }
    }
}

/// Weights that sum to one.
fn normalized(logs: &[f64]) -> Vec<f64> {
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

/// The effective number of particles.
fn effective(logs: &[f64]) -> f64 {
    1.0 / normalized(logs).iter().map(|weight| weight * weight).sum::<f64>()
}

/// Systematic resampling: `count` numbers of particles, each about as often as its weight says.
fn systematic(logs: &[f64], count: usize, rng: &mut impl Rng) -> Vec<usize> {
    let weights = normalized(logs);
    let offset: f64 = rng.random();
    let (mut at, mut passed) = (0, weights[0]);
    let mut chosen = Vec::with_capacity(count);
    for number in 0..count {
        let position = (number as f64 + offset) / count as f64;
        while position > passed && at + 1 < weights.len() {
            at += 1;
            passed += weights[at];
        }
        chosen.push(at);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resampling_keeps_shares_to_one_particle() {
        let weights = [0.05_f64, 0.4, 0.0, 0.3, 0.25];
        let logs = weights.map(f64::ln);
        for seed in 0..50 {
            let chosen = systematic(&logs, 100, &mut stream(seed, Purpose::Resampling, 0, 0));
            for (at, weight) in weights.iter().enumerate() {
                let found = chosen.iter().filter(|&&chosen| chosen == at).count() as f64;
                assert!((found - 100.0 * weight).abs() <= 1.0 + 1e-9, "{found} of {weight}");
            }
        }
        assert!((effective(&[0.0; 7]) - 7.0).abs() < 1e-12);
        assert!((effective(&[0.0, -1e3, -1e3]) - 1.0).abs() < 1e-12);
    }
}
