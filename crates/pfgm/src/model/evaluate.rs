//! Evaluation of a model's samples.

use std::time::Instant;

use pfgm_data::{Dataset, Shape};
use pfgm_eval::{Extracted, Features, Reference, Report, Scaling, choose, evaluate, extract};

use super::{
    Model,
    execution::{Execution, execution_options},
    guidance::{GuidanceOptions, guidance_options},
};
use crate::{
    autoencoder::Autoencoder,
    error::{Error, Result},
    evaluate::gather,
    parallel::{Communicator, Solo},
    solver::Solver,
};

/// Number of samples in memory at once.
const CHUNK: usize = 1024;
/// Range of decoded images.
const BYTES: (f32, f32) = (0.0, 255.0);
/// Number of decoded images in memory at once.
const CHUNK_OF_IMAGES: usize = 64;

/// Settings of an evaluation: [`Model::evaluate`], [`Model::sample_features`].
#[must_use = "nothing is evaluated before `Model::evaluate`"]
pub struct Evaluation<'a> {
    samples: usize,
    seed: u64,
    solver: Option<Solver>,
    guidance: GuidanceOptions<'a>,
    is_balanced: bool,
    reference_rows: usize,
    kept: usize,
    autoencoder: Option<&'a Autoencoder>,
    ranks: &'a dyn Communicator,
    execution: Execution<'a>,
}

impl Default for Evaluation<'_> {
    fn default() -> Self {
        Self::samples(10_000)
    }
}

impl<'a> Evaluation<'a> {
    /// Evaluates this many samples, at least 20.
    pub fn samples(count: usize) -> Self {
        Self {
            samples: count,
            seed: 0,
            solver: None,
            guidance: GuidanceOptions::default(),
            is_balanced: false,
            reference_rows: usize::MAX,
            kept: 0,
            autoencoder: None,
            ranks: &Solo,
            execution: Execution::default(),
        }
    }

    /// Sets the seed of the first sample; the others use consecutive seeds. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the solver. Default: that of the model.
    pub fn solver(mut self, solver: impl Into<Solver>) -> Self {
        self.solver = Some(solver.into());
        self
    }

    /// Draws every class equally often, in turn, instead of with the class shares of the data.
    pub fn balanced(mut self) -> Self {
        self.is_balanced = true;
        self
    }

    /// Compares with this many rows of the reference, chosen at random. Default: all.
    pub fn reference_rows(mut self, count: usize) -> Self {
        self.reference_rows = count;
        self
    }

    /// Keeps the first samples: see [`SampledFeatures::first`]. Default: 0.
    pub fn keep(mut self, count: usize) -> Self {
        self.kept = count;
        self
    }

    /// Decodes samples of a flow of latents: their images are evaluated.
    pub fn decode_with(mut self, autoencoder: &'a Autoencoder) -> Self {
        self.autoencoder = Some(autoencoder);
        self
    }

    /// Draws on many ranks, a share on each.
    pub fn ranks(mut self, ranks: &'a dyn Communicator) -> Self {
        self.ranks = ranks;
        self
    }

