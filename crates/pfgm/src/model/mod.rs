//! [`Model`]: a Poisson flow generative model and all its operations.
//!
//! A model is a specification ([`ModelSpec`]), a network and a device. The program, the studio and the Python package use this interface.

mod anomaly;
#[cfg(feature = "ndarray")]
mod arrays;
mod average;
mod builder;
mod classes;
mod distill;
mod evaluate;
mod exact;
mod execution;
mod files;
mod fine_tune;
mod fit;
mod guidance;
mod integrate;
mod latents;
mod likelihood;
mod monitor;
mod posterior;
mod predict;
mod restore;
mod rows;
mod sample;
mod samples;
mod schedule;
mod snapshots;
mod solvers;
mod uncertainty;

use burn::{module::Module, tensor::Device};
use pfgm_data::Dataset;

#[cfg(feature = "ndarray")]
pub use self::arrays::dataset_of;
use self::integrate::{Conditions, Estimator};
pub use self::{
    anomaly::{Anomaly, AnomalyScores, Score},
    builder::ModelBuilder,
    distill::Distill,
    evaluate::{Evaluation, SampledFeatures},
    exact::ExactField,
    files::WeightNames,
    fit::{Fit, FitProgress, FitReport},
    guidance::GuidanceOptions,
    integrate::{AuthorsCode, Direction, Integrated, IntegrationJob},
    latents::{Integration, Latents},
    likelihood::{DensityUnit, Likelihood, LogLikelihoods, Trace},
    monitor::Monitor,
    posterior::Posterior,
    predict::Prediction,
    restore::{Denoise, Denoised, Inpaint},
    rows::{Rows, find_class},
    sample::Sampling,
    samples::Samples,
    schedule::ScheduleSearch,
    snapshots::SnapshotAverage,
    uncertainty::Summary,
};
use crate::{
    checkpoint::Checkpoint,
    config::Config,
    error::{Error, Result},
    flow::Differentiable,
    network::{Network, Precision},
    prediction::Arithmetic,
    spec::ModelSpec,
    weights,
};

/// Maximum number of rows that a network evaluates together; on the CPU, it splits them further.
const EVALUATION_BATCH: usize = 256;

/// A Poisson flow generative model: specification, network and device.
///
/// ```
/// use pfgm::prelude::*;
///
/// let model = Model::load("digits")?;
/// let samples = model.sample(4).seed(0).class("3").solver(Solver::heun(4)).draw()?;
/// assert_eq!((samples.rows(), samples.row_shape()), (4, &[8, 8][..]));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Model {
    spec: ModelSpec,
    network: Network,
    device: Device,
    step: u64,
    training: TrainingState,
    /// Whether the settings of the training follow from the data and the number of steps.
    follows_data: bool,
    assumptions: Vec<String>,
}

