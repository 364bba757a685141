//! Arguments of the commands for likelihoods and latents.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ComputeArgs, DataArgs, FigureArgs, RanksArgs, SolverArgs, StyleArgs};

/// A run, its batch size and its device.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The folder of a run, a checkpoint file, or a bundled model: digits or fashion-mnist
    pub run: PathBuf,

    /// Batch size
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,

    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Rows of data.
#[derive(Debug, Args)]
pub struct RowsArgs {
    /// The data: a path, or a built-in set such as `digits` or `heart`
    #[arg(long, value_name = "PATH")]
    pub data: String,

    #[command(flatten)]
    pub table: DataArgs,

    /// Number of rows, evenly spaced over the data [default: all]
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<usize>,
}

/// How the divergence of yhat is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceName {
    /// Exact for rows of up to 128 values, else Rademacher
    Auto,
    /// Exact: one evaluation for each value of a row
    Exact,
    /// Hutchinson's estimator with Rademacher probes
    Rademacher,
    /// Hutchinson's estimator with Gaussian probes, which have a larger variance
    Gaussian,
}

/// The normalization of the prior's density.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PriorName {
    /// The density integrates to 1
    Exact,
    /// As in the code that PFGM's authors published (D = 1)
    #[value(alias = "released")]
    AuthorsCode,
}

/// How likelihoods are computed.
#[derive(Debug, Args)]
pub struct MeasureArgs {
    #[command(flatten)]
    pub solving: SolverArgs,

    /// How the divergence of yhat is computed
    #[arg(long, value_enum, default_value = "auto")]
    pub trace: TraceName,

    /// Probes of Hutchinson's estimator for each row; 2 or more give its standard error
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub probes: usize,

    /// Dequantization samples for each row of bytes; 2 or more give their standard error
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub draws: usize,

    /// Seed of dequantization samples and probes
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

    #[command(flatten)]
    pub figure: FigureArgs,

    /// The normalization of the prior's density
    #[arg(long, value_enum, default_value = "exact")]
    pub prior: PriorName,

    /// Write the log-density of each row as a table, in nats
    #[arg(long, value_name = "FILE.csv")]
    pub csv: Option<PathBuf>,

    /// The chart to write, a histogram of the rows; it may end in .svg or .pdf, too [default: likelihood.png in the run's folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub ranks: RanksArgs,
}

#[derive(Debug, Args)]
pub struct EncodeArgs {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub rows: RowsArgs,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// The arrays to write: `x` at the highest noise level, and `labels` if the model is class-conditional
    #[arg(short = 'o', long, value_name = "FILE.npz")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub struct InterpolateArgs {
    #[command(flatten)]
    pub run: RunArgs,

    /// First end points: seeds as in 0-3 or 7, or an image file
    #[arg(value_name = "SEEDS|IMAGE")]
    pub from: String,

    /// Second end points: as many seeds, or an image file
    #[arg(value_name = "SEEDS|IMAGE")]
    pub to: String,

    /// Number of images from the first end to the second, both included; at least 2
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub pictures: usize,

    /// Class of all samples, by name or number
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// The picture to write [default: interpolation.png in the run's folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub figure: FigureArgs,

    /// Write an animation from the first end points to the second and back
    #[arg(long, value_name = "FILE.gif|.png")]
    pub animate: Option<PathBuf>,

    /// Write the frames of the animation into a folder, as numbered PNG files, ready for an encoder of films
    #[arg(long, value_name = "DIR")]
    pub frames: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TemperatureArgs {
    #[command(flatten)]
    pub run: RunArgs,

    /// Factors of the latents' norms, one column each; from 0.01 to 100
    #[arg(
        long,
        value_name = "A,B,...",
        value_delimiter = ',',
        allow_hyphen_values = true,
        default_values_t = [0.7, 0.85, 1.0, 1.15, 1.3]
    )]
    pub scale: Vec<f64>,

    /// Seeds of the latents, one row each
    #[arg(long, value_name = "SEEDS", default_value = "0-7")]
    pub seeds: String,

    /// Class of all samples, by name or number
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// The picture to write [default: temperature.png in the run's folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub figure: StyleArgs,
}

#[derive(Debug, Args)]
pub struct ArithmeticArgs {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub rows: RowsArgs,

    /// Class whose mean latent is subtracted, by name or number; its first rows are moved
    #[arg(long, value_name = "CLASS")]
    pub minus: String,

    /// Class whose mean latent is added
    #[arg(long, value_name = "CLASS")]
    pub plus: String,

    /// Factors of the difference, one column each; from -100 to 100
    #[arg(
        long,
        value_name = "A,B,...",
        value_delimiter = ',',
        allow_hyphen_values = true,
        default_values_t = [0.0, 0.5, 1.0, 1.5, 2.0]
    )]
    pub strength: Vec<f64>,

    /// Number of rows to move
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub shown: usize,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// The picture to write [default: arithmetic.png in the run's folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub figure: FigureArgs,
}
