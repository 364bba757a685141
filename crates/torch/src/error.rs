//! Errors of reading checkpoints, one line each.

/// Text of a file, such as a name, for a message of one line: spaces stand for control characters.
///
/// ```
/// assert_eq!(pfgm_torch::one_line("a\nname"), "a name");
/// ```
pub fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

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
    #[error("{path}: {}", one_line(problem))]
    Malformed {
        /// The file.
        path: String,
        /// What is malformed or not supported.
        problem: String,
    },
    /// The file calls a function that is known to execute code.
    #[error("{path}: asks to run {}, which a checkpoint has no reason to: refused", one_line(name))]
    Refused {
        /// The file.
        path: String,
        /// The name of the function.
        name: String,
    },
    /// The file exceeds a limit.
    #[error("{path}: {}; no checkpoint needs as much: refused", one_line(problem))]
    TooMuch {
        /// The file.
        path: String,
        /// The quantity that is limited.
        problem: String,
    },
}
