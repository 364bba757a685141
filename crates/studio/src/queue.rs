//! Requests take turns at one thread, which uses all cores; those that ask for the same of the same run are computed together.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use pfgm::{
    flow::Flow,
    measure::{Measurement, Rows, measure},
    restoration,
    solver::{self, SolverConfig, SolverError},
};
use tokio::sync::{mpsc::Sender, oneshot};

use crate::{
    limits::{MOST_WAITING, ROWS_TOGETHER, Refusal},
    metrics::Metrics,
    runs::Model,
    watched::{Guard, Look, Part, Ticket, Watched},
};

/// Which way points are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the data.
    Down,
    /// To the prior.
    Up,
    /// Not at all: `yhat` takes their place.
    Guess,
}

/// Points that are carried along the flow.
#[derive(Clone, Debug)]
pub struct Carry {
    /// Which way.
    pub way: Way,
    /// The highest noise level: that of the prior, or of the noise in an image.
    pub top: f64,
    /// How.
    pub solver: SolverConfig,
    /// The strength of classifier-free guidance.
    pub guidance: f64,
    /// The points, `[rows, N]`.
    pub x: Vec<f64>,
    /// The class of each.
    pub labels: Vec<Option<u32>>,
    /// The seed of each, for solvers that draw.
    pub seeds: Vec<u64>,
}

/// What a request wants.
#[derive(Clone, Debug)]
pub enum Work {
    /// Points carried along the flow.
    Carry(Carry),
    /// `ln p` of rows in the data's own units.
    Score {
        /// The rows, `[rows, N]`.
        values: Vec<f32>,
        /// The class of each.
        labels: Vec<Option<u32>>,
        /// Whether they are whole numbers.
        whole: bool,
        /// How to measure.
        how: Measurement,
    },
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Done {
    /// Where points were carried, or `ln p` of rows.
    pub values: Vec<f64>,
    /// Evaluations of each row, on average.
    pub nfe: f64,
    /// Seconds that the batch took.
    pub seconds: f64,
}

struct Job {
    model: Arc<Model>,
    work: Work,
    ticket: Ticket,
    watcher: Option<Sender<Look>>,
    reply: oneshot::Sender<Result<Done, Refusal>>,
}

/// A request that waits for its answer. Dropping it is going away.
pub struct Pending {
    answer: oneshot::Receiver<Result<Done, Refusal>>,
    _guard: Guard,
}

impl Pending {
    /// The answer, when it is there.
    pub async fn answer(&mut self) -> Result<Done, Refusal> {
        let stopped = || Refusal::unavailable("the server is stopping");
        (&mut self.answer).await.unwrap_or_else(|_| Err(stopped()))
    }
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    stopped: bool,
}

/// The queue. It is bounded: who comes when it is full is told so.
pub struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    metrics: Arc<Metrics>,
    timeout: Duration,
}

impl Queue {
    /// A queue and the thread that works for it. Requests may wait and compute for so long.
    pub fn start(metrics: Arc<Metrics>, timeout: Duration) -> Arc<Self> {
        let queue = Arc::new(Self { waiting: Mutex::default(), changed: Condvar::new(), metrics, timeout });
        let worker = Arc::clone(&queue);
        thread::spawn(move || {
            while let Some(batch) = worker.next() {
                worker.serve(batch);
            }
        });
        queue
    }

    /// Ends the thread after what it is at; nobody who waits is served any more.
    pub fn stop(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.stopped = true;
        waiting.jobs.clear();
        self.changed.notify_all();
    }

    /// Puts a request into the queue.
    ///
    /// # Errors
    /// When the queue is full, or stopped.
    pub fn ask(&self, model: Arc<Model>, work: Work, watcher: Option<Sender<Look>>) -> Result<Pending, Refusal> {
        let (reply, answer) = oneshot::channel();
        let ticket = Ticket::new(self.timeout);
        let pending = Pending { answer, _guard: ticket.guard() };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.stopped {
            return Err(Refusal::unavailable("the server is stopping"));
        }
        // Those that went away make room.
        waiting.jobs.retain(|job| !job.ticket.is_gone() || self.count_gone());
        if waiting.jobs.len() >= MOST_WAITING {
            return Err(Refusal::busy(format!("{MOST_WAITING} requests are waiting; try again in a second")));
        }
        waiting.jobs.push_back(Job { model, work, ticket, watcher, reply });
        self.metrics.waiting.set(waiting.jobs.len() as i64);
        self.changed.notify_all();
        Ok(pending)
    }

    /// Counts a request whose client went away; false, so that it is not retained.
    fn count_gone(&self) -> bool {
        self.metrics.cancelled.inc();
        false
    }

