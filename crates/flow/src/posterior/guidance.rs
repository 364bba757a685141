//! The conditional mean of the charges given a measurement, from an unconditional denoiser.

use super::{LinearOperator, MeasurementError};
use crate::{
    extra_dims::ExtraDims,
    flow::{Denoiser, Differentiable, Query},
};

/// A measurement `a = A y + noise` with Gaussian noise, the same for every row that is drawn.
pub struct Measurement<'a> {
    operator: &'a dyn LinearOperator,
    values: Vec<f64>,
    variance: f64,
}

impl<'a> Measurement<'a> {
    /// A measurement with white noise of standard deviation `noise`.
    ///
    /// # Errors
    /// Returns an error if the measurement has another length than the operator's output, or a number is not finite.
    pub fn new(operator: &'a dyn LinearOperator, values: Vec<f64>, noise: f64) -> Result<Self, MeasurementError> {
        if values.len() != operator.outputs() {
            return Err(MeasurementError::Length { values: values.len(), outputs: operator.outputs() });
        }
        if !(noise.is_finite() && noise >= 0.0) {
            return Err(MeasurementError::Number { what: "noise", value: noise, at_least: ", 0 or more" });
        }
        if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
            return Err(MeasurementError::Number { what: "a value of the measurement", value, at_least: "" });
        }
        Ok(Self { operator, values, variance: noise * noise })
    }

    /// `a - A y`.
    fn residual(&self, y: &[f64]) -> Vec<f64> {
        let mut image = vec![0.0; self.values.len()];
        self.operator.apply(y, &mut image);
        image.iter_mut().zip(&self.values).for_each(|(image, a)| *image = a - *image);
        image
    }

    fn back(&self, v: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.operator.inputs()];
        self.operator.transpose(v, &mut out);
        out
    }

    fn image(&self, y: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.operator.outputs()];
        self.operator.apply(y, &mut out);
        out
    }
}

/// How the covariance of the charges given a point enters the conditional mean.
///
/// With `J = d yhat / dx` and `s^2 = (|x - yhat|^2 + D sigma^2) / (N + D)`, the covariance is about `s^2 J` for every D, and
/// `yhat_a = yhat + s^2 J^T A^T v`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Guidance {
    /// MMPS (arXiv 2405.13712): `(S + s^2 A J^T A^T) v = a - A yhat` by steps of conjugate gradients, each a vector-Jacobian product. Exact
    /// for Gaussian data at D = infinity with as many iterations as the measurement has values.
    Mmps {
        /// Steps of conjugate gradients, at least 1.
        iterations: usize,
    },
    /// PiGDM (ICLR 2023): `(S + rho^2 A A^T) v = a - A yhat` with `rho^2 = s^2 t^2 / (s^2 + t^2)`; one vector-Jacobian product.
    PiGdm {
        /// `t`, the standard deviation of the data.
        spread: f64,
    },
}

impl Default for Guidance {
    fn default() -> Self {
        Self::Mmps { iterations: 4 }
    }
}

/// Steps of conjugate gradients for systems that need no network.
const CHEAP_ITERATIONS: usize = 50;
/// The squared norm, relative to that of the right-hand side, at which conjugate gradients stop.
const CONVERGED: f64 = 1e-20;

