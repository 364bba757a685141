//! The exact field of a set of charges, and what moves along it.
//!
//! Everything here needs nothing but charges: D ([`augmentation`]), the noise kernel that is also the prior ([`kernel`]), the one
//! right-hand side `dx / d ln sigma = x - yhat` ([`flow`]), its exact `yhat` ([`field`]), steps of given length ([`fixed`]) and
//! where points lie on the far hemisphere ([`hemisphere`]). The library `pfgm` gives all of it on under its own name; the page of
//! `pfgm studio` runs it as WebAssembly.

pub mod augmentation;
pub mod field;
pub mod fixed;
pub mod flow;
pub mod hemisphere;
pub mod kernel;
pub mod particles;
pub mod random;
