//! Errors of reading data sets.

use std::path::Path;

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
        "{path}: not a format known here (images in a folder, zip, tar or LMDB; .npy, .npz; IDX; CIFAR; MATLAB 5; tables: .csv, .tsv, .txt, .data; each also .gz){hint}"
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
    /// Reading would exceed the memory limit for a file of this size.
    #[error("{path}: {what} needs at least {} of memory; {} are allowed for a file of this size on this machine", megabytes(*.need), megabytes(*.limit))]
    TooLarge {
        /// The file.
        path: String,
        /// What needs the memory.
        what: String,
        /// Bytes needed, at least.
        need: u64,
        /// Bytes allowed.
        limit: u64,
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

    pub(crate) fn too_large(path: &Path, what: impl Into<String>, need: u64, limit: u64) -> Self {
        Self::TooLarge { path: path.display().to_string(), what: one_line(&what.into()), need, limit }
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
