//! Objectives: from a batch of data to a loss on the estimate of `yhat`.
//!
//! An objective says where to look (points and noise levels), what `yhat` is there, and how a wrong estimate is
//! charged. It only ever sees the estimate, never the network.

mod pfgm;
mod pfgmpp;

use std::{borrow::Cow, collections::BTreeSet};

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

pub use self::pfgm::{Calibration, FieldObjective};
pub use pfgmpp::DenoisingObjective;

use crate::{augmentation::Augmentation, field, precondition::Factors, random::Stream};

/// The choice of an objective and its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Objective {
    /// Field matching against a large batch of charges (PFGM, arXiv 2209.11178).
    #[serde(rename = "pfgm")]
    Field(FieldObjective),
    /// Denoising (PFGM++, arXiv 2302.04265; EDM where D is infinite).
    #[serde(rename = "pfgm++")]
    Denoising(DenoisingObjective),
}

/// Training points and what is true there.
#[derive(Clone, Debug)]
pub struct Targets {
    /// N.
    pub dim: usize,
    /// The perturbed points, `[batch, dim]`.
    pub x: Vec<f32>,
    /// Their noise levels.
    pub sigma: Vec<f64>,
    /// `yhat` there, `[batch, dim]`: the field-weighted mean of a batch of charges, or the one charge that was perturbed.
    pub yhat: Vec<f32>,
}

/// The charges that an objective may look at.
#[derive(Clone, Copy, Debug)]
pub struct Charges<'a> {
    /// N.
    pub dim: usize,
    /// The loss batch, `[batch, dim]`: the points that are perturbed.
    pub batch: &'a [f32],
    /// The field batch, `[charges, dim]`, which contains the loss batch; only that where the objective needs no other.
    pub field: &'a [f32],
    /// The class that the network is told of each item of the loss batch, if any.
    pub labels: &'a [Option<u32>],
    /// The class of each charge.
    pub field_labels: &'a [Option<u32>],
}

impl Charges<'_> {
    /// `yhat` at points of the loss batch's items, `[batch, dim]`: the field-weighted mean of the charges of the item's class, or
    /// of all charges where the network is told none.
    fn means(&self, augmentation: Augmentation, x: &[f32], sigma: &[f64]) -> Vec<f32> {
        let dim = self.dim;
        let mut yhat = vec![0.0; x.len()];
        let classes: BTreeSet<Option<u32>> = self.labels.iter().copied().collect();
        for class in classes {
            let items: Vec<usize> = (0..sigma.len()).filter(|&item| self.labels[item] == class).collect();
            let (x, sigma): (Vec<f32>, Vec<f64>) = (
                items.iter().flat_map(|&item| &x[item * dim..(item + 1) * dim]).copied().collect(),
                items.iter().map(|&item| sigma[item]).collect(),
            );
            let charges: Cow<[f32]> = match class {
                None => Cow::Borrowed(self.field),
                Some(_) => {
                    let rows = self.field.chunks_exact(dim).zip(self.field_labels);
                    rows.filter(|(_, label)| **label == class).flat_map(|(row, _)| row).copied().collect()
                }
            };
            let mut means = vec![0.0; x.len()];
            field::weighted_mean(augmentation, &x, &sigma, &charges, dim, &mut means);
            for (item, mean) in items.into_iter().zip(means.chunks_exact(dim)) {
                yhat[item * dim..(item + 1) * dim].copy_from_slice(mean);
            }
        }
        yhat
    }
}

impl Objective {
    /// How many charges the field of a step is made of; `None` where the objective needs no field.
    pub fn field_batch(&self) -> Option<usize> {
        match self {
            Self::Field(objective) => Some(objective.field_batch),
            Self::Denoising(objective) => (objective.reference > 0).then_some(objective.reference),
        }
    }

    /// Draws a training point for each charge of the loss batch from its item's own stream, and finds `yhat` there.
    pub fn draw(&self, augmentation: Augmentation, charges: Charges, streams: &mut [Stream]) -> Targets {
        match self {
            Self::Field(objective) => objective.draw(augmentation, charges, streams),
            Self::Denoising(objective) => objective.draw(augmentation, charges, streams),
        }
    }

    /// The loss of an estimate of `yhat`, summed over the batch; `factors` are those that made the estimate from a
    /// network's output.
    ///
    /// # Shapes
    /// `estimate`: `[batch, dim]`, result: `[1]`
    pub fn loss(&self, targets: &Targets, estimate: Tensor<2>, factors: &[Factors]) -> Tensor<1> {
        match self {
            Self::Field(objective) => objective.loss(targets, estimate),
            Self::Denoising(objective) => objective.loss(targets, estimate, factors),
        }
    }
}

impl Targets {
    /// Some of the items.
    pub fn slice(&self, items: std::ops::Range<usize>) -> Self {
        let values = items.start * self.dim..items.end * self.dim;
        Self {
            dim: self.dim,
            x: self.x[values.clone()].to_vec(),
            sigma: self.sigma[items].to_vec(),
            yhat: self.yhat[values].to_vec(),
        }
    }

    /// Rows of `dim` values as a tensor.
    pub fn rows(&self, values: &[f32], device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [self.sigma.len(), self.dim]), device)
    }

    /// A value for each row, as a column.
    pub fn column(&self, value: impl Fn(f64) -> f64, device: &Device) -> Tensor<2> {
        let values: Vec<f32> = self.sigma.iter().map(|&sigma| value(sigma) as f32).collect();
        Tensor::from_data(TensorData::new(values, [self.sigma.len(), 1]), device)
    }
}