    /// The next requests that can be computed together; None when the queue is stopped.
    fn next(&self) -> Option<Vec<Job>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if waiting.stopped {
                return None;
            }
            let Some(first) = waiting.jobs.pop_front() else {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let mut batch = vec![first];
            let mut rows = batch[0].work.rows();
            let mut at = 0;
            while at < waiting.jobs.len() {
                let job = &waiting.jobs[at];
                let fits = rows + job.work.rows() <= ROWS_TOGETHER && goes_with(&batch[0], job);
                match fits.then(|| waiting.jobs.remove(at)).flatten() {
                    Some(job) => {
                        rows += job.work.rows();
                        batch.push(job);
                    }
                    None => at += 1,
                }
            }
            self.metrics.waiting.set(waiting.jobs.len() as i64);
            return Some(batch);
        }
    }

    /// Computes a batch and answers its requests.
    fn serve(&self, batch: Vec<Job>) {
        let mut batch: Vec<Job> = batch
            .into_iter()
            .filter_map(|job| match (job.ticket.is_gone(), job.ticket.is_late()) {
                (true, _) => {
                    self.count_gone();
                    None
                }
                (false, true) => {
                    let _ = job.reply.send(Err(self.late()));
                    None
                }
                _ => Some(job),
            })
            .collect();
        if batch.is_empty() {
            return;
        }
        let started = Instant::now();
        let computed = catch_unwind(AssertUnwindSafe(|| compute(&mut batch)));
        let computed = computed.unwrap_or_else(|_| {
            Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the computation failed; the server's terminal says how",
            ))
        });
        let took = started.elapsed();
        let evaluations = computed.as_ref().map_or(0, |computed| computed.evaluations);
        let rows: usize = batch.iter().map(|job| job.work.rows()).sum();
        self.metrics.computed(rows, evaluations, took);
        let mut first = 0;
        for job in batch {
            let rows = job.work.rows();
            let answer = computed.as_ref().map_err(Clone::clone).and_then(|computed| {
                if job.ticket.is_late() {
                    return Err(self.late());
                }
                let width = job.work.answer_width(&job.model);
                let values = computed.values[first * width..(first + rows) * width].to_vec();
                Ok(Done { values, nfe: computed.nfe, seconds: took.as_secs_f64() })
            });
            first += rows;
            if job.ticket.is_gone() {
                self.count_gone();
            }
            let _ = job.reply.send(answer);
        }
    }

    fn late(&self) -> Refusal {
        Refusal::unavailable(format!(
            "not done within {} s; ask for fewer rows or steps, when fewer others ask, or start with a longer --timeout",
            self.timeout.as_secs_f64()
        ))
    }
}

impl Work {
    fn rows(&self) -> usize {
        match self {
            Self::Carry(Carry { labels, .. }) | Self::Score { labels, .. } => labels.len(),
        }
    }

    /// Values of an answer for each row.
    fn answer_width(&self, model: &Model) -> usize {
        match self {
            Self::Carry(_) => model.record.dim(),
            Self::Score { .. } => 1,
        }
    }
}

/// Whether two requests can be computed together.
fn goes_with(a: &Job, b: &Job) -> bool {
    let (Work::Carry(of_a), Work::Carry(of_b)) = (&a.work, &b.work) else { return false };
    let how = |carry: &Carry| (carry.way, carry.top.to_bits(), carry.guidance.to_bits());
    Arc::ptr_eq(&a.model, &b.model) && how(of_a) == how(of_b) && of_a.solver == of_b.solver
}

struct Computed {
    values: Vec<f64>,
    nfe: f64,
    evaluations: u64,
}

fn compute(batch: &mut [Job]) -> Result<Computed, Refusal> {
    let failed = |error: SolverError| Refusal::unprocessable(error.to_string());
    let model = Arc::clone(&batch[0].model);
    let record = &model.record;
    if let Work::Score { values, labels, whole, how } = &batch[0].work {
        return score(&model, Rows { values, labels, whole: *whole }, how, &batch[0].ticket).map_err(failed);
    }
    let (mut x, mut labels, mut seeds, mut parts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut how = None;
    for job in batch.iter_mut() {
        let Work::Carry(carry) = &mut job.work else { continue };
        let (first, count) = (labels.len(), carry.labels.len());
        parts.push(Part { first, count, ticket: job.ticket.clone(), watcher: job.watcher.take() });
        x.append(&mut carry.x);
        labels.extend(&carry.labels);
        seeds.extend(&carry.seeds);
        how = how.or(Some((carry.way, carry.top, carry.guidance, carry.solver.clone())));
    }
    let Some((way, top, guidance, solver)) = how else { return Err(Refusal::unprocessable("nothing to carry")) };
    let rows = labels.len();
    let denoiser = record.denoiser(&model.network, labels, guidance, ROWS_TOGETHER, &model.device);
    let watched = Watched::new(&denoiser, &parts);
    let flow = Flow { denoiser: &watched, extra_dims: record.extra_dims() };
    let range = (record.range().0, top);
    match way {
        Way::Down => solver::sample_seeded(&flow, &solver, range, &seeds, &mut x).map_err(failed)?,
        Way::Up => solver::encode(&flow, &solver, range, &mut x).map_err(failed)?,
        Way::Guess => restoration::denoise_in_one_step(&flow, top, &mut x),
    }
    let evaluations = watched.rows();
    Ok(Computed { values: x, nfe: evaluations as f64 / rows.max(1) as f64, evaluations })
}

/// Rows that are scored before it is looked whether somebody still waits.
const SCORED_TOGETHER: usize = 8;

fn score(model: &Model, rows: Rows, how: &Measurement, ticket: &Ticket) -> Result<Computed, SolverError> {
    let (dim, mut values, mut evaluations) = (model.record.dim(), Vec::new(), 0.0);
    let parts = rows.values.chunks(SCORED_TOGETHER * dim).zip(rows.labels.chunks(SCORED_TOGETHER));
    for (part, labels) in parts {
        if !ticket.is_good() {
            // Nobody reads these.
            values.resize(rows.labels.len(), f64::NAN);
            break;
        }
        let part = Rows { values: part, labels, whole: rows.whole };
        let measured = measure(&model.record, &model.network, part, how, &model.device, &mut |_| {})?;
        evaluations += measured.nfe * labels.len() as f64;
        values.extend(measured.of_rows());
    }
    let nfe = evaluations / rows.labels.len().max(1) as f64;
    Ok(Computed { values, nfe, evaluations: evaluations as u64 })
}
