//! A model: a network with everything that is needed to use it.

mod validation;

use burn::{module::Module, tensor::Device};
use pfgm_data::{DataError, Dataset, Shape, Transform, resize::shrunk};
use serde::{Deserialize, Serialize};

use crate::{
    augmentation,
    conditioning::{Conditioning, SpatialConditioning},
    config::{Config, ConfigError, FlowConfig},
    denoiser::{Buffers, NetworkDenoiser},
    device,
    extra_dims::ExtraDims,
    network::{ConditioningSizes, LevelEmbedding, Network, NetworkConfig, NetworkError},
    objective::{DEFAULT_GAMMA, Noise, Objective},
    precondition::{NoiseEstimate, Precondition, detail_mean_square, detail_size, mean_square},
    prediction::{Arithmetic, Output, Prediction},
    prior,
    random::{Purpose, stream},
    weights,
};

/// The noise level that sampling starts from when neither the user nor the objective says: EDM's.
const SIGMA_MAX: f64 = 80.0;

/// What of a data set a model keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataInfo {
    /// The name of the data set.
    pub name: String,
    /// The shape of a row.
    pub shape: Shape,
    /// Between the data's own units and the model's space.
    pub transform: Transform,
    /// The range of the data's values, to which images are clipped.
    pub range: (f32, f32),
    /// The names of a table's columns.
    pub columns: Vec<String>,
    /// The names of the classes; empty when there are none.
    pub classes: Vec<String>,
    /// Rows of each class that were trained on; empty where that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_counts: Vec<u64>,
    /// Rows that were trained on.
    pub rows: usize,
}

/// Everything about a run but its weights: kept in every checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// The configuration, resolved.
    pub config: Config,
    /// The data.
    pub data: DataInfo,
}

/// Why a configuration does not go with its data.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// A value of the configuration, or of what a checkpoint says about its data, cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network does not.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A row of the data cannot be read.
    #[error("{0}")]
    Data(String),
    /// Classes are wanted but there are none.
    #[error("data.conditional = true, but {0} has no labels; set it to false, or give labels")]
    NoLabels(String),
    /// The field batch is larger than the data.
    #[error("objective.{key} = {count}, but {name} has only {rows} rows to train on; set it to at most {rows}")]
    FieldBatch {
        /// Of the objective's keys, the one that asked for it.
        key: &'static str,
        /// What was asked for.
        count: usize,
        /// Of which data set.
        name: String,
        /// How many rows there are.
        rows: usize,
    },
    /// The flow has no length.
    #[error(
        "flow.sigma_max = {sigma_max} does not lie above flow.sigma_min = {sigma_min}; set one of them, or the \
         objective's s, tau and m that it follows from"
    )]
    Range {
        /// The lowest level.
        sigma_min: f64,
        /// The highest level.
        sigma_max: f64,
    },
    /// The sides of the images do not fit what is asked for.
    #[error("{key} = {value}: the images are {shape}; give {remedy}")]
    Sides {
        /// The key.
        key: &'static str,
        /// Its value.
        value: usize,
        /// The shape of the data.
        shape: Shape,
        /// What would do.
        remedy: &'static str,
    },
    /// Mirroring, deforming, cutting and upscaling need images.
    #[error("{key} is for images, but the data are {shape}; leave it away")]
    NoImages {
        /// The key.
        key: &'static str,
        /// The shape of the data.
        shape: Shape,
    },
}