/// State from which training continues.
#[derive(Clone)]
enum TrainingState {
    /// The initial weights, which follow from the seed.
    Untrained,
    /// The exact state of the last step: weights, moments and average.
    Resumable(Box<Checkpoint>),
    /// The averaged weights, with a new optimizer.
    WeightsOnly,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let data = &self.spec.data;
        f.debug_struct("Model")
            .field("data", &data.name)
            .field("shape", &data.shape)
            .field("extra_dims", &self.spec.extra_dims())
            .field("weights", &self.weights())
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Returns a builder of a model for a data set.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let data = Dataset::open("heart")?;
    /// let model = Model::builder().extra_dims(1.0).seed(0).build(&data)?;
    /// assert_eq!(model.dim(), 2);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn builder() -> ModelBuilder {
        ModelBuilder::default()
    }

    /// Builds a model with initial weights from a configuration, such as that of a preset or of a TOML file.
    ///
    /// ```
    /// use pfgm::{config::Config, prelude::*, presets};
    ///
    /// let preset = presets::find("heart").unwrap();
    /// let config: Config = toml::from_str(preset.text).unwrap();
    /// let model = Model::from_config(config, &Dataset::open("heart")?)?;
    /// assert_eq!(model.spec().extra_dims().to_string(), "1");
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the configuration is invalid, or does not fit the data.
    pub fn from_config(config: Config, train: &Dataset) -> Result<Self> {
        Self::builder().config(config).build(train)
    }

    /// The specification of the model: everything except its weights.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// N, the number of values of a row.
    pub fn dim(&self) -> usize {
        self.spec.dim()
    }

    /// The names of the classes; empty for an unconditional model.
    pub fn classes(&self) -> &[String] {
        &self.spec.data.classes
    }

    /// Number of optimizer steps taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Number of weights of the network.
    pub fn weights(&self) -> usize {
        weights::count(&self.network)
    }

    /// The device of the network.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Assumptions of [`Model::import`] about properties that the file does not contain, one sentence each.
    pub fn assumptions(&self) -> &[String] {
        &self.assumptions
    }

    /// Sets the precision of the network's activations.
    ///
    /// # Errors
    /// Returns an error if the device or the network does not support it.
    pub fn set_precision(&mut self, precision: Precision) -> Result<()> {
        precision.check(&self.spec.config.network, &self.device)?;
        self.spec.config.sample.precision = precision;
        Ok(())
    }

    /// Rounds every weight to one of 2^`bits` equally spaced values (uniform post-training quantization per tensor).
    ///
    /// # Panics
    /// Panics unless `bits` is from 1 to [`weights::MAX_BITS`].
    pub fn quantize(&mut self, bits: u32) {
        self.network = weights::quantized(self.network.clone(), bits);
        self.training = TrainingState::WeightsOnly;
    }

    /// Returns the network as an estimate of `yhat`, for a batch with these classes; `guidance` is the classifier-free guidance scale,
    /// 1 disables it.
    ///
    /// All solvers and algorithms of this crate accept it: see [`Flow`](crate::flow::Flow).
    ///
    /// ```
    /// use pfgm::{flow::Flow, prelude::*, solver};
    ///
    /// let model = Model::load("digits")?;
    /// let denoiser = model.denoiser(vec![Some(3)], 1.0);
    /// let flow = Flow { denoiser: &denoiser, extra_dims: model.spec().extra_dims() };
    /// let mut x = model.latents([0]).x;
    /// solver::sample(&flow, &Solver::heun(4).into(), model.spec().range(), &mut x)?;
    /// let sample = model.sample(1).seed(0).class("3").guidance(1.0).solver(Solver::heun(4)).draw()?;
    /// assert_eq!(model.spec().to_data_units(&x), sample.values());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn denoiser(&self, labels: Vec<Option<u32>>, guidance: f64) -> impl Differentiable + '_ {
        self.spec.denoiser(&self.network, labels, guidance, EVALUATION_BATCH, &self.device)
    }

    /// The network with averaged weights.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Creates a model from a specification and a network. Training starts from its weights with a new optimizer.
    pub fn from_parts(spec: ModelSpec, network: Network, device: &Device) -> Self {
        Self::assemble(spec, network, device, 0)
    }

    /// Creates a model without the state of a training.
    pub(crate) fn assemble(spec: ModelSpec, network: Network, device: &Device, step: u64) -> Self {
        let device = device.clone().inner();
        Self {
            spec,
            network: network.valid(),
            device,
            step,
            training: TrainingState::WeightsOnly,
            follows_data: false,
            assumptions: Vec::new(),
        }
    }

    /// Returns an error if the model upscales, or is distilled and has no `yhat`.
    fn check_has_yhat(&self, name: &'static str) -> Result<()> {
        if self.spec.is_distilled() {
            return Err(Error::argument(
                name,
                "this model is distilled: its network jumps to the data and has no yhat; use the model that it was distilled from",
            ));
        }
        self.check_samples_alone(name)
    }

    /// Returns an error if the model upscales and cannot be sampled by itself.
    fn check_samples_alone(&self, name: &'static str) -> Result<()> {
        if self.spec.config.upscale.is_some() {
            return Err(Error::argument(
                name,
                "this model upscales images and cannot be sampled by itself; sample its cascade",
            ));
        }
        Ok(())
    }
}

impl Estimator for Model {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn conditioned(&self, conditions: Conditions) -> Box<dyn Differentiable + '_> {
        let Conditions { conditioning, guidance, authors_z } = conditions;
        let denoiser = self.spec.denoiser(&self.network, conditioning, guidance, EVALUATION_BATCH, &self.device);
        match authors_z {
            Some(z_exp) => Box::new(denoiser.with_arithmetic(Arithmetic::AuthorsCode { z_exp })),
            None => Box::new(denoiser),
        }
    }
}
