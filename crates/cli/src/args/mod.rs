//! The command line: raw values before validation. One file for each group of commands.

mod average;
mod bench;
pub mod cascade;
pub mod compare;
mod compute;
mod data;
mod distill;
#[cfg(test)]
mod documented;
pub mod evaluate;
mod field;
mod figure;
mod guidance;
mod import;
mod impute;
pub mod latents;
mod points;
mod posterior;
mod restore;
mod sample;
mod schedule;
mod solver;
pub mod studio;
mod train;

pub use average::AverageArgs;
pub use bench::{BenchArgs, BenchNetwork, BenchTask};
use clap::{Parser, Subcommand};
pub use compute::{ComputeArgs, RanksArgs};
pub use data::{CalibrateArgs, DataArgs, DataCommand};
pub use distill::{DistillArgs, DistillMethod};
pub use field::{FieldArgs, Story};
pub use figure::{ChartFormat, FigureArgs, Frames, StyleArgs};
pub use guidance::GuidanceArgs;
pub use import::{ExportArgs, ExportFormat, ExportNames, ExportPart, ImportArgs};
pub use impute::ImputeArgs;
pub use points::{ArithmeticName, DecodeArgs, PredictArgs};
pub use posterior::{RestoreArgs, RestoreMethod};
pub use restore::{AnomalyArgs, DenoiseArgs, InpaintArgs, WhenLikelihood};
pub use sample::{FilesArgs, SampleArgs};
pub use schedule::ScheduleArgs;
pub use solver::{ProcessArg, SolverArgs};
pub use train::TrainArgs;

/// Poisson flow generative models (PFGM, PFGM++): train on your data, sample, evaluate.
#[derive(Debug, Parser)]
#[command(name = "pfgm", version, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "Start with `pfgm train digits`, or with your own data: `pfgm train PATH`")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// Number of threads [default: one for each core]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,

    /// Vector instructions: portable, avx2, avx512 or neon [default: the widest that the processor has]
    #[arg(long, global = true, value_name = "NAME")]
    pub vectors: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a model: on a data set, from a preset or a configuration file, or resume a run
    Train(Box<TrainArgs>),
    /// Distill a run into one that draws samples in one or two evaluations
    Distill(Box<DistillArgs>),
    /// Make another average of a run's weights from its snapshots
    Average(AverageArgs),
    /// Draw samples from a trained model, or from the exact field of a data set
    Sample(Box<SampleArgs>),
    /// Train or sample a cascade: a model of small images, and models that upscale them
    Cascade(cascade::CascadeCommand),
    /// Draw the exact field of a set of charges: field lines, hemisphere, figures of the papers
    Field(FieldArgs),
    /// Compare samples with a reference: Frechet distance, KID, inception score, precision, recall, density, coverage
    Evaluate(Box<evaluate::EvaluateArgs>),
    /// Compare runs, solvers and numbers of steps: a table and a web page of scores; resumes where it was stopped
    Compare(compare::CompareArgs),
    /// Compare norms along a run's trajectories with those of training points
    Diagnose(compare::DiagnoseCommand),
    /// Describe a data set and draw a contact sheet
    Data(DataCommand),
    /// Compute PFGM's noise range (M, z_max) for a data set
    Calibrate(CalibrateArgs),
    /// Convert a published checkpoint (PFGM, score models, EDM, PFGM++) into a run
    Import(ImportArgs),
    /// Write a run's network for other programs: safetensors, a folder of diffusers, or ONNX
    Export(ExportArgs),
    /// Evaluate a run's network at given points
    Predict(PredictArgs),
    /// Search the noise levels for a solver with few steps (GITS), and store them in the run
    Schedule(ScheduleArgs),
    /// Map given latents to data: solve the flow from the prior to the data
    Decode(DecodeArgs),
    /// Compute the log-likelihood of data
    Likelihood(latents::LikelihoodArgs),
    /// Map data to latents: solve the flow from the data to the prior
    Encode(latents::EncodeArgs),
    /// Draw interpolations between latents of seeds or images
    Interpolate(latents::InterpolateArgs),
    /// Draw samples of latents whose norms are scaled
    Temperature(latents::TemperatureArgs),
    /// Draw rows moved in latent space by the difference of two classes' means
    Arithmetic(latents::ArithmeticArgs),
    /// Restore rows from measurements: draws from the posterior distribution, their mean and standard deviation
    Restore(Box<RestoreArgs>),
    /// Remove noise from images
    Denoise(DenoiseArgs),
    /// Fill masked parts of images
    Inpaint(InpaintArgs),
    /// Fill missing cells of a table: draws given the cells that are there
    Impute(ImputeArgs),
    /// Score rows by how anomalous they are to a run
    Anomaly(AnomalyArgs),
    /// Open the studio: fields, samples and trainings in the browser, and an HTTP API
    Studio(studio::StudioArgs),
    /// Measure the time of inference and of a training step, as JSON
    Bench(BenchArgs),
    /// Explain the keys of a configuration file: meaning, default, values, symbol in the papers
    Config {
        /// A key or a table, such as train.lr, lr or network [default: all]
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// Print a completion script for a shell, as in `pfgm completions bash > /etc/bash_completion.d/pfgm`
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print a page of the reference as Markdown, or the manual page of a command
    #[command(hide = true)]
    Reference {
        #[arg(value_enum)]
        page: ReferencePage,
        /// The command of a manual page [default: pfgm itself]
        command: Option<String>,
    },
    /// List the presets, or print one as a configuration file
    Presets {
        /// The preset to print
        name: Option<String>,
    },
}

/// Generated pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReferencePage {
    /// docs/reference/configuration.md
    Configuration,
    /// docs/reference/commands.md
    Commands,
    /// A manual page in roff
    Man,
}

impl Command {
    /// The processes that the command's work is divided among.
    pub fn ranks(&self) -> RanksArgs {
        match self {
            Self::Train(args) => args.ranks.clone(),
            Self::Sample(args) => args.ranks.clone(),
            Self::Evaluate(args) => args.ranks.clone(),
            Self::Likelihood(args) => args.ranks.clone(),
            _ => RanksArgs::default(),
        }
    }
}
