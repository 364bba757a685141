//! Builder of a model for a data set. Network, objective and noise range follow from the data unless they are given.

use burn::tensor::Device;
use pfgm_data::Dataset;

use super::{Model, TrainingState};
use crate::{
    config::Config,
    device,
    error::{Error, Result},
    extra_dims::ExtraDims,
    network::NetworkConfig,
    objective::{FieldObjective, Objective},
    solver::Solver,
    spec::ModelSpec,
};

/// Maximum number of charges in the field of a step, unless the objective is given.
const FIELD_BATCH: usize = 4096;

/// Builds a [`Model`]: see [`Model::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is built before `build`"]
pub struct ModelBuilder {
    config: Option<Config>,
    extra_dims: Option<f64>,
    seed: Option<u64>,
    network: Option<NetworkConfig>,
    objective: Option<Objective>,
    sigma_min: Option<f64>,
    sigma_max: Option<f64>,
    conditional: Option<bool>,
    solver: Option<Solver>,
    device: Option<Device>,
}

impl ModelBuilder {
    /// Starts from a configuration; other settings override it.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Sets D, the number of extra dimensions: 1 is PFGM, any number above 0 is PFGM++, infinity a diffusion model. Default: 128.
    pub fn extra_dims(mut self, d: f64) -> Self {
        self.extra_dims = Some(d);
        self
    }

    /// Sets the seed of the initial weights and of the training. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the network. Default: a residual multilayer perceptron for vectors, the DDPM++ U-Net for images, of a size that follows from the
    /// data (see [`defaults`](crate::defaults)).
    pub fn network(mut self, network: NetworkConfig) -> Self {
        self.network = Some(network);
        self
    }

    /// Sets the objective. Default: PFGM's field matching at D = 1, otherwise PFGM++'s denoising.
    pub fn objective(mut self, objective: Objective) -> Self {
        self.objective = Some(objective);
        self
    }

    /// Sets the lowest noise level, in the model's space. Default: 0.002.
    pub fn sigma_min(mut self, sigma: f64) -> Self {
        self.sigma_min = Some(sigma);
        self
    }

    /// Sets the highest noise level, in the model's space. Default: from the data with PFGM's objective, otherwise 80.
    pub fn sigma_max(mut self, sigma: f64) -> Self {
        self.sigma_max = Some(sigma);
        self
    }

    /// Sets whether the network is conditioned on the classes. Default: if the data have at least two
    /// classes, and ten rows of each on average.
    pub fn conditional(mut self, conditional: bool) -> Self {
        self.conditional = Some(conditional);
        self
    }

    /// Sets the default solver for sampling. Default: Heun's method with 18 steps.
    pub fn solver(mut self, solver: impl Into<Solver>) -> Self {
        self.solver = Some(solver.into());
        self
    }

    /// Sets the device of the network: see [`device::open`]. Default: the CPU.
    pub fn device(mut self, device: &Device) -> Self {
        self.device = Some(device.clone());
        self
    }

    /// Builds the model with initial weights. Quantities that depend on the data, such as their scale, are measured on `train`.
    ///
    /// # Errors
    /// Returns an error if an option is invalid, or does not fit the data.
    pub fn build(self, train: &Dataset) -> Result<Model> {
        let device = self.device.clone().map_or_else(|| device::open("cpu"), Ok)?;
        let follows_data = self.config.is_none();
        let spec = self.spec(train)?;
        let network = spec.network(&device)?;
        let model = Model::assemble(spec, network, &device, 0);
        Ok(Model { training: TrainingState::Untrained, follows_data, ..model })
    }

    /// Resolves the specification of the model without building its network.
    ///
    /// # Errors
    /// Returns an error if an option is invalid, or does not fit the data.
    pub fn spec(self, train: &Dataset) -> Result<ModelSpec> {
        let config = self.resolve(train)?;
        config.check()?;
        Ok(ModelSpec::resolve(config, train)?)
    }

    fn resolve(self, train: &Dataset) -> Result<Config> {
        let is_new = self.config.is_none();
        let mut config = self.config.unwrap_or_else(|| Config::for_data(train));
        if let Some(d) = self.extra_dims {
            config.flow.extra_dims = extra_dims(d)?;
        }
        if is_new {
            config.data.source = if train.name.is_empty() { "data".into() } else { train.name.clone() };
            // These rows do not include held-out rows.
            config.data.hold_out = 0;
            if config.flow.extra_dims == ExtraDims::Finite(1.0) {
                let field_batch = FIELD_BATCH.min(train.len());
                config.objective = Objective::Field(FieldObjective { field_batch, ..FieldObjective::default() });
            }
        }
        let Self { seed, network, objective, sigma_min, sigma_max, conditional, solver, .. } = self;
        config.train.seed = seed.unwrap_or(config.train.seed);
        config.network = network.unwrap_or(config.network);
        config.objective = objective.unwrap_or(config.objective);
        config.flow.sigma_min = sigma_min.unwrap_or(config.flow.sigma_min);
        config.flow.sigma_max = sigma_max.or(config.flow.sigma_max);
        config.data.conditional = conditional.unwrap_or(config.data.conditional);
        config.sample.solver = solver.unwrap_or(config.sample.solver);
        Ok(config)
    }
}

/// D from a number.
pub(crate) fn extra_dims(d: f64) -> Result<ExtraDims> {
    match d {
        f64::INFINITY => Ok(ExtraDims::Infinite),
        d if d > 0.0 => Ok(ExtraDims::Finite(d)),
        _ => Err(Error::argument("extra_dims", format!("{d}: give a number above 0, or infinity"))),
    }
}
