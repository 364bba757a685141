//! Arguments of `pfgm denoise`, `pfgm inpaint` and `pfgm anomaly`.

use std::path::PathBuf;

use clap::Args;

use super::{
    FigureArgs, SolverArgs,
    latents::{MeasureArgs, RowsArgs, RunArgs},
};

#[derive(Debug, Args)]
pub struct DenoiseArgs {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub rows: RowsArgs,

    /// Standard deviation of the noise in units of the model, whose images span [-1, 1]; `auto` estimates it for each image
    #[arg(long, value_name = "SIGMA|auto")]
    pub sigma: String,

    /// Return the posterior mean (one evaluation, smoother) instead of a sample
    #[arg(long)]
    pub one_step: bool,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// Write the denoised images as array `x`, in the data's units
    #[arg(long, value_name = "FILE.npz")]
    pub npz: Option<PathBuf>,

    /// The picture to write: noisy images above denoised ones [default: denoised.png in the run's folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub figure: FigureArgs,
}

#[derive(Debug, Args)]
pub struct InpaintArgs {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub rows: RowsArgs,

    /// An image of the data's size: black pixels are filled, white pixels are kept
    #[arg(long, value_name = "IMAGE")]
    pub mask: PathBuf,

    /// Number of completions of each image
    #[arg(long, alias = "fillings", value_name = "N", default_value_t = 4)]
    pub completions: usize,

    /// Number of noise levels
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub steps: usize,

    /// Resampling rounds at each noise level (RePaint)
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub rounds: usize,

    /// Write the completed images as array `x`, in the data's units
    #[arg(long, value_name = "FILE.npz")]
    pub npz: Option<PathBuf>,

    /// The picture to write: each image, its mask, its completions [default: inpainted.png in the run's folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub figure: FigureArgs,
}

/// Whether `pfgm anomaly` computes the likelihood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WhenLikelihood {
    /// For images, and if a flag of the likelihood is given
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Args)]
pub struct AnomalyArgs {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub rows: RowsArgs,

    /// Normal rows that the run was not trained on, to compare with
    #[arg(
        long,
        alias = "usual",
        value_name = "PATH",
        required_unless_present = "normal_classes",
        conflicts_with = "normal_classes"
    )]
    pub normal_data: Option<String>,

    /// Classes of --data that are normal; rows of the other classes are scored
    #[arg(long, alias = "normal", value_name = "A,B,...", value_delimiter = ',')]
    pub normal_classes: Option<Vec<String>>,

    #[command(flatten)]
    pub measure: MeasureArgs,

    /// Whether the likelihood is computed, the slowest score; auto does for images, and if a flag of the likelihood is given
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub likelihood: WhenLikelihood,

    /// Noise levels of the reconstruction score, in units of the model, whose images span [-1, 1]
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', default_values_t = [0.2, 0.5])]
    pub sigma: Vec<f64>,

    /// Write the scores of each row as a table, and p-values: the share of normal rows that are at least as anomalous
    #[arg(long, value_name = "FILE.csv")]
    pub csv: Option<PathBuf>,

    /// The chart of the distributions of scores to write; it may end in .svg or .pdf, too [default: anomaly.png in the run's folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// The chart of the ROC curves to write; it may end in .svg or .pdf, too [default: roc.png in the run's folder]
    #[arg(long, value_name = "FILE")]
    pub roc: Option<PathBuf>,

    #[command(flatten)]
    pub figure: FigureArgs,
}
