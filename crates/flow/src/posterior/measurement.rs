//! Measurements: an operator, what it returned, and the noise of that.

use rand::RngExt;

use super::{LinearOperator, MeasurementError};
use crate::random::{Purpose, stream};

/// Measurements `a = A y + noise` of one operator with Gaussian noise.
///
/// A measurement belongs to an item of a batch: to all of them, if there is only one, otherwise to those that
/// [`Conditioned::for_items`](super::Conditioned::for_items) names.
pub struct Measurement<'a> {
    operator: &'a dyn LinearOperator,
    values: Vec<f64>,
    variances: Vec<f64>,
}

impl<'a> Measurement<'a> {
    /// One measurement with white noise of standard deviation `noise`.
    ///
    /// # Errors
    /// Returns an error if the measurement has another length than the operator's output, or a number is not finite.
    pub fn new(operator: &'a dyn LinearOperator, values: Vec<f64>, noise: f64) -> Result<Self, MeasurementError> {
        Self::many(operator, values, &[noise])
    }

    /// As many measurements as `noises`, one after another, each with white noise of its own standard deviation.
    ///
    /// # Shapes
    /// `values`: `[measurements, M]`
    ///
    /// # Errors
    /// As [`Measurement::new`].
    pub fn many(operator: &'a dyn LinearOperator, values: Vec<f64>, noises: &[f64]) -> Result<Self, MeasurementError> {
        if values.len() != operator.outputs() * noises.len() || noises.is_empty() {
            let values = values.len() / noises.len().max(1);
            return Err(MeasurementError::Length { values, outputs: operator.outputs() });
        }
        if let Some(&value) = noises.iter().find(|noise| !(noise.is_finite() && **noise >= 0.0)) {
            return Err(MeasurementError::Number { what: "noise", value, at_least: ", 0 or more" });
        }
        if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
            return Err(MeasurementError::Number { what: "a value of the measurement", value, at_least: "" });
        }
        Ok(Self { operator, values, variances: noises.iter().map(|noise| noise * noise).collect() })
    }

    /// The number of measurements.
    pub fn count(&self) -> usize {
        self.variances.len()
    }

    /// The standard deviation of the noise of a measurement.
    ///
    /// # Panics
    /// Panics if there is no such measurement.
    pub fn noise(&self, number: usize) -> f64 {
        self.variances[number].sqrt()
    }

    /// N, the number of values of a row that is measured.
    pub fn inputs(&self) -> usize {
        self.operator.inputs()
    }

    /// The logarithm of the probability density of a measurement of the row `y`, up to a constant.
    ///
    /// # Panics
    /// Panics if there is no such measurement, or its noise is 0.
    pub fn log_likelihood(&self, number: usize, y: &[f64]) -> f64 {
        let variance = self.variance(number);
        assert!(variance > 0.0, "log_likelihood: without noise there is no density");
        -0.5 * self.residual(number, y).iter().map(|e| e * e).sum::<f64>() / variance
    }

    /// M, the number of values of a measurement.
    pub(super) fn outputs(&self) -> usize {
        self.operator.outputs()
    }

    /// The variance of the noise of a measurement.
    pub(super) fn variance(&self, number: usize) -> f64 {
        self.variances[number]
    }

    /// `a - A y`.
    pub(super) fn residual(&self, number: usize, y: &[f64]) -> Vec<f64> {
        let outputs = self.operator.outputs();
        let mut image = self.image(y);
        let values = &self.values[number * outputs..(number + 1) * outputs];
        image.iter_mut().zip(values).for_each(|(image, a)| *image = a - *image);
        image
    }

    /// `A^T v`.
    pub(super) fn back(&self, v: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.operator.inputs()];
        self.operator.transpose(v, &mut out);
        out
    }

    /// `A y`.
    pub(super) fn image(&self, y: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.operator.outputs()];
        self.operator.apply(y, &mut out);
        out
    }

    /// `tr(A A^T) / M`, the mean squared gain of the operator, by Hutchinson's estimator with fixed Rademacher probes. Exact for masks.
    pub(super) fn mean_gain(&self) -> f64 {
        const PROBES: u64 = 8;
        let squared = |probe: u64| -> f64 {
            let mut rng = stream(0, Purpose::Probe, 0, probe);
            let z: Vec<f64> = (0..self.outputs()).map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 }).collect();
            self.back(&z).iter().map(|value| value * value).sum()
        };
        let gain = (0..PROBES).map(squared).sum::<f64>() / (PROBES as usize * self.outputs()) as f64;
        if gain > 0.0 { gain } else { 1.0 }
    }
}
