//! Data sets as they are typed: `pfgm data`, `pfgm calibrate`, and the flags of every command that reads a table.

use std::path::PathBuf;

use clap::Args;

#[derive(Clone, Debug, Default, Args)]
pub struct DataArgs {
    /// Columns of a table to use, by name or by number from 1 [default: all]
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', help_heading = "Data")]
    pub columns: Option<Vec<String>>,

    /// The column of a table that holds the class
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    pub label: Option<String>,
}

#[derive(Debug, Args)]
pub struct DataCommand {
    /// The data: a path, or a built-in set such as `digits` or `heart`
    pub path: String,

    #[command(flatten)]
    pub table: DataArgs,

    /// The picture to write [default: NAME-contact-sheet.png in the current folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// The data: a path, or a built-in set such as `digits` or `heart`
    #[arg(long, value_name = "PATH")]
    pub data: String,

    #[command(flatten)]
    pub table: DataArgs,

    /// Noise scale nearest to the data, PFGM's sigma; above 0
    #[arg(long, default_value_t = 0.01)]
    pub s: f64,

    /// Growth rate of the noise, PFGM's tau; above 0
    #[arg(long, default_value_t = 0.03)]
    pub tau: f64,
}
