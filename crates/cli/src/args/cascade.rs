//! Arguments of `pfgm cascade`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ComputeArgs, FigureArgs, FilesArgs, SolverArgs};

#[derive(Debug, Args)]
pub struct CascadeCommand {
    #[command(subcommand)]
    pub what: Cascade,

    /// Refused with an explanation
    #[arg(long, global = true, hide = true)]
    pub distributed: bool,
}

#[derive(Debug, Subcommand)]
pub enum Cascade {
    /// Train each model of a cascade, one after another
    Train(CascadeTrainArgs),
    /// Draw samples of the base model and upscale them with the other models
    Sample(Box<CascadeSampleArgs>),
}

#[derive(Debug, Args)]
pub struct CascadeTrainArgs {
    /// A preset of a cascade (see `pfgm presets`), a TOML file, or with --resume the folder of a cascade
    #[arg(value_name = "PRESET|FILE.toml")]
    pub what: String,

    /// The images: a path, or `digits` [default: the preset's]
    #[arg(long, value_name = "PATH")]
    pub data: Option<String>,

    /// Set a key of each model's configuration, or of one model's, as in --set train.batch=64 --set upscale-1.train.steps=500
    #[arg(long = "set", value_name = "[MODEL.]KEY=VALUE")]
    pub set: Vec<String>,

    /// The folder to write the cascade to, with a run for each model [default: runs/NAME, or runs/NAME-2 if that exists, ...]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Resume a cascade that was stopped
    #[arg(long)]
    pub resume: bool,

    /// Print the resolved configuration of each model, its number of weights and an estimate of memory, and exit
    #[arg(long)]
    pub dry_run: bool,

    /// Where to compute: cpu, cuda, cuda:1, wgpu (if built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,
}

#[derive(Debug, Args)]
pub struct CascadeSampleArgs {
    /// The folder of a cascade
    pub cascade: PathBuf,

    /// Number of samples
    #[arg(short = 'n', long, value_name = "N", default_value_t = 64, conflicts_with = "seeds")]
    pub count: usize,

    /// Seeds of the samples, as in 0-63 or 3,7,12-15 [default: 0 to N-1]
    #[arg(long, value_name = "SEEDS")]
    pub seeds: Option<String>,

    /// Class of all samples, by name or number [default: in the shares of the training data]
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,

    /// Classifier-free guidance scale; 1 disables it [default: each run's]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub guidance: Option<f64>,

    /// Images to upscale instead of the base model's samples: of its size, or of the cascade's size, which are downscaled first
    #[arg(long, value_name = "DATA")]
    pub from: Option<String>,

    /// Standard deviation of the noise added to images before they are upscaled (conditioning augmentation), in the model's units [default: each run's]
    #[arg(long, value_name = "SIGMA", allow_negative_numbers = true)]
    pub noise: Option<f64>,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// The picture to write [default: samples.png in the cascade's folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub figure: FigureArgs,

    #[command(flatten)]
    pub files: FilesArgs,

    /// Batch size
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,

    #[command(flatten)]
    pub compute: ComputeArgs,
}
