//! Arguments of `pfgm field`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DataArgs, FigureArgs, Frames};

/// Figures that explain Poisson flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Story {
    /// The potential of a density as a sum of Green's functions: of 4 charges, of 16, and in the limit
    GreensFunction,
    /// The field at one point as a sum of arrows, one for each charge
    Superposition,
    /// The field of point charges is the sum of theirs
    EmpiricalField,
    /// The field near the charges, and far away, where it is that of one point charge
    NearFar,
    /// Zooming out: any charges become one point charge; moves with --animate
    ZoomOut,
    /// Tubes of field lines: equal patches of the hemisphere carry equal charge
    FluxTube,
    /// Without the extra dimension, particles end at the center; with it, they return to the data
    ExtraDimension,
    /// The same start in vacuum, water and molasses: with drag a particle follows its field line
    Inertia,
    /// At one time particles are at different heights, at one height they are together
    Anchoring,
    /// Where PFGM's training points lie
    TrainingPoints,
    /// Training points of images: an image, perturbed at several sigma for several D, and the target of each
    TrainingImages,
    /// The hemisphere projected onto the plane z = z_max; moves with --animate
    Projection,
    /// Steps in z and in ln z: evaluations to the same error
    ChangeOfVariable,
    /// Trajectories for several D
    Dimensions,
    /// The same data as a gas that spreads by diffusion and by the noise of D = 1; moves with --animate
    Diffusion,
    /// Norms of samples of digits on their way, and of training points, against sigma and z
    Norms,
    /// Charges without compact support: Gaussian and Student-t
    NonCompact,
    /// The flow given a measurement: prior, measurement, exact posterior, and its approximation by MMPS
    Posterior,
    /// The flow carries a density, and the mass of a region stays the same; moves with --animate
    Continuity,
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
    #[arg(long, value_enum, conflicts_with = "density")]
    pub story: Option<Story>,

    /// Draw the density at four values of z, and check that the flow transports it
    #[arg(long)]
    pub density: bool,

    /// Write an animation: particles rise to the hemisphere, rotate with it, and fall back to the charges; with --story, the figure in motion. A folder (an existing one, or a path that ends in /) gets numbered PNG files
    #[arg(long, value_name = "FILE.gif|.png|DIR/")]
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

    /// Frames of the animation: how many, from 2 [default: 120], or a folder for them as numbered PNG files, ready for an encoder of films; may be given twice
    #[arg(long, value_name = "N|DIR", value_parser = Frames::parse)]
    pub frames: Vec<Frames>,

    #[command(flatten)]
    pub figure: FigureArgs,

    /// Seed of the particles
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
}
