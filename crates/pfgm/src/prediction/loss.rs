//! The loss of training.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{Output, Prediction, combine, field::normalized_fields};
use crate::precondition::{PreconditionCoefficients, column};

/// Weight w(t) of a pair in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairWeight {
    /// `1 / c_out(t)`: errors of the network's raw output count alike at all levels.
    #[default]
    Output,
    /// `1 / t`, as ECT does.
    Level,
    /// 1.
    One,
}

/// Loss of a network with [`Output::Edm`]. Other outputs are compared with their own target ([`Prediction::target`]).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// `|yhat - y|^2 / c_out^2` per coordinate: the squared error of the raw output (EDM, PFGM++).
    #[default]
    Denoising,
    /// Squared error of PFGM's normalized field, which is computed from `yhat`.
    Field {
        /// Constant that keeps the field smooth near the data.
        gamma: f64,
    },
    /// Product of a network's estimate with a known derivative of the loss, which stands in place of the target.
    Slope,
    /// Weighted pseudo-Huber distance of a consistency function from its target.
    Consistency {
        /// c in `sqrt(m + c^2) - c`, where m is the mean square of the difference over coordinates.
        huber: f64,
        /// Weight of a pair.
        weight: PairWeight,
    },
}

/// Points where a network is trained, and `yhat` there.
#[derive(Clone, Debug)]
pub struct TrainingPoints {
    /// N.
    pub dim: usize,
    /// Perturbed points, `[batch, N]`.
    pub x: Vec<f32>,
    /// Noise level of each point.
    pub sigma: Vec<f64>,
    /// `yhat` at each point, `[batch, N]`: the field-weighted mean of charges, or the charge that was perturbed.
    pub yhat: Vec<f32>,
}

impl PairWeight {
    /// Weight of a pair by the coefficients of its upper point.
    fn of(self, upper: &PreconditionCoefficients) -> f64 {
        match self {
            Self::Output => 1.0 / upper.out,
            Self::Level => 1.0 / upper.sigma,
            Self::One => 1.0,
        }
    }
}

impl TrainingPoints {
    /// Returns some of the points.
    pub fn slice(&self, items: std::ops::Range<usize>) -> Self {
        let values = items.start * self.dim..items.end * self.dim;
        Self {
            dim: self.dim,
            x: self.x[values.clone()].to_vec(),
            sigma: self.sigma[items].to_vec(),
            yhat: self.yhat[values].to_vec(),
        }
    }

    /// `values`, `[batch, N]`, as a tensor.
    pub fn tensor(&self, values: &[f32], device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [self.sigma.len(), self.dim]), device)
    }
}

impl Prediction {
    /// Factor of the error of a raw output before it is squared. Without it, targets that grow without bound near the data would
    /// dominate the loss.
    pub fn loss_weight(&self, sigma: f64) -> f64 {
        match self.output {
            // |score std + noise|^2
            Output::Ve { scaled: false, unit } => sigma / unit,
            Output::Edm
            | Output::Field { .. }
            | Output::Ve { .. }
            | Output::Vp { .. }
            | Output::SubVp { .. }
            | Output::Discrete { .. } => 1.0,
        }
    }

    /// Loss of a network's raw output, summed over the batch. `coefficients` are those of the points.
    ///
    /// # Shapes
    /// `raw`: `[batch, N]`, for a field `[batch, N + 1]`; the result: `[1]`
    pub fn loss(
        &self,
        points: &TrainingPoints,
        raw: Tensor<2>,
        coefficients: &[PreconditionCoefficients],
    ) -> Tensor<1> {
        if let Some(target) = self.target(&points.x, &points.sigma, &points.yhat) {
            return self.raw_loss(points, raw, target);
        }
        let device = raw.device();
        let (estimate, y) = self.estimate_and_target(points, raw, coefficients);
        match self.loss {
            Loss::Denoising => {
                let weight = column(coefficients, |row| 1.0 / (row.out * row.out), &device);
                ((estimate - y).square() * weight).sum().div_scalar(points.dim as f64)
            }
            Loss::Field { gamma } => {
                let z = column(coefficients, |row| row.sigma, &device);
                let x = points.tensor(&points.x, &device);
                let (v, v_z) = normalized_fields(x.clone() - estimate, z.clone(), gamma);
                let (w, w_z) = normalized_fields(x - y, z, gamma);
                ((v - w).square().sum() + (v_z - w_z).square().sum()).div_scalar((points.dim + 1) as f64)
            }
            Loss::Slope => (estimate * y).sum(),
            Loss::Consistency { huber, weight } => {
                let weight = column(coefficients, |row| weight.of(row), &device);
                let mean_square = (estimate - y).square().mean_dim(1);
                ((mean_square.add_scalar(huber * huber).sqrt().sub_scalar(huber)) * weight).sum()
            }
        }
    }

    /// Loss with learned uncertainty (EDM2, arXiv 2312.02696): `loss / e^u + u` with the log-variance u of each row, summed over the batch.
    /// It is smallest where u is the logarithm of the expected loss at the row's noise level.
    ///
    /// # Shapes
    /// `raw`: `[batch, N]`, `log_variance`: `[batch, 1]`; the result: `[1]`
    ///
    /// # Panics
    /// Panics unless the output is [`Output::Edm`] and the loss [`Loss::Denoising`].
    pub fn uncertain_loss(
        &self,
        points: &TrainingPoints,
        raw: Tensor<2>,
        log_variance: Tensor<2>,
        coefficients: &[PreconditionCoefficients],
    ) -> Tensor<1> {
        assert!(self.output == Output::Edm && self.loss == Loss::Denoising, "the log-variance of another loss");
        let (estimate, y) = self.estimate_and_target(points, raw, coefficients);
        let weight = column(coefficients, |row| 1.0 / (row.out * row.out), &estimate.device());
        let loss = ((estimate - y).square() * weight).mean_dim(1);
        (loss * log_variance.clone().neg().exp() + log_variance).sum()
    }

    /// `yhat` of a network with [`Output::Edm`], and its target.
    fn estimate_and_target(
        &self,
        points: &TrainingPoints,
        raw: Tensor<2>,
        coefficients: &[PreconditionCoefficients],
    ) -> (Tensor<2>, Tensor<2>) {
        let device = raw.device();
        let (x, y) = (points.tensor(&points.x, &device), points.tensor(&points.yhat, &device));
        let [skip, out] = [column(coefficients, |row| row.skip, &device), column(coefficients, |row| row.out, &device)];
        (combine(x, raw, skip, out), y)
    }

    /// Weighted squared error of the raw output itself.
    fn raw_loss(&self, points: &TrainingPoints, raw: Tensor<2>, target: Vec<f32>) -> Tensor<1> {
        let ([rows, width], device) = (raw.dims(), raw.device());
        let target = Tensor::from_data(TensorData::new(target, [rows, width]), &device);
        let weights: Vec<f32> = points.sigma.iter().map(|&sigma| self.loss_weight(sigma) as f32).collect();
        let weights = Tensor::from_data(TensorData::new(weights, [rows, 1]), &device);
        ((raw - target) * weights).square().sum().div_scalar(width as f64)
    }
}
