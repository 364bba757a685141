//! Arguments of `pfgm average`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct AverageArgs {
    /// The folder of a run that was trained with train.snapshot_every above 0, or EDM2's snapshots of one training (.pkl), whose names end
    /// with training time and width, as in edm2-img512-xs-2147483-0.135.pkl
    #[arg(required = true, value_name = "RUN|FILE.pkl")]
    pub runs: Vec<PathBuf>,

    /// Relative width of the average, from 0.001 to 0.288: the standard deviation of its profile divided by the length of the training
    #[arg(long, value_name = "S", required_unless_present = "search", conflicts_with = "search")]
    pub sigma_rel: Option<f64>,

    /// Find the width with the lowest loss on the run's held-out rows
    #[arg(long)]
    pub search: bool,

    /// The folder to write the run with this average to [default: runs/NAME-average, or runs/NAME-average-2 if that exists, ...]
    #[arg(short = 'o', long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Where to compute: cpu, cuda, cuda:1, wgpu (if built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,
}
