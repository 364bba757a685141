//! Errors of reading checkpoints, one line each: spaces stand for control characters of quoted names.

/// Why a checkpoint could not be read. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file violates its format, or uses a part of it that is not supported.
    #[error("{path}: {}", problem.replace(char::is_control, " "))]
    Malformed {
        /// The file.
        path: String,
        /// What is malformed or not supported.
        problem: String,
    },
    /// The file calls a function that is known to execute code.
    #[error("{path}: asks to run {}, which a checkpoint has no reason to: refused", name.replace(char::is_control, " "))]
    Refused {
        /// The file.
        path: String,
        /// The name of the function.
        name: String,
    },
    /// The file exceeds a limit.
    #[error("{path}: {}; no checkpoint needs as much: refused", problem.replace(char::is_control, " "))]
    TooMuch {
        /// The file.
        path: String,
        /// The quantity that is limited.
        problem: String,
    },
}
