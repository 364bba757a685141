//! Objectives: from a batch of data to a loss on the estimate of `yhat`.
//!
//! An objective says where to look (points and noise levels), what `yhat` is there, and how much a wrong estimate counts. It only ever sees the
//! estimate, never the network. Outputs with a target of their own (PFGM's field, scores) are compared with that target instead
//! (`precondition`).

mod pfgm;
mod pfgmpp;

use std::{borrow::Cow, collections::BTreeSet};

use burn::tensor::{Device, Tensor, TensorData};
use pfgm_data::Shape;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::pfgm::{Calibration, FieldObjective};
pub use pfgmpp::{DenoisingObjective, Levels};

use crate::{
    deformation::{self, Deformation},
    extra_dims::ExtraDims,
    field,
    precondition::Factors,
    process::Process,
    random::Stream,
};

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

/// The noise that training points are made with.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// D.
    pub extra_dims: ExtraDims,
    /// How noise grows with time, where levels are drawn by it.
    pub process: Process,
    /// The lowest and the highest noise level of the flow.
    pub range: (f64, f64),
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
    /// The shape of a row.
    pub shape: Shape,
    /// The loss batch, `[batch, N]`: the points that are perturbed.
    pub batch: &'a [f32],
    /// The field batch, `[charges, N]`, which contains the loss batch before it was deformed; only that where the objective needs
    /// no other.
    pub field: &'a [f32],
    /// The class that the network is told of each item of the loss batch, if any.
    pub labels: &'a [Option<u32>],
    /// The class of each charge.
    pub field_labels: &'a [Option<u32>],
    /// How each item of the loss batch was deformed; empty if none was.
    pub deformations: &'a [Deformation],
}

/// What items have in common whose targets are made of the same charges: the class, and the deformation by what is told of it.
type Kind = (Option<u32>, Option<[u32; deformation::LABELS]>);

impl Charges<'_> {
    /// `yhat` at points of the loss batch's items, `[batch, N]`: the field-weighted mean of the charges of the item's class, or
    /// of all charges where the network is told none, deformed as the item is.
    fn means(&self, extra_dims: ExtraDims, x: &[f32], sigma: &[f64]) -> Vec<f32> {
        let dim = self.shape.dim();
        let mut yhat = vec![0.0; x.len()];
        let kinds: Vec<Kind> = (0..sigma.len()).map(|item| self.kind(item)).collect();
        for kind in kinds.iter().collect::<BTreeSet<_>>() {
            let items: Vec<usize> = (0..sigma.len()).filter(|&item| kinds[item] == *kind).collect();
            let (x, sigma): (Vec<f32>, Vec<f64>) = (
                items.iter().flat_map(|&item| &x[item * dim..(item + 1) * dim]).copied().collect(),
                items.iter().map(|&item| sigma[item]).collect(),
            );
            let charges = self.charges_for(items[0]);
            let mut means = vec![0.0; x.len()];
            field::weighted_mean(extra_dims, &x, &sigma, &charges, dim, &mut means);
            for (item, mean) in items.into_iter().zip(means.chunks_exact(dim)) {
                yhat[item * dim..(item + 1) * dim].copy_from_slice(mean);
            }
        }
        yhat
    }

    fn kind(&self, item: usize) -> Kind {
        let deformation = self.deformations.get(item).filter(|deformation| !deformation.is_none());
        (self.labels[item], deformation.map(|deformation| deformation.labels.map(f32::to_bits)))
    }

    /// The charges that an item's target is made of.
    fn charges_for(&self, item: usize) -> Cow<'_, [f32]> {
        let (dim, class) = (self.shape.dim(), self.labels[item]);
        let charges: Cow<[f32]> = match class {
            None => Cow::Borrowed(self.field),
            Some(_) => {
                let rows = self.field.chunks_exact(dim).zip(self.field_labels);
                rows.filter(|(_, label)| **label == class).flat_map(|(row, _)| row).copied().collect()
            }
        };
        match self.deformations.get(item) {
            Some(deformation) if !deformation.is_none() => {
                let rows = charges.par_chunks_exact(dim).flat_map_iter(|row| deformation.apply(self.shape, row));
                Cow::Owned(rows.collect())
            }
            _ => charges,
        }
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
    pub fn draw(&self, noise: Noise, charges: Charges, streams: &mut [Stream]) -> Targets {
        match self {
            Self::Field(objective) => objective.draw(noise.extra_dims, charges, streams),
            Self::Denoising(objective) => objective.draw(noise, charges, streams),
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
