//! Meaning of the raw output of a network: how it becomes `yhat`, its target, and the loss of training.

mod discrete;
mod field;
mod loss;
mod onnx;
mod vjp;

use std::ops::{Add, Mul};

use serde::{Deserialize, Serialize};

use self::field::RadialComponent;
pub(crate) use self::onnx::NetworkValues;
pub use self::{
    discrete::{DiscreteSchedule, Quantity},
    field::Arithmetic,
    loss::{Loss, PairWeight, TrainingPoints},
    vjp::{InputCotangents, OutputCotangents},
};
use crate::{
    precondition::{Precondition, PreconditionCoefficients},
    process::Process,
};

/// Quantity that a network's raw output estimates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Output {
    /// EDM's preconditioned denoiser: see [`Precondition`].
    #[default]
    Edm,
    /// PFGM's normalized field `v = -sqrt(N) E / (|E| + gamma)` with its component along z at the end; D = 1.
    Field {
        /// Constant that keeps the normalized field smooth near the data; 5 in PFGM.
        gamma: f64,
    },
    /// Score of data with Gaussian noise (VE), multiplied by sigma or not.
    Ve {
        /// Whether the output is the score times sigma.
        scaled: bool,
        /// Unit of noise in the model's space: 2 if the network was trained on images in [0, 1] instead of [-1, 1].
        #[serde(default = "one", skip_serializing_if = "is_one")]
        unit: f64,
    },
    /// Standard normal noise of the variance-preserving process (VP).
    Vp {
        /// Rate of the noise at t = 0; 0.1 in the papers.
        beta_min: f64,
        /// Rate of the noise at t = 1; 20 in the papers.
        beta_max: f64,
    },
    /// Standard normal noise of the sub-VP process.
    SubVp {
        /// Rate of the noise at t = 0; 0.1 in the papers.
        beta_min: f64,
        /// Rate of the noise at t = 1; 20 in the papers.
        beta_max: f64,
    },
    /// Quantity that a DDPM network estimates at the steps of a discrete schedule. Between two steps, its input is a fractional step.
    Discrete {
        /// Noise levels of the steps of a discrete schedule (DDPM).
        schedule: DiscreteSchedule,
        /// What the network estimates at the steps of a discrete schedule: the noise, v, or the data.
        #[serde(default)]
        quantity: Quantity,
    },
}

fn one() -> f64 {
    1.0
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
}

impl Output {
    /// Diffusion process that a network with this output was trained on; VE, the process of the flow, unless it is a VP or sub-VP model.
    pub fn process(&self) -> Process {
        match *self {
            Self::Edm | Self::Field { .. } | Self::Ve { .. } | Self::Discrete { .. } => Process::Ve,
            Self::Vp { beta_min, beta_max } => Process::Vp { beta_min, beta_max },
            Self::SubVp { beta_min, beta_max } => Process::SubVp { beta_min, beta_max },
        }
    }
}

/// Meaning of a network's raw output. Sampling asks for [`Prediction::to_yhat`], training for [`Prediction::loss`].
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Quantity that the raw output estimates.
    pub output: Output,
    /// EDM's preconditioning, which [`Output::Edm`] uses.
    pub precondition: Precondition,
    /// Whether the network takes the logarithm of the noise level.
    pub log_level: bool,
    /// How the component of a field along z is computed.
    pub arithmetic: Arithmetic,
    /// Loss of training.
    pub loss: Loss,
}

impl Prediction {
    /// Coefficients of each row of a batch.
    ///
    /// # Shapes
    /// `x`: `[rows, N]`, `sigma`: `[rows]`
    pub fn coefficients<T: Copy + Into<f64>>(&self, x: &[T], sigma: &[f64]) -> Vec<PreconditionCoefficients> {
        let dim = (x.len() / sigma.len().max(1)).max(1);
        let levels = match &self.output {
            Output::Discrete { schedule, .. } => schedule.levels(),
            _ => Vec::new(),
        };
        x.chunks_exact(dim).zip(sigma).map(|(row, &sigma)| self.row_coefficients(row, sigma, &levels)).collect()
    }

