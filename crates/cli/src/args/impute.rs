//! Arguments of `pfgm impute`.

use std::path::PathBuf;

use clap::Args;

use super::ComputeArgs;

#[derive(Debug, Args)]
pub struct ImputeArgs {
    /// The folder of a run that was trained on a table, or a checkpoint file
    pub run: PathBuf,

    /// The table with missing cells: the columns that the run was trained on
    #[arg(long, value_name = "FILE")]
    pub data: String,

    /// Number of draws of the missing cells of each row
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub draws: usize,

    /// The table to write: missing numbers become the mean of the draws, missing categories the most frequent draw; cells that are there are kept [default: imputed.csv in the run's folder]
    #[arg(short = 'o', long, value_name = "FILE.csv")]
    pub out: Option<PathBuf>,

    /// Also write one complete table for each draw (multiple imputation): DIR/draw-01.csv and so on
    #[arg(long, value_name = "DIR")]
    pub multiple: Option<PathBuf>,

    /// Also write means of columns, pooled over the draws by Rubin's rules
    #[arg(long, value_name = "FILE.json")]
    pub json: Option<PathBuf>,

    /// Number of noise levels
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub steps: usize,

    /// Resampling rounds at each noise level (RePaint): more make filled and known cells more consistent, in proportionally more time
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub rounds: usize,

    /// Seed of the first draw; the next ones follow
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,

    /// Batch size
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub batch: usize,

    #[command(flatten)]
    pub compute: ComputeArgs,
}
