//! The command line as it is typed: raw, not yet checked.

pub mod cascade;
pub mod compare;
mod compute;
pub mod evaluate;
mod field;
pub mod latents;
pub mod studio;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
pub use compute::ComputeArgs;
pub use field::FieldArgs;
mod solving;

pub use solving::{ProcessArg, Solver, SolverArgs};

/// Poisson flow generative models: train on your data, sample, see.
#[derive(Debug, Parser)]
#[command(name = "pfgm", version, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "Start with: pfgm train digits")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// Threads to compute with [default: one for each core]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,

    /// Vector instructions to compute with: portable, avx2, avx512, neon [default: the best there are]
    #[arg(long, global = true, value_name = "NAME")]
    pub vectors: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a flow: a preset, a configuration file, or (with --resume) the folder of a run
    Train(TrainArgs),
    /// Draw samples from a trained flow
    Sample(Box<SampleArgs>),
    /// Train or sample a cascade: a flow of small images and flows that upscale them
    Cascade(cascade::CascadeCommand),
    /// Draw the exact field of a set of charges: its lines, its hemisphere, its story
    Field(FieldArgs),
    /// Measure a run's samples, or images, against a reference: FD, KID, inception score, precision, recall, density, coverage
    Evaluate(Box<evaluate::EvaluateArgs>),
    /// Compare runs, solvers and steps: a table of scores and a page of figures; goes on where it was stopped
    Compare(compare::CompareArgs),
    /// Look at how a run behaves
    Diagnose(compare::DiagnoseCommand),
    /// Say what a data set holds, and show it
    Data(DataCommand),
    /// Say how far PFGM's noise has to reach for a data set, and why
    Calibrate(CalibrateArgs),
    /// Make a run of a published checkpoint (PFGM, score models, EDM, PFGM++)
    Import(ImportArgs),
    /// Write a run's averaged weights as safetensors
    Export(ExportArgs),
    /// Evaluate a run's network at points of your own
    Predict(PredictArgs),
    /// Find the levels that few steps of a solver serve best, and keep them with the run
    Schedule(ScheduleArgs),
    /// Carry latents of your own down a run's flow
    Decode(DecodeArgs),
    /// Measure how likely data are to a run
    Likelihood(latents::LikelihoodArgs),
    /// Carry data up a run's flow, to its latents
    Encode(latents::EncodeArgs),
    /// Draw the way between two latents, of seeds or images
    Interpolate(latents::InterpolateArgs),
    /// Draw latents whose norms are scaled
    Temperature(latents::TemperatureArgs),
    /// Draw rows changed by the difference of two classes' mean latents
    Arithmetic(latents::ArithmeticArgs),
    /// Take noise off images
    Denoise(latents::DenoiseArgs),
    /// Fill holes of images
    Inpaint(latents::InpaintArgs),
    /// Score rows by how unusual they are to a run
    Anomaly(latents::AnomalyArgs),
    /// Open the studio: fields, samples and trainings in the browser, and an HTTP API
    Studio(studio::StudioArgs),
    /// Time inference and a training step, as JSON
    Bench(BenchArgs),
    /// List the presets, or print one as a configuration file to start from
    Presets {
        /// The preset to print
        name: Option<String>,
    },
}

impl Command {
    /// Whether the command is to be shared out over several processes.
    pub fn is_distributed(&self) -> bool {
        match self {
            Self::Train(args) => args.distributed,
            Self::Sample(args) => args.distributed,
            Self::Evaluate(args) => args.distributed,
            Self::Likelihood(args) => args.distributed,
            _ => false,
        }
    }
}

#[derive(Debug, Default, Args)]
pub struct DataArgs {
    /// Columns of a table to use, by name or number from 1
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,

    /// The column of a table that holds the class
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
}

#[derive(Debug, Default, Args)]
pub struct TrainArgs {
    /// A preset (see `pfgm presets`), a TOML file, or with --resume the folder of a run
    #[arg(value_name = "PRESET|FILE.toml")]
    pub what: String,

    /// The data: `digits`, `heart` or another built-in set, or a path [default: the preset's]
    #[arg(long, value_name = "PATH")]
    pub data: Option<String>,

    #[command(flatten)]
    pub table: DataArgs,

    /// Change a value of the configuration, as in --set train.batch=64
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// The folder to write the run to [default: runs/NAME, or runs/NAME-2 if that exists, ...]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Go on with a run that was stopped
    #[arg(long)]
    pub resume: bool,

    /// Also write the log as TensorBoard reads it, to the run's folder
    #[arg(long)]
    pub tensorboard: bool,

    /// Print the resolved configuration, the number of weights and an estimate of memory, and stop
    #[arg(long)]
    pub dry_run: bool,

    /// Where to compute: cpu, cuda, cuda:1, wgpu (as far as built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,

