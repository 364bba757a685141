//! The exact field of a set of charges, and what moves along it.
//!
//! Everything here needs nothing but charges: D ([`extra_dims`]), the noise kernel that is also the prior ([`prior`]), the one
//! right-hand side `dx / d ln sigma = x - yhat` ([`flow`]), its exact `yhat` ([`field`]), steps of given length ([`solver`]) and
//! where points lie on the far hemisphere ([`hemisphere`]). The library `pfgm` gives all of it on under its own name; the page of
//! `pfgm studio` runs it as WebAssembly.

pub mod extra_dims;
pub mod field;
pub mod field_lines;
pub mod flow;
pub mod hemisphere;
pub mod latent;
pub mod likelihood;
pub mod particles;
pub mod prior;
pub mod process;
pub mod random;
pub mod restoration;
pub mod solver;
pub mod testing;
