//! Arguments of `pfgm compare` and `pfgm diagnose`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ComputeArgs, FigureArgs};

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The comparison: runs, solvers, numbers of steps (see compare/*.toml)
    #[arg(value_name = "FILE.toml")]
    pub file: PathBuf,

    /// The folder of the results; finished results in it are kept [default: runs/compare-FILE]
    #[arg(short, long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub figure: FigureArgs,
}

#[derive(Debug, Args)]
pub struct DiagnoseCommand {
    #[command(subcommand)]
    pub what: Diagnose,
}

#[derive(Debug, Subcommand)]
pub enum Diagnose {
    /// Plot norms along a run's trajectories against the noise level, with those of training points
    Norms(NormsArgs),
}

#[derive(Debug, Args)]
pub struct NormsArgs {
    /// The folder of a run, or a checkpoint file
    pub run: PathBuf,

    /// The chart to write; it may end in .svg or .pdf, too [default: norms.png in the run's folder]
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Number of trajectories, and of training points at each level
    #[arg(short = 'n', long, value_name = "N", default_value_t = 64)]
    pub count: usize,

    /// Steps of Heun's method on a log-uniform grid
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub steps: usize,

    /// Seed of the first trajectory
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,

    #[command(flatten)]
    pub figure: FigureArgs,

    #[command(flatten)]
    pub compute: ComputeArgs,
}
