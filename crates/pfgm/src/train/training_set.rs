//! What a training learns from, and in which order.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
};

use pfgm_data::{DataError, Dataset, Values};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::{
    random::{Purpose, stream},
    spec::ModelSpec,
};

/// The rows that a training learns from, in the model's space.
///
/// Rows in files are read ahead: while a step is computed, a thread reads those that the next one will ask for. What is asked for is
/// what is handed out, read ahead or not, so that a batch is the same to the bit.
pub(super) struct TrainingSet {
    shared: Arc<Shared>,
    ahead: Mutex<Vec<Ahead>>,
}

struct Shared {
    dataset: Dataset,
    record: ModelSpec,
}

/// Rows that are being read.
struct Ahead {
    rows: Vec<usize>,
    values: mpsc::Receiver<Result<Vec<f32>, DataError>>,
}

impl TrainingSet {
    /// The rows of a data set as `record` transforms them.
    pub(super) fn new(dataset: Dataset, record: &ModelSpec) -> Self {
        Self { shared: Arc::new(Shared { dataset, record: record.clone() }), ahead: Mutex::new(Vec::new()) }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.shared.dataset.len()
    }

    /// Reads rows to the end of `out`.
    ///
    /// # Errors
    /// When one lies in a file and cannot be read.
    pub(super) fn read(&self, rows: &[usize], out: &mut Vec<f32>) -> Result<(), DataError> {
        let ahead = {
            let mut ahead = self.ahead.lock().expect("no thread panics with it");
            ahead.iter().position(|ahead| ahead.rows == rows).map(|at| ahead.swap_remove(at))
        };
        // A thread that has ended without a word is asked again here.
        let values = ahead.and_then(|ahead| ahead.values.recv().ok()).unwrap_or_else(|| self.shared.read(rows))?;
        out.extend(values);
        Ok(())
    }

    /// Whether it is of use to read ahead.
    pub(super) fn reads_ahead(&self) -> bool {
        matches!(self.shared.dataset.values, Values::OnDisk(_))
    }

    /// Begins to read what will be asked for next, list by list, and forgets what was read ahead and not asked for.
    pub(super) fn read_ahead(&self, lists: impl IntoIterator<Item = Vec<usize>>) {
        let ahead = lists.into_iter().filter_map(|rows| self.begin(rows)).collect();
        *self.ahead.lock().expect("no thread panics with it") = ahead;
    }

    fn begin(&self, rows: Vec<usize>) -> Option<Ahead> {
        let (sender, values) = mpsc::sync_channel(1);
        let (shared, wanted) = (Arc::clone(&self.shared), rows.clone());
        // Whoever no longer waits for them has no use for an error either.
        let reading = thread::Builder::new().name("read-ahead".into()).spawn(move || {
            let _ = sender.send(shared.read(&wanted));
        });
        reading.is_ok().then_some(Ahead { rows, values })
    }

    /// The class of a row, where the network is conditioned on classes.
    pub(super) fn label(&self, row: usize) -> Option<u32> {
        let Shared { dataset, record } = &*self.shared;
        let labels = dataset.labels.as_ref().filter(|_| record.config.data.conditional)?;
        Some(labels.of_row[row])
    }
}

impl Shared {
    fn read(&self, rows: &[usize]) -> Result<Vec<f32>, DataError> {
        let dim = self.record.dim();
        let mut values = vec![0.0; rows.len() * dim];
        let read = |(out, &row): (&mut [f32], &usize)| {
            self.dataset.read(row, out)?;
            self.record.data.transform.forward(out);
            Ok(())
        };
        match &self.dataset.values {
            // Images are decoded side by side.
            Values::OnDisk(_) => values.par_chunks_exact_mut(dim).zip(rows).try_for_each(read)?,
            Values::Bytes(_) | Values::Floats(_) => values.chunks_exact_mut(dim).zip(rows).try_for_each(read)?,
        }
        Ok(values)
    }
}

/// The order of an epoch's rows.
#[derive(Default)]
pub(super) struct EpochPermutation {
    /// Which epoch's, if any.
    epoch: Option<u64>,
    rows: Vec<u32>,
}

impl EpochPermutation {
    /// The row at place `at` of an endless sequence of epochs, each a permutation of all rows.
    pub(super) fn row(&mut self, seed: u64, rows: usize, at: u64) -> usize {
        let epoch = at / rows as u64;
        if self.epoch != Some(epoch) {
            // The old order's memory is used again: there is one of them, however many rows.
            self.rows.clear();
            self.rows.extend(0..rows as u32);
            self.rows.shuffle(&mut stream(seed, Purpose::Order, epoch, 0));
            self.epoch = Some(epoch);
        }
        self.rows[(at % rows as u64) as usize] as usize
    }
}
