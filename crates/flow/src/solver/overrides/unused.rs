//! Options that are left after a solver took its own.

use super::SolverOverrides;
use crate::solver::{Corrector, InvalidOption, Method, Solver};

/// Options that the solver does not have: an error, or ignored.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Unused {
    Error,
    /// Files of earlier versions wrote every option with a value, used or not.
    Ignored,
}

impl SolverOverrides {
    /// Returns an error for an option that is left. Values that change nothing are none.
    pub(super) fn finish(self, solver: &Solver, unused: Unused) -> Result<(), InvalidOption> {
        const SDE: &str = "only reverse-sde, reverse-diffusion and ancestral have it; omit it";
        let method = solver.method();
        let gridless = format!("{method} follows no grid; omit it, or choose a solver that follows a grid");
        let adaptive = "rk45 chooses its steps by rtol and atol; omit it, or choose another solver";
        let wrong =
            |option, value: &dyn ToString, problem: &str| Err(InvalidOption::new(option, value.to_string(), problem));
        match self {
            Self { order: Some(order), .. } => {
                wrong("order", &order, "only ipndm and deis have an order to choose; omit it")
            }
            Self { schedule: Some(schedule), .. } => wrong("schedule", &schedule, &gridless),
            Self { levels: Some(levels), .. } if !levels.is_empty() => {
                wrong("levels", &format!("{levels:?}"), &gridless)
            }
            Self { lower_order_final: Some(lower), .. } => {
                wrong("lower_order_final", &lower, "only multistep methods have orders to lower; omit it")
            }
            Self { afs: Some(true), .. } if method == Method::Rk45 => {
                wrong("afs", &true, "rk45 takes the length of its first step from that evaluation; omit it")
            }
            Self { afs: Some(true), .. } if method == Method::Consistency => {
                wrong("afs", &true, "a consistency function jumps from the first level; omit it")
            }
            Self { afs: Some(true), .. } => {
                wrong("afs", &true, "a stochastic sampler does not start on the far field; omit it")
            }
            Self { churn: Some(churn), .. } if churn != 0.0 => {
                wrong("churn", &churn, "only heun has it; choose heun, or use 0")
            }
            Self { noise: Some(noise), .. } if noise != 0.0 => {
                wrong("noise", &noise, "only euler, improved-euler and heun have it; use 0")
            }
            Self { process: Some(process), .. } => wrong("process", &process.as_str(), SDE),
            Self { corrector: Some(corrector), .. } if corrector != Corrector::None => {
                wrong("corrector", &corrector, SDE)
            }
            _ if unused == Unused::Ignored => Ok(()),
            Self { steps: Some(steps), .. } => wrong("steps", &steps, adaptive),
            Self { rho: Some(rho), .. } if solver.grid().is_none() => wrong("rho", &rho, &gridless),
            Self { denoise: Some(false), .. } => {
                wrong("denoise", &false, &format!("{method} always ends with a step to sigma = 0; omit it"))
            }
            _ => self.refuse_numbers(),
        }
    }

    /// Returns an error for a number that is left, with the option that would use it.
    fn refuse_numbers(&self) -> Result<(), InvalidOption> {
        let schedule = ("only schedule edm has it", "schedule", "edm");
        let tolerance = ("only rk45 has a tolerance", "method", "rk45");
        let churn = ("nothing uses it without churn", "churn", "S");
        let langevin = ("nothing uses it without a corrector", "corrector", "langevin");
        let numbers = [
            ("rho", self.rho, schedule),
            ("rtol", self.rtol, tolerance),
            ("atol", self.atol, tolerance),
            ("churn_min", self.churn_min, churn),
            ("churn_max", self.churn_max, churn),
            ("churn_noise", self.churn_noise, churn),
            ("snr", self.snr, langevin),
            ("corrector_steps", self.corrector_steps.map(|steps| steps as f64), langevin),
        ];
        match numbers.into_iter().find_map(|(option, value, needs)| Some((option, value?, needs))) {
            Some((option, value, (problem, other, wanted))) => {
                Err(InvalidOption::new(option, value, problem).needing(other, wanted))
            }
            None => Ok(()),
        }
    }
}
