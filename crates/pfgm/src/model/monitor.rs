//! Monitoring of a denoiser, with cancellation of single rows.

use std::cell::Cell;

use crate::flow::{Denoiser, Differentiable, Query};

/// Observer of a computation, which determines the rows that are still needed.
pub trait Monitor {
    /// Whether a row is still needed. For other rows `yhat = x`: they do not move, cost nothing, and every solver finishes them
    /// at once.
    fn is_active(&self, _item: usize) -> bool {
        true
    }

    /// Called after each evaluation with its points and their `yhat`.
    fn evaluated(&self, _query: &Query, _yhat: &[f64]) {}
}

/// A monitor that does nothing.
impl Monitor for () {}

/// A denoiser with a monitor.
pub(super) struct Monitored<'a> {
    inner: &'a dyn Differentiable,
    monitor: &'a dyn Monitor,
    evaluations: Cell<u64>,
}

impl<'a> Monitored<'a> {
    pub(super) fn new(inner: &'a dyn Differentiable, monitor: &'a dyn Monitor) -> Self {
        Self { inner, monitor, evaluations: Cell::new(0) }
    }

    pub(super) fn evaluations(&self) -> u64 {
        self.evaluations.get()
    }

    /// The rows of a query that are still active.
    fn active(&self, query: &Query) -> Vec<usize> {
        let active: Vec<usize> = (0..query.item.len()).filter(|&row| self.monitor.is_active(query.item[row])).collect();
        self.evaluations.set(self.evaluations.get() + active.len() as u64);
        active
    }
}

/// The given rows of `values`.
fn gather<T: Copy>(values: &[T], rows: &[usize], dim: usize) -> Vec<T> {
    rows.iter().flat_map(|&row| &values[row * dim..(row + 1) * dim]).copied().collect()
}

/// Writes `values` to the given rows of `out`.
fn scatter(values: &[f64], rows: &[usize], dim: usize, out: &mut [f64]) {
    for (value, &row) in values.chunks_exact(dim).zip(rows) {
        out[row * dim..(row + 1) * dim].copy_from_slice(value);
    }
}

impl Denoiser for Monitored<'_> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let (dim, active) = (self.dim(), self.active(query));
        if active.len() == query.item.len() {
            self.inner.denoise(query, out);
        } else {
            out.copy_from_slice(query.x);
            let (x, sigma, item) =
                (gather(query.x, &active, dim), gather(query.sigma, &active, 1), gather(query.item, &active, 1));
            let mut yhat = vec![0.0; x.len()];
            if !active.is_empty() {
                self.inner.denoise(&Query { x: &x, sigma: &sigma, item: &item }, &mut yhat);
            }
            scatter(&yhat, &active, dim, out);
        }
        self.monitor.evaluated(query, out);
    }
}

impl Differentiable for Monitored<'_> {
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]) {
        let (dim, active) = (self.dim(), self.active(query));
        if active.len() == query.item.len() {
            self.inner.vjp(query, probes, out, pulled);
        } else {
            out.copy_from_slice(query.x);
            pulled.fill(0.0);
            let (x, sigma, item) =
                (gather(query.x, &active, dim), gather(query.sigma, &active, 1), gather(query.item, &active, 1));
            let probes = gather(probes, &active, dim);
            let (mut yhat, mut products) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            if !active.is_empty() {
                self.inner.vjp(&Query { x: &x, sigma: &sigma, item: &item }, &probes, &mut yhat, &mut products);
            }
            scatter(&yhat, &active, dim, out);
            scatter(&products, &active, dim, pulled);
        }
        self.monitor.evaluated(query, out);
    }

    fn divergence(&self, query: &Query, out: &mut [f64], divergence: &mut [f64]) {
        let (dim, active) = (self.dim(), self.active(query));
        out.copy_from_slice(query.x);
        divergence.fill(0.0);
        let (x, sigma, item) =
            (gather(query.x, &active, dim), gather(query.sigma, &active, 1), gather(query.item, &active, 1));
        let (mut yhat, mut traces) = (vec![0.0; x.len()], vec![0.0; active.len()]);
        if !active.is_empty() {
            self.inner.divergence(&Query { x: &x, sigma: &sigma, item: &item }, &mut yhat, &mut traces);
        }
        scatter(&yhat, &active, dim, out);
        scatter(&traces, &active, 1, divergence);
        self.monitor.evaluated(query, out);
    }
}