/// The conditional mean `yhat_a(x, sigma)` of a flow given a measurement.
pub struct Conditioned<'a> {
    inner: &'a dyn Differentiable,
    extra_dims: ExtraDims,
    measurement: &'a Measurement<'a>,
    guidance: Guidance,
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
        assert_eq!(measurement.operator.inputs(), inner.dim(), "the operator takes rows of the model");
        Self { inner, extra_dims, measurement, guidance }
    }

    /// `s^2` of each row.
    fn variances(&self, query: &Query, yhat: &[f64]) -> Vec<f64> {
        let dim = self.dim();
        let rows = query.x.chunks_exact(dim).zip(yhat.chunks_exact(dim)).zip(query.sigma);
        rows.map(|((x, yhat), &sigma)| match self.extra_dims {
            ExtraDims::Infinite => sigma * sigma,
            ExtraDims::Finite(d) => {
                let square: f64 = x.iter().zip(yhat).map(|(x, y)| (x - y) * (x - y)).sum();
                (square + d * sigma * sigma) / (dim as f64 + d)
            }
        })
        .collect()
    }

    /// `J^T A^T v` of each row.
    fn gradient(&self, query: &Query, v: &[Vec<f64>]) -> Vec<f64> {
        let probes: Vec<f64> = v.iter().flat_map(|v| self.measurement.back(v)).collect();
        let (mut yhat, mut product) = (vec![0.0; probes.len()], vec![0.0; probes.len()]);
        self.inner.vjp(query, &probes, &mut yhat, &mut product);
        product
    }

    /// `v` of each row for the system with the Jacobian.
    fn solve_with_jacobian(
        &self,
        query: &Query,
        variances: &[f64],
        residuals: Vec<Vec<f64>>,
        iterations: usize,
    ) -> Vec<Vec<f64>> {
        let (dim, noise) = (self.dim(), self.measurement.variance);
        let mut systems: Vec<System> = residuals.into_iter().map(System::new).collect();
        for _ in 0..iterations.max(1) {
            let directions: Vec<Vec<f64>> = systems.iter().map(|system| system.direction.clone()).collect();
            let products = self.gradient(query, &directions);
            for ((system, product), variance) in systems.iter_mut().zip(products.chunks_exact(dim)).zip(variances) {
                let mut image = self.measurement.image(product);
                image.iter_mut().zip(&system.direction).for_each(|(image, v)| *image = variance * *image + noise * v);
                system.step(&image);
            }
        }
        systems.into_iter().map(|system| system.solution).collect()
    }

    /// `v` of a row for the system with `rho^2` in place of the covariance.
    fn solve_without_jacobian(&self, rho: f64, residual: Vec<f64>) -> Vec<f64> {
        let mut system = System::new(residual);
        for _ in 0..CHEAP_ITERATIONS.min(self.measurement.values.len()) {
            let mut image = self.measurement.image(&self.measurement.back(&system.direction));
            let noise = self.measurement.variance;
            image.iter_mut().zip(&system.direction).for_each(|(image, v)| *image = rho * *image + noise * v);
            system.step(&image);
        }
        system.solution
    }
}

impl Denoiser for Conditioned<'_> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let dim = self.dim();
        self.inner.denoise(query, out);
        let variances = self.variances(query, out);
        let residuals: Vec<Vec<f64>> = out.chunks_exact(dim).map(|yhat| self.measurement.residual(yhat)).collect();
        let solutions = match self.guidance {
            Guidance::Mmps { iterations } => self.solve_with_jacobian(query, &variances, residuals, iterations),
            Guidance::PiGdm { spread } => {
                let spread = spread * spread;
                let solve =
                    |(residual, s): (Vec<f64>, &f64)| self.solve_without_jacobian(s * spread / (s + spread), residual);
                residuals.into_iter().zip(&variances).map(solve).collect()
            }
        };
        let steps = self.gradient(query, &solutions);
        for ((out, step), variance) in out.chunks_exact_mut(dim).zip(steps.chunks_exact(dim)).zip(&variances) {
            out.iter_mut().zip(step).for_each(|(out, step)| *out += variance * step);
        }
    }
}

/// A linear system that conjugate gradients solve, one product with its matrix at a time.
struct System {
    solution: Vec<f64>,
    residual: Vec<f64>,
    direction: Vec<f64>,
    square: f64,
    enough: f64,
}

impl System {
    fn new(right: Vec<f64>) -> Self {
        let square = inner(&right, &right);
        Self {
            solution: vec![0.0; right.len()],
            direction: right.clone(),
            residual: right,
            square,
            enough: CONVERGED * square,
        }
    }

    /// A step, given the matrix times the direction.
    fn step(&mut self, image: &[f64]) {
        let curvature = inner(&self.direction, image);
        // Converged, or a Jacobian that is not positive along the direction.
        if self.square <= self.enough || curvature <= 0.0 {
            return;
        }
        let length = self.square / curvature;
        self.solution.iter_mut().zip(&self.direction).for_each(|(x, d)| *x += length * d);
        self.residual.iter_mut().zip(image).for_each(|(r, image)| *r -= length * image);
        let square = inner(&self.residual, &self.residual);
        let share = square / self.square;
        self.direction.iter_mut().zip(&self.residual).for_each(|(d, r)| *d = r + share * *d);
        self.square = square;
    }
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
