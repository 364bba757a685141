//! Configuration of a run: the tables of the TOML file.

pub mod reference;
mod validation;

use pfgm_data::{Alpha, Classes, Decimal, Header, Items, LimitOverrides, Load, OpenOptions};
use serde::{Deserialize, Serialize};

use crate::{
    conditioning::UpscaleConfig,
    extra_dims::ExtraDims,
    network::{NetworkConfig, Precision},
    objective::{DenoisingObjective, FieldObjective, Objective},
    prediction::Output,
    solver::Solver,
};

pub use validation::{ConfigError, check_guidance};

/// Configuration of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The data set.
    pub data: DataConfig,
    /// The flow: D, noise levels, preconditioning.
    pub flow: FlowConfig,
    /// The training objective.
    pub objective: Objective,
    /// The network.
    pub network: NetworkConfig,
    /// Super-resolution, if the run upscales images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upscale: Option<UpscaleConfig>,
    /// Training.
    pub train: TrainConfig,
    /// Default settings for sampling.
    pub sample: SampleConfig,
}

/// Data set of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// A built-in data set or a path.
    pub source: String,
    /// Folder of an autoencoder (diffusers' `AutoencoderKL`) or `hf:NAME`; if it is given, the flow is trained on the latents of the images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoencoder: Option<String>,
    /// Columns of a table to train on; all if empty.
    pub columns: Vec<String>,
    /// Column of a table with the classes.
    pub label: Option<String>,
    /// Whether the network is conditioned on the classes.
    pub conditional: bool,
    /// Number of held-out rows, on which the loss is measured.
    pub hold_out: usize,
    /// Factor by which images are downsampled first (box filter).
    #[serde(skip_serializing_if = "is_unit")]
    pub shrink: usize,
    /// Side to which the central square of image files is resized; 0 does nothing.
    #[serde(skip_serializing_if = "is_none")]
    pub side: usize,
    /// Whether rows are loaded, or read from their files on demand.
    #[serde(skip_serializing_if = "is_auto")]
    pub load: Load,
    /// Array of an archive that holds the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// Array of an archive that holds the labels; an empty name ignores labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// Nominal range of the values, for images the values of black and white; follows a rule if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<(f32, f32)>,
    /// Treatment of transparent pixels: auto, white, black, keep or refuse.
    #[serde(skip_serializing_if = "is_default")]
    pub alpha: Alpha,
    /// Whether the first line of a table holds the names of its columns: auto, yes or no.
    #[serde(skip_serializing_if = "is_default")]
    pub header: Header,
    /// Whether commas in the numbers of a table are decimal points: auto, point or comma.
    #[serde(skip_serializing_if = "is_default")]
    pub decimal: Decimal,
    /// Source of the classes of images: auto, folders, prefix, none, or the name of a file.
    #[serde(skip_serializing_if = "is_default")]
    pub classes: Classes,
    /// Whether each file of a folder of arrays is one row: auto, one or many.
    #[serde(skip_serializing_if = "is_default")]
    pub items: Items,
    /// Limits that are set in place of those that follow from the size of a file, such as `expanded=8GB`.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: LimitOverrides,
}

impl Default for DataConfig {
    fn default() -> Self {
        let OpenOptions {
            columns,
            label,
            shrink: _,
            side,
            load,
            array,
            labels,
            range,
            alpha,
            header,
            decimal,
            classes,
            items,
            limits,
        } = OpenOptions::default();
        Self {
            source: String::new(),
            autoencoder: None,
            columns,
            label,
            conditional: false,
            hold_out: 0,
            shrink: 1,
            side,
            load,
            array,
            labels,
            range,
            alpha,
            header,
            decimal,
            classes,
            items,
            limits,
        }
    }
}

