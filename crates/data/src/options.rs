//! Options of [`open`](crate::open), which resolve ambiguities of the data.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    LimitOverrides, Load,
    table::{Kinds, TableSchema},
};

/// Options of [`open`](crate::open). The defaults follow rules; ambiguities are errors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenOptions {
    /// Columns of a table to read, by name or by number from 1; all if empty.
    pub columns: Vec<String>,
    /// Column of a table that holds the class.
    pub label: Option<String>,
    /// Kinds of columns of a text table, by name; the others follow the rule. `None` reads every column as plain numbers.
    pub kinds: Option<Kinds>,
    /// The columns of a text table as a run knows them, instead of `kinds`, `columns` and `label`.
    pub schema: Option<Arc<TableSchema>>,
    /// Factor by which images are downsampled (box filter); 0 and 1 do nothing.
    pub shrink: usize,
    /// Side to which the central square of image files is resized; 0 does nothing.
    pub side: usize,
    /// Whether the rows are loaded into memory.
    pub load: Load,
    /// Array of an archive to read.
    pub array: Option<String>,
    /// Array of an archive that holds the labels; an empty name ignores labels.
    pub labels: Option<String>,
    /// Nominal range of the values, for images the values of black and white.
    pub range: Option<(f32, f32)>,
    /// Treatment of transparent pixels.
    pub alpha: Alpha,
    /// Whether the first line of a table holds the names of its columns.
    pub header: Header,
    /// Whether commas in the numbers of a table are decimal points.
    pub decimal: Decimal,
    /// Source of the classes of images.
    pub classes: Classes,
    /// Whether each file of a folder of arrays is one row.
    pub items: Items,
    /// Limits that are set in place of those that follow from the size of a file.
    pub limits: LimitOverrides,
}

/// Treatment of the alpha channel of image files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alpha {
    /// Composites over white; over black if nothing is visible over white.
    #[default]
    Auto,
    /// Composites over white.
    White,
    /// Composites over black.
    Black,
    /// Keeps the alpha channel.
    Keep,
    /// Returns an error if an image has transparent pixels.
    Refuse,
}

/// Whether the first line of a table holds the names of its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Header {
    /// Follows a rule, and adds a notice.
    #[default]
    Auto,
    /// The first line is a header.
    Yes,
    /// The first line is data.
    No,
}

/// Whether commas in the numbers of a table are decimal points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decimal {
    /// Follows a rule; returns an error if both are possible.
    #[default]
    Auto,
    /// Commas are not decimal points.
    Point,
    /// Commas are decimal points.
    Comma,
}

/// Whether each file of a folder of arrays is one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Items {
    /// Depends on the shapes; returns an error if both are possible.
    #[default]
    Auto,
    /// Each file is one row.
    One,
    /// Each file holds many rows.
    Many,
}

/// Source of the classes of images. Written as `auto`, `folders`, `prefix`, `none`, or the name of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Classes {
    /// `dataset.json`, the names of folders or the prefixes of file names, by rule.
    #[default]
    Auto,
    /// The names of the top-level folders.
    Folders,
    /// The prefixes of file names, up to the first `_` or `-`.
    Prefix,
    /// No classes.
    None,
    /// A file: EDM's `dataset.json`, or a table with the columns name and class.
    File(String),
}

impl From<String> for Classes {
    fn from(text: String) -> Self {
        match text.as_str() {
            "auto" | "" => Self::Auto,
            "folders" => Self::Folders,
            "prefix" => Self::Prefix,
            "none" => Self::None,
            _ => Self::File(text),
        }
    }
}

impl From<Classes> for String {
    fn from(classes: Classes) -> Self {
        classes.to_string()
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Folders => "folders",
            Self::Prefix => "prefix",
            Self::None => "none",
            Self::File(path) => path,
        })
    }
}
