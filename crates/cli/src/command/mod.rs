//! One file a command.

pub mod bench;
pub mod calibrate;
pub mod data;
pub mod presets;
pub mod sample;
pub mod train;

use anyhow::{Context, Result, bail};

/// Computes with so many threads.
pub fn use_threads(threads: usize) -> Result<()> {
    if threads == 0 {
        bail!("--threads 0: give at least 1");
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("--threads cannot be changed now")
}
