//! The `Communicator` of `pfgm::parallel` over MPI, for processes that `mpirun` or `srun` started.
//!
//! Everything is behind the feature `mpi`. Without it the crate is empty, and building needs no MPI.
//!
//! No call blocks inside MPI: operations are started and polled under one lock (`serialized`). Therefore
//! `MPI_THREAD_SERIALIZED` is sufficient for the thread that sums gradients, the heartbeats, and the abort after a panic. Every collective has
//! a deadline (`monitor`): if a rank hangs, the job ends and names the rank.
#![cfg(feature = "mpi")]

mod monitor;
mod request;
mod serialized;

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use monitor::{Deadline, Monitor};
use mpi::{Threading, environment::Universe, ffi, topology::SimpleCommunicator, traits::Communicator as _};
use pfgm::parallel::{Communicator, exchange};
use request::{Bucket, Request};
use serialized::serialized;

/// Largest number of bytes in one message: MPI counts in 32 bits.
const PIECE: usize = 1 << 30;
/// Interval for polling the buckets that are being summed.
const POLL: Duration = Duration::from_micros(100);
/// Tag of the messages that carry data.
const DATA: i32 = 1;

/// The ranks of a job. Dropping it waits for all ranks and finalizes MPI.
pub struct Mpi {
    rank: usize,
    size: usize,
    on_host: (usize, usize),
    /// Memory of earlier buckets, for reuse.
    spare: Mutex<Vec<Vec<f32>>>,
    /// Stopped before MPI is finalized; `None` before it is started.
    monitor: Option<Monitor>,
    universe: Option<Universe>,
}

/// Reason why a process cannot join the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// MPI is already initialized in this process.
    #[error("MPI is already initialized in this process")]
    AlreadyStarted,
    /// Other threads than the main thread may not call this MPI.
    #[error(
        "this MPI may only be called by the main thread; use one that was built with MPI_THREAD_SERIALIZED or more"
    )]
    Threads,
}

impl Mpi {
    /// Joins the job of this process. A process that was started without MPI is a job with one rank.
    ///
    /// The job ends if a rank sends no heartbeat for `rank_timeout`, or is that late for a collective.
    ///
    /// # Errors
    /// Returns an error if MPI is already initialized in this process, or may only be called by the main thread.
    pub fn start(rank_timeout: Duration) -> Result<Self, StartError> {
        let (universe, threading) =
            mpi::initialize_with_threading(Threading::Serialized).ok_or(StartError::AlreadyStarted)?;
        if threading < Threading::Serialized {
            return Err(StartError::Threads);
        }
        let world = universe.world();
        let host = world.split_shared(world.rank());
        let mut job = Self {
            rank: world.rank() as usize,
            size: world.size() as usize,
            on_host: (host.rank() as usize, host.size() as usize),
            spare: Mutex::default(),
            monitor: None,
            universe: Some(universe),
        };
        let name = mpi::environment::processor_name().unwrap_or_default();
        let hosts = exchange(&job, name.into_bytes());
        let hosts = hosts.into_iter().map(|name| String::from_utf8_lossy(&name).into_owned()).collect();
        job.monitor = Some(Monitor::start(job.rank, hosts, rank_timeout));
        Ok(job)
    }

    /// Marks the start of a collective. It has to end before the returned deadline.
    fn enter(&self) -> Deadline<'_> {
        Deadline::new(self.monitor.as_ref())
    }

    /// Sends bytes to rank 0 in pieces.
    fn send(&self, bytes: &[u8]) {
        let length = (bytes.len() as u64).to_le_bytes();
        for piece in std::iter::once(&length[..]).chain(bytes.chunks(PIECE)) {
            Request::send(piece, 0, DATA).wait();
        }
    }

    /// Receives bytes that a rank sent with [`Mpi::send`].
    fn receive(&self, rank: usize) -> Vec<u8> {
        let mut length = [0; 8];
        Request::receive(&mut length, rank, DATA).wait();
        let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
        bytes.chunks_mut(PIECE).for_each(|piece| Request::receive(piece, rank, DATA).wait());
        bytes
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if !thread::panicking() {
            // No deadline: rank 0 may still draw samples. Its heartbeats show that it does not hang.
            Request::barrier().wait();
        }
        self.monitor = None;
        serialized(|| self.universe = None);
    }
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
        let mut sums: Vec<Bucket> = Vec::new();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut deadline = None;
        let mut all_are_here = false;
        // Most MPI implementations make progress only inside calls. Sleeping between calls leaves the processor to the computing thread.
        loop {
            let is_pending = sums.iter_mut().fold(false, |any, sum| !sum.is_done() | any);
            let next = match (all_are_here, is_pending) {
                (true, false) => break,
                (true, true) => {
                    thread::sleep(POLL);
                    continue;
                }
                (false, true) => buckets.recv_timeout(POLL),
                (false, false) => buckets.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(bucket) => sums.push(Bucket::start(bucket, spare.pop().unwrap_or_default())),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    all_are_here = true;
                    // The time until here is that of this rank's backward pass.
                    deadline = Some(self.enter());
                }
            }
        }
        drop(deadline);
        let done = sums.into_iter().map(|sum| {
            let (sent, sums) = sum.finish();
            spare.push(sent);
            sums
        });
        done.collect()
    }

    fn sum(&self, values: &mut [f64]) {
        let _deadline = self.enter();
        let own = values.to_vec();
        Request::sum(&own, values).wait();
    }

    fn broadcast(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let _deadline = self.enter();
        let mut length = (bytes.len() as u64).to_le_bytes();
        Request::broadcast(&mut length).wait();
        bytes.resize(u64::from_le_bytes(length) as usize, 0);
        bytes.chunks_mut(PIECE).for_each(|piece| Request::broadcast(piece).wait());
        bytes
    }

    fn gather(&self, bytes: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        let _deadline = self.enter();
        if self.rank > 0 {
            self.send(&bytes);
            return None;
        }
        let others = (1..self.size).map(|rank| self.receive(rank));
        Some(std::iter::once(bytes).chain(others).collect())
    }

    fn barrier(&self) {
        let _deadline = self.enter();
        Request::barrier().wait();
    }

    fn abort(&self, code: u8) -> ! {
        abort(code)
    }
}

/// Ends all processes of the job. Waits a moment for the thread that calls MPI, which may be the one that panicked.
fn abort(code: u8) -> ! {
    if let Some(_guard) = serialized::try_for(Duration::from_secs(2)) {
        SimpleCommunicator::world().abort(code.into());
    }
    // mpirun ends the others when a process ends without MPI_Finalize.
    std::process::exit(code.into())
}

/// All ranks, as MPI calls them.
fn world() -> ffi::MPI_Comm {
    // SAFETY: a constant of MPI.
    unsafe { ffi::RSMPI_COMM_WORLD }
}
