//! Solvers of the flow: `yhat` calls in, states out.
//!
//! Every solver moves a batch of points from one noise level to another, in either direction, in double precision. They
//! know nothing of networks and count nothing; [`Counted`](crate::flow::Counted) does.

mod fixed;
mod path;
mod released;
mod rk45;
mod schedule;

use serde::{Deserialize, Serialize};

pub use fixed::{euler, heun};
pub use path::Path;
pub use released::released;
pub use rk45::{Course, Tolerance, Variable, rk45, rk45_along, rk45_paths};
pub use schedule::Schedule;

use crate::flow::{Flow, Query};

/// The methods that a user can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Euler's method in r on a log-uniform grid: order 1, one evaluation a step.
    Euler,
    /// Heun's method in r on a log-uniform grid: order 2, two evaluations a step.
    ImprovedEuler,
    /// Heun's method on the EDM grid, then one Euler step to zero: order 2, `2 steps - 1` evaluations.
    Heun,
    /// Dormand and Prince's 5(4) pair in ln r with step control for each sample by itself.
    Rk45,
}

/// How to solve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SolverConfig {
    /// The method.
    pub method: Method,
    /// Steps of a method with fixed steps.
    pub steps: usize,
    /// Relative tolerance of RK45.
    pub rtol: f64,
    /// Absolute tolerance of RK45.
    pub atol: f64,
    /// Whether a last Euler step to r = 0 replaces the state by yhat. Heun always ends that way.
    pub denoise: bool,
}

impl Default for SolverConfig {
    fn default() -> Self {
        Self { method: Method::Heun, steps: 18, rtol: 1e-4, atol: 1e-4, denoise: false }
    }
}

/// Steps beyond which a grid is surely a slip of the pen.
const MOST_STEPS: usize = 1_000_000;

impl SolverConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// The name of the first that cannot work, its value, and what to give instead.
    pub fn check(&self) -> Result<(), (&'static str, String, &'static str)> {
        if !(1..=MOST_STEPS).contains(&self.steps) {
            return Err(("steps", self.steps.to_string(), "give a number from 1 to 1000000"));
        }
        for (name, value) in [("rtol", self.rtol), ("atol", self.atol)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err((name, value.to_string(), "give a number above 0"));
            }
        }
        Ok(())
    }
}

/// Why a solver gave up.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SolverError {
    /// RK45's step became smaller than the arithmetic can resolve.
    #[error("RK45 cannot meet its tolerance at noise level {sigma:.3e} (sample {item}); raise --rtol and --atol")]
    StepUnderflow {
        /// Where.
        sigma: f64,
        /// Which sample.
        item: usize,
    },
    /// The denoiser returned a value that is not finite.
    #[error("yhat is not finite at noise level {sigma:.3e} (sample {item}); the network has diverged")]
    NotFinite {
        /// Where.
        sigma: f64,
        /// Which sample.
        item: usize,
    },
    /// PFGM's release has no such method.
    #[error("the released samplers are euler, improved-euler and rk45; choose one of these, or the exact arithmetic")]
    NotReleased,
}

impl SolverError {
    /// The same error, its item counted from the first of an earlier batch.
    pub fn after(self, earlier: usize) -> Self {
        match self {
            Self::StepUnderflow { sigma, item } => Self::StepUnderflow { sigma, item: item + earlier },
            Self::NotFinite { sigma, item } => Self::NotFinite { sigma, item: item + earlier },
            Self::NotReleased => Self::NotReleased,
        }
    }
}

/// Carries every row of `x` from the prior's noise level down to the data's, in place.
///
/// # Errors
/// When RK45 cannot meet its tolerance, or the flow is not finite.
pub fn sample(flow: &Flow, config: &SolverConfig, range: (f64, f64), x: &mut [f64]) -> Result<(), SolverError> {
    let (low, high) = range;
    match config.method {
        Method::Euler => euler(flow, &Schedule::LogUniform.grid(high, low, config.steps), x),
        Method::ImprovedEuler => heun(flow, &Schedule::LogUniform.grid(high, low, config.steps), x),
        Method::Heun => {
            let mut grid = Schedule::Edm { rho: 7.0 }.grid(high, low, config.steps - 1);
            grid.push(0.0);
            heun(flow, &grid, x);
        }
        Method::Rk45 => rk45(flow, high, low, Tolerance { rtol: config.rtol, atol: config.atol }, x)?,
    }
    if config.denoise && config.method != Method::Heun {
        euler(flow, &[low, 0.0], x);
    }
    match x.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(SolverError::NotFinite { sigma: low, item: at / flow.denoiser.dim() }),
        None => Ok(()),
    }
}

/// The velocity of all rows of a batch at one noise level.
fn velocity(flow: &Flow, x: &[f64], sigma: f64, out: &mut [f64]) {
    let rows = x.len() / flow.denoiser.dim();
    let item: Vec<usize> = (0..rows).collect();
    flow.velocity(&Query { x, sigma: &vec![sigma; rows], item: &item }, out);
}
