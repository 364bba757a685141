//! `pfgm cascade` as it is typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ComputeArgs, FilesArgs, SolverArgs};

#[derive(Debug, Args)]
pub struct CascadeCommand {
    #[command(subcommand)]
    pub what: Cascade,

    /// Refused with a word on what works instead
    #[arg(long, global = true, hide = true)]
    pub distributed: bool,
}

#[derive(Debug, Subcommand)]
pub enum Cascade {
    /// Train every flow of a cascade, one after another
    Train(CascadeTrainArgs),
    /// Draw samples: the base's, upscaled by every other flow
    Sample(Box<CascadeSampleArgs>),
}

#[derive(Debug, Args)]
pub struct CascadeTrainArgs {
    /// A preset of a cascade (see `pfgm presets`), a TOML file, or with --resume the folder of a cascade
    #[arg(value_name = "PRESET|FILE.toml")]
    pub what: String,

    /// The data: `digits` or a path to images [default: the preset's]
    #[arg(long, value_name = "PATH")]
    pub data: Option<String>,

    /// Change a value of every flow's configuration, or of one, as in --set train.batch=64 --set upscale-1.train.steps=500
    #[arg(long = "set", value_name = "[FLOW.]KEY=VALUE")]
    pub set: Vec<String>,

    /// The folder to write the cascade to, with a run for each flow [default: runs/NAME, or runs/NAME-2 if that exists, ...]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Go on with a cascade that was stopped
    #[arg(long)]
    pub resume: bool,

    /// Print the resolved configuration of each flow, its weights and an estimate of memory, and stop
    #[arg(long)]
    pub dry_run: bool,

    /// Where to compute: cpu, cuda, cuda:1, wgpu (as far as built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,
}

#[derive(Debug, Args)]
pub struct CascadeSampleArgs {
    /// The folder of a cascade
    pub cascade: PathBuf,

    /// How many samples
    #[arg(short = 'n', long, value_name = "N", default_value_t = 64, conflicts_with = "seeds")]
    pub count: usize,

    /// Their seeds, as in 0-63 or 3,7,12-15 [default: 0 to N-1]
    #[arg(long, value_name = "SEEDS")]
    pub seeds: Option<String>,

    /// The class of all samples, by name or number [default: every class in turn]
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,

    /// How much more than its share the class counts [default: that of each run]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub guidance: Option<f64>,

    /// Images to upscale instead of the base's samples: of its size, or of the cascade's and made smaller first
    #[arg(long, value_name = "DATA")]
    pub from: Option<String>,

    /// The noise that images get before they are upscaled, a standard deviation in the model's space [default: that of each run]
    #[arg(long, value_name = "SIGMA", allow_negative_numbers = true)]
    pub noise: Option<f64>,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// The picture to write [default: samples.png in the cascade's folder]
    #[arg(short = 'o', long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub files: FilesArgs,

    /// Samples computed together
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,

    #[command(flatten)]
    pub compute: ComputeArgs,
}