    /// Share the work out over the processes that MPI started (`mpirun -n 4 pfgm ...`; built with --features mpi)
    #[arg(long)]
    pub distributed: bool,
}

#[derive(Debug, Args)]
pub struct SampleArgs {
    /// The folder of a run, a checkpoint file, or a run that comes along: fashion-mnist
    #[arg(required_unless_present = "exact", conflicts_with = "exact")]
    pub run: Option<PathBuf>,

    /// Sample without a network, by the exact field of this data: `heart`, `digits`, or a path
    #[arg(long, value_name = "DATA")]
    pub exact: Option<String>,

    /// With --exact: a run to hold against the exact field: trajectories, ends, and the error of its field
    #[arg(long = "run", value_name = "RUN", requires = "exact")]
    pub against: Option<PathBuf>,

    /// With --exact: the number of extra dimensions, a number above 0 or inf [default: 1, or the run's]
    #[arg(
        short = 'D',
        long,
        value_name = "D",
        allow_negative_numbers = true,
        requires = "exact",
        conflicts_with = "against"
    )]
    pub augmentation: Option<String>,

    #[command(flatten)]
    pub table: DataArgs,

    /// How many samples
    #[arg(short = 'n', long, value_name = "N", default_value_t = 64, conflicts_with = "seeds")]
    pub count: usize,

    /// Their seeds, as in 0-63 or 3,7,12-15 [default: 0 to N-1]
    #[arg(long, value_name = "SEEDS")]
    pub seeds: Option<String>,

    /// The class of all samples, by name or number [default: every class in turn]
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,

    /// How much more than its share the class counts (classifier-free guidance; 1 is plain) [default: the run's]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub guidance: Option<f64>,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// End with a step to r = 0, where the state becomes yhat (heun always does)
    #[arg(long)]
    pub denoise: bool,

    /// Exact, or as the released code of PFGM has it, with its samplers (an imported run's steps then depend on the whole batch)
    #[arg(long, value_enum, default_value = "exact")]
    pub arithmetic: ArithmeticName,

    /// As released: where the network's component along z is trusted, from this z on [default: 5]
    #[arg(long, value_name = "Z", allow_negative_numbers = true)]
    pub z_exp: Option<f64>,

    /// As released: the norm that latents are clipped to [default: 3000]
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub upper_norm: Option<f64>,

    /// The picture to write [default: samples.png in the run's folder; with --exact NAME-exact.png here]
    #[arg(short = 'o', long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub files: FilesArgs,

    /// Samples computed together
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,

    #[command(flatten)]
    pub compute: ComputeArgs,

    /// Share the work out over the processes that MPI started (`mpirun -n 4 pfgm ...`; built with --features mpi)
    #[arg(long, conflicts_with = "exact")]
    pub distributed: bool,
}

/// What samples are written to beside a picture.
#[derive(Debug, Default, Args)]
pub struct FilesArgs {
    /// Also write the samples, seeds and classes as arrays
    #[arg(long, value_name = "FILE.npz")]
    pub npz: Option<PathBuf>,

    /// Also write every sample as an image of its own, called by its seed
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,

    /// Also write the samples as a table
    #[arg(long, value_name = "FILE.csv")]
    pub csv: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DataCommand {
    /// `digits`, `heart` or another built-in set, or a path
    pub path: String,

    #[command(flatten)]
    pub table: DataArgs,

    /// The picture to write [default: NAME-contact-sheet.png here]
    #[arg(short = 'o', long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// `digits`, `heart`, or a path
    #[arg(long, value_name = "PATH")]
    pub data: String,

    #[command(flatten)]
    pub table: DataArgs,

    /// s, the scale of the noise nearest to the data
    #[arg(long, default_value_t = 0.01)]
    pub s: f64,

    /// tau, the growth of the noise
    #[arg(long, default_value_t = 0.03)]
    pub tau: f64,
}

/// Networks that exist to be timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchNetwork {
    /// The twin of bench/torch_resunet.py
    Resunet,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchTask {
    /// One evaluation of the network
    Inference,
    /// Forward and backward pass, optimiser and average
    Training,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// A preset (see `pfgm presets`), a TOML file, or the folder of a run
    #[arg(value_name = "PRESET|FILE.toml|RUN")]
    pub what: Option<String>,

    /// A network that exists to be timed
    #[arg(long, value_enum)]
    pub network: Option<BenchNetwork>,

    /// Only one of the two
    #[arg(long, value_enum)]
    pub task: Option<BenchTask>,

    /// Images computed together [default: the preset's or run's; 32 for resunet]
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,

    /// Rounds that are timed, after two that are not
    #[arg(long, value_name = "N", default_value_t = 9)]
    pub rounds: usize,

    /// Images of noise of this size instead of the preset's data, as in 28x28x1
    #[arg(long, value_name = "HxWxC")]
    pub shape: Option<String>,

    /// Change a value of the configuration, as in --set network.width=64
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Only measure the processor: operations per second from registers, bytes per second beyond the second-level cache
    #[arg(long)]
    pub probe: bool,

    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// The model that a published network was trained as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportMethod {
    /// PFGM: the normalised Poisson field
    Pfgm,
    /// Variance-exploding score model
    Ve,
    /// Variance-preserving score model
    Vp,
    /// The same with less noise
    SubVp,
    /// PFGM++
    Pfgmpp,
    /// EDM
    Edm,
}

impl From<ImportMethod> for pfgm::import::Method {
    fn from(method: ImportMethod) -> Self {
        match method {
            ImportMethod::Pfgm => Self::Pfgm,
            ImportMethod::Ve => Self::Ve,
            ImportMethod::Vp => Self::Vp,
            ImportMethod::SubVp => Self::SubVp,
            ImportMethod::Pfgmpp => Self::PfgmPp,
            ImportMethod::Edm => Self::Edm,
        }
    }
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A checkpoint of PyTorch: .pth, .pt or .pkl
    pub file: PathBuf,

