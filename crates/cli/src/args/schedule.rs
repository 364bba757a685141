//! Arguments of `pfgm schedule`.

use std::path::PathBuf;

use clap::Args;
use pfgm::solver::Method;

use super::{ComputeArgs, solver::method};

#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// The folder of a run
    pub run: PathBuf,

    /// Number of trajectories for the search; all their states are kept in memory, so use fewer for large images
    #[arg(short = 'n', long, value_name = "N", default_value_t = 64)]
    pub count: usize,

    /// Candidate noise levels, at most 1000
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub grid: usize,

    /// The solver that uses the levels [default: the run's, or dpmpp-2m if that has no grid]
    #[arg(long, value_parser = method())]
    pub solver: Option<Method>,

    /// Steps of the solver
    #[arg(long, value_name = "N")]
    pub steps: usize,

    #[command(flatten)]
    pub compute: ComputeArgs,
}
