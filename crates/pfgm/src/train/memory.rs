//! Estimate of the memory that a training needs.

use pfgm_data::{Dataset, Shape, Values};

use crate::{
    config::OptimizerKind,
    memory::{self, MemoryError},
    network::Precision,
    objective::Objective,
    spec::ModelSpec,
};

/// Memory of a training by purpose, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// Weights, two moments, the average, the teacher and the fake if there are such, and their copies while a checkpoint is written.
    pub weights: f64,
    /// Activations that the forward pass keeps for the backward pass.
    pub activations: f64,
    /// Data set, and the field batch of a step.
    pub data: f64,
    /// Program itself.
    pub program: f64,
}

impl Memory {
    /// Sum of all.
    pub fn total(&self) -> f64 {
        self.weights + self.activations + self.data + self.program
    }

    /// Returns an error if the machine has less memory than the training needs.
    ///
    /// # Errors
    /// Says how much is needed, how much is available, and what to lower.
    pub fn check(&self) -> Result<(), MemoryError> {
        let most = self.weights.max(self.activations).max(self.data);
        let lower = match most {
            most if most == self.weights => "network.width, network.blocks or network.multipliers",
            most if most == self.activations => "train.batch, or raise train.accumulate",
            _ => "the size of the data set, or set data.load = \"disk\"",
        };
        // The data set itself is in memory already.
        memory::require((self.total() - self.data / 2.0) as u64, lower)
    }
}

/// Estimates the memory of a training on a CPU.
pub fn memory_estimate(spec: &ModelSpec, weights: usize, data: &Dataset) -> Memory {
    const FLOAT: usize = size_of::<f32>();
    let train = &spec.config.train;
    let part = train.batch.div_ceil(train.accumulate);
    // Of rows in files: the order of an epoch, the classes, and where each row is.
    let stored = match data.values {
        Values::OnDisk(_) => 8 * FLOAT * data.len(),
        Values::Bytes(_) | Values::Floats(_) => data.values.bytes(),
    };
    let field = spec.config.objective.field_batch().unwrap_or(0) * spec.dim() * FLOAT;
    // Half of the activations are results of cheap operations; their inputs are kept.
    let kept = if train.recompute { 0.6 } else { 1.0 };
    // Half, plus what a layer widens while it computes; measured.
    let narrow = if train.precision == Precision::Bf16 { 0.65 } else { 1.0 };
    // Fixed weights of a teacher, and their copy in a checkpoint.
    let teacher = if spec.config.objective.needs_teacher() { 2 } else { 0 };
    let averages = if train.snapshot_every > 0 { 6 } else { 0 };
    // A step of Muon writes weights, moments and average anew.
    let muon = if train.optimizer == OptimizerKind::Muon { 4 } else { 0 };
    // Weights, gradients and moments of the fake, and their copies in a checkpoint.
    let fake = if matches!(spec.config.objective, Objective::Inverse(_)) { 8 + muon } else { 0 };
    let copies = 8 + teacher + fake + averages + muon;
    Memory {
        weights: (copies * FLOAT) as f64 * weights as f64,
        // The pool of buffers keeps a little more than is in use.
        activations: kept
            * narrow
            * 1.1
            * (FLOAT * part) as f64
            * spec.config.network.activations(spec.trained_shape()) as f64,
        // One copy in the trainer, one for the picture at the end.
        data: (2 * stored + 2 * field) as f64,
        program: if matches!(spec.data.shape, Shape::Image { .. }) { 35e6 } else { 14e6 },
    }
}
