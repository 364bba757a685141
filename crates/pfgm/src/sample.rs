//! Samples: latents of the prior, carried down the flow.

use burn::tensor::Device;
use pfgm_data::Shape;

use crate::{
    flow::{Counted, Flow},
    model::Record,
    network::Network,
    random::{Purpose, stream},
    solver::{self, SolverConfig, SolverError},
};

/// What to sample.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRequest {
    /// One sample each; a sample depends on its seed (and class) alone.
    pub seeds: Vec<u64>,
    /// The class of each sample, where it has one.
    pub classes: Vec<Option<u32>>,
    /// How to solve.
    pub solver: SolverConfig,
    /// The strength of classifier-free guidance.
    pub guidance: f64,
    /// Samples computed together.
    pub batch: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// The samples in the data's own units, `[seeds, N]`; images are clipped to the data's range.
    pub values: Vec<f32>,
    /// Evaluations of `yhat` per sample, on average.
    pub nfe: f64,
}

/// Draws samples. `progress` hears how many are done after each batch.
///
/// # Errors
/// When the solver gives up.
pub fn sample(
    record: &Record,
    network: &Network,
    request: &SampleRequest,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Samples, SolverError> {
    let (_, sigma_max) = record.range();
    let mut values = Vec::with_capacity(request.seeds.len() * record.dim());
    let mut rows = 0;
    for (batch, seeds) in request.seeds.chunks(request.batch.max(1)).enumerate() {
        let first = batch * request.batch.max(1);
        let classes = request.classes.iter().skip(first).take(seeds.len()).copied().collect();
        let denoiser = record.denoiser(network, classes, request.guidance, request.batch, device);
        let counted = Counted::new(&denoiser);
        let flow = Flow { denoiser: &counted, augmentation: record.augmentation() };
        let mut x: Vec<f64> =
            seeds.iter().flat_map(|&seed| flow.latent(sigma_max, &mut stream(seed, Purpose::Latent, 0, 0))).collect();
        solver::sample(&flow, &request.solver, record.range(), &mut x).map_err(|error| error.after(first))?;
        rows += counted.rows();
        values.extend(x.chunks_exact(record.dim()).flat_map(|row| to_data(record, row)));
        progress(first + seeds.len());
    }
    Ok(Samples { values, nfe: rows as f64 / request.seeds.len().max(1) as f64 })
}

/// A point of the model's space in the data's own units.
fn to_data(record: &Record, point: &[f64]) -> Vec<f32> {
    let mut row: Vec<f32> = point.iter().map(|&value| value as f32).collect();
    record.data.transform.inverse(&mut row);
    if matches!(record.data.shape, Shape::Image { .. }) {
        let (low, high) = record.data.range;
        row.iter_mut().for_each(|value| *value = value.clamp(low, high));
    }
    row
}
