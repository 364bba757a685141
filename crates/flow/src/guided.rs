//! Guidance: an estimate of `yhat` that moves away from a weaker one.
//!
//! With `c` the estimate to improve and `u` the weaker one, `yhat = u + w (c - u)`. Classifier-free guidance (arXiv 2207.12598) takes for `u`
//! the same network without the class; autoguidance (arXiv 2406.02507) a smaller or less trained network. Guidance helps at middle noise levels
//! and reduces diversity at high ones, so it can be limited to an interval of levels (arXiv 2404.07724). None of this depends on D: `yhat` is a mean of
//! the data at every D, and so is what guidance extrapolates.

use std::ops::{Add, Mul, RangeInclusive, Sub};

use crate::flow::{Denoiser, Differentiable, Query};

/// Replaces the estimate c by `u + w (c - u)`, with the weaker estimate u and the scale w.
pub fn guide<T>(scale: T, estimate: &mut [T], weaker: &[T])
where
    T: Copy + Add<Output = T> + Mul<Output = T> + Sub<Output = T>,
{
    estimate.iter_mut().zip(weaker).for_each(|(c, &u)| *c = u + scale * (*c - u));
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

    /// Guides rows of `values`; `weaker` has these rows alone.
    fn guide_rows(&self, rows: &[usize], values: &mut [f64], weaker: &[f64]) {
        let dim = self.dim();
        for (weaker, &row) in weaker.chunks_exact(dim).zip(rows) {
            guide(self.scale, &mut values[row * dim..(row + 1) * dim], weaker);
        }
    }
}

/// Some rows of a query: those of the query itself if it is all of them, or else copies.
struct Part {
    copies: Option<(Vec<f64>, Vec<f64>, Vec<usize>)>,
}

impl Part {
    fn of(query: &Query, rows: &[usize], dim: usize) -> Self {
        let copy = || {
            let sigma = rows.iter().map(|&row| query.sigma[row]).collect();
            (gather(query.x, rows, dim), sigma, rows.iter().map(|&row| query.item[row]).collect())
        };
        Self { copies: (rows.len() < query.sigma.len()).then(copy) }
    }

    fn query<'a>(&'a self, whole: &Query<'a>) -> Query<'a> {
        self.copies.as_ref().map_or(*whole, |(x, sigma, item)| Query { x, sigma, item })
    }
}

fn gather(values: &[f64], rows: &[usize], dim: usize) -> Vec<f64> {
    rows.iter().flat_map(|&row| &values[row * dim..(row + 1) * dim]).copied().collect()
}

impl<T: Denoiser, U: Denoiser> Denoiser for Guided<T, U> {
    fn dim(&self) -> usize {
        self.estimate.dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        self.estimate.denoise(query, out);
        let rows = self.guided_rows(query);
        if rows.is_empty() {
            return;
        }
        let part = Part::of(query, &rows, self.dim());
        let mut weaker = vec![0.0; rows.len() * self.dim()];
        self.weaker.denoise(&part.query(query), &mut weaker);
        self.guide_rows(&rows, out, &weaker);
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
        let (mut weaker, mut pulled_weaker) = (vec![0.0; probes.len()], vec![0.0; probes.len()]);
        self.weaker.vjp(&part.query(query), &probes, &mut weaker, &mut pulled_weaker);
        self.guide_rows(&rows, out, &weaker);
        self.guide_rows(&rows, pulled, &pulled_weaker);
    }
}
