//! What can be wrong with a checkpoint, in one line.

/// Why a checkpoint could not be read. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// The system refused to read the file.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file breaks the rules of its format, or says something that is not understood.
    #[error("{path}: {problem}")]
    Malformed {
        /// The file.
        path: String,
        /// What was not understood.
        problem: String,
    },
    /// The file calls something that is known to run things.
    #[error("{path}: asks to run {name}, which a checkpoint has no reason to: refused")]
    Refused {
        /// The file.
        path: String,
        /// The name it calls.
        name: String,
    },
    /// The file asks for more than a checkpoint ever needs.
    #[error("{path}: {problem}; no checkpoint needs as much: refused")]
    TooMuch {
        /// The file.
        path: String,
        /// What there is too much of.
        problem: String,
    },
}
