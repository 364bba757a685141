//! The conditional mean of the charges given a measurement, from an unconditional denoiser.

use super::{
    Measurement,
    conjugate_gradients::{System, inner},
};
use crate::{
    extra_dims::ExtraDims,
    flow::{Denoiser, Differentiable, Query},
};

/// How the covariance of the charges given a point enters the conditional mean.
///
/// With `J = d yhat / dx` and `s^2 = (|x - yhat|^2 + D sigma^2) / (N + D)`, the covariance is about `s^2 J` for every D, and
/// `yhat_a = yhat + s^2 J^T A^T v`. With `e = a - A yhat`, the methods differ in v.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Guidance {
    /// MMPS (arXiv 2405.13712): `(S + s^2 A J^T A^T) v = e` by steps of conjugate gradients, each a vector-Jacobian product. Exact
    /// for Gaussian data at D = infinity with as many iterations as the measurement has values.
    Mmps {
        /// Steps of conjugate gradients, at least 1.
        iterations: usize,
    },
    /// PiGDM (ICLR 2023): `(S + rho^2 A A^T) v = e` with `rho^2 = s^2 t^2 / (s^2 + t^2)`; one vector-Jacobian product.
    PiGdm {
        /// `t`, the standard deviation of the data.
        spread: f64,
    },
    /// DPS (arXiv 2209.14687): `v = zeta e sqrt(M / g) / (s |e|)` with the operator's mean squared gain `g = tr(A A^T) / M`. The step is a
    /// constant over `|e|`, as in the paper; the factors make it independent of the units, of the solver's steps and of D. The noise
    /// does not enter.
    Dps {
        /// The size of the steps; about 1 moves as far as the exact rule would at high noise levels.
        zeta: f64,
    },
}

impl Default for Guidance {
    fn default() -> Self {
        Self::Mmps { iterations: 4 }
    }
}

/// Steps of conjugate gradients for systems that need no network.
const CHEAP_ITERATIONS: usize = 50;

/// The conditional mean `yhat_a(x, sigma)` of a flow given a measurement.
pub struct Conditioned<'a> {
    inner: &'a dyn Differentiable,
    extra_dims: ExtraDims,
    measurement: &'a Measurement<'a>,
    guidance: Guidance,
    /// The measurement of each item.
    number_of_item: Option<Vec<usize>>,
    /// The operator's mean squared gain, where it is needed.
    gain: f64,
}

/// `s^2` of each row: `s^2 J` is about the covariance of the charges given the row's point.
pub(super) fn variances(extra_dims: ExtraDims, query: &Query, yhat: &[f64]) -> Vec<f64> {
    let dim = query.x.len() / query.sigma.len().max(1);
    let rows = query.x.chunks_exact(dim.max(1)).zip(yhat.chunks_exact(dim.max(1))).zip(query.sigma);
    rows.map(|((x, yhat), &sigma)| match extra_dims {
        ExtraDims::Infinite => sigma * sigma,
        ExtraDims::Finite(d) => {
            let square: f64 = x.iter().zip(yhat).map(|(x, y)| (x - y) * (x - y)).sum();
            (square + d * sigma * sigma) / (dim as f64 + d)
        }
    })
    .collect()
}

impl<'a> Conditioned<'a> {
    /// The flow of `inner`, conditioned on a measurement.
    ///
    /// # Panics
    /// Panics if the operator takes rows of another length than the denoiser's.
    pub fn new(
        inner: &'a dyn Differentiable,
        extra_dims: ExtraDims,
        measurement: &'a Measurement,
        guidance: Guidance,
    ) -> Self {
        assert_eq!(measurement.inputs(), inner.dim(), "the operator takes rows of the model");
        let gain = if matches!(guidance, Guidance::Dps { .. }) { measurement.mean_gain() } else { 1.0 };
        Self { inner, extra_dims, measurement, guidance, number_of_item: None, gain }
    }

    /// Gives each item of the batch the measurement of that number. By default all have measurement 0.
    ///
    /// # Panics
    /// Panics if there is no measurement of a number.
    #[must_use]
    pub fn for_items(mut self, numbers: Vec<usize>) -> Self {
        assert!(numbers.iter().all(|&number| number < self.measurement.count()), "a measurement for each item");
        self.number_of_item = Some(numbers);
        self
    }

    fn number(&self, item: usize) -> usize {
        self.number_of_item.as_ref().map_or(0, |numbers| numbers[item])
    }

