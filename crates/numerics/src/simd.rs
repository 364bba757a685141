//! The vector (SIMD) instructions that kernels compute with, chosen at run time.
//!
//! Each kernel is written once, generic over [`pulp::Simd`], and receives the instructions as an [`Arch`].
//! [`Arch::Scalar`] works on every processor; tests compare the other kinds with it.

use std::sync::OnceLock;

pub use pulp::Arch;

static CHOSEN: OnceLock<Arch> = OnceLock::new();

/// Returns the vector instructions of this process: the widest of the processor, unless [`set_arch`] was called first.
pub fn arch() -> Arch {
    *CHOSEN.get_or_init(Arch::new)
}

/// Sets the vector instructions of this process. Returns `false`, and changes nothing, if they were already in use.
pub fn set_arch(arch: Arch) -> bool {
    CHOSEN.set(arch).is_ok()
}

/// Lists every kind of vector instructions of this processor, the portable one first.
pub fn available() -> Vec<Arch> {
    #[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(unused_mut))]
    let mut all = vec![Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        all.extend(pulp::x86::V3::try_new().map(Arch::V3));
        all.extend(pulp::x86::V4::try_new().map(Arch::V4));
    }
    #[cfg(target_arch = "aarch64")]
    if !matches!(Arch::new(), Arch::Scalar) {
        all.push(Arch::new());
    }
    all
}

/// Returns the name of the vector instructions: `portable`, `avx2`, `avx512` or `neon`.
pub fn name(arch: Arch) -> &'static str {
    match arch {
        Arch::Scalar => "portable",
        #[cfg(target_arch = "x86_64")]
        Arch::V3(_) => "avx2",
        #[cfg(target_arch = "x86_64")]
        Arch::V4(_) => "avx512",
        _ if cfg!(target_arch = "aarch64") => "neon",
        _ => "vectors",
    }
}
