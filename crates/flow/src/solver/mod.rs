//! Solvers of the flow: `yhat` calls in, states out.
//!
//! [`Solver`] is a method with its options. [`sample`] runs it from noise to data, [`encode`] from data to noise. Below these, every method
//! is a function that moves a batch of points between two noise levels, in double precision.
//!
//! ```
//! use pfgm_flow::{extra_dims::ExtraDims, field::ExactField, flow::Flow, solver::{Solver, sample}};
//!
//! let extra_dims = ExtraDims::Finite(1.0);
//! let field = ExactField::new(vec![0.5, 0.25, -1.0, 0.75], 2, extra_dims);
//! let flow = Flow { denoiser: &field, extra_dims };
//! let mut x = flow.latents(40.0, 0, 0..3);
//! sample(&flow, &Solver::rk45(1e-6).into(), (1e-3, 40.0), &mut x).unwrap();
//! // Every sample ends at one of the two charges.
//! assert!(x.chunks_exact(2).all(|x| (x[0] - 0.5).abs() < 0.1 || (x[0] + 1.0).abs() < 0.1));
//! ```

mod authors_code;
mod builder;
mod churn;
mod consistency;
mod error;
mod euler;
mod gits;
mod heun;
mod multistep;
mod names;
mod options;
mod overrides;
mod path;
mod perturbation;
mod reverse_sde;
mod rk45;
mod schedule;
mod validation;

pub use authors_code::authors_code;
pub use churn::{Churn, heun_with_churn};
pub use consistency::consistency;
pub use error::{GridError, InvalidOption, SolverError};
pub use euler::euler;
pub use gits::{Search, cheapest, gits};
pub use heun::heun;
pub use multistep::{Formula, History, LinearMultistep, Step, deis, dpmpp, ipndm, multistep, unipc};
pub use names::{Corrector, Method, ScheduleName, UnknownName};
pub use options::{Consistency, Euler, Heun, Multistep, Rk45, Solver, StochasticHeun};
pub use overrides::SolverOverrides;
pub use path::Path;
pub use perturbation::{FixedStep, Perturbed};
pub use reverse_sde::{Langevin, Predictor, ReverseSde, reverse_sde};
pub use rk45::{Course, Tolerance, Variable, rk45, rk45_along, rk45_paths};
pub use schedule::{Grid, Schedule};

use crate::flow::{Denoiser, FarField, Flow};

/// Carries every row of `x` from the highest noise level of `range` to the lowest, in place. The noise of a stochastic solver depends on
/// the number of the row.
///
/// # Errors
/// If an option cannot work at this D, RK45 cannot meet its tolerance, the flow is not finite, or there is no grid.
pub fn sample(flow: &Flow, solver: &Solver, range: (f64, f64), x: &mut [f64]) -> Result<(), SolverError> {
    let seeds: Vec<u64> = (0..(x.len() / flow.denoiser.dim()) as u64).collect();
    sample_seeded(flow, solver, range, &seeds, x)
}

