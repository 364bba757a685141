//! Options of [`open`](crate::open): what decides where data are ambiguous.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Load;

/// Options of [`open`](crate::open). The defaults decide by rule and refuse what they cannot decide.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenOptions {
    /// Columns of a table to read, by name or by number from 1; all if empty.
    pub columns: Vec<String>,
    /// Column of a table that holds the class.
    pub label: Option<String>,
    /// How many times smaller images are made, each pixel the mean of a square of pixels; 0 and 1 leave them.
    pub shrink: usize,
    /// Side of the square that the middle of images in files of their own is scaled to; 0 leaves them.
    pub side: usize,
    /// Whether the rows are loaded into memory.
    pub load: Load,
    /// Array of an archive to read.
    pub array: Option<String>,
    /// Array of an archive that holds the labels; an empty name ignores labels.
    pub labels: Option<String>,
    /// Nominal range of the values, for images the values of black and white.
    pub range: Option<(f32, f32)>,
    /// What is done with transparent pixels.
    pub alpha: Alpha,
    /// Whether the first line of a table holds the names of its columns.
    pub header: Header,
    /// Whether commas in the numbers of a table are decimal points.
    pub decimal: Decimal,
    /// Where the classes of images come from.
    pub classes: Classes,
    /// Whether each file of a folder of arrays is one row.
    pub items: Items,
}

/// What is done with the alpha channel of images in files of their own.
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
    /// Keeps four channels.
    Keep,
    /// Refuses images that are transparent anywhere.
    Refuse,
}

/// Whether the first line of a table holds the names of its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Header {
    /// Decides by rule, and says how.
    #[default]
    Auto,
    /// It does.
    Yes,
    /// It is data.
    No,
}

/// Whether commas in the numbers of a table are decimal points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decimal {
    /// Decides by rule, and refuses to guess where both are possible.
    #[default]
    Auto,
    /// They are not.
    Point,
    /// They are.
    Comma,
}

/// Whether each file of a folder of arrays is one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Items {
    /// Decides by the shapes, and refuses to guess where both are possible.
    #[default]
    Auto,
    /// Each file is one row.
    One,
    /// Each file holds many rows.
    Many,
}

/// Where the classes of images come from. Written as `auto`, `folders`, `prefix`, `none`, or the name of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Classes {
    /// From `dataset.json`, the names of folders or the beginnings of file names, by rule.
    #[default]
    Auto,
    /// From the names of the first folders.
    Folders,
    /// From the beginnings of file names, up to the first `_` or `-`.
    Prefix,
    /// There are none.
    None,
    /// From a file: EDM's `dataset.json`, or a table with the columns name and class.
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