    /// The folder to write the run to
    #[arg(short = 'o', long, value_name = "DIR")]
    pub out: PathBuf,

    /// What the network was trained as [default: as its shape tells, or as published]
    #[arg(long, value_enum)]
    pub method: Option<ImportMethod>,

    /// Height and width of the images, as in 32x32 [default: as its names tell, or 32x32]
    #[arg(long, value_name = "HxW")]
    pub size: Option<String>,

    /// What images were scaled to in training, for VE models [default: -1,1; score-SDE's own VE configurations: 0,1]
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    pub images: Option<String>,

    /// A preset or configuration with the noise levels and the solver, as in celeba64 [default: as published for CIFAR-10]
    #[arg(long, value_name = "PRESET|FILE.toml")]
    pub like: Option<String>,

    /// D, for PFGM++ [default: 2048]
    #[arg(long, value_name = "D")]
    pub augmentation: Option<String>,
}

#[derive(Debug, Args)]
pub struct PredictArgs {
    /// The folder of a run, or a checkpoint file
    pub run: PathBuf,

    /// Arrays `x` (batch, channels, height, width), the noise level of each as `z`, `sigma` or `t`, and `labels` if any
    #[arg(long, value_name = "FILE.npz")]
    pub at: PathBuf,

    /// The arrays to write: the network's own outputs, `yhat`, and the score
    #[arg(short = 'o', long, value_name = "FILE.npz")]
    pub out: PathBuf,

    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// How PFGM's field becomes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ArithmeticName {
    /// As the equations have it
    Exact,
    /// As PFGM's released code has it
    Reference,
}

#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// The folder of a run, or a checkpoint file
    pub run: PathBuf,

    /// Array `x` (batch, channels, height, width; of tables batch, columns), the state at the highest noise level, and `labels` if any
    #[arg(long, value_name = "FILE.npz")]
    pub latents: PathBuf,

    /// The arrays to write: `x` in the model's space, and `nfe`
    #[arg(short = 'o', long, value_name = "FILE.npz")]
    pub out: PathBuf,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// Exact, or as the released code of PFGM has it
    #[arg(long, value_enum, default_value = "exact")]
    pub arithmetic: ArithmeticName,

    /// As released: where the network's component along z is trusted, from this z on [default: 5]
    #[arg(long, value_name = "Z", allow_negative_numbers = true)]
    pub z_exp: Option<f64>,

    #[command(flatten)]
    pub compute: ComputeArgs,
}

#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// The folder of a run
    pub run: PathBuf,

    /// Trajectories to find them on; all their states are kept in memory, so take fewer for large images
    #[arg(short = 'n', long, value_name = "N", default_value_t = 64)]
    pub count: usize,

    /// Levels to choose from
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub grid: usize,

    /// The solver that they are for [default: the run's, or dpmpp-2m where that has no grid]
    #[arg(long, value_enum)]
    pub solver: Option<Solver>,

    /// Steps of the solver
    #[arg(long, value_name = "N")]
    pub steps: usize,

    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// How exported weights are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportNames {
    /// By the paths of this program's networks
    Own,
    /// As in PFGM's and the score models' releases, in their layouts
    Pfgm,
    /// As in a checkpoint, without what only training needs: every command takes the file for a run
    Run,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The folder of a run, a checkpoint file, or a run that comes along
    pub run: PathBuf,

    /// The file to write
    #[arg(short = 'o', long, value_name = "FILE.safetensors")]
    pub out: PathBuf,

    /// What the weights are called
    #[arg(long, value_enum, default_value = "own")]
    pub names: ExportNames,
}
