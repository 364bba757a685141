//! Whether the values of a solver's options can work, by themselves and at a given D.

use super::{
    Churn, Euler, Formula, Grid, Heun, InvalidOption, Method, Multistep, Predictor, ReverseSde, Solver,
    error::no_noise_increment,
};
use crate::{extra_dims::ExtraDims, process::Process};

/// More steps are a slip of the pen.
const MAX_STEPS: usize = 1_000_000;
/// More steps of a corrector at one noise level are one, too.
const MAX_CORRECTOR_STEPS: usize = 1000;

impl Solver {
    /// Checks the values of the options, and that the method exists at this D.
    ///
    /// # Errors
    /// The first option that cannot work, and what to give instead.
    pub fn check(&self, extra_dims: ExtraDims) -> Result<(), InvalidOption> {
        let method = self.method();
        if let Some(steps) = self.steps()
            && !(1..=MAX_STEPS).contains(&steps)
        {
            return Err(InvalidOption::new("steps", steps, format!("give a number from 1 to {MAX_STEPS}")));
        }
        if let Some(grid) = self.grid() {
            check_grid(grid)?;
        }
        match self {
            Self::Euler(Euler { perturbation, .. }) | Self::Heun(Heun { perturbation, .. }) => {
                at_least_zero("noise", *perturbation)
            }
            Self::StochasticHeun(heun) => check_churn(&heun.churn, extra_dims),
            Self::Rk45(rk45) => {
                above_zero("rtol", rk45.tolerance.rtol)?;
                above_zero("atol", rk45.tolerance.atol)
            }
            Self::Multistep(multistep) => check_order(multistep),
            Self::ReverseSde(sde) => check_sde(sde, method, extra_dims),
            Self::Consistency(_) => Ok(()),
        }
    }
}

fn above_zero(option: &'static str, value: f64) -> Result<(), InvalidOption> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(InvalidOption::new(option, value, "give a number above 0"))
}

fn at_least_zero(option: &'static str, value: f64) -> Result<(), InvalidOption> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(InvalidOption::new(option, value, "give 0 or a number above it"))
}

fn check_grid(grid: &Grid) -> Result<(), InvalidOption> {
    if let Some(rho) = grid.rho() {
        above_zero("rho", rho)?;
    }
    let Grid::Levels(levels) = grid else { return Ok(()) };
    let wrong = |problem| Err(InvalidOption::new("levels", format!("{levels:?}"), problem));
    if levels.len() < 2 || !levels.windows(2).all(|pair| pair[1] < pair[0]) {
        return wrong("give at least two, from the highest to the lowest");
    }
    if !(levels[levels.len() - 1] > 0.0 && levels[0].is_finite()) {
        return wrong("give numbers above 0; `denoise` adds a step to 0");
    }
    Ok(())
}

fn check_churn(churn: &Churn, extra_dims: ExtraDims) -> Result<(), InvalidOption> {
    at_least_zero("churn", churn.amount)?;
    at_least_zero("churn_min", churn.levels.0)?;
    // No highest level is an infinite one.
    if churn.levels.1.is_nan() || churn.levels.1 < 0.0 {
        return Err(InvalidOption::new("churn_max", churn.levels.1, "give 0 or a number above it"));
    }
    at_least_zero("churn_noise", churn.noise)?;
    match extra_dims.noise_increment(1.0, 2.0) {
        None if churn.amount > 0.0 => Err(no_noise_increment(churn.amount, extra_dims)),
        _ => Ok(()),
    }
}

fn check_order(multistep: &Multistep) -> Result<(), InvalidOption> {
    let orders = match multistep.method.formula {
        Formula::Ipndm | Formula::Deis => 1..=4,
        Formula::DpmPp | Formula::UniPc => 2..=3,
    };
    if orders.contains(&multistep.method.order) {
        return Ok(());
    }
    let problem = format!("give an order from {} to {}", orders.start(), orders.end());
    Err(InvalidOption::new("order", multistep.method.order, problem))
}

fn check_sde(sde: &ReverseSde, method: Method, extra_dims: ExtraDims) -> Result<(), InvalidOption> {
    if let Some(langevin) = sde.corrector {
        above_zero("snr", langevin.snr)?;
        if !(1..=MAX_CORRECTOR_STEPS).contains(&langevin.steps) {
            let problem = format!("give a number from 1 to {MAX_CORRECTOR_STEPS}");
            return Err(InvalidOption::new("corrector_steps", langevin.steps, problem));
        }
    }
    if let Some(Err((rate, value, problem))) = sde.process.map(Process::check) {
        return Err(InvalidOption::new("process", format!("{rate} {value}"), problem));
    }
    if let Some(Process::Vp { beta_max, .. } | Process::SubVp { beta_max, .. }) = sde.process
        && sde.steps as f64 <= beta_max
    {
        let problem =
            format!("each step takes a share of up to {beta_max}/steps of the data: give more than {beta_max}");
        return Err(InvalidOption::new("steps", sde.steps, problem));
    }
    if sde.predictor == Predictor::Ancestral && matches!(sde.process, Some(Process::SubVp { .. })) {
        let problem = "its chain has no ancestral sampler; use reverse-diffusion";
        return Err(InvalidOption::new("process", Process::SUB_VP.as_str(), problem));
    }
    if extra_dims != ExtraDims::Infinite {
        let problem =
            format!("the reverse SDE exists for Gaussian noise only, and D = {extra_dims}; use the solver of an ODE");
        return Err(InvalidOption::new("method", method, problem));
    }
    Ok(())
}
