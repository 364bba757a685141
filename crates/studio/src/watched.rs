//! A network that is asked for several clients at once: it tells each how far its rows are, and stops working for those that left.

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

/// Time between two looks at the same rows.
const BETWEEN_LOOKS: Duration = Duration::from_millis(40);

/// Whether somebody still waits for an answer.
#[derive(Clone, Debug)]
pub struct Ticket {
    gone: Arc<AtomicBool>,
    deadline: Instant,
}

impl Ticket {
    /// A ticket that is good for so long.
    pub fn new(longest: Duration) -> Self {
        Self { gone: Arc::default(), deadline: Instant::now() + longest }
    }

    /// Whether the client went away.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Whether it waited for too long.
    pub fn is_late(&self) -> bool {
        Instant::now() > self.deadline
    }

    /// Whether there is still something to do.
    pub fn is_good(&self) -> bool {
        !self.is_gone() && !self.is_late()
    }

    /// What gives the ticket back when it is dropped, as it is with the answer of a client that went away.
    pub fn guard(&self) -> Guard {
        Guard(Arc::clone(&self.gone))
    }
}

/// See [`Ticket::guard`].
#[derive(Debug)]
pub struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How far the rows of a request are.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Evaluations so far, of the row that had most.
    pub nfe: u64,
    /// Since the first evaluation.
    pub seconds: f64,
    /// The noise level of each row.
    pub sigma: Vec<f64>,
    /// The Euclidean norm of each row, in the model's space.
    pub norm: Vec<f64>,
    /// `yhat` of each row: where its field line leads if it were straight, `[rows, N]`.
    pub yhat: Vec<f64>,
}

/// The rows of one request in a batch.
pub struct Part {
    /// The first.
    pub first: usize,
    /// How many.
    pub count: usize,
    /// Who waits for them.
    pub ticket: Ticket,
    /// Who looks on.
    pub watcher: Option<Sender<Look>>,
}

/// The progress of a request that is looked at.
struct Progress {
    calls: Vec<u64>,
    look: Look,
    looked: Option<Instant>,
}

/// A denoiser of a batch of requests.
pub struct Watched<'a> {
    inner: &'a dyn Denoiser,
    parts: &'a [Part],
    progress: RefCell<Vec<Option<Progress>>>,
    rows: RefCell<u64>,
    started: Instant,
}

impl<'a> Watched<'a> {
    /// Watches `inner` work for `parts`, which follow one another.
    pub fn new(inner: &'a dyn Denoiser, parts: &'a [Part]) -> Self {
        let progress = |part: &Part| {
            let (count, dim) = (part.count, inner.dim());
            let look = Look {
                nfe: 0,
                seconds: 0.0,
                sigma: vec![f64::NAN; count],
                norm: vec![0.0; count],
                yhat: vec![0.0; count * dim],
            };
            part.watcher.as_ref().map(|_| Progress { calls: vec![0; count], look, looked: None })
        };
        let progress = RefCell::new(parts.iter().map(progress).collect());
        Self { inner, parts, progress, rows: RefCell::new(0), started: Instant::now() }
    }

    /// Rows that were evaluated.
    pub fn rows(&self) -> u64 {
        *self.rows.borrow()
    }

    fn part_of(&self, item: usize) -> usize {
        self.parts.partition_point(|part| part.first + part.count <= item)
    }

    /// Keeps what was asked and answered, and shows it to those who look on.
    fn note(&self, query: &Query, out: &[f64]) {
        let (dim, mut progress) = (self.dim(), self.progress.borrow_mut());
        let rows = query.item.iter().zip(query.sigma).zip(query.x.chunks_exact(dim).zip(out.chunks_exact(dim)));
        for ((&item, &sigma), (x, yhat)) in rows {
            let index = self.part_of(item);
            let (part, Some(progress)) = (&self.parts[index], &mut progress[index]) else { continue };
            let (row, look) = (item - part.first, &mut progress.look);
            progress.calls[row] += 1;
            look.nfe = look.nfe.max(progress.calls[row]);
            look.sigma[row] = sigma;
            look.norm[row] = x.iter().map(|x| x * x).sum::<f64>().sqrt();
            look.yhat[row * dim..(row + 1) * dim].copy_from_slice(yhat);
        }
        for (part, progress) in self.parts.iter().zip(progress.iter_mut()) {
            let (Some(watcher), Some(progress)) = (&part.watcher, progress) else { continue };
            let waited = progress.looked.is_none_or(|looked| looked.elapsed() >= BETWEEN_LOOKS);
            if waited && progress.calls.iter().all(|calls| *calls > 0) {
                progress.looked = Some(Instant::now());
                progress.look.seconds = self.started.elapsed().as_secs_f64();
                // Whoever reads too slowly misses a look, not the answer.
                let _ = watcher.try_send(progress.look.clone());
            }
        }
    }
}

impl Denoiser for Watched<'_> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    /// Rows that nobody waits for stand still: their `yhat` is where they are, which costs nothing and ends every solver soon.
    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let dim = self.dim();
        let good: Vec<bool> = self.parts.iter().map(|part| part.ticket.is_good()).collect();
        let kept: Vec<usize> = (0..query.item.len()).filter(|&row| good[self.part_of(query.item[row])]).collect();
        *self.rows.borrow_mut() += kept.len() as u64;
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
        self.note(query, out);
    }
}