    /// `J^T A^T v` of each row.
    fn gradient<'v>(&self, query: &Query, v: impl Iterator<Item = &'v [f64]>) -> Vec<f64> {
        let probes: Vec<f64> = v.flat_map(|v| self.measurement.back(v)).collect();
        let (mut yhat, mut product) = (vec![0.0; probes.len()], vec![0.0; probes.len()]);
        self.inner.vjp(query, &probes, &mut yhat, &mut product);
        product
    }

    /// `J^T A^T v` of each row for the v that solves the system with the Jacobian. The products along the directions of the
    /// conjugate gradients add up to it, so that no further one is needed.
    fn mmps(&self, query: &Query, variances: &[f64], residuals: Vec<Vec<f64>>, iterations: usize) -> Vec<f64> {
        let dim = self.dim();
        let mut total = vec![0.0; query.x.len()];
        let noise = |row: usize| self.measurement.variance(self.number(query.item[row]));
        let systems = residuals.into_iter().enumerate().map(|(row, residual)| System::new(residual, noise(row)));
        let mut systems: Vec<System> = systems.collect();
        for _ in 0..iterations.max(1) {
            let open: Vec<usize> = (0..systems.len()).filter(|&row| !systems[row].is_done()).collect();
            if open.is_empty() {
                break;
            }
            let (x, sigma, item) = (
                open.iter().flat_map(|&row| &query.x[row * dim..(row + 1) * dim]).copied().collect::<Vec<f64>>(),
                open.iter().map(|&row| query.sigma[row]).collect::<Vec<f64>>(),
                open.iter().map(|&row| query.item[row]).collect::<Vec<usize>>(),
            );
            let part = Query { x: &x, sigma: &sigma, item: &item };
            let products = self.gradient(&part, open.iter().map(|&row| &systems[row].direction[..]));
            for (&row, product) in open.iter().zip(products.chunks_exact(dim)) {
                let (system, noise) = (&mut systems[row], noise(row));
                let mut image = self.measurement.image(product);
                let direction = system.direction.iter();
                image.iter_mut().zip(direction).for_each(|(image, v)| *image = variances[row] * *image + noise * v);
                let length = system.step(&image);
                let total = &mut total[row * dim..(row + 1) * dim];
                total.iter_mut().zip(product).for_each(|(total, product)| *total += length * product);
            }
        }
        total
    }

    /// `v` of a row for the system with `rho^2` in place of the covariance.
    fn pigdm(&self, rho: f64, noise: f64, residual: Vec<f64>) -> Vec<f64> {
        let mut system = System::new(residual, noise);
        for _ in 0..CHEAP_ITERATIONS.min(self.measurement.outputs()) {
            if system.is_done() {
                break;
            }
            let mut image = self.measurement.image(&self.measurement.back(&system.direction));
            image.iter_mut().zip(&system.direction).for_each(|(image, v)| *image = rho * *image + noise * v);
            system.step(&image);
        }
        system.solution
    }

    /// `v` of a row for a step of constant length.
    fn dps(&self, zeta: f64, variance: f64, mut residual: Vec<f64>) -> Vec<f64> {
        let norm = inner(&residual, &residual).sqrt();
        let factor = zeta * (residual.len() as f64 / self.gain).sqrt() / (variance.sqrt() * norm);
        residual.iter_mut().for_each(|e| *e *= if norm > 0.0 { factor } else { 0.0 });
        residual
    }
}

impl Denoiser for Conditioned<'_> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let dim = self.dim();
        self.inner.denoise(query, out);
        let variances = variances(self.extra_dims, query, out);
        let numbers = query.item.iter().map(|&item| self.number(item));
        let residuals: Vec<Vec<f64>> =
            out.chunks_exact(dim).zip(numbers).map(|(yhat, number)| self.measurement.residual(number, yhat)).collect();
        let steps = match self.guidance {
            Guidance::Mmps { iterations } => self.mmps(query, &variances, residuals, iterations),
            Guidance::PiGdm { .. } | Guidance::Dps { .. } => {
                let rows = residuals.into_iter().zip(&variances).zip(query.item);
                let solve = |((residual, &s), &item): ((Vec<f64>, &f64), &usize)| match self.guidance {
                    Guidance::Dps { zeta } => self.dps(zeta, s, residual),
                    Guidance::PiGdm { spread } => {
                        let noise = self.measurement.variance(self.number(item));
                        self.pigdm(s * spread * spread / (s + spread * spread), noise, residual)
                    }
                    Guidance::Mmps { .. } => unreachable!("solved above"),
                };
                let solutions: Vec<Vec<f64>> = rows.map(solve).collect();
                self.gradient(query, solutions.iter().map(Vec::as_slice))
            }
        };
        for ((out, step), variance) in out.chunks_exact_mut(dim).zip(steps.chunks_exact(dim)).zip(&variances) {
            out.iter_mut().zip(step).for_each(|(out, step)| *out += variance * step);
        }
    }
}
