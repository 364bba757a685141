//! [`Model`]: a trained (or yet untrained) Poisson flow, and everything that it can do.
//!
//! A model is a specification ([`ModelSpec`]), a network and a device. Program, studio and Python package call it and nothing below it.

mod anomaly;
#[cfg(feature = "ndarray")]
mod arrays;
mod builder;
mod classes;
mod evaluate;
mod exact;
mod execution;
mod files;
mod fine_tune;
mod fit;
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
    evaluate::{Evaluation, SampledFeatures},
    exact::ExactField,
    files::WeightNames,
    fit::{Fit, FitProgress, FitReport},
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

/// Rows that a network evaluates together at most; on the CPU, it splits them further.
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
pub struct Model {
    spec: ModelSpec,
    network: Network,
    device: Device,
    step: u64,
    training: TrainingState,
    /// Whether the numbers of the training follow from the data and the number of steps.
    follows_data: bool,
    assumptions: Vec<String>,
}

/// Where training goes on.
enum TrainingState {
    /// From the initial weights, which follow from the seed.
    Untrained,
    /// Exactly where it ended: weights, moments and average.
    Resumable(Box<Checkpoint>),
    /// From the averaged weights, with a new optimizer.
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
    /// Begins a model for a data set.
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

    /// Builds a model with fresh weights from a configuration, such as that of a preset or of a TOML file.
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
    /// Returns an error if the configuration cannot work, or does not fit the data.
    pub fn from_config(config: Config, train: &Dataset) -> Result<Self> {
        Self::builder().config(config).build(train)
    }

    /// The specification of the model: everything but its weights.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// N, the number of values of a row.
    pub fn dim(&self) -> usize {
        self.spec.dim()
    }

    /// The names of the classes; empty for a model without classes.
    pub fn classes(&self) -> &[String] {
        &self.spec.data.classes
    }

    /// Optimizer steps that were taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// How many weights the network has.
    pub fn weights(&self) -> usize {
        weights::count(&self.network)
    }

    /// The device that the network is computed on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What [`Model::import`] assumed because the file does not say it, a sentence each.
    pub fn assumptions(&self) -> &[String] {
        &self.assumptions
    }

    /// Sets the precision that the network is evaluated in.
    ///
    /// # Errors
    /// Returns an error if the device or the network does not support it.
    pub fn set_precision(&mut self, precision: Precision) -> Result<()> {
        precision.check(&self.spec.config.network, &self.device)?;
        self.spec.config.sample.precision = precision;
        Ok(())
    }

    /// Rounds every weight to one of 2^`bits` equally spaced values (uniform quantization after training, each tensor by itself).
    ///
    /// # Panics
    /// Panics unless `bits` is from 1 to [`weights::MAX_BITS`].
    pub fn quantize(&mut self, bits: u32) {
        self.network = weights::quantized(self.network.clone(), bits);
        self.training = TrainingState::WeightsOnly;
    }

    /// The network as an estimate of `yhat`, for a batch whose items have these classes; `guidance` is the classifier-free guidance scale,
    /// 1 disables it.
    ///
    /// With it, any solver and any algorithm of the crate runs on the network: see [`Flow`](crate::flow::Flow).
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

    /// A model of a specification and a network, which training starts from with a new optimizer.
    pub fn from_parts(spec: ModelSpec, network: Network, device: &Device) -> Self {
        Self::assemble(spec, network, device, 0)
    }

    /// A model that shares no state with a trainer.
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

    /// Rejects a model that makes no images by itself.
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
