//! Integration of points along the flow, shared by sampling, encoding, decoding and denoising.

use std::ops::Range;

use pfgm_data::Shape;

use super::{
    Model,
    execution::Running,
    monitor::{Monitor, Monitored},
};
use crate::{
    conditioning::Conditioning,
    error::Result,
    flow::{Differentiable, Flow},
    restoration,
    solver::{self, Solver},
    spec::ModelSpec,
};

/// Direction of the integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the data's noise level up to `sigma`.
    Encode,
    /// From `sigma` down to the data.
    Decode,
    /// No integration: each point is replaced by its `yhat` at `sigma`.
    PosteriorMean,
}

/// Points of the model's space that are integrated together.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegrationJob {
    /// The direction.
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
    /// Settings of PFGM's published code, to decode with its arithmetic instead of that of the equations.
    pub authors_code: Option<AuthorsCode>,
}

/// Settings of PFGM's published code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AuthorsCode {
    /// Height z from which on the network's component along z is used: 5 for CIFAR-10, 1 for CelebA 64, 0.1 for LSUN bedroom 256.
    pub z_exp: f64,
    /// Upper bound to which the norm of latents is clipped (the lower bound is 1); `None` disables clipping.
    pub upper_norm: Option<f64>,
}

/// Conditioning of the estimate of `yhat`.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    /// The classes, and the low-resolution images if the model upscales.
    pub(crate) conditioning: Conditioning,
    /// Classifier-free guidance scale.
    pub(crate) guidance: f64,
    /// `z_exp` of [`AuthorsCode`].
    pub(crate) authors_z: Option<f64>,
}

impl Conditions {
    /// The classes of a batch, without guidance.
    pub(crate) fn of(labels: Vec<Option<u32>>) -> Self {
        Self { conditioning: labels.into(), guidance: 1.0, authors_z: None }
    }
}

/// Result of an [`IntegrationJob`].
#[derive(Clone, Debug, PartialEq)]
pub struct Integrated {
    /// The points, `[rows, N]`.
    pub x: Vec<f64>,
    /// Number of rows that the denoiser evaluated.
    pub evaluations: u64,
    /// Number of latents whose norm was clipped, with the authors' code.
    pub clipped: usize,
}

/// Estimator of `yhat` for sampling: a network, or the exact field of a data set.
pub(crate) trait Estimator {
    /// The data, the noise levels and D.
    fn spec(&self) -> &ModelSpec;

    /// The estimate of `yhat` for a batch.
    fn conditioned(&self, conditions: Conditions) -> Box<dyn Differentiable + '_>;
}

/// Integrates the points of a job along the flow, all rows together.
pub(crate) fn integrate(
    estimator: &(impl Estimator + ?Sized),
    mut job: IntegrationJob,
    monitor: &dyn Monitor,
) -> Result<Integrated> {
    let conditioning = std::mem::take(&mut job.labels).into();
    integrate_conditioned(estimator, job, conditioning, monitor)
}

/// Integrates the points of a job with this conditioning instead of the classes of the job.
fn integrate_conditioned(
    estimator: &(impl Estimator + ?Sized),
    job: IntegrationJob,
    conditioning: Conditioning,
    monitor: &dyn Monitor,
) -> Result<Integrated> {
    let IntegrationJob { direction, sigma, solver, guidance, mut x, seeds, authors_code, .. } = job;
    let authors_z = authors_code.map(|settings| settings.z_exp);
    let (spec, denoiser) = (estimator.spec(), estimator.conditioned(Conditions { conditioning, guidance, authors_z }));
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

/// Clips the norm of a latent to `[1, upper]`; returns whether it changed.
fn clip(row: &mut [f64], upper: f64) -> bool {
    let norm = row.iter().map(|value| value * value).sum::<f64>().sqrt();
    let clipped = norm.clamp(1.0, upper);
    row.iter_mut().for_each(|value| *value *= clipped / norm);
    clipped != norm
}

/// Integrates points in batches.
pub(crate) fn integrate_in_batches(
    estimator: &(impl Estimator + ?Sized),
    job: &IntegrationJob,
    running: &Running,
) -> Result<Integrated> {
    integrate_batches_with(estimator, job, &|rows| job.labels[rows].to_vec().into(), running)
}

/// Integrates points in batches; `conditioning_of` returns the conditioning of the rows of each batch.
pub(crate) fn integrate_batches_with(
    estimator: &(impl Estimator + ?Sized),
    job: &IntegrationJob,
    conditioning_of: &dyn Fn(Range<usize>) -> Conditioning,
    running: &Running,
) -> Result<Integrated> {
    let dim = estimator.spec().dim();
    let mut all = Integrated { x: Vec::with_capacity(job.x.len()), evaluations: 0, clipped: 0 };
    for first in (0..job.seeds.len()).step_by(running.batch) {
        let rows = first..(first + running.batch).min(job.seeds.len());
        let part = IntegrationJob {
            x: job.x[rows.start * dim..rows.end * dim].to_vec(),
            labels: Vec::new(),
            seeds: job.seeds[rows.clone()].to_vec(),
            solver: job.solver.clone(),
            ..*job
        };
        let conditioning = conditioning_of(rows.clone());
        let done = integrate_conditioned(estimator, part, conditioning, running).map_err(|error| error.after(first))?;
        all.x.extend(done.x);
        all.evaluations += done.evaluations;
        all.clipped += done.clipped;
        running.advance(rows.len())?;
    }
    Ok(all)
}

impl Model {
    /// Integrates the points of a job along the flow, all rows together.
    ///
    /// # Errors
    /// Returns an error if the solver fails.
    pub fn integrate(&self, job: IntegrationJob, monitor: &dyn Monitor) -> Result<Integrated> {
        integrate(self, job, monitor)
    }
}
