//! Progress and cancellation of requests while their rows are integrated together.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pfgm::flow::{Denoiser, Query};
use tokio::sync::mpsc::Sender;

/// Shortest time between two snapshots of the same rows.
const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(40);

/// Tells whether a client still waits for an answer. Clones share one state.
#[derive(Clone, Debug)]
pub struct CancelToken {
    cancelled: Arc<AtomicBool>,
    deadline: Instant,
}

impl CancelToken {
    /// Creates a token that expires after `timeout`.
    pub fn new(timeout: Duration) -> Self {
        Self { cancelled: Arc::default(), deadline: Instant::now() + timeout }
    }

    /// Cancels the work of all clones.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Returns true if the client has disconnected.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Returns true if the time-out has passed.
    pub fn is_expired(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Returns true if the work is neither cancelled nor expired.
    pub fn is_active(&self) -> bool {
        !self.is_cancelled() && !self.is_expired()
    }

    /// Returns a guard that cancels the work when it is dropped. A handler of a client that disconnects is dropped.
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }
}

/// Guard that cancels a [`CancelToken`] when it is dropped.
#[derive(Debug)]
pub struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// State of the rows of a request during integration.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Evaluations so far, of the row that has most.
    pub nfe: u64,
    /// Seconds since the integration began.
    pub seconds: f64,
    /// Noise level of each row.
    pub sigma: Vec<f64>,
    /// Euclidean norm of each row, in the model's space.
    pub norm: Vec<f64>,
    /// `yhat` of each row, `[rows, N]`.
    pub yhat: Vec<f64>,
}

/// Rows of one request in a batch.
pub struct BatchPart {
    /// Index of the first row in the batch.
    pub first: usize,
    /// Number of rows.
    pub count: usize,
    /// Tells whether the client still waits.
    pub token: CancelToken,
    /// Receives snapshots, if the client wants any.
    pub snapshots: Option<Sender<Snapshot>>,
}

/// Progress of a request that receives snapshots.
struct PartProgress {
    calls: Vec<u64>,
    snapshot: Snapshot,
    sent: Option<Instant>,
}

/// Denoiser of a batch of requests. It sends snapshots, and evaluates only rows whose clients still wait.
pub struct ProgressDenoiser<'a> {
    inner: &'a dyn Denoiser,
    parts: &'a [BatchPart],
    progress: RefCell<Vec<Option<PartProgress>>>,
    evaluations: RefCell<u64>,
    started: Instant,
}

impl<'a> ProgressDenoiser<'a> {
    /// Wraps a denoiser of all rows of `parts`, which are consecutive.
    pub fn new(inner: &'a dyn Denoiser, parts: &'a [BatchPart]) -> Self {
        let progress = |part: &BatchPart| {
            let (count, dim) = (part.count, inner.dim());
            let snapshot = Snapshot {
                nfe: 0,
                seconds: 0.0,
                sigma: vec![f64::NAN; count],
                norm: vec![0.0; count],
                yhat: vec![0.0; count * dim],
            };
            part.snapshots.as_ref().map(|_| PartProgress { calls: vec![0; count], snapshot, sent: None })
        };
        let progress = RefCell::new(parts.iter().map(progress).collect());
        Self { inner, parts, progress, evaluations: RefCell::new(0), started: Instant::now() }
    }

    /// Returns the number of row evaluations so far.
    pub fn evaluations(&self) -> u64 {
        *self.evaluations.borrow()
    }

    fn part_of(&self, item: usize) -> usize {
        self.parts.partition_point(|part| part.first + part.count <= item)
    }

