//! Samples: latents of the prior, carried down the flow.

use burn::tensor::Device;
use pfgm_data::Shape;

use crate::{
    conditioning::{Conditioning, add_noise},
    flow::{Counted, Flow},
    network::Network,
    parallel::{Communicator, gather},
    prediction::Arithmetic,
    random::{Purpose, stream},
    solver::{self, Solver, SolverError},
    spec::ModelSpec,
};

/// What to sample.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRequest {
    /// One sample each; a sample depends on its seed (and class) alone.
    pub seeds: Vec<u64>,
    /// The class of each sample, where it has one.
    pub classes: Vec<Option<u32>>,
    /// How to solve.
    pub solver: Solver,
    /// The strength of classifier-free guidance.
    pub guidance: f64,
    /// Samples computed together.
    pub batch: usize,
    /// As PFGM's released code does it, instead of as the equations have it.
    pub released: Option<Released>,
}

/// What PFGM's released sampler takes beside a network's field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Released {
    /// Where the network's own component along z takes over.
    pub z_exp: f64,
    /// The norm that latents are clipped to; below, to 1.
    pub upper_norm: f64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// The samples in the data's own units, `[seeds, N]`; images are clipped to the data's range.
    pub values: Vec<f32>,
    /// Evaluations of `yhat` per sample, on average.
    pub nfe: f64,
    /// The share of latents whose norm was clipped, as released.
    pub clipped: f64,
}

/// Low-resolution images to be upscaled.
#[derive(Clone, Copy, Debug)]
pub struct Guides<'a> {
    /// One for each sample, in the data's own units, rows of the low shape.
    pub images: &'a [f32],
    /// The noise that they get, of which the network is told.
    pub noise: f64,
    /// Which flow of a cascade this is, from 1: its latents are others than those of the flows before it.
    pub stage: u64,
}

/// Draws samples. `progress` hears how many are done after each batch.
///
/// # Errors
/// When the solver gives up.
pub fn sample(
    record: &ModelSpec,
    network: &Network,
    request: &SampleRequest,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Samples, SolverError> {
    draw(record, network, request, None, device, progress)
}

/// Draws samples that look like the given images when they are made smaller.
///
/// # Errors
/// When the solver gives up.
pub fn upscale(
    record: &ModelSpec,
    network: &Network,
    request: &SampleRequest,
    guides: Guides,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Samples, SolverError> {
    draw(record, network, request, Some(guides), device, progress)
}

/// Draws samples on many ranks: each draws its share of the seeds. Rank 0 gets all of them in the order of the request, as one process
/// would; the others get none.
///
/// # Errors
/// When the solver gives up.
pub fn sample_distributed(
    record: &ModelSpec,
    network: &Network,
    request: &SampleRequest,
    device: &Device,
    ranks: &dyn Communicator,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<Samples>, SolverError> {
    // The released code's steps depend on the whole batch; else a sample depends on its seed alone.
    let unit = if request.released.is_some() { request.batch.max(1) } else { 1 };
    let count = request.seeds.len();
    let units = ranks.share(count.div_ceil(unit));
    let own = (units.start * unit).min(count)..(units.end * unit).min(count);
    let classes = request.classes.get(own.clone()).unwrap_or_default().to_vec();
    let part = SampleRequest { seeds: request.seeds[own.clone()].to_vec(), classes, ..request.clone() };
    let drawn = sample(record, network, &part, device, progress).map_err(|error| error.after(own.start))?;
    let mut sums = [drawn.nfe, drawn.clipped].map(|mean| mean * own.len() as f64);
    ranks.sum(&mut sums);
    let [nfe, clipped] = sums.map(|sum| sum / count.max(1) as f64);
    Ok(gather(ranks, drawn.values).map(|values| Samples { values, nfe, clipped }))
}

fn draw(
    record: &ModelSpec,
    network: &Network,
    request: &SampleRequest,
    guides: Option<Guides>,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Samples, SolverError> {
    let stage = guides.map_or(0, |guides| guides.stage);
    let (_, sigma_max) = record.range();
    let solver = request.solver.clone().for_process(record.config.flow.output.process());
    let mut values = Vec::with_capacity(request.seeds.len() * record.dim());
    let (mut rows, mut clipped) = (0, 0);
    for (batch, seeds) in request.seeds.chunks(request.batch.max(1)).enumerate() {
        let first = batch * request.batch.max(1);
        let classes: Vec<Option<u32>> = request.classes.iter().skip(first).take(seeds.len()).copied().collect();
        let conditioning = match guides {
            Some(guides) => low_resolution(classes.into(), record, guides, seeds, first),
            None => classes.into(),
        };
        let mut denoiser = record.denoiser(network, conditioning, request.guidance, request.batch, device);
        if let Some(Released { z_exp, .. }) = request.released {
            denoiser = denoiser.with_arithmetic(Arithmetic::AuthorsCode { z_exp });
        }
        let counted = Counted::new(&denoiser);
        let flow = Flow { denoiser: &counted, extra_dims: record.extra_dims() };
        let mut x: Vec<f64> = flow.latents(sigma_max, stage, seeds.iter().copied());
        let solved = match (request.released, record.data.shape) {
            (Some(Released { upper_norm, .. }), Shape::Image { height, width, .. }) => {
                clipped +=
                    x.chunks_exact_mut(record.dim()).map(|row| usize::from(clip(row, upper_norm))).sum::<usize>();
                solver::authors_code(&flow, &request.solver, record.range(), height * width, &mut x)
            }
            _ => solver::sample_seeded(&flow, &solver, record.range(), seeds, &mut x),
        };
        solved.map_err(|error| error.after(first))?;
        rows += counted.rows();
        values.extend(x.chunks_exact(record.dim()).flat_map(|row| to_data(record, row)));
        progress(first + seeds.len());
    }
    let count = request.seeds.len().max(1) as f64;
    Ok(Samples { values, nfe: rows as f64 / count, clipped: clipped as f64 / count })
}

/// Adds the low-resolution images of some seeds, the first of which is sample number `first`, with noise.
fn low_resolution(
    conditioning: Conditioning,
    record: &ModelSpec,
    guides: Guides,
    seeds: &[u64],
    first: usize,
) -> Conditioning {
    let spatial = record.spatial();
    let dim = spatial.low_shape().expect("a super-resolution flow, as it was checked").dim();
    let rows = guides.images.chunks_exact(dim).skip(first);
    let noisy = |(row, &seed): (&[f32], &u64)| {
        let mut low = row.to_vec();
        record.data.transform.forward(&mut low);
        add_noise(&low, guides.noise, &mut stream(seed, Purpose::Guide, guides.stage, 0))
    };
    let images: Vec<f32> = rows.zip(seeds).flat_map(noisy).collect();
    conditioning.with_low_resolution(&spatial, &images, guides.noise)
}

/// Scales a latent whose norm lies beyond `[1, upper]` back to it; returns whether it did.
fn clip(row: &mut [f64], upper: f64) -> bool {
    let norm = row.iter().map(|value| value * value).sum::<f64>().sqrt();
    let clipped = norm.clamp(1.0, upper);
    row.iter_mut().for_each(|value| *value *= clipped / norm);
    clipped != norm
}

/// A point of the model's space in the data's own units.
pub fn to_data(record: &ModelSpec, point: &[f64]) -> Vec<f32> {
    let mut row: Vec<f32> = point.iter().map(|&value| value as f32).collect();
    record.data.transform.inverse(&mut row);
    if matches!(record.data.shape, Shape::Image { .. }) {
        let (low, high) = record.data.range;
        row.iter_mut().for_each(|value| *value = value.clamp(low, high));
    }
    row
}
