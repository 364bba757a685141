//! `pfgm restore` as it is typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ComputeArgs, FigureArgs, SolverArgs, latents::RowsArgs};

/// How the flow is conditioned on a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RestoreMethod {
    /// The exact posterior of the rows of --exact
    Exact,
    /// MMPS: conjugate gradients with vector-Jacobian products (arXiv 2405.13712)
    Mmps,
    /// PiGDM: one vector-Jacobian product (ICLR 2023)
    Pigdm,
    /// DPS: steps of constant length along the gradient of the misfit (arXiv 2209.14687)
    Dps,
    /// RePaint: known values are put back at every noise level (arXiv 2201.09865); mask only
    Repaint,
    /// TDS: weighted particles, exact as their number grows (arXiv 2306.17775)
    Tds,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The folder of a run, a checkpoint file, or a bundled model: digits or fashion-mnist
    #[arg(required_unless_present = "exact", conflicts_with = "exact")]
    pub run: Option<PathBuf>,

    /// Restore with the exact field of this data set, without a network: a path, or a built-in set such as `digits`
    #[arg(long, value_name = "DATA")]
    pub exact: Option<String>,

    /// With --exact: D, the number of extra dimensions, above 0 or inf
    #[arg(
        short = 'D',
        long = "extra-dims",
        value_name = "D",
        allow_negative_numbers = true,
        default_value = "1",
        requires = "exact"
    )]
    pub extra_dims: String,

    /// --data holds the measurements, as images, a table, or an array of the operator's output
    #[command(flatten)]
    pub rows: RowsArgs,

    /// What was measured: none, mask=FILE, blur=SIGMA|KERNEL.npy, downsample=FACTOR, fourier=MASK, radon=ANGLES or matrix=A.npy; several
    /// are applied one after another
    #[arg(long, value_name = "NAME=VALUE", required = true)]
    pub operator: Vec<String>,

    /// Standard deviation of the noise in units of the measurement; `auto` estimates it for each image [with --method repaint: 0]
    #[arg(long, value_name = "S|auto", allow_negative_numbers = true)]
    pub noise: Option<String>,

    /// How the flow is conditioned on the measurement [default: mmps; exact with --exact]
    #[arg(long, value_enum)]
    pub method: Option<RestoreMethod>,

    /// --data holds undamaged rows: measure them with --operator and --noise, restore, and compare
    #[arg(long)]
    pub simulate: bool,

    /// Draws for each measurement
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub draws: usize,

    /// Seed of the first draw; the next ones follow
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,

    /// mmps: steps of conjugate gradients, at least 1 [default: 4]
    #[arg(long, value_name = "N")]
    pub iterations: Option<usize>,

    /// dps: size of the steps, above 0 [default: 1]
    #[arg(long, value_name = "ZETA", allow_negative_numbers = true)]
    pub zeta: Option<f64>,

    /// tds: particles for each measurement, at least as many as draws [default: 64]
    #[arg(long, value_name = "N")]
    pub particles: Option<usize>,

    /// repaint: resampling rounds at each noise level [default: 4]
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,

    /// Class of all rows, by name or number
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,

    /// Classifier-free guidance scale; 1 disables it [default: 1]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub guidance: Option<f64>,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// Write the arrays `x` (draws of each measurement), `mean`, `std` and `measurement`, in the data's units
    #[arg(long, value_name = "FILE.npz")]
    pub npz: Option<PathBuf>,

    /// Write the draws as a table: the number of the measurement, then the columns of the data
    #[arg(long, value_name = "FILE.csv")]
    pub csv: Option<PathBuf>,

    /// Write the method, the noise and the scores
    #[arg(long, value_name = "FILE.json")]
    pub json: Option<PathBuf>,

    /// The picture to write: measurement, mean, standard deviation, draws [default: restored.png in the run's folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub figure: FigureArgs,

    /// Batch size
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,

    #[command(flatten)]
    pub compute: ComputeArgs,
}
