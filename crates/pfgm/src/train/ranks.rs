//! One training on many ranks: what they must have in common, and the sum of their gradients.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::mpsc::Sender,
};

use burn::tensor::{Device, Tensor, TensorData};

use super::{optimizer::FlatGradients, trainer::TrainError};
use crate::parallel::{Communicator, exchange};

/// Values of a bucket at the most: 4 MB, long enough that a message's latency is nothing, short enough that the first is on its way
/// long before the last is made.
const BUCKET: usize = 1 << 20;

/// What has to be the same on every rank, each as a number that tells differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Common {
    /// Of the record.
    pub(super) configuration: u64,
    /// Of some of the rows.
    pub(super) data: u64,
    /// Of weights, average and moments, and the step.
    pub(super) weights: u64,
}

impl Common {
    /// Checks that all ranks have the same.
    ///
    /// # Errors
    /// The same on every rank: the first that differs from rank 0, and in what.
    pub(super) fn check(self, ranks: &dyn Communicator) -> Result<(), TrainError> {
        let parts = [self.configuration, self.data, self.weights];
        let all = exchange(ranks, parts.into_iter().flat_map(u64::to_le_bytes).collect());
        let differing = |part: usize| {
            let bytes = |rank: &Vec<u8>| rank[8 * part..8 * part + 8].to_vec();
            all.iter().position(|rank| bytes(rank) != bytes(&all[0]))
        };
        // Another configuration has other weights and other data, too.
        for (part, what) in ["another configuration", "other data", "other weights"].into_iter().enumerate() {
            if let Some(rank) = differing(part) {
                return Err(TrainError::Apart { rank, what });
            }
        }
        Ok(())
    }
}

/// A number that tells differences.
pub(super) fn fingerprint(write: impl FnOnce(&mut DefaultHasher)) -> u64 {
    let mut hasher = DefaultHasher::new();
    write(&mut hasher);
    hasher.finish()
}

/// Adds values to a fingerprint, to the bit.
pub(super) fn add_values(hasher: &mut DefaultHasher, values: &[f32]) {
    bytemuck::cast_slice::<f32, u8>(values).hash(hasher);
}

impl FlatGradients {
    /// Hands the gradients over in buckets, first to last, each as soon as it has left the device.
    pub(super) fn send(self, buckets: &Sender<Vec<f32>>) {
        let count = self.len();
        for start in (0..count).step_by(BUCKET) {
            let part = self.narrow(start, BUCKET.min(count - start));
            let values = part.into_data().try_into_vec::<f32>().expect("single precision");
            // Whoever sums them is there until the last has come.
            let _ = buckets.send(values);
        }
    }

    /// The sums of all ranks' buckets as gradients.
    pub(super) fn from_sums(sums: Vec<Vec<f32>>, device: &Device) -> Self {
        let sums = sums.concat();
        let count = sums.len();
        Self::from_flat(Tensor::from_data(TensorData::new(sums, [count]), device))
    }
}
