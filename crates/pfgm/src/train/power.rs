//! Two power-function averages of the weights, which a training keeps for `pfgm average`.

use burn::tensor::{Device, Tensor, TensorData};

use crate::power_average;

/// Two averages of all weights, each concatenated.
pub(super) struct PowerAverages {
    gammas: [f64; 2],
    averages: [Tensor<1>; 2],
}

impl PowerAverages {
    /// Averages of the relative widths `sigma_rel` before the first step.
    pub(super) fn new(sigma_rel: [f64; 2], weights: &Tensor<1>) -> Self {
        let gamma = |width| power_average::gamma(width).expect("the configuration was checked");
        Self { gammas: sigma_rel.map(gamma), averages: [(); 2].map(|()| Tensor::zeros_like(weights)) }
    }

    /// Restores saved averages.
    pub(super) fn restore(sigma_rel: [f64; 2], averages: [Vec<f32>; 2], device: &Device) -> Self {
        let tensor = |values: Vec<f32>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), device)
        };
        let averages = averages.map(tensor);
        Self { averages: averages.clone(), ..Self::new(sigma_rel, &averages[0]) }
    }

    /// Adds the weights after step number `step` (from 1).
    pub(super) fn add(&mut self, weights: &Tensor<1>, step: u64) {
        for (average, gamma) in self.averages.iter_mut().zip(self.gammas) {
            let decay = power_average::decay(gamma, step);
            *average = average.clone().mul_scalar(decay) + weights.clone().mul_scalar(1.0 - decay);
        }
    }

    /// The averages, the narrow one first.
    pub(super) fn values(&self) -> &[Tensor<1>; 2] {
        &self.averages
    }
}
