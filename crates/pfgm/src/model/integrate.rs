//! Points moved along the flow: what sampling, encoding, decoding and denoising have in common.

use std::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
};

use pfgm_data::Shape;

use super::Model;
use crate::{
    error::{Error, Result},
    flow::{Denoiser, Differentiable, Flow, Query},
    progress::{CancelToken, Observer, Progress},
    restoration,
    solver::{self, Solver},
    spec::ModelSpec,
};

/// Which way points move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the data's noise level up to `sigma`.
    Encode,
    /// From `sigma` down to the data.
    Decode,
    /// Nowhere: `yhat` at `sigma` takes the place of each point.
    PosteriorMean,
}

/// Points of the model's space to be moved together along the flow.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegrationJob {
    /// Which way.
    pub direction: Direction,
    /// The upper noise level: that of the prior, or of the noise in the points.
    pub sigma: f64,
    /// The solver.
    pub solver: Solver,
    /// Classifier-free guidance scale; 1 disables it.
    pub guidance: f64,
    /// The points, `[rows, N]`.
    pub x: Vec<f64>,
    /// The class of each row.
    pub labels: Vec<Option<u32>>,
    /// The seed of each row, for solvers that draw noise.
    pub seeds: Vec<u64>,
    /// Whether to decode as the code published with PFGM does, instead of as the equations have it.
    pub authors_code: Option<AuthorsCode>,
}

/// What the code published with PFGM needs to know beside the network's field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AuthorsCode {
    /// The z from which on the network's own component along z is used: 5 for CIFAR-10, 1 for CelebA 64, 0.1 for LSUN bedroom 256.
    pub z_exp: f64,
    /// The norm that latents are clipped to, from below to 1; `None` does not clip.
    pub upper_norm: Option<f64>,
}

/// What the estimate of `yhat` is conditioned on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    /// The class of each item; an item beyond the end has none.
    pub(crate) labels: Vec<Option<u32>>,
    /// Classifier-free guidance scale.
    pub(crate) guidance: f64,
    /// `z_exp` of [`AuthorsCode`].
    pub(crate) authors_z: Option<f64>,
}

impl Conditions {
    /// The classes of a batch, without guidance.
    pub(crate) fn of(labels: Vec<Option<u32>>) -> Self {
        Self { labels, guidance: 1.0, authors_z: None }
    }
}

/// Where the points of a job ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Integrated {
    /// The points, `[rows, N]`.
    pub x: Vec<f64>,
    /// Rows that the denoiser evaluated.
    pub evaluations: u64,
    /// Latents whose norm was clipped, with the authors' code.
    pub clipped: usize,
}

/// Watches a computation, and says which rows are still wanted.
pub trait Monitor {
    /// Whether anybody still waits for a row. A row that is not active stands still (`yhat = x`), which costs nothing and lets every solver
    /// finish at once.
    fn is_active(&self, _item: usize) -> bool {
        true
    }

    /// Called after each evaluation with its points and their `yhat`.
    fn evaluated(&self, _query: &Query, _yhat: &[f64]) {}
}

/// A monitor that does nothing.
impl Monitor for () {}

/// A denoiser that a monitor watches.
pub(super) struct Monitored<'a> {
    inner: &'a dyn Differentiable,
    monitor: &'a dyn Monitor,
    evaluations: Cell<u64>,
}

impl<'a> Monitored<'a> {
    pub(super) fn new(inner: &'a dyn Differentiable, monitor: &'a dyn Monitor) -> Self {
        Self { inner, monitor, evaluations: Cell::new(0) }
    }

    pub(super) fn evaluations(&self) -> u64 {
        self.evaluations.get()
    }

    /// The rows of a query that are still active.
    fn active(&self, query: &Query) -> Vec<usize> {
        let active: Vec<usize> = (0..query.item.len()).filter(|&row| self.monitor.is_active(query.item[row])).collect();
        self.evaluations.set(self.evaluations.get() + active.len() as u64);
        active
    }
}

/// The given rows of `values`.
fn gather<T: Copy>(values: &[T], rows: &[usize], dim: usize) -> Vec<T> {
    rows.iter().flat_map(|&row| &values[row * dim..(row + 1) * dim]).copied().collect()
}

/// Writes `values` to the given rows of `out`.
fn scatter(values: &[f64], rows: &[usize], dim: usize, out: &mut [f64]) {
    for (value, &row) in values.chunks_exact(dim).zip(rows) {
        out[row * dim..(row + 1) * dim].copy_from_slice(value);
    }
}