impl DataConfig {
    /// Returns the options for opening the data.
    pub fn options(&self) -> OpenOptions {
        let Self { shrink, side, load, range, alpha, header, decimal, items, limits, .. } = *self;
        OpenOptions {
            columns: self.columns.clone(),
            label: self.label.clone(),
            shrink,
            side,
            load,
            array: self.array.clone(),
            labels: self.labels.clone(),
            range,
            alpha,
            header,
            decimal,
            classes: self.classes.clone(),
            items,
            limits,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_auto(load: &Load) -> bool {
    *load == Load::Auto
}

fn is_unit(factor: &usize) -> bool {
    *factor == 1
}

/// Renamed keys of configuration files, each with its old and new path. The old ones are still read.
pub const RENAMED_KEYS: [(&str, &str); 3] =
    [("flow.augmentation", "flow.extra_dims"), ("flow.reach", "flow.max_row_rms"), ("flow.details", "flow.detail_rms")];

/// Configuration of the flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowConfig {
    /// D: a number above 0, or "inf".
    #[serde(alias = "augmentation")]
    pub extra_dims: ExtraDims,
    /// The lowest noise level, where sampling ends.
    pub sigma_min: f64,
    /// The highest noise level, that of the prior; computed from the data if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_max: Option<f64>,
    /// The standard deviation of the data in the model's space; measured if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_data: Option<f64>,
    /// Whether the preconditioning at finite D uses the noise estimated from a point, if it is much larger than sigma.
    pub far_field: bool,
    /// Largest root mean square of a row in the model's space; measured if not given.
    #[serde(skip_serializing_if = "Option::is_none", alias = "reach")]
    pub max_row_rms: Option<f64>,
    /// Largest root mean square of an image's finest details: each block of 2x2 pixels minus its mean. Measured if not given.
    /// A point with larger details counts as noisy at every level.
    #[serde(skip_serializing_if = "Option::is_none", alias = "details")]
    pub detail_rms: Option<f64>,
    /// Quantity that the network predicts: EDM's denoiser, PFGM's field, a score, noise.
    #[serde(skip_serializing_if = "is_edm")]
    pub output: Output,
    /// Whether the network is conditioned on the logarithm of the noise level; by default, networks with a Fourier embedding are. With EDM's
    /// preconditioning the input is always `ln(sigma) / 4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<bool>,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

fn is_f32(precision: &Precision) -> bool {
    *precision == Precision::F32
}

fn is_edm(output: &Output) -> bool {
    *output == Output::Edm
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            extra_dims: ExtraDims::Finite(128.0),
            sigma_min: 2e-3,
            sigma_max: None,
            sigma_data: None,
            far_field: true,
            max_row_rms: None,
            detail_rms: None,
            output: Output::Edm,
            log_level: None,
        }
    }
}

impl Default for Objective {
    fn default() -> Self {
        Self::Denoising(DenoisingObjective::default())
    }
}

/// Configuration of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Seed of every random stream of the training.
    pub seed: u64,
    /// Number of optimizer steps.
    pub steps: u64,
    /// Batch size.
    pub batch: usize,
    /// Number of parts in which a batch is computed (gradient accumulation), to save memory.
    pub accumulate: usize,
    /// Activation checkpointing: whether cheap operations are recomputed in the backward pass, which saves memory and costs time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recompute: bool,
    /// Precision of the activations.
    #[serde(skip_serializing_if = "is_f32")]
    pub precision: Precision,
    /// Adam's learning rate after warm-up.
    pub lr: f64,
    /// Adam's decay rates of the first and second moment.
    pub betas: [f64; 2],
    /// Adam's epsilon.
    pub epsilon: f64,
    /// Steps over which the learning rate rises from zero.
    pub warmup: u64,
    /// Steps at the end over which the learning rate falls to zero.
    pub cooldown: u64,
    /// Norm to which the gradient of all weights is clipped; 0 disables clipping.
    pub clip: f64,
    /// Decay of the moving average of the weights.
    pub ema: f64,
    /// Whether images are mirrored with probability 1/2.
    pub flip: bool,
    /// Side of the square patches for training, on whose position the network is conditioned; 0 trains on whole images.
    #[serde(skip_serializing_if = "is_none")]
    pub patch: usize,
    /// Probability of each kind of EDM's non-leaking augmentation, on which the network is conditioned; 0 disables it.
    #[serde(skip_serializing_if = "is_zero")]
    pub augment: f64,
    /// Probability of dropping the class label, for classifier-free guidance.
    pub label_dropout: f64,
    /// Steps between checkpoints; one is always written at the end.
    pub checkpoint_every: u64,
    /// Number of checkpoints to keep.
    pub keep: usize,
    /// Steps between lines of the log.
    pub log_every: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            steps: 10_000,
            batch: 128,
            accumulate: 1,
            recompute: false,
            precision: Precision::F32,
            lr: 1e-3,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            warmup: 100,
            cooldown: 0,
            clip: 1.0,
            ema: 0.999,
            flip: false,
            patch: 0,
            augment: 0.0,
            label_dropout: 0.1,
            checkpoint_every: 1000,
            keep: 3,
            log_every: 50,
        }
    }
}

/// Default settings for sampling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleConfig {
    /// The solver.
    pub solver: Solver,
    /// Classifier-free guidance scale; 1 disables it.
    pub guidance: f64,
    /// Precision of the activations when the trained network is evaluated.
    #[serde(skip_serializing_if = "is_f32")]
    pub precision: Precision,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self { solver: Solver::default(), guidance: 1.0, precision: Precision::F32 }
    }
}

impl Config {
    /// Keys that are set but have no effect, each with the reason and what to do.
    pub fn unused_keys(&self) -> Vec<(&'static str, String)> {
        match (&self.objective, &self.flow.output) {
            (Objective::Field(FieldObjective { gamma: Some(gamma), .. }), Output::Field { gamma: used }) => vec![(
                "objective.gamma",
                format!(
                    "objective.gamma = {gamma} has no effect: flow.output.gamma = {used} is used; omit objective.gamma"
                ),
            )],
            _ => Vec::new(),
        }
    }
}
