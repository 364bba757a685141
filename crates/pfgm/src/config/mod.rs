//! Configuration of a run: the tables of the TOML file.

pub mod reference;
mod train;
mod validation;

use pfgm_data::{Alpha, Classes, Decimal, Header, Items, Kinds, LimitOverrides, Load, OpenOptions};
use serde::{Deserialize, Serialize};

use crate::{
    conditioning::UpscaleConfig,
    extra_dims::ExtraDims,
    network::{NetworkConfig, Precision},
    objective::{DenoisingObjective, FieldObjective, Objective},
    prediction::Output,
    solver::Solver,
};

pub use train::{OptimizerKind, RateSchedule, TrainConfig};
pub use validation::{ConfigError, check_guidance};
pub(crate) use validation::{ONE_JUMP, several_jumps, solver_problem};

/// Configuration of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The data set.
    pub data: DataConfig,
    /// The flow: D, noise levels, preconditioning.
    pub flow: FlowConfig,
    /// pfgm++: denoising score matching (EDM at D = inf); pfgm: matching of the field of a large batch, D = 1; consistency and
    /// ipfm: jumps to the data (`pfgm distill`).
    pub objective: Objective,
    /// mlp: residual perceptron for vectors; unet: DDPM++ of EDM; score-unet: DDPM++ and NCSN++ of score models and PFGM; adm-unet: ADM;
    /// diffusers-unet: UNet2DModel of diffusers; edm2-unet: the magnitude-preserving network of EDM2; ncsnv2: NCSNv2.
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
    /// The data set. A path is stored as an absolute path.
    pub source: String,
    /// An autoencoder (AutoencoderKL of diffusers): the flow is trained on the latents of the images, and samples are decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoencoder: Option<String>,
    /// Range of the pixels that the autoencoder gets. Networks of EDM2 were trained with [0, 1].
    #[serde(skip_serializing_if = "is_usual_range")]
    pub autoencoder_range: (f32, f32),
    /// Side of the tiles in which the autoencoder encodes and decodes images, in pixels. With 0, images are whole if the available memory
    /// suffices, and otherwise in the largest tiles that it suffices for.
    #[serde(skip_serializing_if = "is_none")]
    pub tile: usize,
    /// Columns of a table to learn; all if empty.
    pub columns: Vec<String>,
    /// The column of a table that holds the class.
    pub label: Option<String>,
    /// Kinds of the columns of a text table, by name: `{ age = "count" }`. Columns that are not named follow the rule; without this key
    /// every column is read as plain numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Kinds>,
    /// Whether the network is conditioned on the classes.
    pub conditional: bool,
    /// Rows that are not trained on; the loss is measured on them at each checkpoint.
    pub hold_out: usize,
    /// Factor by which images are downscaled: each pixel is the mean of a square of so many pixels a side.
    #[serde(skip_serializing_if = "is_unit")]
    pub shrink: usize,
    /// Side of the square to which the middle of each image file is scaled.
    #[serde(skip_serializing_if = "is_none")]
    pub side: usize,
    /// Whether all rows are loaded (whole), or read from their files when needed (stream); auto streams large data.
    #[serde(skip_serializing_if = "is_auto")]
    pub load: Load,
    /// Array of an archive that holds the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// Array of an archive that holds the labels; an empty name ignores labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// Nominal range of the values; for images the values of black and white.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<(f32, f32)>,
    /// What is done with transparent pixels.
    #[serde(skip_serializing_if = "is_default")]
    pub alpha: Alpha,
    /// Whether the first line of a table holds the names of its columns.
    #[serde(skip_serializing_if = "is_default")]
    pub header: Header,
    /// Whether commas in the numbers of a table are decimal points.
    #[serde(skip_serializing_if = "is_default")]
    pub decimal: Decimal,
    /// Where the classes of images come from.
    #[serde(skip_serializing_if = "is_default")]
    pub classes: Classes,
    /// Whether each file of a folder of arrays is one row.
    #[serde(skip_serializing_if = "is_default")]
    pub items: Items,
    /// Limits on what a file may ask for, in place of those that follow from its size.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: LimitOverrides,
}

impl Default for DataConfig {
    fn default() -> Self {
        let OpenOptions {
            columns,
            label,
            kinds,
            schema: _,
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
            autoencoder_range: PIXELS,
            tile: 0,
            columns,
            label,
            kinds,
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
            kinds: self.kinds.clone(),
            schema: None,
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

/// Range of the pixels that diffusers' autoencoders get.
pub(crate) const PIXELS: (f32, f32) = (-1.0, 1.0);

fn is_usual_range(range: &(f32, f32)) -> bool {
    *range == PIXELS
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
    /// Number of extra dimensions: 1 is PFGM, inf a diffusion model, anything else PFGM++.
    #[serde(alias = "augmentation")]
    pub extra_dims: ExtraDims,
    /// Lowest noise level: sampling ends there.
    pub sigma_min: f64,
    /// Highest noise level: sampling starts there, from the prior.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_max: Option<f64>,
    /// Standard deviation of the data, for the preconditioning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_data: Option<f64>,
    /// Whether points much noisier than their noise level are preconditioned by the noise that they show. Only for finite D.
    pub far_field: bool,
    /// Largest root mean square of a row of the data.
    #[serde(skip_serializing_if = "Option::is_none", alias = "reach")]
    pub max_row_rms: Option<f64>,
    /// Largest root mean square of an image's finest details: each block of 2x2 pixels minus its mean.
    #[serde(skip_serializing_if = "Option::is_none", alias = "details")]
    pub detail_rms: Option<f64>,
    /// edm: preconditioned denoiser; field: PFGM's normalized field; ve, vp, sub-vp: score models; discrete: DDPM's networks.
    #[serde(skip_serializing_if = "is_edm")]
    pub output: Output,
    /// Whether the network takes the logarithm of the noise level. EDM's preconditioning always gives it ln(sigma) / 4.
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

/// Default settings for sampling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleConfig {
    /// The solver.
    pub solver: Solver,
    /// Classifier-free guidance scale.
    pub guidance: f64,
    /// Precision of the network's activations in sampling.
    #[serde(skip_serializing_if = "is_f32")]
    pub precision: Precision,
    /// With the arithmetic of PFGM's authors: z from which on the network's own component along z is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub z_exp: Option<f64>,
    /// With the arithmetic of PFGM's authors: norm to which latents are clipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper_norm: Option<f64>,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self { solver: Solver::default(), guidance: 1.0, precision: Precision::F32, z_exp: None, upper_norm: None }
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
