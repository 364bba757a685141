//! Lines of text and progress bars.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};

/// Whether this process prints nothing, because another rank prints for all.
static SILENT: AtomicBool = AtomicBool::new(false);
/// Whether a file is written to standard output, so lines go to standard error.
static CARRIES_A_FILE: AtomicBool = AtomicBool::new(false);
/// The first error of standard output.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints nothing from now on.
#[cfg(feature = "mpi")]
pub fn silence() {
    SILENT.store(true, Ordering::Relaxed);
}

/// Whether this process prints nothing.
pub fn is_silent() -> bool {
    SILENT.load(Ordering::Relaxed)
}

/// Sends lines to standard error from now on: a file is written to standard output.
pub(super) fn reserve_stdout() {
    CARRIES_A_FILE.store(true, Ordering::Relaxed);
}

/// Prints a line. An error is stored for [`finish`], so that a computation does not stop before its results are saved.
pub fn line(text: impl fmt::Display) {
    if is_silent() {
        return;
    }
    if CARRIES_A_FILE.load(Ordering::Relaxed) {
        return warn(text);
    }
    if let Err(error) = writeln!(io::stdout(), "{text}") {
        keep(error);
    }
}

/// Prints a line on standard error. There is nowhere to report that this failed.
pub fn warn(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes bytes to standard output.
pub(super) fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Returns the first error of standard output. A closed pipe (`pfgm ... | head`) is not an error.
///
/// # Errors
/// Returns an error if a line could not be printed, for example on a full disk.
pub fn finish() -> Result<()> {
    if let Err(error) = io::stdout().flush() {
        keep(error);
    }
    match FAILURE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
        None => Ok(()),
        Some(error) => Err(anyhow!("standard output: cannot be written: {error}")),
    }
}

fn keep(error: io::Error) {
    if error.kind() != ErrorKind::BrokenPipe {
        FAILURE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
    }
}

/// Creates a progress bar. It is hidden if there is no terminal.
pub fn bar(steps: u64, template: &str) -> Result<ProgressBar> {
    let bar = if is_silent() { ProgressBar::hidden() } else { ProgressBar::new(steps) };
    Ok(bar.with_style(ProgressStyle::with_template(template)?))
}

/// Creates a progress bar with the number of finished items and the remaining time.
pub fn progress(what: &'static str, count: usize) -> ProgressBar {
    bar(count as u64, "{msg} {wide_bar} {pos}/{len}  {eta} left").expect("a template").with_message(what)
}
