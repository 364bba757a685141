//! Rows that a training learns from, and their order.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, OnceLock, mpsc},
    thread,
};

use pfgm_data::{DataError, Dataset, Values};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::ranks::{add_values, fingerprint};
use crate::{
    random::{Purpose, stream},
    spec::ModelSpec,
};

/// Rows that a training learns from, in the model's space.
///
/// Rows in files are read ahead: while a step is computed, a thread reads the rows of the next step. A batch is the same to the bit,
/// whether its rows were read ahead or not.
pub(super) struct TrainingSet {
    shared: Arc<Shared>,
    ahead: Mutex<Vec<Ahead>>,
}

struct Shared {
    dataset: Dataset,
    spec: ModelSpec,
    fingerprint: OnceLock<u64>,
}

/// Rows of which one hash is made; the hashes of such parts are computed side by side.
const HASHED_ROWS: usize = 256;

/// Rows that are being read.
struct Ahead {
    rows: Vec<usize>,
    values: mpsc::Receiver<Result<Vec<f32>, DataError>>,
}

impl TrainingSet {
    /// Rows of a data set as `spec` transforms them.
    pub(super) fn new(dataset: Dataset, spec: &ModelSpec) -> Self {
        Self {
            shared: Arc::new(Shared { dataset, spec: spec.clone(), fingerprint: OnceLock::new() }),
            ahead: Mutex::new(Vec::new()),
        }
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.shared.dataset.len()
    }

    /// Reads rows, and appends them to `out`.
    ///
    /// # Errors
    /// Returns an error if a row cannot be read from its file.
    pub(super) fn read(&self, rows: &[usize], out: &mut Vec<f32>) -> Result<(), DataError> {
        let ahead = {
            let mut ahead = self.ahead.lock().expect("no thread panics with it");
            ahead.iter().position(|ahead| ahead.rows == rows).map(|at| ahead.swap_remove(at))
        };
        // If the thread ended without an answer, the rows are read here.
        let values = ahead.and_then(|ahead| ahead.values.recv().ok()).unwrap_or_else(|| self.shared.read(rows))?;
        out.extend(values);
        Ok(())
    }

    /// Hash of all rows and labels, which are read once for it.
    ///
    /// # Errors
    /// Returns an error if a row cannot be read.
    pub(super) fn fingerprint(&self) -> Result<u64, DataError> {
        if let Some(found) = self.shared.fingerprint.get() {
            return Ok(*found);
        }
        let parts = (0..self.len()).step_by(HASHED_ROWS).collect::<Vec<_>>().into_par_iter().map(|first| {
            let rows: Vec<usize> = (first..(first + HASHED_ROWS).min(self.len())).collect();
            let values = self.shared.read(&rows)?;
            Ok(fingerprint(|hasher| {
                add_values(hasher, &values);
                rows.iter().for_each(|&row| self.label(row).hash(hasher));
            }))
        });
        let parts = parts.collect::<Result<Vec<u64>, DataError>>()?;
        Ok(*self.shared.fingerprint.get_or_init(|| fingerprint(|hasher| (self.len(), &parts).hash(hasher))))
    }

    /// Whether reading ahead saves time.
    pub(super) fn reads_ahead(&self) -> bool {
        matches!(self.shared.dataset.values, Values::OnDisk(_))
    }

    /// Starts to read the rows of the next step, list by list, and drops rows that were read ahead and not used.
    pub(super) fn read_ahead(&self, lists: impl IntoIterator<Item = Vec<usize>>) {
        let ahead = lists.into_iter().filter_map(|rows| self.begin(rows)).collect();
        *self.ahead.lock().expect("no thread panics with it") = ahead;
    }

    fn begin(&self, rows: Vec<usize>) -> Option<Ahead> {
        let (sender, values) = mpsc::sync_channel(1);
        let (shared, wanted) = (Arc::clone(&self.shared), rows.clone());
        // If the rows are no longer needed, neither is the error.
        let reading = thread::Builder::new().name("read-ahead".into()).spawn(move || {
            let _ = sender.send(shared.read(&wanted));
        });
        reading.is_ok().then_some(Ahead { rows, values })
    }

    /// Class of a row, if the network is conditioned on classes.
    pub(super) fn label(&self, row: usize) -> Option<u32> {
        let Shared { dataset, spec, .. } = &*self.shared;
        let labels = dataset.labels.as_ref().filter(|_| spec.config.data.conditional)?;
        Some(labels.of_row[row])
    }
}

impl Shared {
    fn read(&self, rows: &[usize]) -> Result<Vec<f32>, DataError> {
        let dim = self.spec.dim();
        let mut values = vec![0.0; rows.len() * dim];
        let read =
            |(out, &row): (&mut [f32], &usize)| self.dataset.read_transformed(row, &self.spec.data.transform, out);
        match &self.dataset.values {
            // Images are decoded in parallel.
            Values::OnDisk(_) => values.par_chunks_exact_mut(dim).zip(rows).try_for_each(read)?,
            Values::Bytes(_) | Values::Floats(_) => values.chunks_exact_mut(dim).zip(rows).try_for_each(read)?,
        }
        Ok(values)
    }
}

/// Random order of the rows of an epoch.
#[derive(Default)]
pub(super) struct EpochPermutation {
    /// Number of the epoch; `None` before the first.
    epoch: Option<u64>,
    rows: Vec<u32>,
}

impl EpochPermutation {
    /// Row at position `at` of an endless sequence of epochs, each a permutation of all rows.
    pub(super) fn row(&mut self, seed: u64, rows: usize, at: u64) -> usize {
        let epoch = at / rows as u64;
        if self.epoch != Some(epoch) {
            // The memory of the old order is used again.
            self.rows.clear();
            self.rows.extend(0..rows as u32);
            self.rows.shuffle(&mut stream(seed, Purpose::Order, epoch, 0));
            self.epoch = Some(epoch);
        }
        self.rows[(at % rows as u64) as usize] as usize
    }
}
