//! Arguments of `pfgm predict` and `pfgm decode`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ComputeArgs, SolverArgs};

#[derive(Debug, Args)]
pub struct PredictArgs {
    /// The folder of a run, or a checkpoint file
    pub run: PathBuf,

    /// Arrays `x` [batch, channels, height, width], a noise level for each row as `z`, `sigma` or `t`, and optional `labels`; `x` of a VP
    /// or sub-VP run is in the coordinates of its process, mean(t) (y + sigma noise). Of a run that upscales also `low_resolution`, with
    /// `low_resolution_noise`, the standard deviation of its noise [default: upscale.sample_noise]
    #[arg(long, value_name = "FILE.npz")]
    pub at: PathBuf,

    /// The arrays to write: `yhat` (of a distilled run the consistency function `f`), the network's own `output` (`field_x` and `field_z` of
    /// PFGM's field), and the `score` of score models
    #[arg(short = 'o', long, value_name = "FILE.npz")]
    pub out: PathBuf,

    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// How PFGM's samplers compute a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ArithmeticName {
    /// As in the equations
    Exact,
    /// As in the code that PFGM's authors published
    #[value(alias = "reference")]
    AuthorsCode,
}

#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// The folder of a run, or a checkpoint file
    pub run: PathBuf,

    /// Array `x` [batch, channels, height, width], for tables [batch, columns], at the highest noise level, and optional `labels`
    #[arg(long, value_name = "FILE.npz")]
    pub latents: PathBuf,

    /// The arrays to write: `x` in the model's space, and `nfe`
    #[arg(short = 'o', long, value_name = "FILE.npz")]
    pub out: PathBuf,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// How PFGM's samplers compute a step
    #[arg(long, value_enum, default_value = "exact")]
    pub arithmetic: ArithmeticName,

    /// With --arithmetic authors-code: z below which the network's z-component is replaced, at least 0 [default: the run's sample.z_exp, or 5]
    #[arg(long, value_name = "Z", allow_negative_numbers = true)]
    pub z_exp: Option<f64>,

    #[command(flatten)]
    pub compute: ComputeArgs,
}
