//! Several processes that work on one thing.
//!
//! Random numbers come from streams that are named by what they are for ([`crate::random`]), so that work is dealt out by
//! items: a rank draws and computes its own, and what is left to exchange are sums and results.

use std::{ops::Range, sync::mpsc::Receiver};

use bytemuck::Pod;

/// The processes that work together, as one of them sees them.
///
/// Every rank makes the same calls in the same order, one after another; any thread may make them.
pub trait Communicator: Send + Sync {
    /// This process, from 0.
    fn rank(&self) -> usize;

    /// How many processes there are.
    fn size(&self) -> usize;

    /// This process among those of its host, and how many those are.
    fn on_host(&self) -> (usize, usize);

    /// Sums buckets of values over all ranks, each from when it comes while later ones are still being made; all ranks make as many, of
    /// the same lengths, in the same order. Every rank gets the same sums.
    ///
    /// Returns when the senders are gone and every sum is there.
    fn all_reduce_stream(&self, buckets: &Receiver<Vec<f32>>) -> Vec<Vec<f32>>;

    /// Sums values over all ranks, in place.
    fn sum(&self, values: &mut [f64]);

    /// Gives every rank the bytes of rank 0.
    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8>;

    /// Gives rank 0 the bytes of all, by rank; the others get none.
    fn gather(&self, bytes: Vec<u8>) -> Option<Vec<Vec<u8>>>;

    /// Ends all processes at once, with this exit code.
    fn abort(&self, code: u8) -> !;

    /// Whether this is the rank that writes and prints.
    fn is_root(&self) -> bool {
        self.rank() == 0
    }

    /// Returns once every rank has come here.
    fn barrier(&self) {
        self.sum(&mut [0.0]);
    }

    /// What of so many items is this rank's.
    fn share(&self, items: usize) -> Range<usize> {
        share(items, self.rank(), self.size())
    }
}

/// One process.
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

/// What of so many items is a rank's: as many as any other's or one more, in the order of ranks.
pub fn share(items: usize, rank: usize, ranks: usize) -> Range<usize> {
    let before = |rank: usize| items / ranks * rank + rank.min(items % ranks);
    before(rank)..before(rank + 1)
}

/// Gives rank 0 the values of all ranks, one after another; the others get none.
pub fn gather<T: Pod>(communicator: &dyn Communicator, values: Vec<T>) -> Option<Vec<T>> {
    if communicator.size() == 1 {
        return Some(values);
    }
    let parts = communicator.gather(bytemuck::cast_slice(&values).to_vec())?;
    Some(parts.iter().flat_map(|part| bytemuck::pod_collect_to_vec::<u8, T>(part)).collect())
}

/// Gives every rank the bytes of all, by rank.
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
    fn shares_are_everything_once() {
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