impl Denoiser for Monitored<'_> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let (dim, active) = (self.dim(), self.active(query));
        if active.len() == query.item.len() {
            self.inner.denoise(query, out);
        } else {
            out.copy_from_slice(query.x);
            let (x, sigma, item) =
                (gather(query.x, &active, dim), gather(query.sigma, &active, 1), gather(query.item, &active, 1));
            let mut yhat = vec![0.0; x.len()];
            if !active.is_empty() {
                self.inner.denoise(&Query { x: &x, sigma: &sigma, item: &item }, &mut yhat);
            }
            scatter(&yhat, &active, dim, out);
        }
        self.monitor.evaluated(query, out);
    }
}

impl Differentiable for Monitored<'_> {
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]) {
        let (dim, active) = (self.dim(), self.active(query));
        if active.len() == query.item.len() {
            self.inner.vjp(query, probes, out, pulled);
        } else {
            out.copy_from_slice(query.x);
            pulled.fill(0.0);
            let (x, sigma, item) =
                (gather(query.x, &active, dim), gather(query.sigma, &active, 1), gather(query.item, &active, 1));
            let probes = gather(probes, &active, dim);
            let (mut yhat, mut products) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            if !active.is_empty() {
                self.inner.vjp(&Query { x: &x, sigma: &sigma, item: &item }, &probes, &mut yhat, &mut products);
            }
            scatter(&yhat, &active, dim, out);
            scatter(&products, &active, dim, pulled);
        }
        self.monitor.evaluated(query, out);
    }

    fn divergence(&self, query: &Query, out: &mut [f64], divergence: &mut [f64]) {
        let (dim, active) = (self.dim(), self.active(query));
        out.copy_from_slice(query.x);
        divergence.fill(0.0);
        let (x, sigma, item) =
            (gather(query.x, &active, dim), gather(query.sigma, &active, 1), gather(query.item, &active, 1));
        let (mut yhat, mut traces) = (vec![0.0; x.len()], vec![0.0; active.len()]);
        if !active.is_empty() {
            self.inner.divergence(&Query { x: &x, sigma: &sigma, item: &item }, &mut yhat, &mut traces);
        }
        scatter(&yhat, &active, dim, out);
        scatter(&traces, &active, 1, divergence);
        self.monitor.evaluated(query, out);
    }
}

/// How a computation over many rows runs: rows at once, progress, cancellation.
pub(crate) struct Execution<'a> {
    pub(crate) batch: usize,
    pub(crate) observer: Option<Observer<'a>>,
    pub(crate) cancel: Option<CancelToken>,
}

impl Default for Execution<'_> {
    fn default() -> Self {
        Self { batch: 64, observer: None, cancel: None }
    }
}

/// The options that every computation over rows has.
macro_rules! execution_options {
    ($lifetime:lifetime) => {
        /// Sets how many rows are computed together. Results do not depend on it. Default: 64.
        #[must_use]
        pub fn batch(mut self, rows: usize) -> Self {
            self.execution.batch = rows;
            self
        }

        /// Calls a function with the progress after every evaluation; it ends the computation by returning `ControlFlow::Break`.
        #[must_use]
        pub fn observer(
            mut self,
            observer: impl FnMut(&crate::progress::Progress) -> std::ops::ControlFlow<()> + $lifetime,
        ) -> Self {
            self.execution.observer = Some(Box::new(observer));
            self
        }

        /// Ends the computation with [`Error::Canceled`](crate::Error::Canceled) soon after the token is canceled or expires.
        #[must_use]
        pub fn cancel(mut self, token: &crate::progress::CancelToken) -> Self {
            self.execution.cancel = Some(token.clone());
            self
        }
    };
}
pub(crate) use execution_options;

impl<'a> Execution<'a> {
    /// Checks the options, and begins a stage of `total` rows.
    pub(crate) fn begin(self, stage: &'static str, total: usize) -> Result<Running<'a>> {
        if self.batch == 0 {
            return Err(Error::argument("batch", "give at least 1"));
        }
        let progress = Cell::new(Progress { stage, done: 0, total, evaluations: 0 });
        let running = Running {
            batch: self.batch,
            observer: RefCell::new(self.observer),
            cancel: self.cancel,
            stopped: Cell::new(false),
            progress,
        };
        running.check()?;
        Ok(running)
    }
}

/// A computation over rows that is going on.
pub(crate) struct Running<'a> {
    pub(crate) batch: usize,
    observer: RefCell<Option<Observer<'a>>>,
    cancel: Option<CancelToken>,
    stopped: Cell<bool>,
    progress: Cell<Progress>,
}

