//! Queue of requests for networks. One thread computes, with all cores; requests with equal settings are computed together.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use pfgm::{
    CancelToken, Error,
    likelihood::Probe,
    model::{IntegrationJob, Likelihood, Rows, Trace},
    solver::Solver,
};
use tokio::sync::{mpsc::Sender, oneshot};

use crate::{
    error::ApiError,
    limits::{MAX_BATCH_ROWS, MAX_WAITING},
    metrics::Metrics,
    models::LoadedModel,
    progress::{BatchMonitor, BatchPart, CancelOnDrop, Snapshot},
};

/// Log-likelihood of given rows.
#[derive(Clone, Debug)]
pub struct LikelihoodJob {
    /// Rows in the units of the data.
    pub rows: Rows,
    /// Solver.
    pub solver: Solver,
    /// Number of probes of the divergence; None for the library's choice.
    pub probes: Option<usize>,
}

/// Work of one request.
#[derive(Clone, Debug)]
pub enum Task {
    /// Integration of the flow.
    Integrate(IntegrationJob),
    /// Log-likelihood.
    Likelihood(LikelihoodJob),
}

/// Result of a [`Task`].
#[derive(Clone, Debug)]
pub struct Output {
    /// Points `[rows, N]`, or `ln p` of each row.
    pub values: Vec<f64>,
    /// Mean number of evaluations per row.
    pub nfe: f64,
    /// Seconds that the batch took.
    pub seconds: f64,
}

struct Job {
    model: Arc<LoadedModel>,
    task: Task,
    token: CancelToken,
    snapshots: Option<Sender<Snapshot>>,
    reply: oneshot::Sender<Result<Output, ApiError>>,
}

/// A submitted request. Dropping it cancels the work.
pub struct Pending {
    reply: oneshot::Receiver<Result<Output, ApiError>>,
    _guard: CancelOnDrop,
}

impl Pending {
    /// Waits for the result.
    ///
    /// # Errors
    /// If the work failed, took too long, or the server is stopping.
    pub async fn wait(&mut self) -> Result<Output, ApiError> {
        (&mut self.reply).await.unwrap_or_else(|_| Err(ApiError::stopping()))
    }
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    stopped: bool,
}

/// Bounded queue and the thread that computes.
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    metrics: Arc<Metrics>,
    timeout: Duration,
}

impl Queue {
    /// Starts the thread. A request fails when it has waited and computed for `timeout`.
    pub fn start(metrics: Arc<Metrics>, timeout: Duration) -> Arc<Self> {
        let queue = Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), metrics, timeout });
        let worker = Arc::clone(&queue);
        thread::spawn(move || {
            while let Some(batch) = worker.next() {
                worker.serve(batch);
            }
        });
        queue
    }

    /// Rejects all waiting and later requests, and ends the thread after its present batch.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        state.jobs.clear();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request into the queue.
    ///
    /// # Errors
    /// If the queue is full or stopped.
    pub fn submit(
        &self,
        model: Arc<LoadedModel>,
        task: Task,
        snapshots: Option<Sender<Snapshot>>,
    ) -> Result<Pending, ApiError> {
        let (sender, reply) = oneshot::channel();
        let token = CancelToken::with_timeout(self.timeout);
        let pending = Pending { reply, _guard: CancelOnDrop(token.clone()) };
        let mut state = self.lock();
        if state.stopped {
            return Err(ApiError::stopping());
        }
        state.jobs.retain(|job| !job.token.is_canceled() || self.discard_canceled());
        if state.jobs.len() >= MAX_WAITING {
            return Err(ApiError::busy(format!("{MAX_WAITING} requests are waiting; try again in a second")));
        }
        state.jobs.push_back(Job { model, task, token, snapshots, reply: sender });
        self.metrics.waiting.set(state.jobs.len() as i64);
        self.changed.notify_all();
        Ok(pending)
    }

    /// Counts a canceled request; returns false, so that it is not retained.
    fn discard_canceled(&self) -> bool {
        self.metrics.cancelled.inc();
        false
    }

    /// Waits for the next requests that can be computed together; returns None if the queue is stopped.
    fn next(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            let Some(first) = state.jobs.pop_front() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let mut batch = vec![first];
            let mut rows = batch[0].task.rows();
            let mut at = 0;
            while at < state.jobs.len() {
                let job = &state.jobs[at];
                let fits = rows + job.task.rows() <= MAX_BATCH_ROWS && can_batch(&batch[0], job);
                match fits.then(|| state.jobs.remove(at)).flatten() {
                    Some(job) => {
                        rows += job.task.rows();
                        batch.push(job);
                    }
                    None => at += 1,
                }
            }
            self.metrics.waiting.set(state.jobs.len() as i64);
            return Some(batch);
        }
    }

    /// Computes a batch and replies to its requests.
    fn serve(&self, mut batch: Vec<Job>) {
        batch.retain(|job| !job.token.is_canceled() || self.discard_canceled());
        let (expired, mut batch): (Vec<Job>, Vec<Job>) = batch.into_iter().partition(|job| job.token.is_expired());
        for job in expired {
            let _ = job.reply.send(Err(self.timed_out()));
        }
        if batch.is_empty() {
            return;
        }
        let started = Instant::now();
        let result = match catch_unwind(AssertUnwindSafe(|| compute(&mut batch))) {
            Ok(Err(Error::Canceled)) => Err(self.timed_out()),
            Ok(result) => result.map_err(ApiError::from),
            Err(_) => Err(ApiError::internal()),
        };
        let elapsed = started.elapsed();
        let evaluations = result.as_ref().map_or(0, |result| result.evaluations);
        let rows: usize = batch.iter().map(|job| job.task.rows()).sum();
        self.metrics.computed(rows, evaluations, elapsed);
        let mut first = 0;
        for job in batch {
            let width = job.task.output_width(&job.model);
            let range = first * width..(first + job.task.rows()) * width;
            first += job.task.rows();
            let output = result.as_ref().map_err(Clone::clone).and_then(|result| {
                if job.token.is_expired() {
                    return Err(self.timed_out());
                }
                let values = result.values[range].to_vec();
                Ok(Output { values, nfe: result.nfe, seconds: elapsed.as_secs_f64() })
            });
            if job.token.is_canceled() {
                self.metrics.cancelled.inc();
            }
            let _ = job.reply.send(output);
        }
    }

    fn timed_out(&self) -> ApiError {
        ApiError::unavailable(format!(
            "not done within {} s; ask for fewer rows or steps, try again later, or start the studio with a longer --timeout",
            self.timeout.as_secs_f64()
        ))
    }
}

