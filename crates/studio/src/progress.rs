//! Progress and cancellation of requests while their rows are integrated together.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use pfgm::{CancelToken, flow::Query, model::Monitor};
use tokio::sync::mpsc::Sender;

/// Shortest time between two snapshots of the same rows.
const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(40);

/// Guard that cancels a computation when it is dropped. A handler is dropped when its client disconnects.
#[derive(Debug)]
pub struct CancelOnDrop(pub CancelToken);

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
    /// Canceled when the client disconnects.
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

/// Monitor of a batch of requests. It sends snapshots, and drops the rows of clients that do not wait any more.
pub struct BatchMonitor<'a> {
    dim: usize,
    parts: &'a [BatchPart],
    progress: RefCell<Vec<Option<PartProgress>>>,
    started: Instant,
}

impl<'a> BatchMonitor<'a> {
    /// Creates a monitor of rows of `dim` values; the rows of `parts` are consecutive.
    pub fn new(dim: usize, parts: &'a [BatchPart]) -> Self {
        let progress = |part: &BatchPart| {
            let count = part.count;
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
        Self { dim, parts, progress, started: Instant::now() }
    }

    fn part_of(&self, item: usize) -> usize {
        self.parts.partition_point(|part| part.first + part.count <= item)
    }
}

impl Monitor for BatchMonitor<'_> {
    fn is_active(&self, item: usize) -> bool {
        self.parts[self.part_of(item)].token.is_active()
    }

    fn evaluated(&self, query: &Query, yhat: &[f64]) {
        let (dim, mut progress) = (self.dim, self.progress.borrow_mut());
        let rows = query.item.iter().zip(query.sigma).zip(query.x.chunks_exact(dim).zip(yhat.chunks_exact(dim)));
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

#[cfg(test)]
mod tests {
    use pfgm::{
        Model,
        model::{Direction, IntegrationJob},
        solver::Solver,
    };

    use super::*;

    /// Cancels a token after some evaluations.
    struct CancelAt<'a> {
        monitor: BatchMonitor<'a>,
        token: CancelToken,
        evaluations: RefCell<usize>,
    }

    impl Monitor for CancelAt<'_> {
        fn is_active(&self, item: usize) -> bool {
            self.monitor.is_active(item)
        }

        fn evaluated(&self, query: &Query, yhat: &[f64]) {
            self.monitor.evaluated(query, yhat);
            *self.evaluations.borrow_mut() += 1;
            if *self.evaluations.borrow() == 2 {
                self.token.cancel();
            }
        }
    }

    fn part(first: usize, count: usize, token: &CancelToken) -> BatchPart {
        BatchPart { first, count, token: token.clone(), snapshots: None }
    }

    fn job(model: &Model, rows: usize, steps: usize) -> IntegrationJob {
        let seeds: Vec<u64> = (0..rows as u64).collect();
        IntegrationJob {
            direction: Direction::Decode,
            sigma: model.spec().range().1,
            solver: Solver::euler(steps).into(),
            guidance: 1.0,
            x: model.spec().prior(0, seeds.iter().copied()),
            labels: vec![Some(1); rows],
            seeds,
            authors_code: None,
        }
    }

    #[test]
    fn canceled_rows_are_not_evaluated_and_others_do_not_change() {
        let model = Model::load("digits").unwrap();
        let (leaving, staying) = (CancelToken::new(), CancelToken::new());
        let parts = [part(0, 2, &leaving), part(2, 1, &staying)];
        let monitor = BatchMonitor::new(model.dim(), &parts);
        let monitor = CancelAt { monitor, token: leaving, evaluations: RefCell::default() };
        let integrated = model.integrate(job(&model, 3, 5), &monitor).unwrap();
        // Two evaluations of three rows, then three of one.
        assert_eq!(integrated.evaluations, 2 * 3 + 3);
        let whole = model.integrate(job(&model, 3, 5), &()).unwrap();
        let (kept, canceled) = (2 * model.dim().., 0..model.dim());
        assert_eq!(integrated.x[kept.clone()], whole.x[kept]);
        assert_ne!(integrated.x[canceled.clone()], whole.x[canceled]);
    }

    #[test]
    fn an_expired_request_costs_no_evaluation() {
        let model = Model::load("digits").unwrap();
        let parts = [part(0, 2, &CancelToken::with_timeout(Duration::ZERO))];
        let monitor = BatchMonitor::new(model.dim(), &parts);
        assert_eq!(model.integrate(job(&model, 2, 5), &monitor).unwrap().evaluations, 0);
    }

    #[test]
    fn snapshots_begin_with_the_first_evaluation() {
        let model = Model::load("digits").unwrap();
        let (sender, mut receiver) = tokio::sync::mpsc::channel(100);
        let parts = [BatchPart { snapshots: Some(sender), ..part(0, 2, &CancelToken::new()) }];
        let monitor = BatchMonitor::new(model.dim(), &parts);
        model.integrate(job(&model, 2, 3), &monitor).unwrap();
        let first = receiver.try_recv().unwrap();
        assert_eq!((first.nfe, first.yhat.len()), (1, 2 * model.dim()));
        assert_eq!(first.sigma, [model.spec().range().1; 2]);
    }
}
