//! `pfgm compare` and `pfgm diagnose` as they are typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ComputeArgs;

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// What is compared: runs, solvers, steps (see compare/*.toml)
    #[arg(value_name = "FILE.toml")]
    pub file: PathBuf,

    /// The folder of the results; what is finished there is kept [default: runs/compare-FILE]
    #[arg(short, long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DiagnoseCommand {
    #[command(subcommand)]
    pub what: Diagnose,
}

#[derive(Debug, Subcommand)]
pub enum Diagnose {
    /// Norms along a run's trajectories, against the noise level, beside those of training points
    Norms(NormsArgs),
}

#[derive(Debug, Args)]
pub struct NormsArgs {
    /// The folder of a run, or a checkpoint file
    pub run: PathBuf,

    /// Where to draw it [default: norms.png in the run]
    #[arg(short, long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,

    /// Trajectories, and training points at each level
    #[arg(short = 'n', long, value_name = "N", default_value_t = 64)]
    pub count: usize,

    /// Steps of Heun's method on a log-uniform grid
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub steps: usize,

    /// The seed of the first trajectory
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,

    #[command(flatten)]
    pub compute: ComputeArgs,
}