impl Task {
    fn rows(&self) -> usize {
        match self {
            Self::Integrate(job) => job.labels.len(),
            Self::Likelihood(job) => job.rows.len(),
        }
    }

    /// Returns the number of output values per row.
    fn output_width(&self, model: &LoadedModel) -> usize {
        match self {
            Self::Integrate(_) => model.dim(),
            Self::Likelihood(_) => 1,
        }
    }
}

/// Returns true if two requests can be computed together.
fn can_batch(a: &Job, b: &Job) -> bool {
    let (Task::Integrate(of_a), Task::Integrate(of_b)) = (&a.task, &b.task) else { return false };
    let settings = |job: &IntegrationJob| (job.direction, job.sigma.to_bits(), job.guidance.to_bits());
    Arc::ptr_eq(&a.model, &b.model) && settings(of_a) == settings(of_b) && of_a.solver == of_b.solver
}

struct BatchOutput {
    values: Vec<f64>,
    nfe: f64,
    evaluations: u64,
}

fn compute(batch: &mut [Job]) -> Result<BatchOutput, Error> {
    let model = Arc::clone(&batch[0].model);
    if let Task::Likelihood(job) = &batch[0].task {
        return log_likelihood(&model, job, &batch[0].token);
    }
    let (job, parts) = merge(batch);
    let rows = job.labels.len();
    let integrated = model.integrate(job, &BatchMonitor::new(model.dim(), &parts))?;
    let evaluations = integrated.evaluations;
    Ok(BatchOutput { values: integrated.x, nfe: evaluations as f64 / rows.max(1) as f64, evaluations })
}

/// Joins the rows of a batch of integrations into one.
fn merge(batch: &mut [Job]) -> (IntegrationJob, Vec<BatchPart>) {
    let (mut merged, mut parts): (Option<IntegrationJob>, Vec<BatchPart>) = (None, Vec::new());
    let mut first = 0;
    for Job { task, token, snapshots, .. } in batch {
        let Task::Integrate(job) = task else { continue };
        let count = job.labels.len();
        parts.push(BatchPart { first, count, token: token.clone(), snapshots: snapshots.take() });
        first += count;
        match &mut merged {
            None => merged = Some(job.clone()),
            Some(merged) => {
                merged.x.extend(&job.x);
                merged.labels.extend(&job.labels);
                merged.seeds.extend(&job.seeds);
            }
        }
    }
    (merged.expect("a batch of integrations has a first one"), parts)
}

fn log_likelihood(model: &LoadedModel, job: &LikelihoodJob, token: &CancelToken) -> Result<BatchOutput, Error> {
    let trace = job.probes.map_or(Trace::Auto, |_| Trace::Probes(Probe::Rademacher));
    let likelihood = Likelihood::default().solver(job.solver.clone()).trace(trace).probes(job.probes.unwrap_or(1));
    let likelihood = likelihood.discretization_error(false);
    let logs = model.log_likelihood_of_rows(&job.rows, likelihood.cancel(token))?;
    let evaluations = (logs.nfe() * job.rows.len() as f64) as u64;
    Ok(BatchOutput { values: logs.values().to_vec(), nfe: logs.nfe(), evaluations })
}
