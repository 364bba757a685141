//! Drawing samples: points of the prior, moved down the flow.

use pfgm_data::Shape;

use super::{
    Model, Samples,
    integrate::{
        AuthorsCode, Direction, Estimator, Execution, IntegrationJob, execution_options, integrate_in_batches,
    },
};
use crate::{
    config::check_guidance,
    error::{Error, Result},
    parallel::{self, Communicator, Solo},
    prediction::Output,
    solver::Solver,
};

/// The classes that samples are drawn of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Classes {
    /// In the shares that the data have.
    #[default]
    Shares,
    /// All in turn, equally often.
    Balanced,
    /// One for all samples.
    One(String),
    /// One for each sample, by number.
    Each(Vec<Option<u32>>),
}

/// A request for samples: [`Model::sample`] or [`ExactField::sample`](super::ExactField::sample).
///
/// A sample depends on its seed and class alone, not on how many others are drawn.
#[must_use = "no sample is drawn before `draw`"]
pub struct Sampling<'a> {
    estimator: &'a dyn Estimator,
    seeds: Vec<u64>,
    classes: Classes,
    solver: Option<Solver>,
    guidance: Option<f64>,
    scale: f64,
    authors_code: Option<AuthorsCode>,
    execution: Execution<'a>,
}

impl<'a> Sampling<'a> {
    pub(super) fn new(estimator: &'a dyn Estimator, count: usize) -> Self {
        Self {
            estimator,
            seeds: (0..count as u64).collect(),
            classes: Classes::default(),
            solver: None,
            guidance: None,
            scale: 1.0,
            authors_code: None,
            execution: Execution::default(),
        }
    }

    /// Sets the seed of the first sample; those of the others follow it. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        let count = self.seeds.len() as u64;
        self.seeds = (0..count).map(|index| seed.wrapping_add(index)).collect();
        self
    }

    /// Sets the seed of every sample, and so how many there are.
    pub fn seeds(mut self, seeds: impl IntoIterator<Item = u64>) -> Self {
        self.seeds = seeds.into_iter().collect();
        self
    }

    /// Sets the solver. Default: the model's own.
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

    /// Draws every class equally often, in turn, instead of in the data's own shares.
    pub fn balanced(mut self) -> Self {
        self.classes = Classes::Balanced;
        self
    }

    /// Sets the classifier-free guidance scale (arXiv 2207.12598); 1 disables it. Default: the model's own.
    pub fn guidance(mut self, scale: f64) -> Self {
        self.guidance = Some(scale);
        self
    }

    /// Multiplies the latents by a factor, from 0.01 to 100: less than 1 gives more typical samples, more than 1 more diverse ones.
    /// Default: 1.
    pub fn latent_scale(mut self, factor: f64) -> Self {
        self.scale = factor;
        self
    }

    /// Samples as the code published with PFGM does, instead of as the equations have it. Only for networks that predict PFGM's field.
    pub fn authors_code(mut self, settings: AuthorsCode) -> Self {
        self.authors_code = Some(settings);
        self
    }

    execution_options!('a);

    /// The classes of the samples that would be drawn, by number.
    ///
    /// # Errors
    /// Returns an error if the model does not know a class that was asked for.
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
    /// Returns an error if an option cannot work, the solver fails, or the computation is canceled.
    pub fn draw(self) -> Result<Samples> {
        Ok(self.draw_distributed(&Solo)?.expect("one process draws all samples"))
    }

    /// Draws the samples on many ranks, a share on each. Rank 0 gets all samples in the order of the request, the others get `None`.
    ///
    /// # Errors
    /// Returns an error if an option cannot work, the solver fails, or the computation is canceled.
    pub fn draw_distributed(self, ranks: &dyn Communicator) -> Result<Option<Samples>> {
        let spec = self.estimator.spec();
        let (classes, job) = (self.resolved_classes()?, self.job()?);
        // The authors' adaptive steps depend on the whole batch; otherwise a sample depends on its seed alone.
        let unit = if job.authors_code.is_some() { self.execution.batch.max(1) } else { 1 };
        let count = self.seeds.len();
        let units = ranks.share(count.div_ceil(unit));
        let own = (units.start * unit).min(count)..(units.end * unit).min(count);
        let running = self.execution.begin("sampling", own.len())?;
        let seeds = self.seeds[own.clone()].to_vec();
        let mut x = spec.prior(0, seeds.iter().copied());
        x.iter_mut().for_each(|value| *value *= self.scale);
        let job = IntegrationJob { x, labels: classes[own.clone()].to_vec(), seeds, ..job };
        let drawn = integrate_in_batches(self.estimator, &job, &running).map_err(|error| error.after(own.start))?;
        let values = spec.to_data_units(&drawn.x);
        let mut sums = [drawn.evaluations as f64, drawn.clipped as f64];
        ranks.sum(&mut sums);
        let [nfe, clipped] = sums.map(|sum| sum / count.max(1) as f64);
        Ok(parallel::gather(ranks, values).map(|values| {
            let mut samples = Samples::new(values, classes, nfe, &spec.data).with_seeds(self.seeds);
            samples.clipped = clipped;
            samples
        }))
    }

    /// Checks the options against the model; the job has no rows yet.
    fn job(&self) -> Result<IntegrationJob> {
        let spec = self.estimator.spec();
        if !(0.01..=100.0).contains(&self.scale) {
            return Err(Error::argument("latent_scale", format!("{}: give a number from 0.01 to 100", self.scale)));
        }
        if self.guidance.is_some() && spec.data.classes.is_empty() {
            return Err(Error::argument("guidance", "the model is not conditioned on classes; omit it"));
        }
        let guidance = self.guidance.unwrap_or(spec.config.sample.guidance);
        check_guidance("guidance", guidance, &spec.config)?;
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
}

impl Model {
    /// Begins to draw `count` samples.
    ///
    /// Classes are drawn in the shares that the training data have, unless [`Sampling::class`], [`Sampling::classes`] or
    /// [`Sampling::balanced`] says otherwise.
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
}
