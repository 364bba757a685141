//! The specification of a model: everything except its weights.

mod onnx;
mod spread;
mod validation;

use burn::{module::Module, tensor::Device};
use pfgm_data::{DataError, Dataset, Shape, TableSchema, Transform, resize::shrunk};
use serde::{Deserialize, Serialize};

pub use self::spread::Spread;
use crate::{
    augmentation,
    conditioning::{Conditioning, SpatialConditioning},
    config::{Config, ConfigError, FlowConfig},
    denoiser::{Buffers, NetworkDenoiser},
    device,
    extra_dims::ExtraDims,
    network::{ConditioningSizes, LevelEmbedding, Network, NetworkConfig, NetworkError},
    objective::{DEFAULT_GAMMA, InverseObjective, Noise, Objective},
    precondition::{NoiseEstimate, Precondition, detail_size},
    prediction::{Arithmetic, Output, Prediction},
    prior, weights,
};

/// Default of the highest noise level, as in EDM.
const SIGMA_MAX: f64 = 80.0;

/// The properties of the training data that a model needs to be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataInfo {
    /// Name of the data set.
    pub name: String,
    /// Shape of a row.
    pub shape: Shape,
    /// Affine map from the units of the data to the model's space.
    pub transform: Transform,
    /// Range of the data's values, to which images are clipped.
    pub range: (f32, f32),
    /// Names of the columns of a table; empty for other data.
    pub columns: Vec<String>,
    /// Which columns of a table hold integers only, to which samples are rounded when they are written; empty if none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub whole_columns: Vec<bool>,
    /// The columns of a table whose cells are encoded; `None` for other data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableSchema>,
    /// Names of the classes; empty if the model is not conditioned on classes.
    pub classes: Vec<String>,
    /// Number of training rows of each class; empty if it is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_counts: Vec<u64>,
    /// Number of training rows.
    pub rows: usize,
}

/// The specification of a model: configuration and data, stored in every checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// The configuration, with everything that follows from the data.
    pub config: Config,
    /// The properties of the training data.
    pub data: DataInfo,
}

/// Reason why a configuration does not fit its data.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A value of the configuration, or of the data section of a checkpoint, is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network does not fit the data.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A row of the data cannot be read.
    #[error("{0}")]
    Data(String),
    /// The model should be conditioned on classes, but the data have no labels.
    #[error("data.conditional = true, but {0} has no labels; set it to false, or give labels")]
    NoLabels(String),
    /// The field batch is larger than the data.
    #[error("objective.{key} = {count}, but {name} has only {rows} rows to train on; set it to at most {rows}")]
    FieldBatch {
        /// The key of the objective.
        key: &'static str,
        /// Its value.
        count: usize,
        /// The data set.
        name: String,
        /// Its number of rows.
        rows: usize,
    },
    /// The highest noise level is not above the lowest.
    #[error(
        "flow.sigma_max = {sigma_max} is not above flow.sigma_min = {sigma_min}; set one of them, or the \
         objective's s, tau and m that it follows from"
    )]
    Range {
        /// The lowest level.
        sigma_min: f64,
        /// The highest level.
        sigma_max: f64,
    },
    /// The sides of the images do not fit a value.
    #[error("{key} = {value}: the images are {shape}; give {remedy}")]
    Sides {
        /// The key.
        key: &'static str,
        /// Its value.
        value: usize,
        /// The shape of the data.
        shape: Shape,
        /// What to give instead.
        remedy: &'static str,
    },
    /// A key needs images.
    #[error("{key} is for images, but the data are {shape}; omit it")]
    NoImages {
        /// The key.
        key: &'static str,
        /// The shape of the data.
        shape: Shape,
    },
}

impl ModelSpec {
    /// Resolves a configuration for its training data: measures values that the configuration does not give, and checks that both
    /// fit.
    ///
    /// # Errors
    /// Returns an error if they do not fit, or a row cannot be read.
    pub fn resolve(config: Config, dataset: &Dataset) -> Result<Self, ModelError> {
        // Latents have about unit variance; half of it is EDM's.
        let latents = Transform { offset: vec![0.0], scale: vec![2.0] };
        Self::resolve_latents(config, dataset, latents)
    }

    /// As [`ModelSpec::resolve`]; if the flow is one of latents, `latents` is their map to the model's space.
    pub(crate) fn resolve_latents(
        mut config: Config,
        dataset: &Dataset,
        latents: Transform,
    ) -> Result<Self, ModelError> {
        config.check_model()?;
        check_data(&config, dataset)?;
        let unreadable = |error: DataError| ModelError::Data(error.to_string());
        let transform = match config.data.autoencoder {
            None => Transform::fit(dataset).map_err(unreadable)?,
            Some(_) => latents,
        };
        let spread = Spread::measure(dataset, &transform).map_err(unreadable)?;
        complete(&mut config, dataset.shape, &spread)?;
        let data = DataInfo::of(dataset, transform, config.data.conditional);
        let spec = Self { config, data };
        // A written specification must be readable.
        spec.check()?;
        Ok(spec)
    }

