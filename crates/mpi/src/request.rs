//! Pending MPI operations.

use std::{
    marker::PhantomData,
    mem::MaybeUninit,
    thread,
    time::{Duration, Instant},
};

use mpi::ffi;

use crate::{serialized::serialized, world};

/// Time for which an operation is polled without a pause.
const SPIN: Duration = Duration::from_micros(200);
/// Polling interval afterwards.
const PAUSE: Duration = Duration::from_micros(100);

/// A pending operation that reads or writes a buffer until it is done.
///
/// A request that is dropped waits for its end, so that the buffer lives as long.
pub(crate) struct Request<'a> {
    raw: ffi::MPI_Request,
    buffer: PhantomData<&'a mut [u8]>,
}

// SAFETY: any thread may poll a request, one at a time, which `serialized` guarantees.
unsafe impl Send for Request<'_> {}

impl<'a> Request<'a> {
    /// Starts an operation: `call` passes MPI a pointer to the request, and returns the status of MPI.
    fn start(what: &str, call: impl FnOnce(*mut ffi::MPI_Request) -> i32) -> Self {
        let mut raw = MaybeUninit::uninit();
        let status = serialized(|| call(raw.as_mut_ptr()));
        assert_eq!(status, ffi::MPI_SUCCESS as i32, "{what}");
        // SAFETY: an operation that succeeds to start sets its request.
        Self { raw: unsafe { raw.assume_init() }, buffer: PhantomData }
    }

    /// Sums the values of all ranks.
    pub(crate) fn sum(values: &'a [f64], sums: &'a mut [f64]) -> Self {
        assert_eq!(values.len(), sums.len(), "a sum for each value");
        let count = count_of(values.len());
        // SAFETY: both buffers hold `count` numbers, and are borrowed until the request is done.
        Self::start("MPI_Iallreduce", |request| unsafe {
            let (from, to) = (values.as_ptr().cast(), sums.as_mut_ptr().cast());
            ffi::MPI_Iallreduce(from, to, count, ffi::RSMPI_DOUBLE, ffi::RSMPI_SUM, world(), request)
        })
    }

    /// Gives every rank the bytes of rank 0.
    pub(crate) fn broadcast(bytes: &'a mut [u8]) -> Self {
        let count = count_of(bytes.len());
        // SAFETY: as in `sum`.
        Self::start("MPI_Ibcast", |request| unsafe {
            ffi::MPI_Ibcast(bytes.as_mut_ptr().cast(), count, ffi::RSMPI_UINT8_T, 0, world(), request)
        })
    }

    /// Waits for all ranks.
    pub(crate) fn barrier() -> Self {
        // SAFETY: no buffer.
        Self::start("MPI_Ibarrier", |request| unsafe { ffi::MPI_Ibarrier(world(), request) })
    }

    /// Sends bytes to a rank.
    pub(crate) fn send(bytes: &'a [u8], rank: usize, tag: i32) -> Self {
        let count = count_of(bytes.len());
        // SAFETY: as in `sum`; MPI only reads.
        Self::start("MPI_Isend", |request| unsafe {
            ffi::MPI_Isend(bytes.as_ptr().cast(), count, ffi::RSMPI_UINT8_T, rank as i32, tag, world(), request)
        })
    }

    /// Receives exactly `bytes.len()` bytes from a rank.
    pub(crate) fn receive(bytes: &'a mut [u8], rank: usize, tag: i32) -> Self {
        let count = count_of(bytes.len());
        // SAFETY: as in `sum`.
        Self::start("MPI_Irecv", |request| unsafe {
            ffi::MPI_Irecv(bytes.as_mut_ptr().cast(), count, ffi::RSMPI_UINT8_T, rank as i32, tag, world(), request)
        })
    }

    /// Whether the operation is done. The call lets MPI make progress.
    pub(crate) fn is_done(&mut self) -> bool {
        let mut done = 0;
        // SAFETY: the request is one of MPI's, or the null request that it becomes when it is done.
        serialized(|| unsafe { ffi::MPI_Test(&mut self.raw, &mut done, ffi::RSMPI_STATUS_IGNORE) });
        done != 0
    }

    /// Returns when the operation is done.
    pub(crate) fn wait(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        let started = Instant::now();
        while !self.is_done() {
            if started.elapsed() < SPIN {
                thread::yield_now();
            } else {
                thread::sleep(PAUSE);
            }
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Whether a message from a rank can be received.
pub(crate) fn has_message(rank: usize, tag: i32) -> bool {
    let mut found = 0;
    // SAFETY: MPI writes the flag and no status.
    serialized(|| unsafe { ffi::MPI_Iprobe(rank as i32, tag, world(), &mut found, ffi::RSMPI_STATUS_IGNORE) });
    found != 0
}

fn count_of(values: usize) -> i32 {
    i32::try_from(values).expect("messages are sent in pieces")
}

/// A short message that is being sent, with its own memory.
pub(crate) struct Message {
    // Waited for before the memory is released.
    request: Request<'static>,
    _bytes: Box<[u8]>,
}

impl Message {
    /// Sends bytes to a rank.
    pub(crate) fn send(bytes: &[u8], rank: usize, tag: i32) -> Self {
        let bytes: Box<[u8]> = bytes.into();
        let count = count_of(bytes.len());
        // SAFETY: the memory does not move with the box, and lives until the request is done: it is dropped, and waited for, before it.
        let request = Request::start("MPI_Isend", |request| unsafe {
            ffi::MPI_Isend(bytes.as_ptr().cast(), count, ffi::RSMPI_UINT8_T, rank as i32, tag, world(), request)
        });
        Self { request, _bytes: bytes }
    }

    /// Whether the message has been sent.
    pub(crate) fn is_done(&mut self) -> bool {
        self.request.is_done()
    }
}

/// A bucket of gradients that is being summed over all ranks.
pub(crate) struct Bucket {
    // Waited for before the vectors are dropped, whose memory does not move with them.
    request: Request<'static>,
    sent: Vec<f32>,
    sums: Vec<f32>,
}

impl Bucket {
    /// Starts to sum a bucket over all ranks, into the memory of `sums`.
    pub(crate) fn start(sent: Vec<f32>, mut sums: Vec<f32>) -> Self {
        sums.resize(sent.len(), 0.0);
        let count = count_of(sent.len());
        // SAFETY: both buffers hold `count` floats, and live until the request is done: it is dropped, and waited for, before them.
        let request = Request::start("MPI_Iallreduce", |request| unsafe {
            let (from, to) = (sent.as_ptr().cast(), sums.as_mut_ptr().cast());
            ffi::MPI_Iallreduce(from, to, count, ffi::RSMPI_FLOAT, ffi::RSMPI_SUM, world(), request)
        });
        Self { request, sent, sums }
    }

    /// Whether the sums are complete.
    pub(crate) fn is_done(&mut self) -> bool {
        self.request.is_done()
    }

    /// Waits for the sums; returns the values that were sent, and the sums.
    pub(crate) fn finish(self) -> (Vec<f32>, Vec<f32>) {
        let Self { request, sent, sums } = self;
        request.wait();
        (sent, sums)
    }
}
