//! A cascade: a flow of small images, and flows that upscale what the flow before them made.

use burn::tensor::Device;
use pfgm_data::{
    Shape,
    resize::{shrink, shrunk},
};

use crate::{
    network::Network,
    sample::{Guides, SampleRequest, Samples, sample, upscale},
    solver::{Solver, SolverError},
    spec::ModelSpec,
};

/// One flow of a cascade.
pub struct Stage<'a> {
    /// The run.
    pub record: &'a ModelSpec,
    /// Its network.
    pub network: &'a Network,
    /// How it is solved.
    pub solver: Solver,
    /// The noise that the images which it upscales get.
    pub noise: f64,
}

/// Why runs are no cascade.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CascadeError {
    /// The first run upscales, or a later one does not.
    #[error("stage {0} of a cascade {1}")]
    Kind(usize, &'static str),
    /// A run upscales other images than the one before it makes.
    #[error("stage {stage} upscales images of {wants}, but the one before it makes {made}")]
    Shapes {
        /// The later one, from 0.
        stage: usize,
        /// What it upscales.
        wants: String,
        /// What it would get.
        made: Shape,
    },
    /// The runs were trained on classes of their own, or images of another range.
    #[error("stage {0} knows other classes or another range of values than the first: train all on the same data")]
    Data(usize),
}

/// Whether each flow upscales what the one before it makes.
///
/// # Errors
/// When one does not.
pub fn check(records: &[&ModelSpec]) -> Result<(), CascadeError> {
    for (stage, record) in records.iter().enumerate() {
        match (stage, record.config.upscale) {
            (0, Some(_)) => return Err(CascadeError::Kind(0, "is the base and must not upscale")),
            (1.., None) => return Err(CascadeError::Kind(stage, "does not upscale")),
            _ => {}
        }
        let first = &records[0].data;
        if record.data.classes != first.classes || record.data.range != first.range {
            return Err(CascadeError::Data(stage));
        }
        let made = records[stage.saturating_sub(1)].data.shape;
        let wants = record.spatial().low_shape();
        if stage > 0 && wants != Some(made) {
            let wants = wants.map_or_else(|| "no size".to_owned(), |shape| shape.to_string());
            return Err(CascadeError::Shapes { stage, wants, made });
        }
    }
    Ok(())
}

/// Draws the same seeds from every flow of a cascade, each upscaling what the one before it made; `request`'s solver is that of none.
/// With images to begin with, rows of the first flow's shape in the data's own units, they stand for its samples.
///
/// # Errors
/// When a solver gives up.
///
/// # Panics
/// When the stages are no cascade: [`check`].
pub fn sample_all(
    stages: &[Stage],
    request: &SampleRequest,
    begin: Option<Vec<f32>>,
    device: &Device,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Samples>, SolverError> {
    let mut made: Vec<Samples> = Vec::new();
    for (number, stage) in stages.iter().enumerate() {
        let request = SampleRequest { solver: stage.solver.clone(), ..request.clone() };
        let mut tell = |done: usize| progress(number, done);
        let samples = match (made.last(), &begin) {
            (None, Some(values)) => Samples { values: values.clone(), nfe: 0.0, clipped: 0.0 },
            (None, None) => sample(stage.record, stage.network, &request, device, &mut tell)?,
            (Some(low), _) => {
                let guides = Guides { images: &low.values, noise: stage.noise, stage: number as u64 };
                upscale(stage.record, stage.network, &request, guides, device, &mut tell)?
            }
        };
        made.push(samples);
    }
    Ok(made)
}

/// The root mean square difference between images made smaller and the images that they should then be.
///
/// # Shapes
/// `images`: rows of `shape`, `low`: rows `factor` times as small
///
/// # Panics
/// When the sides do not divide.
pub fn disagreement(shape: Shape, images: &[f32], low: &[f32], factor: usize) -> f64 {
    let dim = shrunk(shape, factor).expect("sides that divide").dim();
    let pairs = images.chunks_exact(shape.dim()).zip(low.chunks_exact(dim));
    let squares: f64 = pairs
        .flat_map(|(image, low)| {
            let small = shrink(shape, image, factor);
            small.into_iter().zip(low.to_vec()).map(|(a, b)| f64::from(a - b).powi(2))
        })
        .sum();
    (squares / low.len().max(1) as f64).sqrt()
}
