//! Derivatives of `yhat`, which likelihoods need.
//!
//! A vector-Jacobian product has two parts: through the formula from the raw output to `yhat`, in closed form here, and through the
//! network, by its backward pass.

use super::{Output, Prediction, RadialComponent};
use crate::precondition::PreconditionCoefficients;

/// Cotangents of the inputs of the formula for `yhat`.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputCotangents {
    /// Of the point, past the network, `[N]`.
    pub point: Vec<f64>,
    /// Of the raw output, `[N]` or `[N + 1]`.
    pub raw: Vec<f64>,
}

/// Cotangents of the inputs of the network.
#[derive(Clone, Copy, Debug)]
pub struct InputCotangents<'a> {
    /// Of the scaled point, `[N]`.
    pub point: &'a [f32],
    /// Of [`PreconditionCoefficients::log_sigma_ratio`].
    pub log_sigma_ratio: f64,
}

impl Prediction {
    /// Vector-Jacobian product of the formula for `yhat` of one row.
    ///
    /// The part that reaches the point through the network is not in it: see [`Prediction::add_input_vjp`].
    pub fn output_vjp(
        &self,
        coefficients: &PreconditionCoefficients,
        x: &[f64],
        raw: &[f32],
        cotangent: &[f64],
    ) -> OutputCotangents {
        let scaled = |factor: f64| cotangent.iter().map(|c| factor * c).collect::<Vec<f64>>();
        let mut point = scaled(coefficients.skip);
        if let Output::Field { gamma } = self.output {
            return OutputCotangents { point, raw: field_vjp(raw, cotangent, coefficients.sigma, gamma) };
        }
        if self.output == Output::Edm
            && let Some((estimate, slopes)) = self.precondition.slopes(coefficients)
        {
            let along_raw: f64 = raw.iter().zip(cotangent).map(|(raw, c)| f64::from(*raw) * c).sum();
            estimate.add_gradient(x, dot(x, cotangent) * slopes.skip + along_raw * slopes.out, &mut point);
        }
        OutputCotangents { point, raw: scaled(coefficients.out) }
    }

    /// Adds the part of the product that reaches the point through the network's inputs.
    pub fn add_input_vjp(
        &self,
        coefficients: &PreconditionCoefficients,
        x: &[f64],
        inputs: InputCotangents,
        point: &mut [f64],
    ) {
        point.iter_mut().zip(inputs.point).for_each(|(point, &c)| *point += coefficients.input * f64::from(c));
        if self.output == Output::Edm
            && let Some((estimate, slopes)) = self.precondition.slopes(coefficients)
        {
            let along: f64 = inputs.point.iter().zip(x).map(|(&c, x)| f64::from(c) * x).sum();
            estimate.add_gradient(x, slopes.input * along + slopes.log_sigma_ratio * inputs.log_sigma_ratio, point);
        }
    }
}

/// Cotangent of PFGM's field in `yhat = x - z v_x / v_z`, where `v_z` follows from `|v_x|^2`.
fn field_vjp(raw: &[f32], cotangent: &[f64], z: f64, gamma: f64) -> Vec<f64> {
    let dim = cotangent.len();
    let field: Vec<f64> = raw.iter().take(dim).map(|&value| f64::from(value)).collect();
    let RadialComponent { value: radial, slope } = RadialComponent::new(dot(&field, &field), dim, z, gamma);
    let along = z * dot(&field, cotangent) / (radial * radial) * 2.0 * slope;
    let on_field = field.iter().zip(cotangent).map(|(v, c)| -z * c / radial + along * v);
    // The exact arithmetic does not use the network's own component along z.
    on_field.chain([0.0]).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
