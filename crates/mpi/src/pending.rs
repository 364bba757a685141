//! A sum over all ranks that is on its way.

use std::mem::MaybeUninit;

use mpi::ffi;

/// A bucket whose sums are being made. MPI reads and writes its memory until it says that it is done.
pub(crate) struct Pending {
    request: ffi::MPI_Request,
    sent: Vec<f32>,
    sums: Vec<f32>,
}

impl Pending {
    /// Starts to sum a bucket over all ranks, into the memory of `sums`.
    pub(crate) fn start(sent: Vec<f32>, mut sums: Vec<f32>) -> Self {
        sums.resize(sent.len(), 0.0);
        let count = i32::try_from(sent.len()).expect("a bucket is far smaller");
        let mut request = MaybeUninit::uninit();
        // SAFETY: both buffers hold `count` floats, do not move when this struct does, and live until the request is done: it is
        // waited for before they are dropped. MPI was started, or there would be no communicator that calls this.
        let request = unsafe {
            let status = ffi::MPI_Iallreduce(
                sent.as_ptr().cast(),
                sums.as_mut_ptr().cast(),
                count,
                ffi::RSMPI_FLOAT,
                ffi::RSMPI_SUM,
                ffi::RSMPI_COMM_WORLD,
                request.as_mut_ptr(),
            );
            assert_eq!(status, ffi::MPI_SUCCESS as i32, "MPI_Iallreduce");
            request.assume_init()
        };
        Self { request, sent, sums }
    }

    /// Whether the sums are there; gives MPI the chance to work on them.
    pub(crate) fn is_done(&mut self) -> bool {
        let mut done = 0;
        // SAFETY: the request is one of MPI's, or the null request that it becomes when it is done.
        unsafe { ffi::MPI_Test(&mut self.request, &mut done, ffi::RSMPI_STATUS_IGNORE) };
        done != 0
    }

    /// What was sent, and the sums, when they are there.
    pub(crate) fn wait(mut self) -> (Vec<f32>, Vec<f32>) {
        self.finish();
        (std::mem::take(&mut self.sent), std::mem::take(&mut self.sums))
    }

    fn finish(&mut self) {
        // SAFETY: as in `is_done`; the null request returns at once.
        unsafe { ffi::MPI_Wait(&mut self.request, ffi::RSMPI_STATUS_IGNORE) };
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.finish();
    }
}
