//! What a training learns from, and in which order.

use pfgm_data::Dataset;
use rand::seq::SliceRandom;

use crate::{
    model::Record,
    random::{Purpose, stream},
};

/// The rows that a training learns from, in the model's space.
#[derive(Clone, Debug)]
pub(super) struct TrainingSet {
    dataset: Dataset,
    record: Record,
}

impl TrainingSet {
    /// The rows of a data set as `record` transforms them.
    pub(super) fn new(dataset: Dataset, record: &Record) -> Self {
        Self { dataset, record: record.clone() }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.dataset.len()
    }

    /// Reads rows to the end of `out`.
    pub(super) fn read(&self, rows: &[usize], out: &mut Vec<f32>) {
        let dim = self.record.dim();
        for &row in rows {
            let start = out.len();
            out.resize(start + dim, 0.0);
            self.dataset.read(row, &mut out[start..]);
            self.record.data.transform.forward(&mut out[start..]);
        }
    }

    /// The class of a row, where the network is conditioned on classes.
    pub(super) fn label(&self, row: usize) -> Option<u32> {
        let labels = self.dataset.labels.as_ref().filter(|_| self.record.config.data.conditional)?;
        Some(labels.of_row[row])
    }
}

/// The row at place `at` of an endless sequence of epochs, each a permutation of all rows.
pub(super) fn epoch_row(order: &mut (u64, Vec<usize>), seed: u64, rows: usize, at: u64) -> usize {
    let epoch = at / rows as u64;
    if order.0 != epoch {
        let mut permutation: Vec<usize> = (0..rows).collect();
        permutation.shuffle(&mut stream(seed, Purpose::Order, epoch, 0));
        *order = (epoch, permutation);
    }
    order.1[(at % rows as u64) as usize]
}
