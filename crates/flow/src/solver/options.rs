//! The solvers with their options: what cannot go together cannot be written.
//!
//! Each constructor of [`Solver`] returns the options of one method, with only the setters that the method has; it converts into a
//! [`Solver`].
//!
//! ```
//! use pfgm_flow::solver::{Schedule, Solver};
//!
//! let deterministic: Solver = Solver::heun(18).into();
//! let stochastic: Solver = Solver::heun(256).churn(40.0).churn_levels(0.05, 50.0).churn_noise(1.003).into();
//! let multistep: Solver = Solver::unipc(2, 10).schedule(Schedule::EDM).afs(true).into();
//! assert!(deterministic.is_reversible() && !stochastic.is_reversible());
//! assert_eq!(multistep.method().as_str(), "unipc-2");
//! ```

use super::{Churn, Grid, LinearMultistep, Method, Predictor, ReverseSde, Tolerance};
use crate::process::Process;

/// A solver of the flow with its options; the module's documentation has examples.
///
/// In files and requests it is a table with the key `method` and the keys of that method ([`SolverOverrides`](super::SolverOverrides) lists them).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Solver {
    /// Euler's or improved Euler's method.
    Euler(Euler),
    /// Heun's method with a last step to zero, as in EDM.
    Heun(Heun),
    /// EDM's stochastic sampler.
    StochasticHeun(StochasticHeun),
    /// Dormand-Prince 5(4) with adaptive steps.
    Rk45(Rk45),
    /// A multistep method.
    Multistep(Multistep),
    /// A sampler of the reverse SDE.
    ReverseSde(ReverseSde),
    /// Jumps with a consistency function, for distilled models.
    Consistency(Consistency),
}

/// Options of Euler's method, and of improved Euler's (Heun's method without a step to zero).
#[derive(Clone, Debug, PartialEq)]
pub struct Euler {
    /// Whether it is improved Euler's method: order 2 and two evaluations a step instead of order 1 and one.
    pub improved: bool,
    /// The noise levels; log-uniform by default.
    pub grid: Grid,
    /// Whether the far field replaces the first evaluation ([`FarField`](crate::flow::FarField)).
    pub afs: bool,
    /// Whether a last Euler step to sigma = 0 replaces the state by yhat.
    pub denoise: bool,
    /// The standard deviation of the noise added before each step, as a share of sigma; 0 for none.
    pub perturbation: f64,
}

/// Options of Heun's method as in EDM: `2 steps - 1` evaluations, since the last step goes to sigma = 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Heun {
    /// The noise levels above zero; EDM's schedule by default.
    pub grid: Grid,
    /// Whether the far field replaces the first evaluation ([`FarField`](crate::flow::FarField)).
    pub afs: bool,
    /// The standard deviation of the noise added before each step, as a share of sigma; 0 for none.
    pub perturbation: f64,
}

/// Options of EDM's stochastic sampler, for infinite D and D = 1.
#[derive(Clone, Debug, PartialEq)]
pub struct StochasticHeun {
    /// The noise levels above zero; EDM's schedule by default.
    pub grid: Grid,
    /// The noise that is added.
    pub churn: Churn,
}

/// Options of RK45.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rk45 {
    /// The error that a step may have.
    pub tolerance: Tolerance,
    /// Whether a last Euler step to sigma = 0 replaces the state by yhat.
    pub denoise: bool,
}

/// Options of a multistep method: one evaluation a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Multistep {
    /// The method.
    pub method: LinearMultistep,
    /// The noise levels; log-uniform by default.
    pub grid: Grid,
    /// Whether the far field replaces the first evaluation ([`FarField`](crate::flow::FarField)).
    pub afs: bool,
    /// Whether a last Euler step to sigma = 0 replaces the state by yhat.
    pub denoise: bool,
}

/// Options of sampling with a consistency function: one evaluation a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Consistency {
    /// The noise levels from which it jumps to the data, and the lowest level at the end; log-uniform by default.
    pub grid: Grid,
}

impl Solver {
    /// The name of the method.
    pub fn method(&self) -> Method {
        match self {
            Self::Euler(Euler { improved: false, .. }) => Method::Euler,
            Self::Euler(_) => Method::ImprovedEuler,
            Self::Heun(_) | Self::StochasticHeun(_) => Method::Heun,
            Self::Rk45(_) => Method::Rk45,
            Self::Multistep(multistep) => multistep.method.name(),
            Self::ReverseSde(sde) => match sde.predictor {
                Predictor::EulerMaruyama => Method::ReverseSde,
                Predictor::ReverseDiffusion => Method::ReverseDiffusion,
                Predictor::Ancestral => Method::Ancestral,
            },
            Self::Consistency(_) => Method::Consistency,
        }
    }

