//! What can be wrong with a data set, said so that a person can mend it.

use std::path::Path;

/// Why a data set could not be read. Every message names the file and what to do.
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
    /// The system refused to read the file.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No reader knows the file.
    #[error(
        "{path}: not a format known here (IDX, CIFAR batches, images in a folder or zip, LMDB of images, .npy, .npz, .csv, .tsv, .tar, each also .gz)"
    )]
    UnknownFormat {
        /// The file.
        path: String,
    },
    /// The file breaks the rules of its format.
    #[error("{path}: {problem}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The images of a folder or archive differ in size.
    #[error(
        "{path}: {file} is {found} where the first image is {expected}; crop or resize the images to one size first"
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
    /// A table holds a cell that is no finite number.
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
        /// What stands there.
        cell: String,
    },
    /// A column that was asked for does not exist.
    #[error("{path}: no column `{column}`; there are: {columns}")]
    NoColumn {
        /// The table.
        path: String,
        /// The name asked for.
        column: String,
        /// The names there are.
        columns: String,
    },
    /// There is no row in the data set.
    #[error("{path}: the data set is empty: {problem}")]
    Empty {
        /// The file or folder.
        path: String,
        /// What was looked for.
        problem: String,
    },
}

impl DataError {
    pub(crate) fn malformed(path: &Path, problem: impl Into<String>) -> Self {
        Self::Malformed { path: path.display().to_string(), problem: problem.into() }
    }

    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read { path: path.display().to_string(), source }
    }

    pub(crate) fn empty(path: &Path, problem: impl Into<String>) -> Self {
        Self::Empty { path: path.display().to_string(), problem: problem.into() }
    }
}
