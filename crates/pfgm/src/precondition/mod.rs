//! EDM's preconditioning (arXiv 2206.00364, table 1; docs/equations.md, section 3).

mod noise_estimate;

use burn::tensor::{Device, Tensor, TensorData};

pub use self::noise_estimate::{NoiseEstimate, detail_mean_square, detail_size, mean_square};

/// `yhat = c_skip x + c_out F(c_in x, c_noise)`, with coefficients that keep input and target of the network at unit variance for data
/// of standard deviation `sigma_data`.
///
/// EDM's coefficients are functions of sigma, the standard deviation of Gaussian noise. At small D the noise has heavy tails: a point
/// of the prior may lie a thousand times farther out than its sigma suggests, and input and target would be far from unit variance.
/// With a [`NoiseEstimate`] `v(x)` the coefficients are those of `s^2 = sigma^2 + max(0, v(x) - 4 sigma^2)`. They are EDM's if the point
/// looks no noisier than data at twice sigma, and give the field of a point charge, `yhat -> 0`, far away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precondition {
    /// Standard deviation of the data.
    pub sigma_data: f64,
    /// Estimate of the noise in a point, if coefficients depend on the point.
    pub noise_estimate: Option<NoiseEstimate>,
}

/// Ratio of estimated variance to `sigma^2` above which the estimate replaces sigma.
pub(crate) const VARIANCE_RATIO: f64 = 4.0;

/// Coefficients of one row: how the network's input is made, and how its output becomes `yhat`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PreconditionCoefficients {
    /// Noise level of the row.
    pub sigma: f64,
    /// `c_skip`: factor of `x`.
    pub skip: f64,
    /// `c_out`: factor of the network's output.
    pub out: f64,
    /// `c_in`: factor of `x` at the network's input.
    pub input: f64,
    /// `c_noise`: noise level at the network's input.
    pub noise: f64,
    /// `ln(s / sigma) / 4` with the estimated noise s; 0 if s is not above sigma.
    pub log_sigma_ratio: f64,
}

/// Derivatives of the coefficients with respect to the estimated variance of the noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CoefficientSlopes {
    pub(crate) skip: f64,
    pub(crate) out: f64,
    pub(crate) input: f64,
    pub(crate) log_sigma_ratio: f64,
}

impl Precondition {
    /// Coefficients of a point at noise level `sigma`.
    pub fn coefficients<T: Copy + Into<f64>>(self, sigma: f64, x: &[T]) -> PreconditionCoefficients {
        let data = self.sigma_data * self.sigma_data;
        let excess = |estimate: NoiseEstimate| (estimate.variance(x) - VARIANCE_RATIO * sigma * sigma).max(0.0);
        let shown = (sigma * sigma + self.noise_estimate.map_or(0.0, excess)).sqrt();
        let total = shown * shown + data;
        PreconditionCoefficients {
            sigma,
            skip: data / total,
            out: shown * self.sigma_data / total.sqrt(),
            input: 1.0 / total.sqrt(),
            noise: sigma.ln() / 4.0,
            log_sigma_ratio: (shown / sigma).ln() / 4.0,
        }
    }

    /// Derivatives of the coefficients with respect to the estimate; `None` if they do not depend on the point.
    pub(crate) fn slopes(self, coefficients: &PreconditionCoefficients) -> Option<(NoiseEstimate, CoefficientSlopes)> {
        let estimate = self.noise_estimate.filter(|_| coefficients.log_sigma_ratio != 0.0)?;
        let shown = coefficients.sigma * (4.0 * coefficients.log_sigma_ratio).exp();
        let (square, data) = (shown * shown, self.sigma_data * self.sigma_data);
        let total = square + data;
        let slopes = CoefficientSlopes {
            skip: -data / (total * total),
            // out^2 = data square / total
            out: data * data / (2.0 * total * total * coefficients.out),
            input: -0.5 * total.powf(-1.5),
            log_sigma_ratio: 1.0 / (8.0 * square),
        };
        Some((estimate, slopes))
    }
}

/// One coefficient of each row as a column.
///
/// # Shapes
/// The result: `[rows, 1]`
pub fn column(
    coefficients: &[PreconditionCoefficients],
    of: impl Fn(&PreconditionCoefficients) -> f64,
    device: &Device,
) -> Tensor<2> {
    let values: Vec<f32> = coefficients.iter().map(|row| of(row) as f32).collect();
    Tensor::from_data(TensorData::new(values, [coefficients.len(), 1]), device)
}