impl ModelSpec {
    /// Resolves a configuration against the data that it trains on: measures what is left to be measured, and checks
    /// that both go together.
    ///
    /// # Errors
    /// When they do not.
    pub fn resolve(mut config: Config, dataset: &Dataset) -> Result<Self, ModelError> {
        config.check_model()?;
        let rows = dataset.len();
        if let Some(count) = config.objective.field_batch()
            && count > rows
        {
            let key = if matches!(config.objective, Objective::Field(_)) { "field_batch" } else { "reference" };
            return Err(ModelError::FieldBatch { key, count, name: dataset.name.clone(), rows });
        }
        if config.data.conditional && dataset.labels.is_none() {
            return Err(ModelError::NoLabels(dataset.name.clone()));
        }
        let asked = [
            ("train.flip", config.train.flip),
            ("train.augment", config.train.augment > 0.0),
            ("train.patch", config.train.patch > 0),
            ("upscale", config.upscale.is_some()),
        ];
        if let Some((key, _)) = asked.into_iter().find(|&(_, asked)| asked)
            && let shape @ Shape::Vector { .. } = dataset.shape
        {
            return Err(ModelError::NoImages { key, shape });
        }
        check_sides(&config, dataset.shape)?;
        let transform = Transform::fit(dataset).map_err(|error| ModelError::Data(error.to_string()))?;
        let spread = Spread::measure(dataset, &transform).map_err(|error| ModelError::Data(error.to_string()))?;
        let calibrated = match &mut config.objective {
            Objective::Field(field) => {
                let calibration = field.calibrate(dataset.shape.dim(), spread.norm);
                field.m = Some(calibration.m);
                if config.flow.output == Output::Edm {
                    field.gamma.get_or_insert(DEFAULT_GAMMA);
                }
                calibration.z_max
            }
            Objective::Denoising(_) => SIGMA_MAX,
        };
        config.flow.sigma_max.get_or_insert(calibrated);
        config.flow.sigma_data.get_or_insert(spread.std);
        config.flow.max_row_rms.get_or_insert(spread.max_row_rms);
        config.flow.detail_rms = config.flow.detail_rms.or(spread.detail_rms);
        let (sigma_min, sigma_max) = (config.flow.sigma_min, config.flow.sigma_max.unwrap_or(calibrated));
        if !(sigma_max.is_finite() && sigma_max > sigma_min) {
            return Err(ModelError::Range { sigma_min, sigma_max });
        }
        let classes = match &dataset.labels {
            Some(labels) if config.data.conditional => labels.names.clone(),
            _ => Vec::new(),
        };
        let class_counts = match &dataset.labels {
            Some(labels) if config.data.conditional => {
                let mut counts = vec![0; labels.names.len()];
                labels.of_row.iter().for_each(|&class| counts[class as usize] += 1);
                counts
            }
            _ => Vec::new(),
        };
        let data = DataInfo {
            name: dataset.name.clone(),
            shape: dataset.shape,
            transform,
            range: dataset.range,
            columns: dataset.columns.clone(),
            classes,
            class_counts,
            rows,
        };
        let record = Self { config, data };
        // What is written must be readable.
        record.check()?;
        Ok(record)
    }

    /// Points of the prior at the highest noise level, one for each seed. The flows of a cascade are its stages, from 0; another flow is
    /// stage 0.
    ///
    /// # Shapes
    /// The result: `[seeds, N]`
    pub fn prior(&self, stage: u64, seeds: impl IntoIterator<Item = u64>) -> Vec<f64> {
        let of_seed = |seed| {
            let mut x = vec![0.0; self.dim()];
            prior::perturb(self.extra_dims(), self.range().1, &mut stream(seed, Purpose::Latent, stage, 0), &mut x);
            x
        };
        seeds.into_iter().flat_map(of_seed).collect()
    }

    /// N.
    pub fn dim(&self) -> usize {
        self.data.shape.dim()
    }

    /// The lowest and the highest noise level of the flow.
    pub fn range(&self) -> (f64, f64) {
        (self.config.flow.sigma_min, self.config.flow.sigma_max.expect("a resolved record"))
    }

    /// The noise that the network is trained on.
    pub fn noise(&self) -> Noise {
        Noise { extra_dims: self.extra_dims(), process: self.config.flow.output.process(), range: self.range() }
    }

    /// D.
    pub fn extra_dims(&self) -> ExtraDims {
        self.config.flow.extra_dims
    }

    /// How the network's output becomes `yhat` of rows of a shape: the data's, or a patch's.
    fn precondition(&self, shape: Shape) -> Precondition {
        let FlowConfig { sigma_data, far_field, max_row_rms, detail_rms, extra_dims, .. } = self.config.flow;
        let estimate = match (detail_size(shape), detail_rms) {
            (Some(size), Some(detail_rms)) => Some(NoiseEstimate::Details { size, detail_rms }),
            _ => max_row_rms.map(|max_row_rms| NoiseEstimate::Norm { max_row_rms }),
        };
        // Gaussian noise has no tail to be caught.
        let noise_estimate = estimate.filter(|_| far_field && extra_dims != ExtraDims::Infinite);
        Precondition { sigma_data: sigma_data.expect("a resolved record"), noise_estimate }
    }

    /// Meaning of the network's raw output.
    pub fn prediction(&self) -> Prediction {
        self.prediction_of(self.data.shape)
    }

    /// Meaning of the network's raw output for rows of a shape: that of the data, or of a patch.
    pub fn prediction_of(&self, shape: Shape) -> Prediction {
        let fourier = match &self.config.network {
            NetworkConfig::ScoreUnet(network) => network.embedding == LevelEmbedding::Fourier,
            NetworkConfig::Mlp(_) | NetworkConfig::Unet(_) | NetworkConfig::AdmUnet(_) | NetworkConfig::Ncsnv2(_) => {
                false
            }
        };
        Prediction {
            output: self.config.flow.output,
            precondition: self.precondition(shape),
            log_level: self.config.flow.log_level.unwrap_or(fourier),
            arithmetic: Arithmetic::Exact,
            loss: self.config.objective.loss(),
        }
    }

