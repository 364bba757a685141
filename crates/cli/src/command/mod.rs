//! Commands, one file each.

pub mod anomaly;
pub mod average;
pub mod bench;
pub mod calibrate;
pub mod cascade;
pub mod compare;
pub mod data;
pub mod decode;
pub mod diagnose;
pub mod distill;
mod drawn;
pub mod evaluate;
pub mod exact;
pub mod export;
pub mod falling;
pub mod field;
pub mod import;
pub mod impute;
pub mod latents;
pub mod likelihood;
pub mod measure;
mod points;
pub mod posterior;
pub mod predict;
pub mod presets;
pub mod reference;
pub mod restore;
pub mod sample;
pub mod schedule;
pub mod studio;
pub mod train;

use std::error::Error;

use anyhow::{Context, Result, bail};
use pfgm_cpu::simd;

/// Starts the threads of computations: as many as given, or one for each core.
pub fn use_threads(threads: Option<usize>) -> Result<()> {
    if threads == Some(0) {
        bail!("--threads 0: give at least 1");
    }
    match rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build_global() {
        Ok(()) => Ok(()),
        Err(error) if error.source().is_some() => Err(error).context(
            "--threads: the system starts no more threads for this process; give fewer, or raise the limit on its memory or threads",
        ),
        // The process computed before the program began: it is a module of Python.
        Err(_) if threads.is_none() => Ok(()),
        Err(error) => Err(error).context("--threads cannot be changed now"),
    }
}

/// Selects the vector instructions by name.
pub fn use_vectors(name: &str) -> Result<()> {
    let available = simd::available();
    let Some(arch) = available.iter().find(|arch| simd::name(**arch) == name) else {
        let names: Vec<_> = available.into_iter().map(simd::name).collect();
        bail!("--vectors {name}: this processor has {}", names.join(", "));
    };
    simd::set_arch(*arch);
    Ok(())
}
