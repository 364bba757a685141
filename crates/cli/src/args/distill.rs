//! Arguments of `pfgm distill`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Methods of distillation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DistillMethod {
    /// Consistency tuning on the run's data, for every D (ECT, arXiv 2406.14548)
    Consistency,
    /// A generator of one evaluation that learns from the run alone, for every D (inverse Poisson flow matching, arXiv 2509.22454)
    Ipfm,
}

#[derive(Debug, Args)]
pub struct DistillArgs {
    /// The folder of a run, a checkpoint file, or a bundled model: digits, fashion-mnist
    pub run: PathBuf,

    /// Method of distillation
    #[arg(long, value_enum, default_value = "consistency")]
    pub method: DistillMethod,

    /// Number of optimizer steps
    #[arg(long, value_name = "N", default_value_t = 4000)]
    pub steps: u64,

    /// Classifier-free guidance scale to build in; 1 disables it [default: the run's]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub guidance: Option<f64>,

    /// The data: a path, or a built-in set [default: the run's]
    #[arg(long, value_name = "PATH")]
    pub data: Option<String>,

    /// Set a key of the configuration, as in --set train.batch=64 (see `pfgm config`)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// The folder to write the distilled run to [default: runs/NAME-distilled, or runs/NAME-distilled-2 if that exists, ...]
    #[arg(short = 'o', long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Also write TensorBoard event files to the run's folder
    #[arg(long)]
    pub tensorboard: bool,

    /// Print the resolved configuration, the number of weights and an estimate of memory, and exit
    #[arg(long)]
    pub dry_run: bool,

    /// Where to compute: cpu, cuda, cuda:1, wgpu (if built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,
}