    /// Which values the network gets at each pixel.
    pub fn spatial(&self) -> SpatialConditioning {
        let positions = self.config.train.patch > 0;
        SpatialConditioning { shape: self.data.shape, upscale: self.config.upscale, positions }
    }

    /// The shape of what the network is trained on: the data's, or a patch's.
    pub fn trained_shape(&self) -> Shape {
        match (self.data.shape, self.config.train.patch) {
            (Shape::Image { channels, .. }, side @ 1..) => Shape::Image { height: side, width: side, channels },
            (shape, _) => shape,
        }
    }

    /// A network with fresh weights.
    ///
    /// # Errors
    /// When it does not fit the data.
    pub fn network(&self, device: &Device) -> Result<Network, NetworkError> {
        self.config.network.init(self.data.shape, self.conditioning_sizes(), self.config.train.seed, device)
    }

    /// A network whose weights have shapes and no values: it takes no memory until weights are assigned to it.
    ///
    /// # Errors
    /// When it does not fit the data.
    pub fn network_shapes(&self, device: &Device) -> Result<Network, NetworkError> {
        self.config.network.shapes(self.data.shape, self.conditioning_sizes(), device)
    }

    /// The number of the network's weights, from the configuration alone; the largest number where it is beyond all memory.
    ///
    /// # Errors
    /// When the network does not fit the data.
    pub fn weight_count(&self) -> Result<usize, ModelError> {
        Ok(weights::count(&self.network_shapes(&device::cpu())?))
    }

    /// The sizes of the network's conditioning.
    fn conditioning_sizes(&self) -> ConditioningSizes {
        let augmentation = if self.config.train.augment > 0.0 { augmentation::LABELS } else { 0 };
        let (classes, spatial) = (self.data.classes.len(), self.spatial().channels());
        ConditioningSizes { classes, augmentation, spatial }
    }

    /// The network as an estimate of `yhat` for a batch with the given conditioning.
    ///
    /// `guidance` is the scale of classifier-free guidance, with 1 for none. At most `max_rows` rows are evaluated together. The
    /// conditioning of a super-resolution flow must have its low-resolution images.
    pub fn denoiser(
        &self,
        network: &Network,
        conditioning: impl Into<Conditioning>,
        guidance: f64,
        max_rows: usize,
        device: &Device,
    ) -> NetworkDenoiser {
        NetworkDenoiser {
            network: network.valid(),
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

/// Whether images of this shape can be made smaller and cut as a configuration asks.
fn check_sides(config: &Config, shape: Shape) -> Result<(), ModelError> {
    let fail = |key, value, remedy| Err(ModelError::Sides { key, value, shape, remedy });
    if let Some(upscale) = config.upscale
        && shrunk(shape, upscale.factor).is_none()
    {
        return fail("upscale.factor", upscale.factor, "a number that divides both sides");
    }
    match shape {
        Shape::Image { height, width, .. } if config.train.patch > height.min(width) => {
            fail("train.patch", config.train.patch, "a side that lies within them, or 0 for whole images")
        }
        _ => Ok(()),
    }
}

/// How far the data spread in the model's space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The mean norm of the centred rows.
    pub norm: f64,
    /// The root mean square of the centred values.
    pub std: f64,
    /// The largest root mean square of a row.
    pub max_row_rms: f64,
    /// The largest root mean square of an image's finest details, where images have any.
    pub detail_rms: Option<f64>,
}

impl Spread {
    /// Measures all rows of a data set.
    ///
    /// # Errors
    /// When a row lies in a file that cannot be read.
    pub fn measure(dataset: &Dataset, transform: &Transform) -> Result<Self, DataError> {
        let (rows, dim) = (dataset.len(), dataset.shape.dim());
        let mut mean = vec![0.0; dim];
        let each = |visit: &mut dyn FnMut(&[f32])| dataset.each_transformed(transform, &mut |row| visit(row));
        each(&mut |row| mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += f64::from(value) / rows as f64))?;
        let (mut norm, mut square, mut max_row_rms) = (0.0, 0.0, 0.0_f64);
        let size = detail_size(dataset.shape);
        let mut fine = 0.0_f64;
        each(&mut |row| {
            max_row_rms = max_row_rms.max(mean_square(row).sqrt());
            fine = size.map_or(fine, |size| detail_mean_square(size, row).max(fine));
            let squares: f64 = row.iter().zip(&mean).map(|(&value, mean)| (f64::from(value) - mean).powi(2)).sum();
            norm += squares.sqrt() / rows as f64;
            square += squares / (rows * dim) as f64;
        })?;
        // Data without any spread are one point; any scale serves them.
        Ok(Self {
            norm,
            std: if square > 0.0 { square.sqrt() } else { 1.0 },
            max_row_rms,
            detail_rms: size.map(|_| fine.sqrt()),
        })
    }
}
