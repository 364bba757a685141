//! Sampling: integration of the flow from the prior to the data.

use std::ops::Range;

use pfgm_data::Shape;

use super::{
    Model, Samples,
    execution::{Execution, execution_options},
    guidance::{GuidanceOptions, guidance_options},
    integrate::{AuthorsCode, Direction, Estimator, IntegrationJob, integrate_batches_with},
};
use crate::{
    conditioning::{Conditioning, add_noise},
    error::{Error, Result},
    parallel::{self, Communicator, Solo},
    prediction::Output,
    random::{Purpose, stream},
    solver::Solver,
    spec::ModelSpec,
};

/// Choice of the classes of samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Classes {
    /// Drawn with the class shares of the data.
    #[default]
    Shares,
    /// In turn, each equally often.
    Balanced,
    /// One for all samples.
    One(String),
    /// One for each sample, by number.
    Each(Vec<Option<u32>>),
}

/// A request for samples: [`Model::sample`] or [`ExactField::sample`](super::ExactField::sample).
///
/// A sample depends only on its seed and class.
#[must_use = "no sample is drawn before `draw`"]
pub struct Sampling<'a> {
    estimator: &'a dyn Estimator,
    seeds: Vec<u64>,
    classes: Classes,
    solver: Option<Solver>,
    guidance: GuidanceOptions<'a>,
    scale: f64,
    authors_code: Option<AuthorsCode>,
    low_resolution: Option<LowResolutionImages>,
    execution: Execution<'a>,
}

/// Images to upscale.
struct LowResolutionImages {
    /// The images in the units of the data, one for each sample.
    values: Vec<f32>,
    /// Standard deviation of the noise that is added to them, in the model's space; by default that of the model.
    noise: Option<f64>,
    /// The number of the flow in its cascade.
    stage: u64,
}

impl<'a> Sampling<'a> {
    pub(super) fn new(estimator: &'a dyn Estimator, count: usize) -> Self {
        Self {
            estimator,
            seeds: (0..count as u64).collect(),
            classes: Classes::default(),
            solver: None,
            guidance: GuidanceOptions::default(),
            scale: 1.0,
            authors_code: None,
            low_resolution: None,
            execution: Execution::default(),
        }
    }