    /// Draws points of the prior at the highest noise level, one for each seed. The flows of a cascade are its stages, from 0; other flows are
    /// stage 0.
    ///
    /// # Shapes
    /// The result: `[seeds, N]`
    pub fn prior(&self, stage: u64, seeds: impl IntoIterator<Item = u64>) -> Vec<f64> {
        prior::latents(self.extra_dims(), self.dim(), self.range().1, stage, seeds)
    }

    /// N, the number of values of a row.
    pub fn dim(&self) -> usize {
        self.data.shape.dim()
    }

    /// The lowest and the highest noise level of the flow.
    pub fn range(&self) -> (f64, f64) {
        (self.config.flow.sigma_min, self.config.flow.sigma_max.expect("a resolved specification"))
    }

    /// The noise that the network is trained on.
    pub fn noise(&self) -> Noise {
        Noise { extra_dims: self.extra_dims(), process: self.config.flow.output.process(), range: self.range() }
    }

    /// D, the number of extra dimensions.
    pub fn extra_dims(&self) -> ExtraDims {
        self.config.flow.extra_dims
    }

    /// The standard deviation of the data in the model's space: `flow.sigma_data`; for exact fields, which have none, 0.5 for images and 1
    /// for vectors.
    pub fn spread(&self) -> f64 {
        let usual = if matches!(self.data.shape, Shape::Image { .. }) { 0.5 } else { 1.0 };
        self.config.flow.sigma_data.unwrap_or(usual)
    }

    /// The preconditioning for rows of a shape: that of the data, or of a patch.
    fn precondition(&self, shape: Shape) -> Precondition {
        let FlowConfig { sigma_data, far_field, max_row_rms, detail_rms, extra_dims, .. } = self.config.flow;
        let estimate = match (detail_size(shape), detail_rms) {
            (Some(size), Some(detail_rms)) => Some(NoiseEstimate::Details { size, detail_rms }),
            _ => max_row_rms.map(|max_row_rms| NoiseEstimate::Norm { max_row_rms }),
        };
        // Gaussian noise has no heavy tail.
        let noise_estimate = estimate.filter(|_| far_field && extra_dims != ExtraDims::Infinite);
        Precondition { sigma_data: sigma_data.expect("a resolved specification"), noise_estimate }
    }

    /// Whether the network jumps to the end of a flow line, as after distillation. It has no `yhat` that a solver could integrate.
    pub fn is_distilled(&self) -> bool {
        !self.config.objective.has_yhat()
    }

    /// Meaning of the network's raw output.
    pub fn prediction(&self) -> Prediction {
        self.prediction_of(self.data.shape)
    }

    /// Meaning of the network's raw output for rows of a shape: that of the data, or of a patch.
    pub fn prediction_of(&self, shape: Shape) -> Prediction {
        let fourier = match &self.config.network {
            NetworkConfig::ScoreUnet(network) => network.embedding == LevelEmbedding::Fourier,
            _ => false,
        };
        Prediction {
            output: self.config.flow.output.clone(),
            precondition: self.precondition(shape),
            log_level: self.config.flow.log_level.unwrap_or(fourier),
            arithmetic: Arithmetic::Exact,
            loss: self.config.objective.loss(),
        }
    }

    /// The spatial conditioning of the network.
    pub fn spatial(&self) -> SpatialConditioning {
        let positions = self.config.train.patch > 0;
        SpatialConditioning { shape: self.data.shape, upscale: self.config.upscale, positions }
    }

    /// The shape of training items: that of the data, or of a patch.
    pub fn trained_shape(&self) -> Shape {
        match (self.data.shape, self.config.train.patch) {
            (Shape::Image { channels, .. }, side @ 1..) => Shape::Image { height: side, width: side, channels },
            (shape, _) => shape,
        }
    }

    /// Creates a network with initial weights.
    ///
    /// # Errors
    /// Returns an error if it does not fit the data.
    pub fn network(&self, device: &Device) -> Result<Network, NetworkError> {
        self.config.network.init(self.data.shape, self.conditioning_sizes(), self.config.train.seed, device)
    }

    /// Creates a network whose weights have shapes but no values. It takes no memory until weights are assigned.
    ///
    /// # Errors
    /// Returns an error if it does not fit the data.
    pub fn network_shapes(&self, device: &Device) -> Result<Network, NetworkError> {
        self.config.network.shapes(self.data.shape, self.conditioning_sizes(), device)
    }

    /// Returns the number of weights, computed from the configuration; `usize::MAX` if it overflows.
    ///
    /// # Errors
    /// Returns an error if the network does not fit the data.
    pub fn weight_count(&self) -> Result<usize, ModelError> {
        Ok(weights::count(&self.network_shapes(&device::cpu())?))
    }

    /// The sizes of the network's conditioning.
    fn conditioning_sizes(&self) -> ConditioningSizes {
        let augmentation = if self.config.train.augment > 0.0 { augmentation::LABELS } else { 0 };
        let (classes, spatial) = (self.data.classes.len(), self.spatial().channels());
        ConditioningSizes { classes, augmentation, spatial }
    }

