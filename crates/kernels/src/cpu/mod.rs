//! The operations on plain slices, for the CPU.
//!
//! Every operation takes the processor's features as an [`Arch`], found at run time, and is written once for
//! all of them: `Arch::Scalar`, which every processor has, is what the others are tested against.

#[cfg(feature = "networks")]
pub mod adam;
#[cfg(feature = "networks")]
pub mod attention;
#[cfg(feature = "networks")]
mod buffer;
#[cfg(feature = "networks")]
pub mod conv2d;
#[cfg(feature = "networks")]
pub mod dropout;
#[cfg(feature = "networks")]
pub mod elementwise;
#[cfg(feature = "networks")]
pub mod group_norm;
#[cfg(feature = "networks")]
pub mod join;
#[cfg(feature = "networks")]
mod math;
#[cfg(feature = "networks")]
mod matrix;
#[cfg(feature = "networks")]
pub mod probe;
#[cfg(feature = "networks")]
mod product;
#[cfg(feature = "networks")]
pub mod resample;
#[cfg(feature = "networks")]
mod winograd;

use std::sync::OnceLock;

#[cfg(feature = "networks")]
pub use buffer::Buffer;
pub use pulp::Arch;

static CHOSEN: OnceLock<Arch> = OnceLock::new();

/// The vector instructions that Burn's CPU backend computes with: the best there are, unless [`choose`] came first.
pub fn arch() -> Arch {
    *CHOSEN.get_or_init(Arch::new)
}

/// Has everything computed with these vector instructions from now on; true unless something was computed before.
pub fn choose(arch: Arch) -> bool {
    CHOSEN.set(arch).is_ok()
}

/// Every kind of vector instructions that this processor has, the portable one first.
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

/// What vector instructions are called: `portable`, `avx2`, `avx512`, `neon`.
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
