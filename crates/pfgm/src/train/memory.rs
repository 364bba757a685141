//! What a training will need, before it starts.

use pfgm_data::{Dataset, Values};

use crate::model::Record;

/// Bytes by what they are for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// Weights, their gradients, two moments, the average, and one more while they are replaced.
    pub weights: f64,
    /// What the forward pass keeps for the backward pass.
    pub activations: f64,
    /// The data set, and a step's field batch.
    pub data: f64,
    /// The program itself.
    pub program: f64,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.weights + self.activations + self.data + self.program
    }
}

/// Estimates the memory of a training on a CPU.
pub fn memory_estimate(record: &Record, weights: usize, data: &Dataset) -> Memory {
    const FLOAT: usize = size_of::<f32>();
    let train = &record.config.train;
    let part = train.batch.div_ceil(train.accumulate);
    let stored = match data.values {
        Values::Bytes(_) => data.values.len(),
        Values::Floats(_) => FLOAT * data.values.len(),
    };
    let field = record.config.objective.field_batch().unwrap_or(0) * record.dim() * FLOAT;
    Memory {
        weights: (6 * FLOAT * weights) as f64,
        // The pool of buffers keeps a quarter more than is in use.
        activations: 1.25 * (FLOAT * part * record.config.network.activations(record.data.shape)) as f64,
        // Once in the trainer, once for the picture at the end.
        data: (2 * stored + 2 * field) as f64,
        program: 56e6,
    }
}
