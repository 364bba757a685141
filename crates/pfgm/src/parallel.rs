//! Work that is divided among processes.
//!
//! Random numbers come from streams that are named by their purpose, step and item ([`crate::random`]). Work is therefore divided by
//! items: each rank draws and computes its own items, and exchanges only sums and results.

use std::{ops::Range, sync::mpsc::Receiver};

use bytemuck::Pod;

/// Processes that work together (ranks), as one of them sees them.
///
/// Every rank makes the same calls in the same order, one at a time, from any thread.
pub trait Communicator: Send + Sync {
    /// Number of this process, from 0.
    fn rank(&self) -> usize;

    /// Number of processes.
    fn size(&self) -> usize;

    /// Number of this process among those of its host, and how many those are.
    fn on_host(&self) -> (usize, usize);

    /// Sums buckets of values over all ranks, each as soon as it is received. All ranks send buckets of the same lengths in the same order,
    /// and get the same sums.
    ///
    /// Returns once the senders are dropped and every sum is computed.
    fn all_reduce_stream(&self, buckets: &Receiver<Vec<f32>>) -> Vec<Vec<f32>>;

    /// Sums values over all ranks, in place.
    fn sum(&self, values: &mut [f64]);

    /// Returns the bytes of rank 0 on every rank.
    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8>;

    /// Returns the bytes of all ranks, in their order, on rank 0, and `None` on the others.
    fn gather(&self, bytes: Vec<u8>) -> Option<Vec<Vec<u8>>>;

    /// Ends all processes at once with an exit code.
    fn abort(&self, code: u8) -> !;

    /// Whether this is rank 0, which writes and prints.
    fn is_root(&self) -> bool {
        self.rank() == 0
    }

    /// Returns once every rank has called it.
    fn barrier(&self) {
        self.sum(&mut [0.0]);
    }

    /// Range of the items that this rank works on.
    fn share(&self, items: usize) -> Range<usize> {
        share(items, self.rank(), self.size())
    }
}

/// A single process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Solo;

impl Communicator for Solo {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn on_host(&self) -> (usize, usize) {
        (0, 1)
    }

    fn all_reduce_stream(&self, buckets: &Receiver<Vec<f32>>) -> Vec<Vec<f32>> {
        buckets.iter().collect()
    }

    fn sum(&self, _values: &mut [f64]) {}

    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    fn gather(&self, bytes: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        Some(vec![bytes])
    }

    fn abort(&self, code: u8) -> ! {
        std::process::exit(code.into())
    }
}

/// Range of the items of one rank. Ranges are in the order of ranks, and their lengths differ by at most one.
pub fn share(items: usize, rank: usize, ranks: usize) -> Range<usize> {
    let before = |rank: usize| items / ranks * rank + rank.min(items % ranks);
    before(rank)..before(rank + 1)
}

/// Returns the values of all ranks, concatenated, on rank 0, and `None` on the others.
pub fn gather<T: Pod>(communicator: &dyn Communicator, values: Vec<T>) -> Option<Vec<T>> {
    if communicator.size() == 1 {
        return Some(values);
    }
    let parts = communicator.gather(bytemuck::cast_slice(&values).to_vec())?;
    Some(parts.iter().flat_map(|part| bytemuck::pod_collect_to_vec::<u8, T>(part)).collect())
}

/// Returns the bytes of all ranks, in their order, on every rank.
pub fn exchange(communicator: &dyn Communicator, bytes: Vec<u8>) -> Vec<Vec<u8>> {
    let gathered = communicator.gather(bytes);
    let packed = gathered.into_iter().flatten().flat_map(|part| {
        let length = (part.len() as u64).to_le_bytes();
        length.into_iter().chain(part)
    });
    let packed = communicator.broadcast(packed.collect());
    let (mut parts, mut rest) = (Vec::new(), packed.as_slice());
    while let Some((length, after)) = rest.split_first_chunk::<8>() {
        let (part, after) = after.split_at(u64::from_le_bytes(*length) as usize);
        parts.push(part.to_vec());
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_all_items_once() {
        for items in [0, 1, 5, 64, 101] {
            for ranks in [1, 2, 3, 7, 128] {
                let shares: Vec<_> = (0..ranks).map(|rank| share(items, rank, ranks)).collect();
                assert_eq!(shares.iter().cloned().flatten().collect::<Vec<_>>(), (0..items).collect::<Vec<_>>());
                let sizes: Vec<_> = shares.iter().map(ExactSizeIterator::len).collect();
                assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
            }
        }
    }

    #[test]
    fn parts_are_packed_and_unpacked() {
        assert_eq!(gather(&Solo, vec![1.5, -0.0]), Some(vec![1.5, -0.0]));
        assert_eq!(exchange(&Solo, vec![1, 2, 3]), [[1, 2, 3]]);
    }
}
