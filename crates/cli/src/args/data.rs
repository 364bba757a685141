//! Arguments of `pfgm data` and `pfgm calibrate`, and the data flags of all commands.

use std::path::PathBuf;

use clap::Args;
use pfgm_data::{Alpha, Classes, Decimal, Header, Items, KindChoice, LimitOverrides};

use super::FigureArgs;

#[derive(Clone, Debug, Default, Args)]
pub struct DataArgs {
    /// Columns of a table to use, by name or by number from 1 [default: all]
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', help_heading = "Data")]
    pub columns: Option<Vec<String>>,

    /// The column of a table that holds the class
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    pub label: Option<String>,

    /// The kind of a column of a text table: real, positive, integer, count, bounded:LOW,HIGH, category, ordinal, date, or drop; may be repeated [default: by rule, as `pfgm data` prints it]
    #[arg(long = "kind", value_name = "NAME=KIND", value_parser = kind, help_heading = "Data")]
    pub kinds: Vec<(String, KindChoice)>,

    /// The array of an archive that holds the data [default: by its name]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub array: Option<String>,

    /// The array of an archive that holds the labels; an empty name ignores labels [default: by its name]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub labels: Option<String>,

    /// Nominal range of the values, for images the values of black and white [default: by rule]
    #[arg(long, value_name = "LOW,HIGH", value_parser = range, allow_hyphen_values = true, help_heading = "Data")]
    pub range: Option<(f32, f32)>,

    /// Treatment of transparent pixels: auto, white, black (background), keep (as a channel), refuse (error) [default: auto]
    #[arg(long, value_name = "HOW", value_parser = word::<Alpha>, help_heading = "Data")]
    pub alpha: Option<Alpha>,

    /// Whether the first line of a table holds the names of its columns: auto, yes, no [default: auto]
    #[arg(long, value_name = "WHETHER", value_parser = word::<Header>, help_heading = "Data")]
    pub header: Option<Header>,

    /// Decimal sign in tables: auto, point, comma [default: auto]
    #[arg(long, value_name = "SIGN", value_parser = word::<Decimal>, help_heading = "Data")]
    pub decimal: Option<Decimal>,

    /// Source of the classes of images: auto, folders, prefix (of file names), none, or a file [default: auto]
    #[arg(long, value_name = "WHERE", value_parser = word::<Classes>, help_heading = "Data")]
    pub classes: Option<Classes>,

    /// Whether each file of a folder of arrays is one row: auto, one, many [default: auto]
    #[arg(long, value_name = "HOW", value_parser = word::<Items>, help_heading = "Data")]
    pub items: Option<Items>,

    /// A limit on what a file may ask for, such as expanded=8GB; of expanded, image, rows (bytes), columns, entries and depth [default: by the size of the file]
    #[arg(long = "limit", value_name = "NAME=VALUE", help_heading = "Data")]
    pub limits: Vec<LimitOverrides>,
}

impl DataArgs {
    /// All limits that are set; of the same limit the last.
    pub fn limits(&self) -> LimitOverrides {
        self.limits.iter().fold(LimitOverrides::default(), |all, limit| limit.or(all))
    }
}

/// Parses a word as in a configuration file.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
}

fn kind(text: &str) -> Result<(String, KindChoice), String> {
    let (name, kind) = text.rsplit_once('=').ok_or("write NAME=KIND, as in age=count")?;
    Ok((name.to_owned(), kind.parse()?))
}

fn range(text: &str) -> Result<(f32, f32), String> {
    let wrong = || "write two numbers with a comma between, the lower one first, as in 0,1".to_owned();
    let (low, high) = text.split_once(',').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<f32>().ok().filter(|number| number.is_finite()).ok_or_else(wrong);
    let (low, high) = (number(low)?, number(high)?);
    if low < high { Ok((low, high)) } else { Err(wrong()) }
}

#[derive(Debug, Args)]
pub struct DataCommand {
    /// The data: a path, or a built-in set such as `digits` or `heart`
    pub path: String,

    #[command(flatten)]
    pub table: DataArgs,

    /// The picture to write, which may end in .svg or .pdf, too [default: NAME-contact-sheet.png in the current folder]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub figure: FigureArgs,

    /// Also write the properties of the data and all notices to a JSON file
    #[arg(long, value_name = "FILE.json")]
    pub json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// The data: a path, or a built-in set such as `digits` or `heart`
    #[arg(long, value_name = "PATH")]
    pub data: String,

    #[command(flatten)]
    pub table: DataArgs,

    /// Smallest noise scale, PFGM's sigma; above 0
    #[arg(long, default_value_t = 0.01)]
    pub s: f64,

    /// Growth rate of the noise, PFGM's tau; above 0
    #[arg(long, default_value_t = 0.03)]
    pub tau: f64,
}
