//! Arguments of `pfgm sample`.

use std::path::PathBuf;

use clap::Args;

use super::{ArithmeticName, ComputeArgs, DataArgs, FigureArgs, Frames, GuidanceArgs, RanksArgs, SolverArgs};

#[derive(Debug, Args)]
pub struct SampleArgs {
    /// The folder of a run, a checkpoint file, or a bundled model: digits or fashion-mnist
    #[arg(required_unless_present = "exact", conflicts_with = "exact")]
    pub run: Option<PathBuf>,

    /// Sample from the exact field of this data set, without a network: a path, or a built-in set such as `heart`
    #[arg(long, value_name = "DATA", conflicts_with = "distributed")]
    pub exact: Option<String>,

    /// With --exact: a run to compare with the exact field: trajectories, samples, error of its field
    #[arg(long = "run", value_name = "RUN", requires = "exact")]
    pub against: Option<PathBuf>,

    /// With --exact: D, the number of extra dimensions, above 0 or inf [default: 1, or the run's]
    #[arg(
        short = 'D',
        long = "extra-dims",
        alias = "augmentation",
        value_name = "D",
        allow_negative_numbers = true,
        requires = "exact",
        conflicts_with = "against"
    )]
    pub extra_dims: Option<String>,

    #[command(flatten)]
    pub table: DataArgs,

    /// Number of samples
    #[arg(short = 'n', long, value_name = "N", default_value_t = 64, conflicts_with = "seeds")]
    pub count: usize,

    /// Of a flow of latents: side in pixels of the tiles in which samples are decoded; 0 chooses by the available memory [default: data.tile of
    /// the run, or 0]
    #[arg(long, value_name = "PIXELS", conflicts_with = "exact")]
    pub tile: Option<usize>,

    /// Seeds of the samples, as in 0-63 or 3,7,12-15 [default: 0 to N-1]
    #[arg(long, value_name = "SEEDS")]
    pub seeds: Option<String>,

    /// Class of all samples, by name or number [default: classes in the shares of the training data]
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,

    /// Draw all classes equally often, in turn
    #[arg(long, conflicts_with = "class")]
    pub balanced: bool,

    #[command(flatten)]
    pub guidance: GuidanceArgs,

    /// Of a table: draw rows until enough of them fulfill conditions, NAME=VALUE or NAME=LOW..HIGH, as in "age=40..60,sex=F". What is kept has exactly the model's conditional distribution (rejection)
    #[arg(long = "where", value_name = "CONDITIONS", conflicts_with_all = ["exact", "seeds", "distributed", "balanced"])]
    pub conditions: Option<String>,

    /// With --where: rows drawn for each row that is wanted, at most
    #[arg(long, value_name = "N", default_value_t = 100, requires = "conditions")]
    pub tries: usize,

    /// Of a table: give every cell a value, although values are missing in the training data
    #[arg(long, conflicts_with = "exact")]
    pub no_missing: bool,

    #[command(flatten)]
    pub solving: SolverArgs,

    /// End with a denoising step to sigma = 0 (always with heun)
    #[arg(long)]
    pub denoise: bool,

    /// How PFGM's samplers compute a step; with authors-code, the samples of a batch depend on one another
    #[arg(long, value_enum, default_value = "exact")]
    pub arithmetic: ArithmeticName,

    /// With --arithmetic authors-code: z below which the network's z-component is replaced, at least 0 [default: the run's sample.z_exp, or 5]
    #[arg(long, value_name = "Z", allow_negative_numbers = true)]
    pub z_exp: Option<f64>,

    /// With --arithmetic authors-code: norm to which latents are clipped, at least 1 [default: the run's sample.upper_norm, or 3000]
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub upper_norm: Option<f64>,

    /// The picture to write, which may end in .svg or .pdf, too [default: sampled.png in the run's folder; with --exact, NAME-exact.png in the current folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub files: FilesArgs,

    #[command(flatten)]
    pub figure: FigureArgs,

    /// Also write an animation of noise that becomes images, of at most 100 samples; a folder (an existing one, or a path that ends in /) gets numbered PNG files
    #[arg(long, value_name = "FILE.gif|.png|DIR/", conflicts_with_all = ["exact", "distributed"])]
    pub animate: Option<PathBuf>,

    /// Frames of the animation: how many, from 2 to 10000 [default: 60], or a folder for them as numbered PNG files, ready for an encoder of films; may be given twice
    #[arg(long, value_name = "N|DIR", value_parser = Frames::parse, conflicts_with_all = ["exact", "distributed"])]
    pub frames: Vec<Frames>,

    /// Batch size
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,

    #[command(flatten)]
    pub compute: ComputeArgs,

    #[command(flatten)]
    pub ranks: RanksArgs,
}

/// Files of samples other than the picture.
#[derive(Debug, Default, Args)]
pub struct FilesArgs {
    /// Also write samples, seeds and classes as arrays
    #[arg(long, value_name = "FILE.npz")]
    pub npz: Option<PathBuf>,

    /// Also write each sample as an image, named by its seed
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,

    /// Also write the samples as a table
    #[arg(long, value_name = "FILE.csv")]
    pub csv: Option<PathBuf>,
}
