//! Arguments of `pfgm field`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::DataArgs;

/// Figures that explain Poisson flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Story {
    /// The field near the charges, and far away, where it is that of one point charge
    NearFar,
    /// Without the extra dimension, particles end at the center; with it, they return to the data
    ExtraDimension,
    /// The field of point charges is the sum of theirs
    EmpiricalField,
    /// Where PFGM's training points lie
    TrainingPoints,
    /// The hemisphere projected onto the plane z = z_max
    Projection,
    /// Steps in z and in ln z: evaluations to the same error
    ChangeOfVariable,
    /// Trajectories for several D
    Dimensions,
    /// Charges without compact support: Gaussian and Student-t
    NonCompact,
    /// The flow given a measurement: prior, measurement, exact posterior, and its approximation by MMPS
    Posterior,
    /// All of them, into the folder of -o
    All,
}

#[derive(Debug, Args)]
pub struct FieldArgs {
    /// The charges: `heart`, `disk`, `spiral`, `checkerboard`, `two-moons`, `swiss-roll-2d`, `gaussian`, `student-t`, or a
    /// path to points with one to three columns [default: heart]
    pub data: Option<String>,

    #[command(flatten)]
    pub table: DataArgs,

    /// The figure to write, which may end in .svg or .pdf, too [default: NAME-field.png in the current folder]; with `--story all`, the folder [default: physics]
    #[arg(short = 'o', long, value_name = "FILE|DIR")]
    pub out: Option<PathBuf>,

    /// Draw a figure that explains Poisson flows
    #[arg(long, value_enum, conflicts_with_all = ["density", "animate"])]
    pub story: Option<Story>,

    /// Draw the density at four values of z, and check that the flow transports it
    #[arg(long)]
    pub density: bool,

    /// Write an animation: particles rise to the hemisphere, rotate with it, and fall back to the charges
    #[arg(long, value_name = "FILE.gif|.png")]
    pub animate: Option<PathBuf>,

    /// D, the number of extra dimensions, above 0 or inf
    #[arg(
        short = 'D',
        long = "extra-dims",
        alias = "augmentation",
        value_name = "D",
        allow_negative_numbers = true,
        default_value = "1"
    )]
    pub extra_dims: String,

    /// Maximum number of charges; more rows are subsampled
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub charges: usize,

    /// Number of field lines
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub lines: usize,

    /// Number of particles
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub particles: usize,

    /// Frames of the animation
    #[arg(long, value_name = "N", default_value_t = 120)]
    pub frames: usize,

    /// Resolution: pixels for each unit of a figure, which is about 1200 units wide; from 0.5 to 8
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    pub scale: f64,

    /// Seed of the particles
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
}
