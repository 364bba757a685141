//! Arguments of `pfgm train`.

use std::path::PathBuf;

use clap::Args;

use super::{DataArgs, RanksArgs};

#[derive(Debug, Default, Args)]
pub struct TrainArgs {
    /// The data to train on (a path or a built-in set; network and budget follow from them), a preset (see `pfgm presets`), a TOML file,
    /// or with --resume the folder of a run
    #[arg(value_name = "DATA|PRESET|FILE.toml|RUN")]
    pub what: Option<String>,

    /// Start from the configuration of a preset (see `pfgm presets`)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["from", "resume"])]
    pub preset: Option<String>,

    /// Fine-tune: start from the weights of this run or checkpoint; a tenth of its learning rate unless train.lr is set
    #[arg(long, value_name = "RUN|CHECKPOINT", conflicts_with = "resume")]
    pub from: Option<PathBuf>,

    /// The data: a path, or a built-in set such as `digits` or `heart` [default: the preset's or run's]
    #[arg(long, value_name = "PATH")]
    pub data: Option<String>,

    /// D, the number of extra dimensions: 1 is PFGM, above 0 PFGM++, inf a diffusion model [default: the preset's, or 128]
    #[arg(short = 'D', long = "extra-dims", value_name = "D", allow_negative_numbers = true)]
    pub extra_dims: Option<String>,

    /// Train for about this many minutes: the number of steps follows from a measurement of the first steps
    #[arg(long, value_name = "MINUTES", conflicts_with = "resume")]
    pub minutes: Option<f64>,

    #[command(flatten)]
    pub table: DataArgs,

    /// Set a key of the configuration, as in --set train.batch=64 (see `pfgm config`)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// The folder to write the run to [default: runs/NAME, or runs/NAME-2 if that exists, ...]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Resume a run that was stopped
    #[arg(long)]
    pub resume: bool,

    /// Also write TensorBoard event files to the run's folder
    #[arg(long)]
    pub tensorboard: bool,

    /// Print the resolved configuration, the number of weights and an estimate of memory, and exit
    #[arg(long)]
    pub dry_run: bool,

    /// Where to compute: cpu, cuda, cuda:1, wgpu (if built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,

    #[command(flatten)]
    pub ranks: RanksArgs,
}
