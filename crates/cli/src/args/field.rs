//! `pfgm field` as it is typed.

use std::path::PathBuf;

use clap::Args;

use super::DataArgs;
use crate::command::field::Story;

#[derive(Debug, Args)]
pub struct FieldArgs {
    /// The charges: `heart`, `disk`, `spiral`, `checkerboard`, `two-moons`, `swiss-roll-2d`, `gaussian`, `student-t`, or a
    /// path to points of one to three columns [default: heart]
    pub data: Option<String>,

    #[command(flatten)]
    pub table: DataArgs,

    /// The picture to write [default: NAME-field.png here]; of `--story all`, the folder [default: physics]
    #[arg(short = 'o', long, value_name = "FILE.png|DIR")]
    pub out: Option<PathBuf>,

    /// A figure of the story of Poisson flows instead
    #[arg(long, value_enum, conflicts_with_all = ["density", "animate"])]
    pub story: Option<Story>,

    /// Draw the density at four heights, and check that the flow carries it
    #[arg(long)]
    pub density: bool,

    /// Write an animation: particles rise to the hemisphere, turn with it, and fall back to the charges
    #[arg(long, value_name = "FILE.gif|.png")]
    pub animate: Option<PathBuf>,

    /// The number of extra dimensions: a number above 0, or inf
    #[arg(short = 'D', long, value_name = "D", allow_negative_numbers = true, default_value = "1")]
    pub augmentation: String,

    /// Charges at the most; more rows than that are thinned out
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub charges: usize,

    /// Field lines that are drawn
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub lines: usize,

    /// Particles that are followed
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub particles: usize,

    /// Pictures of the animation
    #[arg(long, value_name = "N", default_value_t = 120)]
    pub frames: usize,

    /// Pixels for each unit of a figure's size, which is about 1200 units wide
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    pub scale: f64,

    /// Which random particles
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
}