    /// Updates the snapshots with an evaluation.
    fn record(&self, query: &Query, out: &[f64]) {
        let (dim, mut progress) = (self.dim(), self.progress.borrow_mut());
        let rows = query.item.iter().zip(query.sigma).zip(query.x.chunks_exact(dim).zip(out.chunks_exact(dim)));
        for ((&item, &sigma), (x, yhat)) in rows {
            let index = self.part_of(item);
            let (part, Some(progress)) = (&self.parts[index], &mut progress[index]) else { continue };
            let (row, snapshot) = (item - part.first, &mut progress.snapshot);
            progress.calls[row] += 1;
            snapshot.nfe = snapshot.nfe.max(progress.calls[row]);
            snapshot.sigma[row] = sigma;
            snapshot.norm[row] = x.iter().map(|x| x * x).sum::<f64>().sqrt();
            snapshot.yhat[row * dim..(row + 1) * dim].copy_from_slice(yhat);
        }
        for (part, progress) in self.parts.iter().zip(progress.iter_mut()) {
            let (Some(receiver), Some(progress)) = (&part.snapshots, progress) else { continue };
            let is_due = progress.sent.is_none_or(|sent| sent.elapsed() >= SNAPSHOT_INTERVAL);
            if is_due && progress.calls.iter().all(|calls| *calls > 0) {
                progress.sent = Some(Instant::now());
                progress.snapshot.seconds = self.started.elapsed().as_secs_f64();
                // A slow reader misses a snapshot, but not the answer.
                let _ = receiver.try_send(progress.snapshot.clone());
            }
        }
    }
}

impl Denoiser for ProgressDenoiser<'_> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    /// Evaluates rows whose clients wait. For all others `yhat = x`: they stand still, which ends any solver at no cost.
    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let dim = self.dim();
        let active: Vec<bool> = self.parts.iter().map(|part| part.token.is_active()).collect();
        let kept: Vec<usize> = (0..query.item.len()).filter(|&row| active[self.part_of(query.item[row])]).collect();
        *self.evaluations.borrow_mut() += kept.len() as u64;
        if kept.len() == query.item.len() {
            self.inner.denoise(query, out);
        } else {
            out.copy_from_slice(query.x);
            let x: Vec<f64> = kept.iter().flat_map(|&row| &query.x[row * dim..(row + 1) * dim]).copied().collect();
            let sigma: Vec<f64> = kept.iter().map(|&row| query.sigma[row]).collect();
            let item: Vec<usize> = kept.iter().map(|&row| query.item[row]).collect();
            let mut yhat = vec![0.0; x.len()];
            if !kept.is_empty() {
                self.inner.denoise(&Query { x: &x, sigma: &sigma, item: &item }, &mut yhat);
            }
            for (yhat, &row) in yhat.chunks_exact(dim).zip(&kept) {
                out[row * dim..(row + 1) * dim].copy_from_slice(yhat);
            }
        }
        self.record(query, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns zero for every row, and cancels a token at a call.
    struct Counting {
        rows: RefCell<Vec<usize>>,
        token: CancelToken,
        cancel_at: usize,
    }

    impl Denoiser for Counting {
        fn dim(&self) -> usize {
            1
        }

        fn denoise(&self, query: &Query, out: &mut [f64]) {
            self.rows.borrow_mut().push(query.item.len());
            out.fill(0.0);
            if self.rows.borrow().len() == self.cancel_at {
                self.token.cancel();
            }
        }
    }

    fn part(first: usize, count: usize, token: &CancelToken) -> BatchPart {
        BatchPart { first, count, token: token.clone(), snapshots: None }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn cancelled_rows_are_not_evaluated() {
        let (leaving, staying) = (CancelToken::new(HOUR), CancelToken::new(HOUR));
        let inner = Counting { rows: RefCell::default(), token: leaving.clone(), cancel_at: 2 };
        let parts = [part(0, 2, &leaving), part(2, 1, &staying)];
        let denoiser = ProgressDenoiser::new(&inner, &parts);
        let mut out = [0.0; 3];
        for _ in 0..4 {
            denoiser.denoise(&Query { x: &[1.0, 2.0, 3.0], sigma: &[1.0; 3], item: &[0, 1, 2] }, &mut out);
        }
        assert_eq!(*inner.rows.borrow(), [3, 3, 1, 1]);
        assert_eq!(denoiser.evaluations(), 8);
        assert_eq!(out, [1.0, 2.0, 0.0], "cancelled rows stand still");
    }

    #[test]
    fn an_expired_token_costs_no_evaluation() {
        let token = CancelToken::new(Duration::ZERO);
        assert!(token.is_expired() && !token.is_cancelled() && !token.is_active());
        let inner = Counting { rows: RefCell::default(), token: token.clone(), cancel_at: 0 };
        let parts = [part(0, 1, &token)];
        let denoiser = ProgressDenoiser::new(&inner, &parts);
        denoiser.denoise(&Query { x: &[1.0], sigma: &[1.0], item: &[0] }, &mut [0.0]);
        assert_eq!((inner.rows.borrow().len(), denoiser.evaluations()), (0, 0));
    }
}
