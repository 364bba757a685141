//! One training on many ranks: fingerprints of their state, and the sum of their gradients.

use std::{
    cell::RefCell,
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
    rc::Rc,
    sync::mpsc::Sender,
};

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Tensor, TensorData},
};
use pfgm_burn_ops::gradient_hooks;

use super::{error::TrainError, optimizer::FlatGradients};
use crate::parallel::{Communicator, exchange};

/// Least number of values in a bucket: 1 MB. The latency of a message is negligible then, and the first bucket is sent long before the
/// last one is full.
const BUCKET: usize = 1 << 18;

/// Fingerprints of the state that all ranks must share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fingerprints {
    /// Of the specification.
    pub(super) configuration: u64,
    /// Of all rows and labels.
    pub(super) data: u64,
    /// Of weights, average, moments and step.
    pub(super) weights: u64,
}

impl Fingerprints {
    /// Checks that all ranks have the same fingerprints.
    ///
    /// # Errors
    /// Returns the same error on each rank: the first rank that differs from rank 0, and in what.
    pub(super) fn check(self, ranks: &dyn Communicator) -> Result<(), TrainError> {
        let parts = [self.configuration, self.data, self.weights];
        let all = exchange(ranks, parts.into_iter().flat_map(u64::to_le_bytes).collect());
        let differing = |part: usize| {
            let bytes = |rank: &Vec<u8>| rank[8 * part..8 * part + 8].to_vec();
            all.iter().position(|rank| bytes(rank) != bytes(&all[0]))
        };
        // Ranks that differ in configuration also differ in weights and data.
        for (part, what) in ["another configuration", "other data", "other weights"].into_iter().enumerate() {
            if let Some(rank) = differing(part) {
                return Err(TrainError::Apart { rank, what });
            }
        }
        Ok(())
    }
}

/// Hashes what `write` adds.
pub(super) fn fingerprint(write: impl FnOnce(&mut DefaultHasher)) -> u64 {
    let mut hasher = DefaultHasher::new();
    write(&mut hasher);
    hasher.finish()
}

/// Adds values to a fingerprint, bit by bit.
pub(super) fn add_values(hasher: &mut DefaultHasher, values: &[f32]) {
    bytemuck::cast_slice::<f32, u8>(values).hash(hasher);
}

/// Buckets in which the gradients of a backward pass are sent to the other ranks, those of convolutions as soon as they are computed.
pub(super) struct GradientBuckets {
    buckets: Sender<Vec<f32>>,
    /// Range of the weights of each convolution among all weights.
    places: HashMap<u64, Range<usize>>,
    /// Gradients of earlier parts of the batch; empty if there are none.
    earlier: Vec<f32>,
    /// Contents of the next bucket so far.
    bucket: Vec<f32>,
    /// Memory for buckets.
    spare: Vec<Vec<f32>>,
    /// Range of each gradient that was sent, in order.
    sent: Vec<Range<usize>>,
}

impl GradientBuckets {
    /// Empty buckets for the gradients of a network.
    pub(super) fn new(network: &impl Module, buckets: Sender<Vec<f32>>, spare: Vec<Vec<f32>>) -> Rc<RefCell<Self>> {
        struct Reader(usize, HashMap<u64, Range<usize>>);
        impl ModuleVisitor for Reader {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let weight = param.val();
                let place = self.0..self.0 + weight.shape().num_elements();
                self.0 = place.end;
                self.1.extend(gradient_hooks::weight_id(&weight).map(|node| (node, place)));
            }
        }
        let mut reader = Reader(0, HashMap::new());
        network.visit(&mut reader);
        let (earlier, bucket, sent) = (Vec::new(), Vec::new(), Vec::new());
        Rc::new(RefCell::new(Self { buckets, places: reader.1, earlier, bucket, spare, sent }))
    }

    /// Takes the gradients of all parts of a batch but the last, whose backward pass begins next.
    pub(super) fn expect_last_part(&mut self, earlier: Option<&FlatGradients>) {
        self.earlier = earlier.map_or_else(Vec::new, |earlier| values(earlier.narrow(0, earlier.len())));
    }

    /// Adds the gradient of a convolution, and sends the bucket if it is full.
    pub(super) fn push(&mut self, node: u64, gradient: &[f32]) {
        let place = self.places.remove(&node).expect("every convolution has weights of its own");
        let start = self.bucket.len();
        self.bucket.extend_from_slice(gradient);
        if let Some(earlier) = self.earlier.get(place.clone()) {
            self.bucket[start..].iter_mut().zip(earlier).for_each(|(value, earlier)| *value += earlier);
        }
        self.sent.push(place);
        if self.bucket.len() >= BUCKET {
            self.send();
        }
    }

    fn send(&mut self) {
        // The receiver lives until all senders are dropped.
        let mut next = self.spare.pop().unwrap_or_default();
        next.clear();
        let _ = self.buckets.send(std::mem::replace(&mut self.bucket, next));
    }

    /// Sends the gradients that were not pushed, each bucket as soon as it has left the device. Returns the range of each gradient that was
    /// sent, in order.
    pub(super) fn finish(&mut self, gradients: &FlatGradients) -> Vec<Range<usize>> {
        if !self.bucket.is_empty() {
            self.send();
        }
        let mut pushed = self.sent.clone();
        pushed.sort_unstable_by_key(|place| place.start);
        pushed.push(gradients.len()..gradients.len());
        let mut end = 0;
        for place in pushed {
            for start in (end..place.start).step_by(BUCKET) {
                let rest = start..(start + BUCKET).min(place.start);
                self.bucket.extend(values(gradients.narrow(rest.start, rest.len())));
                self.sent.push(rest);
                self.send();
            }
            end = place.end;
        }
        std::mem::take(&mut self.sent)
    }
}

/// Copies the values of a tensor to the host.
fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("single precision")
}

/// Builds gradients from the sums of all buckets. `places` are the ranges of their values, in order.
pub(super) fn gradients_of(sums: &[Vec<f32>], places: &[Range<usize>], device: &Device) -> FlatGradients {
    let count = places.iter().map(ExactSizeIterator::len).sum();
    let (mut flat, mut places) = (vec![0.0; count], places.iter());
    for mut sums in sums.iter().map(Vec::as_slice) {
        // No range is split between buckets.
        while !sums.is_empty() {
            let place = places.next().expect("there is a place for every value");
            let (values, others) = sums.split_at(place.len());
            flat[place.clone()].copy_from_slice(values);
            sums = others;
        }
    }
    FlatGradients::from_flat(Tensor::from_data(TensorData::new(flat, [count]), device))
}