    /// Sets the seed of the first sample; the others use consecutive seeds. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        let count = self.seeds.len() as u64;
        self.seeds = (0..count).map(|index| seed.wrapping_add(index)).collect();
        self
    }

    /// Sets the seed of every sample, and thereby the number of samples.
    pub fn seeds(mut self, seeds: impl IntoIterator<Item = u64>) -> Self {
        self.seeds = seeds.into_iter().collect();
        self
    }

    /// Sets the solver. Default: that of the model.
    pub fn solver(mut self, solver: impl Into<Solver>) -> Self {
        self.solver = Some(solver.into());
        self
    }

    /// Draws all samples of one class, by name or number.
    pub fn class(mut self, name: impl Into<String>) -> Self {
        self.classes = Classes::One(name.into());
        self
    }

    /// Sets the class of each sample, by number; `None` draws from the unconditional model.
    pub fn classes(mut self, classes: impl IntoIterator<Item = Option<u32>>) -> Self {
        self.classes = Classes::Each(classes.into_iter().collect());
        self
    }

    /// Draws every class equally often, in turn, instead of with the class shares of the data.
    pub fn balanced(mut self) -> Self {
        self.classes = Classes::Balanced;
        self
    }

    /// Multiplies the latents by a factor, from 0.01 to 100: less than 1 gives more typical samples, more than 1 more diverse ones.
    /// Default: 1.
    pub fn latent_scale(mut self, factor: f64) -> Self {
        self.scale = factor;
        self
    }

    /// Samples with the arithmetic of PFGM's published code instead of that of the equations. Only for networks that predict PFGM's field.
    pub fn authors_code(mut self, settings: AuthorsCode) -> Self {
        self.authors_code = Some(settings);
        self
    }

    /// Sets the standard deviation of the noise that is added to low-resolution images, in the model's space. Default: that of the model.
    pub fn low_resolution_noise(mut self, noise: f64) -> Self {
        if let Some(low) = &mut self.low_resolution {
            low.noise = Some(noise);
        }
        self
    }

    /// Sets the number of the flow in its cascade, from 1. The flows of a cascade start from different latents. Default: 1.
    pub fn stage(mut self, stage: u64) -> Self {
        if let Some(low) = &mut self.low_resolution {
            low.stage = stage;
        }
        self
    }

    guidance_options!('a);
    execution_options!('a);

    /// Returns the classes of the samples, by number, without drawing them.
    ///
    /// # Errors
    /// Returns an error if a requested class does not exist.
    pub fn resolved_classes(&self) -> Result<Vec<Option<u32>>> {
        let spec = self.estimator.spec();
        match &self.classes {
            Classes::Shares => Ok(spec.classes_by_share(&self.seeds)),
            Classes::Balanced => Ok(spec.classes_in_turn(&self.seeds)),
            Classes::One(name) => Ok(vec![Some(spec.trained_class(name)?); self.seeds.len()]),
            Classes::Each(classes) => {
                if classes.len() != self.seeds.len() {
                    let (classes, samples) = (classes.len(), self.seeds.len());
                    return Err(Error::argument(
                        "classes",
                        format!("{classes} classes for {samples} samples; give as many"),
                    ));
                }
                classes.iter().flatten().try_for_each(|&class| spec.check_class(class))?;
                Ok(classes.clone())
            }
        }
    }

    /// Draws the samples.
    ///
    /// # Errors
    /// Returns an error if an option is invalid, the solver fails, or the computation is canceled.
    pub fn draw(self) -> Result<Samples> {
        Ok(self.draw_distributed(&Solo)?.expect("one process draws all samples"))
    }

    /// Draws the samples, divided among ranks. Rank 0 gets all samples in the order of the request, the others `None`.
    ///
    /// # Errors
    /// Returns an error if an option is invalid, the solver fails, or the computation is canceled.
    pub fn draw_distributed(self, ranks: &dyn Communicator) -> Result<Option<Samples>> {
        let spec = self.estimator.spec();
        let (classes, job) = (self.resolved_classes()?, self.job()?);
        // Adaptive steps of the authors' code depend on the whole batch; otherwise a sample depends only on its seed.
        let unit = if job.authors_code.is_some() { self.execution.batch.max(1) } else { 1 };
        let count = self.seeds.len();
        let units = ranks.share(count.div_ceil(unit));
        let own = (units.start * unit).min(count)..(units.end * unit).min(count);
        let running = self.execution.begin("sampling", own.len())?;
        let seeds = self.seeds[own.clone()].to_vec();
        let stage = self.low_resolution.as_ref().map_or(0, |low| low.stage);
        let mut x = spec.prior(stage, seeds.iter().copied());
        x.iter_mut().for_each(|value| *value *= self.scale);
        let job = IntegrationJob { x, labels: classes[own.clone()].to_vec(), seeds, ..job };
        let conditioning = |rows: Range<usize>| -> Conditioning {
            let classes: Conditioning = job.labels[rows.clone()].to_vec().into();
            match &self.low_resolution {
                Some(low) => low.condition(spec, classes, own.start + rows.start, &job.seeds[rows]),
                None => classes,
            }
        };
        let guided = self.guidance.estimator(self.estimator);
        let estimator: &dyn Estimator = if self.guidance.is_special() { &guided } else { self.estimator };
        let drawn =
            integrate_batches_with(estimator, &job, &conditioning, &running).map_err(|error| error.after(own.start))?;
        let mut sums = [drawn.evaluations as f64, drawn.clipped as f64];
        ranks.sum(&mut sums);
        let [nfe, clipped] = sums.map(|sum| sum / count.max(1) as f64);
        Ok(parallel::gather(ranks, drawn.x).map(|x| {
            let mut samples = Samples::of_points(spec, &x, classes, nfe).with_seeds(self.seeds);
            samples.clipped = clipped;
            samples
        }))
    }

    /// Checks the options against the model, and returns a job without rows.
    fn job(&self) -> Result<IntegrationJob> {
        let spec = self.estimator.spec();
        if !(0.01..=100.0).contains(&self.scale) {
            return Err(Error::argument("latent_scale", format!("{}: give a number from 0.01 to 100", self.scale)));
        }
        self.check_low_resolution(spec)?;
        let guidance = self.guidance.checked_scale(spec)?;
        if self.authors_code.is_some() && self.guidance.is_special() {
            let problem = "the published code has neither autoguidance nor guidance at some levels; omit it, or those";
            return Err(Error::argument("authors_code", problem));
        }
        let predicts_field = matches!(spec.config.flow.output, Output::Field { .. });
        if self.authors_code.is_some() && !(predicts_field && matches!(spec.data.shape, Shape::Image { .. })) {
            return Err(Error::argument(
                "authors_code",
                "only for images and a network that predicts PFGM's field; omit it",
            ));
        }
        Ok(IntegrationJob {
            direction: Direction::Decode,
            sigma: spec.range().1,
            solver: spec.solver_or(self.solver.clone())?,
            guidance,
            x: Vec::new(),
            labels: Vec::new(),
            seeds: Vec::new(),
            authors_code: self.authors_code,
        })
    }

    /// Returns an error if low-resolution images do not fit, or a model that upscales has none.
    fn check_low_resolution(&self, spec: &ModelSpec) -> Result<()> {
        match (spec.config.upscale, &self.low_resolution) {
            (None, None) => Ok(()),
            (Some(_), None) => Err(Error::argument(
                "sample",
                "this model upscales images and cannot be sampled by itself; sample its cascade",
            )),
            (None, Some(_)) => Err(Error::argument("upscale", "the model does not upscale; use `sample`")),
            (Some(config), Some(low)) => {
                let dim = spec.spatial().low_shape().map_or(0, Shape::dim);
                if low.values.len() != self.seeds.len() * dim {
                    let (values, samples) = (low.values.len(), self.seeds.len());
                    let problem = format!("{values} values for {samples} samples; give {dim} for each");
                    return Err(Error::argument("low_resolution", problem));
                }
                match low.noise {
                    Some(noise) if !(0.0..=config.noise).contains(&noise) => {
                        let problem = format!("{noise}: the model was trained on levels from 0 to {}", config.noise);
                        Err(Error::argument("low_resolution_noise", problem))
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

impl LowResolutionImages {
    /// Adds the low-resolution images of some seeds with noise; the first is sample number `first`.
    fn condition(&self, spec: &ModelSpec, classes: Conditioning, first: usize, seeds: &[u64]) -> Conditioning {
        let spatial = spec.spatial();
        let dim = spatial.low_shape().expect("a model that upscales").dim();
        let noise = self.noise.or(spec.config.upscale.map(|config| config.sample_noise)).unwrap_or_default();
        let rows = self.values.chunks_exact(dim).skip(first);
        let noisy = |(row, &seed): (&[f32], &u64)| {
            let mut low = row.to_vec();
            spec.data.transform.forward(&mut low);
            add_noise(&low, noise, &mut stream(seed, Purpose::Guide, self.stage, 0))
        };
        let images: Vec<f32> = rows.zip(seeds).flat_map(noisy).collect();
        classes.with_low_resolution(&spatial, &images, noise)
    }
}

impl Model {
    /// Returns a request for `count` samples.
    ///
    /// Classes are drawn with the shares of the training data, unless [`Sampling::class`], [`Sampling::classes`] or
    /// [`Sampling::balanced`] is used.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// let samples = model.sample(10).balanced().guidance(1.5).solver(Solver::heun(4)).draw()?;
    /// let classes: Vec<u32> = samples.classes.iter().flatten().copied().collect();
    /// assert_eq!(classes, (0..10).collect::<Vec<_>>());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn sample(&self, count: usize) -> Sampling<'_> {
        Sampling::new(self, count)
    }

    /// Returns a request for upscaled versions of the given images, one sample for each image. The model must be a super-resolution
    /// model.
    ///
    /// ```
    /// use pfgm::{conditioning::UpscaleConfig, config::Config, prelude::*};
    ///
    /// let digits = Dataset::open("digits")?.select(&[0, 1, 2]);
    /// let mut config = Config::for_data(&digits);
    /// config.data.source = "digits".into();
    /// config.upscale = Some(UpscaleConfig { factor: 2, ..UpscaleConfig::default() });
    /// let model = Model::from_config(config, &digits)?;
    /// // Four images of 4x4 pixels, upscaled by an untrained network to 8x8.
    /// let upscaled = model.upscale(vec![8.0; 4 * 16]).solver(Solver::heun(2)).draw()?;
    /// assert_eq!((upscaled.rows(), upscaled.row_shape()), (4, &[8, 8][..]));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Shapes
    /// `images`: `[samples, N / factor^2]`, in the units of the data
    pub fn upscale(&self, images: impl Into<Vec<f32>>) -> Sampling<'_> {
        let values = images.into();
        let dim = self.spec.spatial().low_shape().map_or(self.dim(), Shape::dim);
        let low_resolution = Some(LowResolutionImages { noise: None, stage: 1, values });
        let count = low_resolution.as_ref().map_or(0, |low| low.values.len() / dim);
        Sampling { low_resolution, ..Sampling::new(self, count) }
    }
}