    /// `levels` are those of a discrete schedule.
    fn row_coefficients<T: Copy + Into<f64>>(&self, x: &[T], sigma: f64, levels: &[f64]) -> PreconditionCoefficients {
        let mut skip = 1.0;
        let (out, input, level) = match self.output {
            Output::Edm => return self.precondition.coefficients(sigma, x),
            // `out` does not apply to a field: see `to_yhat`.
            Output::Field { .. } => (1.0, 1.0, sigma),
            // yhat = x + sigma^2 score
            Output::Ve { scaled: true, unit } => (sigma, 1.0, sigma / unit),
            Output::Ve { scaled: false, unit } => (sigma * sigma / unit, 1.0, sigma / unit),
            Output::Discrete { quantity, .. } => {
                let coefficients = quantity.coefficients(sigma);
                skip = coefficients.0;
                (coefficients.1, 1.0 / (1.0 + sigma * sigma).sqrt(), discrete::step(levels, sigma))
            }
            // With x = mean (y + sigma noise): yhat = y + sigma (noise - output) in the units of the data.
            Output::Vp { .. } | Output::SubVp { .. } => {
                let process = self.output.process();
                // The times of these processes depend on no range of levels.
                (-sigma, process.mean_at(sigma), 999.0 * process.time(sigma, (0.0, 0.0)))
            }
        };
        let noise = if self.log_level { level.ln() } else { level };
        PreconditionCoefficients { sigma, skip, out, input, noise, log_sigma_ratio: 0.0 }
    }

    /// Computes `yhat` of one row from the network's raw output.
    ///
    /// # Shapes
    /// `x` and `yhat`: `[N]`; `raw`: `[N]`, for a field `[N + 1]`
    pub fn to_yhat(&self, coefficients: &PreconditionCoefficients, x: &[f64], raw: &[f32], yhat: &mut [f64]) {
        let out = match self.output {
            Output::Field { gamma } => self.arithmetic.yhat_factor(raw, x.len(), coefficients.sigma, gamma),
            Output::Edm | Output::Ve { .. } | Output::Vp { .. } | Output::SubVp { .. } | Output::Discrete { .. } => {
                coefficients.out
            }
        };
        for ((yhat, &x), &raw) in yhat.iter_mut().zip(x).zip(raw) {
            *yhat = combine(x, f64::from(raw), coefficients.skip, out);
        }
    }

    /// Computes the raw output that corresponds to a known `yhat`: the inverse of [`Prediction::to_yhat`].
    ///
    /// `None` for [`Output::Edm`], whose loss compares `yhat` itself.
    ///
    /// # Shapes
    /// `x` and `yhat`: `[rows, N]`, `sigma`: `[rows]`; the result: `[rows, N]`, for a field `[rows, N + 1]`
    pub fn target(&self, x: &[f32], sigma: &[f64], yhat: &[f32]) -> Option<Vec<f32>> {
        let dim = (x.len() / sigma.len().max(1)).max(1);
        let rows = x.chunks_exact(dim).zip(yhat.chunks_exact(dim)).zip(sigma);
        match self.output {
            Output::Edm => None,
            Output::Field { gamma } => {
                let row = |((x, yhat), &z): ((&[f32], &[f32]), &f64)| field::normalized_field(x, yhat, z, gamma);
                Some(rows.flat_map(row).map(|value| value as f32).collect())
            }
            Output::Ve { .. } | Output::Vp { .. } | Output::SubVp { .. } | Output::Discrete { .. } => {
                // yhat = skip x + out raw
                let row = |((x, yhat), &sigma): ((&[f32], &[f32]), &f64)| {
                    let PreconditionCoefficients { skip, out, .. } = self.row_coefficients(x, sigma, &[]);
                    let factor = -1.0 / out;
                    let raw = move |(x, y): (&f32, &f32)| {
                        let noise = if skip == 1.0 { f64::from(x - y) } else { skip * f64::from(*x) - f64::from(*y) };
                        (noise * factor) as f32
                    };
                    x.iter().zip(yhat).map(raw).collect::<Vec<_>>()
                };
                Some(rows.flat_map(row).collect())
            }
        }
    }
}

/// `skip x + out raw`, EDM's equation 7, of numbers or of tensors that broadcast.
fn combine<V: Mul<Output = V> + Add<Output = V>>(x: V, raw: V, skip: V, out: V) -> V {
    x * skip + raw * out
}
