//! `pfgm train` as it is typed.

use std::path::PathBuf;

use clap::Args;

use super::DataArgs;

#[derive(Debug, Default, Args)]
pub struct TrainArgs {
    /// A preset (see `pfgm presets`), a TOML file, or with --resume the folder of a run
    #[arg(value_name = "PRESET|FILE.toml")]
    pub what: String,

    /// The data: a path, or a built-in set such as `digits` or `heart` [default: the preset's]
    #[arg(long, value_name = "PATH")]
    pub data: Option<String>,

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

    /// Divide the work among the processes that MPI started (`mpirun -n 4 pfgm ...`; needs a build with --features mpi)
    #[arg(long)]
    pub distributed: bool,
}