/// [`sample`] with a seed for each row; the noise of a stochastic solver depends on it alone.
///
/// # Shapes
/// `x`: `[rows, dim]`, `seeds`: `[rows]`
///
/// # Errors
/// As [`sample`].
///
/// # Panics
/// If there are not as many seeds as rows.
pub fn sample_seeded(
    flow: &Flow,
    solver: &Solver,
    range: (f64, f64),
    seeds: &[u64],
    x: &mut [f64],
) -> Result<(), SolverError> {
    assert_eq!(seeds.len() * flow.denoiser.dim(), x.len(), "a seed for each row");
    solver.check(flow.extra_dims)?;
    let (low, high) = range;
    let far = FarField { inner: flow.denoiser, at: high };
    let starts_far = |afs: bool| Flow { denoiser: if afs { &far as &dyn Denoiser } else { flow.denoiser }, ..*flow };
    let levels = solver.grid().map(|grid| grid.levels(solver.method(), range)).transpose()?.unwrap_or_default();
    // Heun's last step goes to zero.
    let to_zero = || levels.iter().copied().chain([0.0]).collect::<Vec<_>>();
    let mut denoise = None;
    match solver {
        Solver::Euler(options) => {
            let flow = starts_far(options.afs);
            let method: FixedStep = if options.improved { heun } else { euler };
            if options.perturbation > 0.0 {
                Perturbed { method, share: options.perturbation }.run(&flow, &levels, seeds, x);
            } else {
                method(&flow, &levels, x);
            }
            denoise = options.denoise.then_some(flow);
        }
        Solver::Heun(options) => {
            let flow = starts_far(options.afs);
            if options.perturbation > 0.0 {
                Perturbed { method: heun, share: options.perturbation }.run(&flow, &to_zero(), seeds, x);
            } else {
                heun(&flow, &to_zero(), x);
            }
        }
        Solver::StochasticHeun(options) => heun_with_churn(flow, &options.churn, &to_zero(), seeds, x)?,
        Solver::Rk45(options) => {
            rk45(flow, high, low, options.tolerance, x)?;
            denoise = options.denoise.then_some(Flow { ..*flow });
        }
        Solver::Multistep(options) => {
            let flow = starts_far(options.afs);
            multistep(&flow, options.method, &levels, History::default(), x);
            denoise = options.denoise.then_some(flow);
        }
        Solver::ReverseSde(options) => reverse_sde(flow.denoiser, options, range, seeds, x),
        Solver::Consistency(_) => consistency(flow, &levels, seeds, x),
    }
    if let Some(flow) = denoise {
        euler(&flow, &[low, 0.0], x);
    }
    finite(flow, low, x)
}

/// Carries every row of `x` from the lowest noise level of `range` to the highest, in place: the inverse of [`sample`] without a last step
/// to zero, where the flow cannot start.
///
/// # Errors
/// As [`sample`]; and if the solver is not [reversible](Solver::is_reversible).
pub fn encode(flow: &Flow, solver: &Solver, range: (f64, f64), x: &mut [f64]) -> Result<(), SolverError> {
    if !solver.is_reversible() {
        return Err(SolverError::NotReversible(solver.method()));
    }
    solver.check(flow.extra_dims)?;
    let (low, high) = range;
    let mut levels = solver.grid().map(|grid| grid.levels(solver.method(), range)).transpose()?.unwrap_or_default();
    if levels.len() == 1 {
        // Heun's only step goes from the highest level to zero; upwards it is the whole way.
        levels.push(low);
    }
    levels.reverse();
    match solver {
        Solver::Euler(Euler { improved: false, .. }) => euler(flow, &levels, x),
        Solver::Euler(_) | Solver::Heun(_) => heun(flow, &levels, x),
        Solver::Rk45(options) => rk45(flow, low, high, options.tolerance, x)?,
        Solver::Multistep(options) => multistep(flow, options.method, &levels, History::default(), x),
        Solver::StochasticHeun(_) | Solver::ReverseSde(_) | Solver::Consistency(_) => {
            return Err(SolverError::NotReversible(solver.method()));
        }
    }
    finite(flow, high, x)
}

fn finite(flow: &Flow, sigma: f64, x: &[f64]) -> Result<(), SolverError> {
    match x.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(SolverError::NotFinite { sigma, item: at / flow.denoiser.dim() }),
        None => Ok(()),
    }
}

impl Solver {
    /// The same method with another number of steps; RK45 has none. Given levels are replaced by the method's own schedule.
    #[must_use]
    pub fn with_steps(self, steps: usize) -> Self {
        let overrides = SolverOverrides { steps: Some(steps), ..SolverOverrides::default() };
        overrides.apply_lenient(&self).unwrap_or(self)
    }

    /// The options as a flat table, as files and requests have them; [`SolverOverrides::apply`] is the inverse.
    pub fn to_options(&self) -> SolverOverrides {
        SolverOverrides::of(self)
    }
}