    /// Returns the network as an estimate of `yhat` for a batch with the given conditioning.
    ///
    /// `guidance` is the classifier-free guidance scale; 1 disables it. At most `max_rows` rows are evaluated together. The
    /// conditioning of a super-resolution flow must contain its low-resolution images.
    pub fn denoiser(
        &self,
        network: &Network,
        conditioning: impl Into<Conditioning>,
        guidance: f64,
        max_rows: usize,
        device: &Device,
    ) -> NetworkDenoiser {
        NetworkDenoiser {
            network: network.valid().for_sampling(),
            prediction: self.prediction(),
            dim: self.dim(),
            classes: self.data.classes.len(),
            conditioning: conditioning.into().with_positions(&self.spatial()),
            guidance,
            max_rows,
            precision: self.config.sample.precision,
            device: device.clone().inner(),
            buffers: Buffers::default(),
        }
    }
}

impl DataInfo {
    /// The properties of a data set; its classes only if the model is conditioned on them.
    fn of(dataset: &Dataset, transform: Transform, conditional: bool) -> Self {
        let labels = dataset.labels.as_ref().filter(|_| conditional);
        let class_counts = labels.map_or_else(Vec::new, |labels| {
            let mut counts = vec![0; labels.names.len()];
            labels.of_row.iter().for_each(|&class| counts[class as usize] += 1);
            counts
        });
        Self {
            name: dataset.name.clone(),
            shape: dataset.shape,
            transform,
            range: dataset.range,
            columns: dataset.columns.clone(),
            whole_columns: if dataset.whole_columns.contains(&true) {
                dataset.whole_columns.clone()
            } else {
                Vec::new()
            },
            table: dataset.table.as_deref().cloned(),
            classes: labels.map_or_else(Vec::new, |labels| labels.names.clone()),
            class_counts,
            rows: dataset.len(),
        }
    }
}

/// Returns an error if a configuration does not fit the shape, the labels or the number of the rows.
fn check_data(config: &Config, dataset: &Dataset) -> Result<(), ModelError> {
    let rows = dataset.len();
    if let Some(count) = config.objective.field_batch().filter(|&count| count > rows) {
        let key = if matches!(config.objective, Objective::Field(_)) { "field_batch" } else { "reference" };
        return Err(ModelError::FieldBatch { key, count, name: dataset.name.clone(), rows });
    }
    if config.data.conditional && dataset.labels.is_none() {
        return Err(ModelError::NoLabels(dataset.name.clone()));
    }
    let of_images = [
        ("train.flip", config.train.flip),
        ("train.augment", config.train.augment > 0.0),
        ("train.patch", config.train.patch > 0),
        ("upscale", config.upscale.is_some()),
    ];
    if let Some((key, _)) = of_images.into_iter().find(|&(_, is_set)| is_set)
        && let shape @ Shape::Vector { .. } = dataset.shape
    {
        return Err(ModelError::NoImages { key, shape });
    }
    check_sides(config, dataset.shape)
}

/// Sets missing values of the configuration from the measured spread of the data.
fn complete(config: &mut Config, shape: Shape, spread: &Spread) -> Result<(), ModelError> {
    let sigma_max = match &mut config.objective {
        Objective::Field(field) => {
            let calibration = field.calibrate(shape.dim(), spread.norm);
            field.m = Some(calibration.m);
            if config.flow.output == Output::Edm {
                field.gamma.get_or_insert(DEFAULT_GAMMA);
            }
            calibration.z_max
        }
        Objective::Denoising(_) | Objective::Consistency(_) => SIGMA_MAX,
        Objective::Inverse(_) => InverseObjective::START,
    };
    let flow = &mut config.flow;
    let (sigma_min, sigma_max) = (flow.sigma_min, *flow.sigma_max.get_or_insert(sigma_max));
    flow.sigma_data.get_or_insert(spread.std);
    flow.max_row_rms.get_or_insert(spread.max_row_rms);
    flow.detail_rms = flow.detail_rms.or(spread.detail_rms);
    if sigma_max.is_finite() && sigma_max > sigma_min {
        Ok(())
    } else {
        Err(ModelError::Range { sigma_min, sigma_max })
    }
}

/// Returns an error if a scale factor or a patch does not fit the sides of the images.
fn check_sides(config: &Config, shape: Shape) -> Result<(), ModelError> {
    let fail = |key, value, remedy| Err(ModelError::Sides { key, value, shape, remedy });
    if let Some(upscale) = config.upscale
        && shrunk(shape, upscale.factor).is_none()
    {
        return fail("upscale.factor", upscale.factor, "a number that divides both sides");
    }
    match shape {
        Shape::Image { height, width, .. } if config.train.patch > height.min(width) => {
            fail("train.patch", config.train.patch, "a side within them, or 0 for whole images")
        }
        _ => Ok(()),
    }
}
