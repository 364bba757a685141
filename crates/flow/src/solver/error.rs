//! Errors of solvers.

use std::fmt;

use super::Method;
use crate::extra_dims::ExtraDims;

/// An option of a solver that cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidOption {
    /// The key of the option, as in [`SolverOverrides`](super::SolverOverrides).
    pub option: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong with it, and what to do.
    pub problem: String,
    /// Another option and the value with which this one would work.
    pub needs: Option<(&'static str, &'static str)>,
}

impl std::error::Error for InvalidOption {}

impl fmt::Display for InvalidOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.option, self.value, self.problem)?;
        match self.needs {
            Some((option, value)) => write!(f, "; set {option} = {value}, or omit it"),
            None => Ok(()),
        }
    }
}

impl InvalidOption {
    pub(crate) fn new(option: &'static str, value: impl ToString, problem: impl Into<String>) -> Self {
        Self { option, value: value.to_string(), problem: problem.into(), needs: None }
    }

    /// An option that would work with another one.
    pub(crate) fn needing(mut self, option: &'static str, value: &'static str) -> Self {
        self.needs = Some((option, value));
        self
    }
}

/// Why a solver stopped.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SolverError {
    /// An option of the solver cannot work.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// The step of RK45 became smaller than the arithmetic can resolve.
    #[error("RK45 cannot meet its tolerance at noise level {sigma:.3e} (sample {item}); raise rtol and atol")]
    StepUnderflow {
        /// The noise level.
        sigma: f64,
        /// The sample.
        item: usize,
    },
    /// The denoiser returned a value that is not finite.
    #[error("yhat is not finite at noise level {sigma:.3e} (sample {item}); the network has diverged")]
    NotFinite {
        /// The noise level.
        sigma: f64,
        /// The sample.
        item: usize,
    },
    /// The code of PFGM's authors has no such solver.
    #[error(
        "the authors' code samples by euler, improved-euler or rk45, on its own grid and without afs; choose one of these, or the \
         exact arithmetic"
    )]
    NotInAuthorsCode,
    /// There is no grid to follow.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The solver adds noise, so it cannot run from data to noise.
    #[error("{0} adds noise and runs from noise to data only; encode with the solver of an ODE, such as rk45")]
    NotReversible(Method),
}

impl SolverError {
    /// The same error with its sample counted from the first of an earlier batch.
    #[must_use]
    pub fn after(self, earlier: usize) -> Self {
        match self {
            Self::StepUnderflow { sigma, item } => Self::StepUnderflow { sigma, item: item + earlier },
            Self::NotFinite { sigma, item } => Self::NotFinite { sigma, item: item + earlier },
            other => other,
        }
    }
}

/// Why there is no grid of noise levels.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// The levels of GITS were not searched for.
    #[error("schedule gits of {intervals} intervals: its levels are not known; search for them first")]
    NotFound {
        /// The number of intervals between the levels.
        intervals: usize,
    },
    /// The levels belong to another range.
    #[error(
        "levels from {first} to {last}: the flow runs from {high} to {low}; give or search for levels of this range"
    )]
    Range {
        /// The first level.
        first: f64,
        /// The last level.
        last: f64,
        /// The lowest level of the flow.
        low: f64,
        /// The highest level of the flow.
        high: f64,
    },
}

/// The error of a stochastic method that the number of extra dimensions does not allow.
pub(crate) fn no_noise_increment(amount: f64, extra_dims: ExtraDims) -> InvalidOption {
    let problem = format!(
        "at D = {extra_dims} no known noise leads from the distribution of one noise level to that of another; use 0 (churn needs \
         infinite D or D = 1)"
    );
    InvalidOption::new("churn", amount, problem)
}
