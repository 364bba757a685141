//! Guidance: an estimate of `yhat` that moves away from a weaker one.
//!
//! With `c` the estimate to improve and `u` the weaker one, `yhat = u + w (c - u)`. Classifier-free guidance (arXiv 2207.12598) takes for `u`
//! the same network without the class; autoguidance (arXiv 2406.02507) a smaller or less trained network. Guidance helps at middle noise levels
//! and reduces diversity at high ones, so it can be limited to an interval of levels (arXiv 2404.07724). None of this depends on D: `yhat` is a mean of
//! the data at every D, and so is what guidance extrapolates.

use std::ops::RangeInclusive;

use crate::flow::{Denoiser, Differentiable, Query};

/// Replaces the estimate c by `u + w (c - u)`, with the weaker estimate u and the scale w.
pub fn guide(scale: f64, estimate: &mut [f64], weaker: &[f64]) {
    estimate.iter_mut().zip(weaker).for_each(|(c, u)| *c = u + scale * (*c - u));
}

/// An estimate of `yhat`, guided by a weaker one.
///
/// ```
/// use pfgm_flow::{flow::{Denoiser, Query}, guided::Guided, testing::Gaussian};
///
/// // Standard deviations of 1 and 2 around the mean 0: yhat = x std^2 / (std^2 + sigma^2).
/// let [strong, weak] = [1.0, 2.0].map(|spread| Gaussian { dim: 1, mean: 0.0, spread });
/// let guided = Guided { estimate: &strong, weaker: &weak, scale: 2.0, levels: 0.5..=5.0 };
/// let mut yhat = [0.0; 2];
/// guided.denoise(&Query { x: &[1.0, 1.0], sigma: &[1.0, 10.0], item: &[0, 1] }, &mut yhat);
/// // 4/5 + 2 (1/2 - 4/5) inside the interval; outside of it the strong estimate.
/// assert!((yhat[0] - 0.2).abs() < 1e-12 && (yhat[1] - 1.0 / 101.0).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Guided<T, U> {
    /// The estimate to improve.
    pub estimate: T,
    /// The weaker estimate.
    pub weaker: U,
    /// w; 1 disables guidance.
    pub scale: f64,
    /// Noise levels that are guided.
    pub levels: RangeInclusive<f64>,
}

impl<T: Denoiser, U: Denoiser> Guided<T, U> {
    /// Numbers of the rows that are guided.
    fn guided_rows(&self, query: &Query) -> Vec<usize> {
        if self.scale == 1.0 {
            return Vec::new();
        }
        (0..query.sigma.len()).filter(|&row| self.levels.contains(&query.sigma[row])).collect()
    }
}

/// Some rows of a query.
struct Part {
    x: Vec<f64>,
    sigma: Vec<f64>,
    item: Vec<usize>,
}

impl Part {
    fn of(query: &Query, rows: &[usize], dim: usize) -> Self {
        Self {
            x: gather(query.x, rows, dim),
            sigma: rows.iter().map(|&row| query.sigma[row]).collect(),
            item: rows.iter().map(|&row| query.item[row]).collect(),
        }
    }

    fn query(&self) -> Query<'_> {
        Query { x: &self.x, sigma: &self.sigma, item: &self.item }
    }
}

fn gather(values: &[f64], rows: &[usize], dim: usize) -> Vec<f64> {
    rows.iter().flat_map(|&row| &values[row * dim..(row + 1) * dim]).copied().collect()
}

/// Guides some rows of `estimate`; `weaker` has these rows alone.
fn guide_rows(scale: f64, rows: &[usize], dim: usize, estimate: &mut [f64], weaker: &[f64]) {
    for (weaker, &row) in weaker.chunks_exact(dim).zip(rows) {
        guide(scale, &mut estimate[row * dim..(row + 1) * dim], weaker);
    }
}

impl<T: Denoiser, U: Denoiser> Denoiser for Guided<T, U> {
    fn dim(&self) -> usize {
        self.estimate.dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        self.estimate.denoise(query, out);
        let (rows, dim) = (self.guided_rows(query), self.dim());
        if rows.is_empty() {
            return;
        }
        let part = Part::of(query, &rows, dim);
        let mut weaker = vec![0.0; part.x.len()];
        self.weaker.denoise(&part.query(), &mut weaker);
        guide_rows(self.scale, &rows, dim, out, &weaker);
    }
}

impl<T: Differentiable, U: Differentiable> Differentiable for Guided<T, U> {
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]) {
        self.estimate.vjp(query, probes, out, pulled);
        let (rows, dim) = (self.guided_rows(query), self.dim());
        if rows.is_empty() {
            return;
        }
        let (part, probes) = (Part::of(query, &rows, dim), gather(probes, &rows, dim));
        let (mut weaker, mut pulled_weaker) = (vec![0.0; part.x.len()], vec![0.0; part.x.len()]);
        self.weaker.vjp(&part.query(), &probes, &mut weaker, &mut pulled_weaker);
        guide_rows(self.scale, &rows, dim, out, &weaker);
        guide_rows(self.scale, &rows, dim, pulled, &pulled_weaker);
    }
}
