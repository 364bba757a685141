//! What the flow is compared with: the stochastic samplers of score models (arXiv 2011.13456; docs/equations.md, section 10).

mod process;
mod reverse_sde;

pub use process::Process;
pub use reverse_sde::{Langevin, Predictor, ReverseSde, reverse_sde};
