//! Solvers of the flow: `yhat` calls in, states out.
//!
//! Every solver moves a batch of points from one noise level to another, in either direction, in double precision. They
//! know nothing of networks and count nothing; [`Counted`](crate::flow::Counted) does.

mod authors_code;
mod churn;
mod config;
mod euler;
mod gits;
mod heun;
mod method;
mod multistep;
mod path;
mod perturbation;
mod reverse_sde;
mod rk45;
mod schedule;

pub use authors_code::authors_code;
pub use churn::{Churn, heun_with_churn};
pub use config::{GridError, Problem, SolverConfig};
pub use euler::euler;
pub use gits::{Search, cheapest, gits};
pub use heun::heun;
pub use method::{Corrector, Method, ScheduleName};
pub use multistep::{Formula, History, Multistep, Step, multistep};
pub use multistep::{deis, dpmpp, ipndm, unipc};
pub use path::Path;
pub use perturbation::{Fixed, with_noise};
pub use reverse_sde::{Langevin, Predictor, ReverseSde, reverse_sde};
pub use rk45::{Course, Tolerance, Variable, rk45, rk45_along, rk45_paths};
pub use schedule::Schedule;

use crate::{
    extra_dims::ExtraDims,
    flow::{Denoiser, FarField, Flow},
    process::Process,
};

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
    #[error(
        "the released samplers are euler, improved-euler and rk45 without --afs and --schedule; choose one of these, or the exact \
         arithmetic"
    )]
    NotReleased,
    /// There is no grid to follow.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// A stochastic sampler has no way up.
    #[error("{} only leads down; encode with an ODE's solver", .0.word())]
    OneWay(Method),
    /// The method does not serve this number of augmented dimensions.
    #[error("at D = {0} there is no such stochastic sampler; use an ODE's solver")]
    Stochastic(ExtraDims),
}

impl SolverError {
    /// The same error, its item counted from the first of an earlier batch.
    pub fn after(self, earlier: usize) -> Self {
        match self {
            Self::StepUnderflow { sigma, item } => Self::StepUnderflow { sigma, item: item + earlier },
            Self::NotFinite { sigma, item } => Self::NotFinite { sigma, item: item + earlier },
            other => other,
        }
    }
}

/// Carries every row of `x` from the prior's noise level down to the data's, in place. What a stochastic solver draws comes from
/// the number of the row.
///
/// # Errors
/// When RK45 cannot meet its tolerance, the flow is not finite, there is no grid, or D does not allow the method.
pub fn sample(flow: &Flow, config: &SolverConfig, range: (f64, f64), x: &mut [f64]) -> Result<(), SolverError> {
    let seeds: Vec<u64> = (0..(x.len() / flow.denoiser.dim()) as u64).collect();
    sample_seeded(flow, config, range, &seeds, x)
}

/// The same with a seed for each row, which a stochastic solver's noise depends on alone.
///
/// # Shapes
/// `x`: `[rows, dim]`, `seeds`: `[rows]`
///
/// # Errors
/// As [`sample`].
///
/// # Panics
/// When there are not as many seeds as rows.
pub fn sample_seeded(
    flow: &Flow,
    config: &SolverConfig,
    range: (f64, f64),
    seeds: &[u64],
    x: &mut [f64],
) -> Result<(), SolverError> {
    assert_eq!(seeds.len() * flow.denoiser.dim(), x.len(), "a seed for each row");
    let (low, high) = range;
    let far = FarField { inner: flow.denoiser, at: high };
    let first: &dyn Denoiser = if config.afs { &far } else { flow.denoiser };
    let flow = &Flow { denoiser: first, extra_dims: flow.extra_dims };
    if config.method.is_sde() {
        if flow.extra_dims != ExtraDims::Infinite {
            return Err(SolverError::Stochastic(flow.extra_dims));
        }
        reverse_sde(flow.denoiser, &stochastic(config), range, seeds, x);
    } else if config.method == Method::Heun {
        let mut grid = config.grid(range)?;
        grid.push(0.0);
        if config.churn > 0.0 {
            heun_with_churn(flow, &Churn::of(config), &grid, seeds, x)?;
        } else if config.noise > 0.0 {
            with_noise(heun, flow, config.noise, &grid, seeds, x);
        } else {
            heun(flow, &grid, x);
        }
    } else {
        let grid = config.method.has_grid().then(|| config.grid(range)).transpose()?;
        match &grid {
            Some(grid) if config.noise > 0.0 => {
                let method: Fixed = if config.method == Method::Euler { euler } else { heun };
                with_noise(method, flow, config.noise, grid, seeds, x);
            }
            _ => follow(flow, config, grid, (high, low), x)?,
        }
        if config.denoise {
            euler(flow, &[low, 0.0], x);
        }
    }
    finite(flow, low, x)
}

/// Carries every row of `x` from the data's noise level up to the prior's, in place: the way back of [`sample`] without a last step
/// to zero, where the flow cannot start.
///
/// # Errors
/// As [`sample`]; and when the method is stochastic, which leads down only.
pub fn encode(flow: &Flow, config: &SolverConfig, range: (f64, f64), x: &mut [f64]) -> Result<(), SolverError> {
    let (low, high) = range;
    if config.method.is_sde() || config.churn > 0.0 || config.noise > 0.0 {
        return Err(SolverError::OneWay(config.method));
    }
    let mut grid = config.method.has_grid().then(|| config.grid(range)).transpose()?;
    if let Some(grid) = &mut grid {
        if grid.len() == 1 {
            // Heun's only step leads from the highest level to zero; up, it is the whole way.
            grid.push(low);
        }
        grid.reverse();
    }
    follow(flow, config, grid, (low, high), x)?;
    finite(flow, high, x)
}

/// An ODE's solver along a grid, up or down, or without one between two levels.
fn follow(
    flow: &Flow,
    config: &SolverConfig,
    grid: Option<Vec<f64>>,
    (from, to): (f64, f64),
    x: &mut [f64],
) -> Result<(), SolverError> {
    let Some(grid) = grid else {
        return rk45(flow, from, to, Tolerance { rtol: config.rtol, atol: config.atol }, x);
    };
    let formula = match config.method {
        Method::Euler => {
            euler(flow, &grid, x);
            return Ok(());
        }
        Method::Ipndm => Formula::Ipndm,
        Method::Deis => Formula::Deis,
        Method::DpmPp2m | Method::DpmPp3m => Formula::DpmPp,
        Method::UniPc2 | Method::UniPc3 => Formula::UniPc,
        _ => {
            heun(flow, &grid, x);
            return Ok(());
        }
    };
    let order = config.multistep_order().unwrap_or(1);
    let method = Multistep { formula, order, lower_order_final: config.lowers() };
    multistep(flow, method, &grid, History::default(), x);
    Ok(())
}

/// The stochastic sampler that a configuration names.
fn stochastic(config: &SolverConfig) -> ReverseSde {
    let predictor = match config.method {
        Method::ReverseDiffusion => Predictor::ReverseDiffusion,
        Method::Ancestral => Predictor::Ancestral,
        _ => Predictor::EulerMaruyama,
    };
    let langevin = Langevin { steps: config.corrector_steps, snr: config.snr };
    ReverseSde {
        process: config.process.unwrap_or(Process::Ve),
        predictor,
        corrector: (config.corrector == Corrector::Langevin).then_some(langevin),
        steps: config.steps,
    }
}

fn finite(flow: &Flow, sigma: f64, x: &[f64]) -> Result<(), SolverError> {
    match x.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(SolverError::NotFinite { sigma, item: at / flow.denoiser.dim() }),
        None => Ok(()),
    }
}
