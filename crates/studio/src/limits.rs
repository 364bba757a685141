//! Limits on the resources that clients may use.

use std::time::Duration;

/// Largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 4 << 20;
/// Largest number of rows in a request.
pub const MAX_ROWS: usize = 256;
/// Largest number of rows that are integrated together.
pub const MAX_BATCH_ROWS: usize = 256;
/// Largest number of solver steps.
pub const MAX_STEPS: usize = 1000;
/// Largest number of values in a request: rows times values per row.
pub const MAX_VALUES: usize = 1 << 20;
/// Largest number of rows whose likelihood one request may ask for; each costs many evaluations.
pub const MAX_LIKELIHOOD_ROWS: usize = 64;
/// Largest number of waiting requests.
pub const MAX_WAITING: usize = 64;
/// Largest number of open streams of training logs.
pub const MAX_WATCHERS: usize = 64;
/// Largest width and height of an uploaded image, in pixels.
pub const MAX_PIXELS: u32 = 8192;

/// Limits on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Largest number of open connections; further ones are answered with 503.
    pub connections: usize,
    /// Longest time from an opened or idle connection to a complete request header.
    pub header: Duration,
    /// Longest time that a request body may take to arrive.
    pub body: Duration,
    /// Longest time that a client may take to accept more of an answer.
    pub write: Duration,
    /// Longest time that requests in progress may take after the server started to stop.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: max_connections(open_file_limit()),
            header: Duration::from_secs(15),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// Returns the number of connections that a limit on open files allows. Half of the files are left for runs and data.
fn max_connections(open_files: Option<usize>) -> usize {
    open_files.map_or(256, |files| (files / 2).clamp(1, 256))
}

/// Returns the soft limit on open files of this process, where the system tells.
fn open_file_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_open_files_allow_few_connections() {
        assert_eq!(max_connections(Some(64)), 32);
        assert_eq!(max_connections(Some(1 << 20)), 256);
        assert_eq!(max_connections(None), 256);
    }
}
