//! How `yhat` moves with the point: what likelihoods need of a network beside its estimate.
//!
//! A cotangent on `yhat` is pulled back in two parts: through the formula from the network's output to `yhat`, in closed form here, and
//! through the network, by its backward pass.

use super::{Excess, Factors, Output, Parametrisation, Precondition, RadialComponent};

/// What a cotangent on `yhat` is on the point itself and on the network's raw output.
#[derive(Clone, Debug, PartialEq)]
pub struct Pulled {
    /// On the point, past the network, `[N]`.
    pub point: Vec<f64>,
    /// On the raw output, `[N]` or `[N + 1]`.
    pub raw: Vec<f64>,
}

/// How EDM's factors grow with the excess of a point that looks noisier than its level suggests.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Growth {
    skip: f64,
    out: f64,
    input: f64,
    far: f64,
}

impl Precondition {
    /// The derivatives of the factors with respect to the excess of the point; none where they do not depend on it.
    fn growth(self, sigma: f64, factors: &Factors) -> Option<(Excess, Growth)> {
        let excess = self.excess.filter(|_| factors.far != 0.0)?;
        let shown = sigma * (4.0 * factors.far).exp();
        let (square, data) = (shown * shown, self.sigma_data * self.sigma_data);
        let total = square + data;
        let growth = Growth {
            skip: -data / (total * total),
            // out^2 = data square / total
            out: data * data / (2.0 * total * total * factors.out),
            input: -0.5 * total.powf(-1.5),
            far: 1.0 / (8.0 * square),
        };
        Some((excess, growth))
    }
}

impl Parametrisation {
    /// Pulls a cotangent on `yhat` of one row back to the point and to the network's raw output.
    ///
    /// What reaches the point through the network is yet to be added: [`Parametrisation::through_network`].
    pub fn vjp(self, factors: &Factors, sigma: f64, x: &[f64], raw: &[f32], cotangent: &[f64]) -> Pulled {
        let scaled = |factor: f64| cotangent.iter().map(|c| factor * c).collect::<Vec<f64>>();
        match self.output {
            Output::Edm => {
                let mut point = scaled(factors.skip);
                if let Some((excess, growth)) = self.precondition.growth(sigma, factors) {
                    let along = dot(x, cotangent) * growth.skip
                        + raw.iter().zip(cotangent).map(|(raw, c)| f64::from(*raw) * c).sum::<f64>() * growth.out;
                    excess.add_gradient(x, along, &mut point);
                }
                Pulled { point, raw: scaled(factors.out) }
            }
            Output::Ve { scaled: true, .. } => Pulled { point: scaled(1.0), raw: scaled(sigma) },
            Output::Ve { scaled: false, unit } => Pulled { point: scaled(1.0), raw: scaled(sigma * sigma / unit) },
            Output::Vp { .. } | Output::SubVp { .. } => Pulled { point: scaled(1.0), raw: scaled(-sigma) },
            Output::Field { gamma } => {
                // yhat = x - z v_x / v_z, where v_z follows from |v_x|^2.
                let field: Vec<f64> = raw.iter().take(x.len()).map(|&value| f64::from(value)).collect();
                let RadialComponent { value: radial, slope } =
                    RadialComponent::of(dot(&field, &field), x.len(), sigma, gamma);
                let along = sigma * dot(&field, cotangent) / (radial * radial) * 2.0 * slope;
                let on_field = field.iter().zip(cotangent).map(|(v, c)| -sigma * c / radial + along * v);
                // The network's own component along z is not looked at.
                Pulled { point: scaled(1.0), raw: on_field.chain([0.0]).collect() }
            }
        }
    }

    /// Adds what reaches the point through the network: `input` is the cotangent on the network's scaled point, `far` that on what it
    /// is told of points far out.
    pub fn through_network(self, factors: &Factors, sigma: f64, x: &[f64], input: &[f64], far: f64, point: &mut [f64]) {
        point.iter_mut().zip(input).for_each(|(point, input)| *point += factors.input * input);
        if self.output == Output::Edm
            && let Some((excess, growth)) = self.precondition.growth(sigma, factors)
        {
            excess.add_gradient(x, growth.input * dot(input, x) + growth.far * far, point);
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