    guidance_options!('a);
    execution_options!('a);
}

/// Features of samples.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SampledFeatures {
    /// The features.
    pub features: Extracted,
    /// Mean number of evaluations of `yhat` per sample.
    pub nfe: f64,
    /// Sampling time in seconds, without the extraction of features.
    pub seconds: f64,
    /// The first samples, in the units of the data, `[kept, N]`; of a single process only.
    pub first: Vec<f32>,
}

impl Model {
    /// Draws samples and extracts their features, in parts. Rank 0 gets the features, the others `None`.
    ///
    /// # Errors
    /// Returns an error if an option is invalid, the solver fails, the extractor does not fit, or the computation is canceled.
    pub fn sample_features(
        &self,
        features: &Features,
        scaling: &Scaling,
        how: Evaluation,
    ) -> Result<Option<SampledFeatures>> {
        let Evaluation {
            samples: count, seed, solver, guidance, is_balanced, kept, autoencoder, ranks, execution, ..
        } = how;
        let own = ranks.share(count);
        let running = execution.begin("samples and their features", own.len())?;
        let mut all = SampledFeatures { features: Extracted::default(), nfe: 0.0, seconds: 0.0, first: Vec::new() };
        let most = if autoencoder.is_some() { CHUNK_OF_IMAGES } else { CHUNK };
        for first in own.clone().step_by(most) {
            let chunk = most.min(own.end - first);
            let started = Instant::now();
            let mut sampling = self.sample(chunk).seed(seed.wrapping_add(first as u64)).batch(running.batch);
            if let Some(solver) = &solver {
                sampling = sampling.solver(solver.clone());
            }
            sampling = sampling.guided(guidance.clone());
            if is_balanced {
                sampling = sampling.balanced();
            }
            let samples = sampling.observer(|progress| running.pass_on(first - own.start, progress)).draw()?;
            let samples = match autoencoder {
                Some(autoencoder) => samples.decoded(autoencoder)?,
                None => samples,
            };
            all.seconds += started.elapsed().as_secs_f64();
            all.nfe += samples.nfe() * chunk as f64;
            let kept = kept.saturating_sub(first - own.start).min(chunk);
            all.first.extend(&samples.values()[..kept * samples.data().shape.dim()]);
            let found = features_of(samples.values(), samples.data().shape, features, scaling)?;
            all.features.features.extend(found.features);
            all.features.logits.extend(found.logits);
            running.advance(0)?;
        }
        let mut sum = [all.nfe];
        ranks.sum(&mut sum);
        all.nfe = sum[0] / count.max(1) as f64;
        let SampledFeatures { features, nfe, seconds, first } = all;
        Ok(gather(features, ranks).map(|features| SampledFeatures { features, nfe, seconds, first }))
    }

    /// Draws samples and compares their features with those of a reference: Frechet distance, KID, precision and recall, ...
    ///
    /// ```
    /// use pfgm::{model::Evaluation, prelude::*};
    /// use pfgm_eval::Features;
    ///
    /// let model = Model::load("digits")?;
    /// let how = Evaluation::samples(40).reference_rows(100).solver(Solver::heun(3));
    /// let report = model.evaluate(&Dataset::open("digits")?, &Features::Pixels, how)?;
    /// assert!(report.frechet.is_some_and(|found| found.distance > 0.0));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if there are too few rows, pixels are compared with those of another shape, or as [`Model::sample_features`].
    pub fn evaluate(&self, reference: &Dataset, features: &Features, how: Evaluation) -> Result<Report> {
        let own = match how.autoencoder {
            Some(autoencoder) => autoencoder.images_of(self.spec.data.shape),
            None => Some(self.spec.data.shape),
        };
        if matches!(features, Features::Pixels) && own != Some(reference.shape) {
            let own = own.map_or_else(|| "another shape".to_owned(), |shape| shape.to_string());
            let problem = format!(
                "{}: pixels of {} cannot be compared with those of {own}; use another extractor",
                reference.name, reference.shape
            );
            return Err(Error::argument("reference", problem));
        }
        let (seed, rows) = (how.seed, choose(reference.len(), how.reference_rows, how.seed));
        let scaling = Scaling::of(reference)?;
        let real = extract(features, reference, &scaling, &rows, &mut |_| {})?;
        let real = Reference::of(real.features, features.dim(reference.shape)?)?;
        let range = if how.autoencoder.is_some() { BYTES } else { self.spec.data.range };
        let scaling = Scaling::against(range, &scaling);
        let samples = self.sample_features(features, &scaling, Evaluation { ranks: &Solo, ..how })?;
        let samples = samples.expect("one process has all samples");
        Ok(evaluate(&samples.features, features.classes(), &real, seed, &|_, _, _| ())?)
    }
}

/// Features of rows in the units of the data.
fn features_of(values: &[f32], shape: Shape, features: &Features, scaling: &Scaling) -> Result<Extracted> {
    let dim = shape.dim();
    let mut read = |row: usize, out: &mut [f32]| {
        out.copy_from_slice(&values[row * dim..(row + 1) * dim]);
        scaling.apply(out);
        Ok(())
    };
    Ok(features.extract(shape, values.len() / dim, &mut read, &mut |_| {})?)
}