    /// The grid of noise levels; None if the method has none.
    pub fn grid(&self) -> Option<&Grid> {
        match self {
            Self::Euler(Euler { grid, .. })
            | Self::Heun(Heun { grid, .. })
            | Self::StochasticHeun(StochasticHeun { grid, .. })
            | Self::Multistep(Multistep { grid, .. })
            | Self::Consistency(Consistency { grid }) => Some(grid),
            Self::Rk45(_) | Self::ReverseSde(_) => None,
        }
    }

    /// The grid of noise levels, to be changed; None if the method has none.
    pub fn grid_mut(&mut self) -> Option<&mut Grid> {
        match self {
            Self::Euler(Euler { grid, .. })
            | Self::Heun(Heun { grid, .. })
            | Self::StochasticHeun(StochasticHeun { grid, .. })
            | Self::Multistep(Multistep { grid, .. })
            | Self::Consistency(Consistency { grid }) => Some(grid),
            Self::Rk45(_) | Self::ReverseSde(_) => None,
        }
    }

    /// The number of steps; None for RK45.
    pub fn steps(&self) -> Option<usize> {
        match self {
            Self::Rk45(_) => None,
            Self::ReverseSde(sde) => Some(sde.steps),
            _ => self.grid().map(|grid| grid.steps(self.method())),
        }
    }

    /// The tolerance of RK45; None for methods with given steps.
    pub fn tolerance(&self) -> Option<Tolerance> {
        match self {
            Self::Rk45(rk45) => Some(rk45.tolerance),
            _ => None,
        }
    }

    /// The noise added before each step, as a share of sigma; 0 for none.
    pub fn perturbation(&self) -> f64 {
        match self {
            Self::Euler(Euler { perturbation, .. }) | Self::Heun(Heun { perturbation, .. }) => *perturbation,
            _ => 0.0,
        }
    }

    /// Whether it can run from data to noise: whether it adds no noise of its own.
    pub fn is_reversible(&self) -> bool {
        !matches!(self, Self::ReverseSde(_) | Self::StochasticHeun(_) | Self::Consistency(_))
            && self.perturbation() == 0.0
    }

    /// The number of evaluations for each sample; None for RK45, which depends on the flow.
    pub fn evaluations(&self) -> Option<usize> {
        let steps = self.steps()?;
        let per_step = match self {
            Self::Heun(_) | Self::StochasticHeun(_) | Self::Euler(Euler { improved: true, .. }) => 2,
            Self::ReverseSde(sde) => 1 + sde.corrector.map_or(0, |langevin| langevin.steps),
            _ => 1,
        };
        let (afs, denoise) = match self {
            Self::Euler(Euler { afs, denoise, .. }) | Self::Multistep(Multistep { afs, denoise, .. }) => {
                (*afs, *denoise)
            }
            // The step to zero needs one evaluation, not two.
            Self::Heun(Heun { afs, .. }) => return Some(2 * steps - 1 - usize::from(*afs)),
            Self::StochasticHeun(_) => return Some(2 * steps - 1),
            Self::Rk45(_) | Self::ReverseSde(_) | Self::Consistency(_) => (false, false),
        };
        Some(steps * per_step + usize::from(denoise) - usize::from(afs))
    }

    /// Sets whether a last Euler step to sigma = 0 replaces the state by yhat. Heun's method, the samplers of the reverse SDE and
    /// consistency functions always end at sigma = 0.
    pub fn set_denoise(&mut self, to: bool) {
        match self {
            Self::Euler(Euler { denoise, .. })
            | Self::Rk45(Rk45 { denoise, .. })
            | Self::Multistep(Multistep { denoise, .. }) => {
                *denoise = to;
            }
            Self::Heun(_) | Self::StochasticHeun(_) | Self::ReverseSde(_) | Self::Consistency(_) => {}
        }
    }

    /// Replaces a GITS schedule and given levels by the method's own schedule with as many steps.
    pub fn reset_schedule(&mut self) {
        let (method, steps) = (self.method(), self.steps().unwrap_or(0));
        if let Some(grid) = self.grid_mut()
            && matches!(grid, Grid::Gits { .. } | Grid::Levels(_))
        {
            *grid = Grid::of_method(method, steps);
        }
    }

    /// The same for a model that was trained on a process: a sampler of the reverse SDE reverses it unless it names another.
    #[must_use]
    pub fn for_process(mut self, process: Process) -> Self {
        if let Self::ReverseSde(sde) = &mut self {
            sde.process.get_or_insert(process);
        }
        self
    }
}
