//! What is done with likelihoods and latents, as it is typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ComputeArgs, DataArgs, SolverArgs};

/// A run, and where it is computed.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The folder of a run, a checkpoint file, or a run that comes along: fashion-mnist
    pub run: PathBuf,

    /// Rows computed together
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,

    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Rows of data.
#[derive(Debug, Args)]
pub struct RowsArgs {
    /// The data: a built-in set, or a path
    #[arg(long, value_name = "PATH")]
    pub data: String,

    #[command(flatten)]
    pub table: DataArgs,

    /// Rows at the most, spread over the data [default: all]
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<usize>,
}

/// How the divergence of yhat is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceName {
    /// Exact up to 128 values a row, estimated beyond
    Auto,
    /// One evaluation for every value of a row
    Exact,
    /// Estimated with probes of random signs
    Rademacher,
    /// Estimated with normal probes, which leave more to chance
    Gaussian,
}

/// The constant of the prior's density.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PriorName {
    /// The one that integrates to one
    Exact,
    /// As PFGM's released code has it (D = 1)
    Released,
}

/// How likelihoods are measured.
#[derive(Debug, Args)]
pub struct MeasureArgs {
    #[command(flatten)]
    pub solving: SolverArgs,

    /// How the divergence of yhat is found
    #[arg(long, value_enum, default_value = "auto")]
    pub trace: TraceName,

    /// Probes of each draw, to know what they leave to chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub probes: usize,

    /// Draws of what is added to whole numbers, for each row of bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub draws: usize,

    /// Seed of draws and probes
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub struct LikelihoodArgs {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub rows: RowsArgs,

    #[command(flatten)]
    pub measure: MeasureArgs,

    /// The constant of the prior's density
    #[arg(long, value_enum, default_value = "exact")]
    pub prior: PriorName,

    /// Write the logarithm of each row's density as a table
    #[arg(long, value_name = "FILE.csv")]
    pub csv: Option<PathBuf>,

    /// The picture to write: how the rows are distributed [default: likelihood.png in the run]
    #[arg(short = 'o', long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,

    /// Share the work out over the processes that MPI started (`mpirun -n 4 pfgm ...`; built with --features mpi)
    #[arg(long)]
    pub distributed: bool,
}

#[derive(Debug, Args)]
pub struct EncodeArgs {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub rows: RowsArgs,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// The arrays to write: `x` at the highest noise level, and `labels` if the run knows classes
    #[arg(short = 'o', long, value_name = "FILE.npz")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub struct InterpolateArgs {
    #[command(flatten)]
    pub run: RunArgs,

    /// Where rows of pictures begin: seeds as in 0-3 or 7, or an image file
    #[arg(value_name = "SEEDS|IMAGE")]
    pub from: String,

    /// Where they end: as many seeds, or an image file
    #[arg(value_name = "SEEDS|IMAGE")]
    pub to: String,

    /// Pictures in a row, with both ends
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub pictures: usize,

    /// The class of all, by name or number
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// The picture to write [default: interpolation.png in the run]
    #[arg(short = 'o', long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,

    /// Write an animation that goes there and back
    #[arg(long, value_name = "FILE.gif|.png")]
    pub animate: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TemperatureArgs {
    #[command(flatten)]
    pub run: RunArgs,

    /// What the norms of latents are multiplied by, a column each
    #[arg(
        long,
        value_name = "A,B,...",
        value_delimiter = ',',
        allow_hyphen_values = true,
        default_values_t = [0.7, 0.85, 1.0, 1.15, 1.3]
    )]
    pub scale: Vec<f64>,

    /// Seeds, a row each
    #[arg(long, value_name = "SEEDS", default_value = "0-7")]
    pub seeds: String,

    /// The class of all, by name or number
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// The picture to write [default: temperature.png in the run]
    #[arg(short = 'o', long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ArithmeticArgs {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub rows: RowsArgs,

    /// The class whose mean latent is subtracted, by name or number; its first rows are changed
    #[arg(long, value_name = "CLASS")]
    pub minus: String,

    /// The class whose mean latent is added
    #[arg(long, value_name = "CLASS")]
    pub plus: String,

    /// How much of the difference is added, a column each
    #[arg(
        long,
        value_name = "A,B,...",
        value_delimiter = ',',
        allow_hyphen_values = true,
        default_values_t = [0.0, 0.5, 1.0, 1.5, 2.0]
    )]
    pub strength: Vec<f64>,

    /// Rows that are changed
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub shown: usize,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// The picture to write [default: arithmetic.png in the run]
    #[arg(short = 'o', long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DenoiseArgs {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub rows: RowsArgs,

    /// The noise's standard deviation where images span [-1, 1], or `auto` to find it in each image
    #[arg(long, value_name = "SIGMA|auto")]
    pub sigma: String,

    /// The best single guess instead of a sample: one evaluation, smoother
    #[arg(long)]
    pub one_step: bool,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// Write the restored images as arrays: `x`, in the data's own units
    #[arg(long, value_name = "FILE.npz")]
    pub npz: Option<PathBuf>,

    /// The picture to write: noisy above restored [default: denoised.png in the run]
    #[arg(short = 'o', long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct InpaintArgs {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub rows: RowsArgs,

    /// An image of the data's size: what is black is drawn anew, what is white is kept
    #[arg(long, value_name = "IMAGE")]
    pub mask: PathBuf,

    /// Fillings of each image
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub fillings: usize,

    /// Noise levels
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub steps: usize,

    /// How often each level is gone through, so that old and new come to fit
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub rounds: usize,

    /// Write the filled images as arrays: `x`, in the data's own units
    #[arg(long, value_name = "FILE.npz")]
    pub npz: Option<PathBuf>,

    /// The picture to write: the image, its hole, its fillings [default: inpainted.png in the run]
    #[arg(short = 'o', long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct AnomalyArgs {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub rows: RowsArgs,

    /// What is usual: rows of the kind that the run learned from, which it has not seen
    #[arg(long, value_name = "PATH", required_unless_present = "normal", conflicts_with = "normal")]
    pub usual: Option<String>,

    /// The classes of the data that are usual; the others are what is asked about
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub normal: Option<Vec<String>>,

    #[command(flatten)]
    pub measure: MeasureArgs,

    /// Noise levels at which rows are smoothed and compared, where images span [-1, 1]
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', default_values_t = [0.2, 0.5])]
    pub sigma: Vec<f64>,

    /// Write the scores of every row as a table
    #[arg(long, value_name = "FILE.csv")]
    pub csv: Option<PathBuf>,

    /// The picture to write: how scores are distributed [default: anomaly.png in the run]
    #[arg(short = 'o', long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,

    /// The other one: how many of those asked about are found for how many false alarms [default: roc.png in the run]
    #[arg(long, value_name = "FILE.png")]
    pub roc: Option<PathBuf>,
}