impl Running<'_> {
    fn is_running(&self) -> bool {
        !self.stopped.get() && self.cancel.as_ref().is_none_or(CancelToken::is_active)
    }

    fn check(&self) -> Result<()> {
        if self.is_running() { Ok(()) } else { Err(Error::Canceled) }
    }

    fn tell(&self) {
        if let Some(observer) = self.observer.borrow_mut().as_mut()
            && observer(&self.progress.get()) == ControlFlow::Break(())
        {
            self.stopped.set(true);
        }
    }

    /// Notes how many rows were evaluated.
    pub(crate) fn note_evaluations(&self, evaluations: u64) {
        self.progress.set(Progress { evaluations, ..self.progress.get() });
    }

    /// Notes that `rows` more rows are done.
    ///
    /// # Errors
    /// Returns an error if the computation was canceled.
    pub(crate) fn advance(&self, rows: usize) -> Result<()> {
        let progress = self.progress.get();
        self.progress.set(Progress { done: progress.done + rows, ..progress });
        self.tell();
        self.check()
    }
}

impl Monitor for Running<'_> {
    fn is_active(&self, _item: usize) -> bool {
        self.is_running()
    }

    fn evaluated(&self, query: &Query, _yhat: &[f64]) {
        if !self.is_running() {
            return;
        }
        let progress = self.progress.get();
        self.progress.set(Progress { evaluations: progress.evaluations + query.item.len() as u64, ..progress });
        self.tell();
    }
}

/// What samples are drawn from: a network, or the exact field of a data set.
pub(crate) trait Estimator {
    /// The data, the noise levels and D.
    fn spec(&self) -> &ModelSpec;

    /// The estimate of `yhat` for a batch.
    fn conditioned(&self, conditions: Conditions) -> Box<dyn Differentiable + '_>;
}

/// Moves the points of a job along the flow, all rows together.
pub(crate) fn integrate(
    estimator: &(impl Estimator + ?Sized),
    job: IntegrationJob,
    monitor: &dyn Monitor,
) -> Result<Integrated> {
    let IntegrationJob { direction, sigma, solver, guidance, mut x, labels, seeds, authors_code } = job;
    let authors_z = authors_code.map(|settings| settings.z_exp);
    let (spec, denoiser) = (estimator.spec(), estimator.conditioned(Conditions { labels, guidance, authors_z }));
    let monitored = Monitored::new(&*denoiser, monitor);
    let flow = Flow { denoiser: &monitored, extra_dims: spec.extra_dims() };
    let range = (spec.range().0, sigma);
    let mut clipped = 0;
    match (direction, authors_code, spec.data.shape) {
        (Direction::Decode, Some(AuthorsCode { upper_norm, .. }), Shape::Image { height, width, .. }) => {
            if let Some(upper_norm) = upper_norm {
                clipped = x.chunks_exact_mut(spec.dim()).map(|row| usize::from(clip(row, upper_norm))).sum();
            }
            solver::authors_code(&flow, &solver, range, height * width, &mut x)?;
        }
        (Direction::Decode, ..) => solver::sample_seeded(&flow, &solver, range, &seeds, &mut x)?,
        (Direction::Encode, ..) => solver::encode(&flow, &solver, range, &mut x)?,
        (Direction::PosteriorMean, ..) => restoration::denoise_in_one_step(&flow, sigma, &mut x),
    }
    let evaluations = monitored.evaluations();
    Ok(Integrated { x, evaluations, clipped })
}

/// Scales a latent whose norm lies outside of `[1, upper]` back to it; returns whether it did.
fn clip(row: &mut [f64], upper: f64) -> bool {
    let norm = row.iter().map(|value| value * value).sum::<f64>().sqrt();
    let clipped = norm.clamp(1.0, upper);
    row.iter_mut().for_each(|value| *value *= clipped / norm);
    clipped != norm
}

/// Moves points in batches.
///
/// # Shapes
/// The points of the job: `[rows, N]`.
pub(crate) fn integrate_in_batches(
    estimator: &(impl Estimator + ?Sized),
    job: &IntegrationJob,
    running: &Running,
) -> Result<Integrated> {
    let dim = estimator.spec().dim();
    let mut all = Integrated { x: Vec::with_capacity(job.x.len()), evaluations: 0, clipped: 0 };
    for first in (0..job.seeds.len()).step_by(running.batch) {
        let rows = first..(first + running.batch).min(job.seeds.len());
        let part = IntegrationJob {
            x: job.x[rows.start * dim..rows.end * dim].to_vec(),
            labels: job.labels[rows.clone()].to_vec(),
            seeds: job.seeds[rows.clone()].to_vec(),
            solver: job.solver.clone(),
            ..*job
        };
        let done = integrate(estimator, part, running).map_err(|error| error.after(first))?;
        all.x.extend(done.x);
        all.evaluations += done.evaluations;
        all.clipped += done.clipped;
        running.advance(rows.len())?;
    }
    Ok(all)
}

impl Model {
    /// Moves the points of a job along the flow, all rows together.
    ///
    /// # Errors
    /// Returns an error if the solver fails.
    pub fn integrate(&self, job: IntegrationJob, monitor: &dyn Monitor) -> Result<Integrated> {
        integrate(self, job, monitor)
    }
}
