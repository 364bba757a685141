//! The processes that `mpirun` or `srun` started, as a `Communicator` of `pfgm::parallel`.
//!
//! Everything is behind the feature `mpi`; without it the crate is empty, and needs no MPI to build.
#![cfg(feature = "mpi")]

mod pending;

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use mpi::{
    Threading,
    collective::SystemOperation,
    environment::Universe,
    topology::SimpleCommunicator,
    traits::{Communicator as _, CommunicatorCollectives as _, Destination as _, Root as _, Source as _},
};
use pending::Pending;
use pfgm::parallel::Communicator;

/// Bytes of one message at the most: MPI counts in 32 bits.
const PIECE: usize = 1 << 30;
/// How long a rank that has something else to do waits before it looks after the buckets that are on their way.
const GLANCE: Duration = Duration::from_micros(100);

/// The ranks of one job. MPI ends with it, once every rank has come so far.
pub struct Mpi {
    rank: usize,
    size: usize,
    on_host: (usize, usize),
    /// Memory that buckets were sent from, for the sums of later ones.
    spare: Mutex<Vec<Vec<f32>>>,
    _universe: Universe,
}

/// Why there are no ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A process has one job.
    #[error("MPI was started before")]
    AlreadyStarted,
    /// Gradients are summed by a thread of their own.
    #[error(
        "this MPI may only be called by the main thread; use one that was built with MPI_THREAD_SERIALIZED or more"
    )]
    Threads,
}

impl Mpi {
    /// Joins the job that this process was started in; alone, it is a job of one.
    ///
    /// # Errors
    /// When MPI was started before (a process has one job), or can only be called by the main thread.
    pub fn start() -> Result<Self, StartError> {
        let (universe, threading) =
            mpi::initialize_with_threading(Threading::Serialized).ok_or(StartError::AlreadyStarted)?;
        if threading < Threading::Serialized {
            return Err(StartError::Threads);
        }
        let world = universe.world();
        let host = world.split_shared(world.rank());
        Ok(Self {
            rank: world.rank() as usize,
            size: world.size() as usize,
            on_host: (host.rank() as usize, host.size() as usize),
            spare: Mutex::default(),
            _universe: universe,
        })
    }
}

/// All ranks. Made anew at every call: it is a constant of MPI's, and its type may not go to other threads.
fn world() -> SimpleCommunicator {
    SimpleCommunicator::world()
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn on_host(&self) -> (usize, usize) {
        self.on_host
    }

    fn all_reduce_stream(&self, buckets: &Receiver<Vec<f32>>) -> Vec<Vec<f32>> {
        let mut sums: Vec<Pending> = Vec::new();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all_are_here = false;
        // Most MPIs move data only while they are called, and wait by asking without a pause; this rank's only processor may have
        // the next bucket, or the next batch, to make meanwhile.
        loop {
            let on_their_way = sums.iter_mut().fold(false, |any, sum| !sum.is_done() | any);
            let next = match (all_are_here, on_their_way) {
                (true, false) => break,
                (true, true) => {
                    thread::sleep(GLANCE);
                    continue;
                }
                (false, true) => buckets.recv_timeout(GLANCE),
                (false, false) => buckets.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(bucket) => sums.push(Pending::start(bucket, spare.pop().unwrap_or_default())),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => all_are_here = true,
            }
        }
        let done = sums.into_iter().map(|sum| {
            let (sent, sums) = sum.wait();
            spare.push(sent);
            sums
        });
        done.collect()
    }

    fn sum(&self, values: &mut [f64]) {
        let own = values.to_vec();
        world().all_reduce_into(&own[..], values, SystemOperation::sum());
    }

    fn broadcast(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let (world, mut length) = (world(), bytes.len() as u64);
        let root = world.process_at_rank(0);
        root.broadcast_into(&mut length);
        bytes.resize(length as usize, 0);
        bytes.chunks_mut(PIECE).for_each(|piece| root.broadcast_into(piece));
        bytes
    }

    fn gather(&self, bytes: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        let world = world();
        let root = world.process_at_rank(0);
        if self.rank > 0 {
            root.send(&(bytes.len() as u64));
            bytes.chunks(PIECE).for_each(|piece| root.send(piece));
            return None;
        }
        let others = (1..self.size).map(|rank| {
            let process = world.process_at_rank(rank as i32);
            let (length, _) = process.receive::<u64>();
            let mut bytes = vec![0; length as usize];
            bytes.chunks_mut(PIECE).for_each(|piece| {
                process.receive_into(piece);
            });
            bytes
        });
        Some(std::iter::once(bytes).chain(others.collect::<Vec<_>>()).collect())
    }

    fn barrier(&self) {
        world().barrier();
    }

    fn abort(&self, code: u8) -> ! {
        world().abort(code.into())
    }
}
