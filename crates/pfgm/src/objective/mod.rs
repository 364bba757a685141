//! Objectives: from a batch of data to training points with known `yhat`.
//!
//! An objective draws noise levels, perturbs the batch, computes `yhat` there, and determines the loss of an output that is `yhat`.
//! The loss itself is in [`prediction`](crate::prediction).

mod consistency;
mod inverse;
mod pfgm;
mod pfgmpp;

use std::{borrow::Cow, collections::BTreeSet};

use pfgm_data::Shape;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::{
    consistency::ConsistencyObjective,
    inverse::{InverseObjective, InverseSlopes},
    pfgm::{Calibration, DEFAULT_GAMMA, FieldObjective, Restriction},
    pfgmpp::{DenoisingObjective, Levels},
};
pub use crate::prediction::PairWeight;

use crate::{
    augmentation::{self, Augmentation},
    extra_dims::ExtraDims,
    field,
    prediction::{Loss, TrainingPoints},
    process::Process,
    random::Stream,
};

/// An objective and its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Objective {
    /// Field matching against a large batch of charges (PFGM, arXiv 2209.11178).
    #[serde(rename = "pfgm")]
    Field(FieldObjective),
    /// Denoising (PFGM++, arXiv 2302.04265; EDM where D is infinite).
    #[serde(rename = "pfgm++")]
    Denoising(DenoisingObjective),
    /// Consistency tuning (arXiv 2303.01469, 2406.14548): the network jumps to the end of a flow line.
    #[serde(rename = "consistency")]
    Consistency(ConsistencyObjective),
    /// Inverse Poisson flow matching (arXiv 2509.22454): a generator of one evaluation that learns from a trained network alone.
    #[serde(rename = "ipfm")]
    Inverse(InverseObjective),
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// Noise of training points.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// D.
    pub extra_dims: ExtraDims,
    /// Diffusion process, from which levels may be drawn.
    pub process: Process,
    /// Lowest and highest noise level of the flow.
    pub range: (f64, f64),
}

/// Charges from which an objective makes training points.
#[derive(Clone, Copy, Debug)]
pub struct Charges<'a> {
    /// Shape of a row.
    pub shape: Shape,
    /// Loss batch, `[batch, N]`: the points that are perturbed.
    pub batch: &'a [f32],
    /// Field batch, `[charges, N]`. It contains the loss batch before augmentation, and nothing else if the objective needs no field.
    pub field: &'a [f32],
    /// Class of each item of the loss batch as the network gets it.
    pub labels: &'a [Option<u32>],
    /// Class of each charge of the field batch.
    pub field_labels: &'a [Option<u32>],
    /// Augmentation of each item of the loss batch; empty if there is none.
    pub augmentations: &'a [Augmentation],
}

/// Class and augmentation of an item. The targets of items that share both are made of the same charges.
type Kind = (Option<u32>, Option<[u32; augmentation::LABELS]>);

impl Charges<'_> {
    /// `yhat` at perturbed points, `[batch, N]`: the field-weighted mean of the charges of the item's class, or of all charges if it has
    /// none, augmented as the item is.
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
            field::ChargesView { values: &charges, dim, extra_dims }.weighted_mean(&x, &sigma, &mut means);
            for (item, mean) in items.into_iter().zip(means.chunks_exact(dim)) {
                yhat[item * dim..(item + 1) * dim].copy_from_slice(mean);
            }
        }
        yhat
    }

    fn kind(&self, item: usize) -> Kind {
        let augmentation = self.augmentations.get(item).filter(|augmentation| !augmentation.is_identity());
        (self.labels[item], augmentation.map(|augmentation| augmentation.labels.map(f32::to_bits)))
    }

    /// Charges of which the target of an item is made.
    fn charges_for(&self, item: usize) -> Cow<'_, [f32]> {
        let (dim, class) = (self.shape.dim(), self.labels[item]);
        let charges: Cow<[f32]> = match class {
            None => Cow::Borrowed(self.field),
            Some(_) => {
                let rows = self.field.chunks_exact(dim).zip(self.field_labels);
                rows.filter(|(_, label)| **label == class).flat_map(|(row, _)| row).copied().collect()
            }
        };
        match self.augmentations.get(item) {
            Some(augmentation) if !augmentation.is_identity() => {
                let rows = charges.par_chunks_exact(dim).flat_map_iter(|row| augmentation.apply(self.shape, row));
                Cow::Owned(rows.collect())
            }
            _ => charges,
        }
    }
}

impl Objective {
    /// Number of charges in the field of a step; `None` if the objective needs no field.
    pub fn field_batch(&self) -> Option<usize> {
        match self {
            Self::Field(objective) => Some(objective.field_batch),
            Self::Denoising(objective) => (objective.reference > 0).then_some(objective.reference),
            Self::Consistency(_) | Self::Inverse(_) => None,
        }
    }

    /// Draws a training point for each item of the loss batch from its own stream, and computes `yhat` there.
    pub fn draw(&self, noise: Noise, charges: Charges, streams: &mut [Stream]) -> TrainingPoints {
        match self {
            Self::Field(objective) => objective.draw(noise.extra_dims, charges, streams),
            Self::Denoising(objective) => objective.draw(noise, charges, streams),
            Self::Consistency(objective) => objective.draw(noise, charges, streams),
            Self::Inverse(objective) => objective.draw(noise, charges, streams),
        }
    }

    /// Loss of a network whose output is `yhat`.
    pub fn loss(&self) -> Loss {
        match self {
            Self::Field(objective) => Loss::Field { gamma: objective.gamma.unwrap_or(DEFAULT_GAMMA) },
            Self::Denoising(_) => Loss::Denoising,
            Self::Consistency(objective) => Loss::Consistency { huber: objective.huber, weight: objective.weight },
            Self::Inverse(_) => Loss::Slope,
        }
    }

    /// Whether the network's estimate of the loss's log-variance weighs the loss.
    pub fn uses_log_variance(&self) -> bool {
        matches!(self, Self::Denoising(objective) if objective.log_variance)
    }

    /// Whether training needs the fixed weights of a trained run beside those that it changes.
    pub fn needs_teacher(&self) -> bool {
        match self {
            Self::Consistency(objective) => objective.teacher || objective.guidance != 1.0,
            Self::Inverse(_) => true,
            Self::Field(_) | Self::Denoising(_) => false,
        }
    }

    /// Whether the network learns `yhat`, so that solvers can integrate its flow. After a distillation it jumps to the data instead.
    pub fn has_yhat(&self) -> bool {
        !matches!(self, Self::Consistency(_) | Self::Inverse(_))
    }
}
