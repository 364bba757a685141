//! Cascades: a base model of small images, and super-resolution models that upscale the images of the previous model.

use pfgm_data::{
    Shape,
    resize::{shrink, shrunk},
};

pub use crate::error::CascadeError;
use crate::{
    error::{Error, Result},
    model::{Model, Samples},
    progress::{CancelToken, Observer, Progress},
    solver::Solver,
    spec::ModelSpec,
};

/// Checks that each flow upscales the images of the previous one.
///
/// # Errors
/// Returns an error if one does not.
pub fn check(specs: &[&ModelSpec]) -> Result<(), CascadeError> {
    for (stage, spec) in specs.iter().enumerate() {
        match (stage, spec.config.upscale) {
            (0, Some(_)) => return Err(CascadeError::Kind(0, "is the base and must not upscale")),
            (1.., None) => return Err(CascadeError::Kind(stage, "does not upscale")),
            _ => {}
        }
        let first = &specs[0].data;
        if spec.data.classes != first.classes || spec.data.range != first.range {
            return Err(CascadeError::Data(stage));
        }
        let made = specs[stage.saturating_sub(1)].data.shape;
        let wants = spec.spatial().low_shape();
        if stage > 0 && wants != Some(made) {
            let wants = wants.map_or_else(|| "no size".to_owned(), |shape| shape.to_string());
            return Err(CascadeError::Shapes { stage, wants, made });
        }
    }
    Ok(())
}

/// The models of a cascade, from the smallest images to the largest.
pub struct Cascade {
    models: Vec<Model>,
}

impl Cascade {
    /// Creates a cascade.
    ///
    /// # Errors
    /// Returns an error if a model does not upscale the images of the previous one.
    pub fn new(models: Vec<Model>) -> Result<Self, CascadeError> {
        check(&models.iter().map(Model::spec).collect::<Vec<_>>())?;
        Ok(Self { models })
    }

    /// The models.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// Returns a request for samples of these seeds, from every model in turn.
    pub fn sample(&self, seeds: impl IntoIterator<Item = u64>) -> CascadeSampling<'_> {
        let seeds: Vec<u64> = seeds.into_iter().collect();
        let classes = self.models.first().map_or_else(Vec::new, |base| base.spec().classes_by_share(&seeds));
        CascadeSampling {
            cascade: self,
            classes,
            seeds,
            solvers: Vec::new(),
            guidance: None,
            noise: None,
            begin: None,
            batch: 64,
            observer: None,
            cancel: CancelToken::new(),
        }
    }
}

/// A request for samples of a cascade: [`Cascade::sample`].
#[must_use = "no sample is drawn before `draw`"]
pub struct CascadeSampling<'a> {
    cascade: &'a Cascade,
    seeds: Vec<u64>,
    classes: Vec<Option<u32>>,
    solvers: Vec<Solver>,
    guidance: Option<f64>,
    noise: Option<f64>,
    begin: Option<Vec<f32>>,
    batch: usize,
    observer: Option<Observer<'a>>,
    cancel: CancelToken,
}

impl<'a> CascadeSampling<'a> {
    /// Sets the class of each sample, by number. Default: drawn with the class shares of the training data.
    pub fn classes(mut self, classes: Vec<Option<u32>>) -> Self {
        self.classes = classes;
        self
    }

    /// Sets the solver of each model. Default: that of each model.
    pub fn solvers(mut self, solvers: Vec<Solver>) -> Self {
        self.solvers = solvers;
        self
    }

    /// Sets the classifier-free guidance scale of all models. Default: that of each model.
    pub fn guidance(mut self, scale: f64) -> Self {
        self.guidance = Some(scale);
        self
    }

    /// Sets the standard deviation of the noise that is added to low-resolution images, in the model's space. Default: that of each model.
    pub fn low_resolution_noise(mut self, noise: f64) -> Self {
        self.noise = Some(noise);
        self
    }

    /// Upscales given images instead of samples of the first model, in the units of the data, one for each seed.
    pub fn begin_with(mut self, images: Vec<f32>) -> Self {
        self.begin = Some(images);
        self
    }

    /// Sets how many samples are computed together. Default: 64.
    pub fn batch(mut self, rows: usize) -> Self {
        self.batch = rows;
        self
    }

    /// Sets a function that is called with the progress after every evaluation. It ends the computation by returning `ControlFlow::Break`.
    pub fn observer(mut self, observer: impl FnMut(&Progress) -> std::ops::ControlFlow<()> + 'a) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Ends the computation soon after the token is canceled or expires.
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// Draws the samples of every model, in the order of the models.
    ///
    /// # Errors
    /// Returns an error if an option is invalid, a solver fails, or the computation is canceled.
    pub fn draw(mut self) -> Result<Vec<Samples>> {
        let (models, count) = (&self.cascade.models, self.seeds.len());
        if !self.solvers.is_empty() && self.solvers.len() != models.len() {
            let problem = format!("{} solvers for {} models; give as many", self.solvers.len(), models.len());
            return Err(Error::argument("solvers", problem));
        }
        let mut made: Vec<Samples> = Vec::new();
        for (stage, model) in models.iter().enumerate() {
            let mut sampling = match (made.last(), self.begin.take()) {
                (None, Some(images)) => {
                    let samples = Samples::new(images, self.classes.clone(), 0.0, &model.spec().data);
                    made.push(samples.with_seeds(self.seeds.clone()));
                    continue;
                }
                (None, None) => model.sample(count),
                (Some(low), _) => model.upscale(low.values()).stage(stage as u64),
            };
            sampling = sampling.seeds(self.seeds.clone()).classes(self.classes.clone()).batch(self.batch);
            if let Some(solver) = self.solvers.get(stage) {
                sampling = sampling.solver(solver.clone());
            }
            if let Some(scale) = self.guidance.filter(|scale| *scale != 1.0 || !model.classes().is_empty()) {
                sampling = sampling.guidance(scale);
            }
            if let Some(noise) = self.noise {
                sampling = sampling.low_resolution_noise(noise);
            }
            let total = count * models.len();
            let sampling = sampling.cancel(&self.cancel).observer(|progress| match &mut self.observer {
                Some(observer) => observer(&Progress { done: stage * count + progress.done, total, ..*progress }),
                None => std::ops::ControlFlow::Continue(()),
            });
            made.push(sampling.draw()?);
        }
        Ok(made)
    }
}

/// Returns the root mean square difference between downsampled images and the low-resolution images that they were conditioned on.
///
/// # Shapes
/// `images`: rows of `shape`, `low`: rows `factor` times as small
///
/// # Panics
/// Panics if the sides do not divide.
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
