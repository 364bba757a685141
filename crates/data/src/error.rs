//! Errors of reading data sets.

use std::path::Path;

use crate::Limit;

/// Error of reading a data set. Every message names the file, what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is nothing at the path.
    #[error("{path}: no such file or folder; give a path, or a built-in data set: {built_in}")]
    NotFound {
        /// The path as given.
        path: String,
        /// The names of the built-in sets.
        built_in: String,
    },
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The format is not recognized.
    #[error(
        "{path}: not a format known here (images in a folder, zip, tar or LMDB; .npy, .npz; IDX; CIFAR; MATLAB 5; Parquet; tables: .csv, .tsv, .txt, .data; each also .gz){hint}"
    )]
    UnknownFormat {
        /// The file.
        path: String,
        /// How to convert it, if known; starts with a semicolon.
        hint: String,
    },
    /// The file violates its format.
    #[error("{path}: {problem}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The images of a folder or archive differ in size.
    #[error(
        "{path}: {file} is {found} where the first image is {expected}; crop or resize the images to one size, or set side to crop and resize the central square of each"
    )]
    MixedSizes {
        /// The folder or archive.
        path: String,
        /// The first image of another size.
        file: String,
        /// Its size.
        found: String,
        /// The size of the first image.
        expected: String,
    },
    /// A cell of a table is not a finite number.
    #[error(
        "{path}: line {line}, column {column}: `{cell}` is not a finite number; fill it in, drop the row, or choose columns"
    )]
    NotANumber {
        /// The table.
        path: String,
        /// The line in the file, from 1.
        line: u64,
        /// The column's name or number.
        column: String,
        /// Content of the cell.
        cell: String,
    },
    /// A selected column does not exist.
    #[error("{path}: no column `{column}`; there are: {columns}")]
    NoColumn {
        /// The table.
        path: String,
        /// The requested name.
        column: String,
        /// The existing names.
        columns: String,
    },
    /// The data can be read in several ways, and an option decides.
    #[error("{path}: {problem}; set {option} to {choices}")]
    Ambiguous {
        /// The file or folder.
        path: String,
        /// What is ambiguous.
        problem: String,
        /// The field of [`OpenOptions`](crate::OpenOptions) that decides.
        option: &'static str,
        /// Values of that field.
        choices: String,
    },
    /// Reading would exceed a limit for a file of this size.
    #[error("{path}: {what} {}; set limits to {}", needs(*.limit, *.need, *.most), suggested(*.limit, *.need))]
    TooLarge {
        /// The file.
        path: String,
        /// What needs so much.
        what: String,
        /// Bytes needed, at least; for limits of numbers, how many there are.
        need: u64,
        /// What is allowed.
        most: u64,
        /// The limit, which [`OpenOptions::limits`](crate::OpenOptions::limits) can set.
        limit: Limit,
    },
    /// The data set has no row.
    #[error("{path}: the data set is empty: {problem}")]
    Empty {
        /// The file or folder.
        path: String,
        /// What is missing.
        problem: String,
    },
}

/// Escapes text from a file, such as names and cells, for a message of one line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

fn megabytes(bytes: u64) -> String {
    match bytes {
        u64::MAX => "more than can be counted".into(),
        _ if bytes >= 1 << 30 => format!("{:.1} GB", bytes as f64 / 1e9),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}

fn needs(limit: Limit, need: u64, most: u64) -> String {
    match limit.is_of_bytes() {
        true => format!(
            "needs at least {} of memory; {} are allowed for a file of this size on this machine",
            megabytes(need),
            megabytes(most)
        ),
        false => format!("has {need} or more where {most} are allowed"),
    }
}

/// A limit that would do, as it is written; a value of the reader's own where what is needed is not known.
fn suggested(limit: Limit, need: u64) -> String {
    let value = match need {
        _ if need > 1 << 50 => "a larger value".to_owned(),
        _ if !limit.is_of_bytes() => need.to_string(),
        _ if need >= 500_000_000 => format!("{}GB", need.div_ceil(1_000_000_000)),
        _ => format!("{}MB", need.div_ceil(1_000_000)),
    };
    format!("{limit}={value} if the file can be trusted")
}

impl DataError {
    pub(crate) fn ambiguous(
        path: &Path,
        problem: impl Into<String>,
        option: &'static str,
        choices: impl Into<String>,
    ) -> Self {
        Self::Ambiguous {
            path: path.display().to_string(),
            problem: one_line(&problem.into()),
            option,
            choices: choices.into(),
        }
    }

    /// `limit` is the limit and what it allows.
    pub(crate) fn too_large(path: &Path, what: impl Into<String>, need: u64, (limit, most): (Limit, u64)) -> Self {
        Self::TooLarge { path: path.display().to_string(), what: one_line(&what.into()), need, most, limit }
    }

    /// Returns the message without its end that names the option, and the value that the option may be set to, for errors that an option
    /// of [`OpenOptions`](crate::OpenOptions) can change.
    pub fn remedy(&self) -> Option<(String, &'static str, String)> {
        match self {
            Self::Ambiguous { path, problem, option, choices } => {
                Some((format!("{path}: {problem}"), option, choices.clone()))
            }
            Self::TooLarge { path, what, need, most, limit } => {
                Some((format!("{path}: {what} {}", needs(*limit, *need, *most)), "limits", suggested(*limit, *need)))
            }
            _ => None,
        }
    }

    pub(crate) fn malformed(path: &Path, problem: impl Into<String>) -> Self {
        Self::Malformed { path: path.display().to_string(), problem: one_line(&problem.into()) }
    }

    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read { path: path.display().to_string(), source }
    }

    pub(crate) fn empty(path: &Path, problem: impl Into<String>) -> Self {
        Self::Empty { path: path.display().to_string(), problem: one_line(&problem.into()) }
    }
}
