//! What a user can ask of a solver.

use serde::{Deserialize, Serialize};

use super::{Corrector, Method, Schedule, ScheduleName};
use crate::{extra_dims::ExtraDims, process::Process};

/// How to solve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SolverConfig {
    /// The method.
    pub method: Method,
    /// Steps of a method with fixed steps; the stochastic samplers want about 1000.
    pub steps: usize,
    /// The order of iPNDM and DEIS, from 1 to 4; 3 when it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<usize>,
    /// The grid; the method's own when it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleName>,
    /// How much the EDM grid crowds towards low levels.
    pub rho: f64,
    /// The noise levels themselves, from the highest to the lowest, instead of a schedule's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<f64>,
    /// Whether multistep methods end with lower orders, the last step with the first; when it is not given, DPM-Solver++ and UniPC do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower_order_final: Option<bool>,
    /// Relative tolerance of RK45.
    pub rtol: f64,
    /// Absolute tolerance of RK45.
    pub atol: f64,
    /// Whether a last Euler step to r = 0 replaces the state by yhat. Heun and the stochastic samplers always end that way.
    pub denoise: bool,
    /// Whether the first evaluation is replaced by the far field ([`FarField`](crate::flow::FarField)).
    pub afs: bool,
    /// `S_churn`: the noise that Heun's method adds on its way, in steps' worth; 0 for none.
    pub churn: f64,
    /// `S_min`: the lowest noise level that is churned.
    pub churn_min: f64,
    /// `S_max`: the highest; infinite when it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub churn_max: Option<f64>,
    /// `S_noise`: the size of that noise, 1 as the theory has it.
    pub churn_noise: f64,
    /// Noise that is added before each step of Euler's and Heun's methods, as a share of the noise level; 0 for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub noise: f64,
    /// The process that a stochastic sampler reverses; VE when it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The corrector of a stochastic sampler.
    pub corrector: Corrector,
    /// Its steps at each level.
    pub corrector_steps: usize,
    /// Its ratio of signal to noise, which sets its step.
    pub snr: f64,
}

/// Keys that are not asked for are not written.
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Default for SolverConfig {
    fn default() -> Self {
        Self {
            method: Method::Heun,
            steps: 18,
            order: None,
            schedule: None,
            rho: 7.0,
            levels: Vec::new(),
            lower_order_final: None,
            rtol: 1e-4,
            atol: 1e-4,
            denoise: false,
            afs: false,
            churn: 0.0,
            churn_min: 0.0,
            churn_max: None,
            churn_noise: 1.0,
            noise: 0.0,
            process: None,
            corrector: Corrector::None,
            corrector_steps: 1,
            snr: 0.16,
        }
    }
}

/// Steps beyond which a grid is surely a slip of the pen.
const MOST_STEPS: usize = 1_000_000;

/// The order of iPNDM and DEIS when nobody says.
const USUAL_ORDER: usize = 3;

/// A key that cannot work, its value, and what to do.
pub type Problem = (&'static str, String, String);

impl SolverConfig {
    /// Checks the numbers, and that they go together with each other and with D.
    ///
    /// # Errors
    /// The name of the first that cannot work, its value, and what to give instead.
    pub fn check(&self, extra_dims: ExtraDims) -> Result<(), Problem> {
        self.check_numbers()?;
        self.check_use()?;
        self.check_extra_dims(extra_dims)
    }

    fn check_numbers(&self) -> Result<(), Problem> {
        let fail = |key, value: &dyn ToString, problem: &str| Err((key, value.to_string(), problem.to_owned()));
        if !(1..=MOST_STEPS).contains(&self.steps) {
            return fail("steps", &self.steps, "give a number from 1 to 1000000");
        }
        for (key, value) in [("rtol", self.rtol), ("atol", self.atol), ("rho", self.rho), ("snr", self.snr)] {
            if !(value > 0.0 && value.is_finite()) {
                return fail(key, &value, "give a number above 0");
            }
        }
        let churned = [
            ("noise", self.noise),
            ("churn", self.churn),
            ("churn_min", self.churn_min),
            ("churn_noise", self.churn_noise),
        ];
        for (key, value) in churned.into_iter().chain(self.churn_max.map(|value| ("churn_max", value))) {
            if !(value >= 0.0 && value.is_finite()) {
                return fail(key, &value, "give 0 or a number above it");
            }
        }
        if !(1..=1000).contains(&self.corrector_steps) {
            return fail("corrector_steps", &self.corrector_steps, "give a number from 1 to 1000");
        }
        if let Some(Err((rate, value, problem))) = self.process.map(Process::check) {
            return fail("process", &format!("{rate} {value}"), problem);
        }
        if self.levels.len() == 1 || self.levels.windows(2).any(|pair| pair[1] >= pair[0]) {
            return fail("levels", &format!("{:?}", self.levels), "give at least two, from the highest to the lowest");
        }
        match self.levels.last() {
            Some(&last) if !(last > 0.0 && self.levels[0].is_finite()) => {
                fail("levels", &format!("{:?}", self.levels), "give numbers above 0; the step to 0 is `denoise`")
            }
            Some(_) if self.levels.len() - 1 != self.method.intervals(self.steps) => {
                let wanted = self.method.intervals(self.steps) + 1;
                fail("levels", &format!("{} levels", self.levels.len()), &format!("these steps want {wanted}"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the method uses what it is given.
    fn check_use(&self) -> Result<(), Problem> {
        let method = self.method;
        let fail = |key, value: &dyn ToString, problem: &str| Err((key, value.to_string(), problem.to_owned()));
        if let Some(order) = self.order {
            match method.highest_order() {
                None => return fail("order", &order, "only ipndm and deis have an order to choose; leave it away"),
                Some(highest) if !(1..=highest).contains(&order) => {
                    return fail("order", &order, "give an order from 1 to 4");
                }
                Some(_) => {}
            }
        }
        if let Some(schedule) = self.schedule
            && !method.has_grid()
        {
            return fail("schedule", &schedule.word(), "rk45 and the stochastic samplers have no grid; leave it away");
        }
        if !self.levels.is_empty() && !method.has_grid() {
            return fail("levels", &"given", "rk45 and the stochastic samplers have no grid; leave them away");
        }
        if let Some(lower) = self.lower_order_final
            && self.multistep_order().is_none()
        {
            return fail("lower_order_final", &lower, "only multistep methods have orders to lower; leave it away");
        }
        if self.churn > 0.0 && method != Method::Heun {
            return fail("churn", &self.churn, "only heun churns; use solver heun, or 0");
        }
        if self.noise > 0.0
            && (!matches!(method, Method::Euler | Method::ImprovedEuler | Method::Heun) || self.churn > 0.0)
        {
            return fail("noise", &self.noise, "only euler, improved-euler and heun without churn take it; use 0");
        }
        if self.afs && method == Method::Rk45 {
            return fail("afs", &true, "rk45 takes its first step's length from that evaluation; leave it away");
        }
        if self.afs && (method.is_sde() || self.churn > 0.0) {
            return fail("afs", &true, "a stochastic sampler does not start on the far field; leave it away");
        }
        if !method.is_sde() && self.corrector != Corrector::None {
            return fail("corrector", &"langevin", "it goes with reverse-sde, reverse-diffusion and ancestral only");
        }
        if let Some(process) = self.process
            && !method.is_sde()
        {
            return fail("process", &process.word(), "it goes with reverse-sde, reverse-diffusion and ancestral only");
        }
        if method.is_sde()
            && let Some(Process::Vp { beta_max, .. } | Process::SubVp { beta_max, .. }) = self.process
            && self.steps as f64 <= beta_max
        {
            let problem =
                format!("each step takes a share of up to {beta_max}/steps of the data: give more than {beta_max}");
            return fail("steps", &self.steps, &problem);
        }
        if method == Method::Ancestral && matches!(self.process, Some(Process::SubVp { .. })) {
            return fail("process", &"sub-vp", "its chain has no ancestral sampler; use reverse-diffusion");
        }
        Ok(())
    }

    fn check_extra_dims(&self, extra_dims: ExtraDims) -> Result<(), Problem> {
        let fail = |key, value: &dyn ToString, problem: String| Err((key, value.to_string(), problem));
        if self.churn > 0.0 && extra_dims.noise_increment(1.0, 2.0).is_none() {
            let problem = format!(
                "at D = {extra_dims} no known noise leads from one level's distribution to another's; use 0 (churn is for \
                 infinite D and D = 1)"
            );
            return fail("churn", &self.churn, problem);
        }
        if self.method.is_sde() && extra_dims != ExtraDims::Infinite {
            let problem = format!("the reverse SDE exists for Gaussian noise only, and D = {extra_dims}; use an ODE's");
            return fail("solver", &self.method.word(), problem);
        }
        Ok(())
    }

    /// The same for a model that was trained on a process: a stochastic sampler reverses it unless another is named.
    pub fn for_process(mut self, process: Process) -> Self {
        if self.method.is_sde() {
            self.process.get_or_insert(process);
        }
        self
    }

    /// How many evaluations a multistep method looks back on; None for other methods.
    pub fn multistep_order(&self) -> Option<usize> {
        match self.method {
            Method::Ipndm | Method::Deis => Some(self.order.unwrap_or(USUAL_ORDER)),
            Method::DpmPp2m | Method::UniPc2 => Some(2),
            Method::DpmPp3m | Method::UniPc3 => Some(3),
            _ => None,
        }
    }

    /// Whether a multistep method ends with lower orders.
    pub fn lowers(&self) -> bool {
        let by_itself = matches!(self.method, Method::DpmPp2m | Method::DpmPp3m | Method::UniPc2 | Method::UniPc3);
        self.lower_order_final.unwrap_or(by_itself)
    }

    /// The grid from the highest level of `range` to the lowest.
    ///
    /// # Errors
    /// When it is GITS's and was not found yet, or is another range's.
    pub fn grid(&self, (low, high): (f64, f64)) -> Result<Vec<f64>, GridError> {
        let intervals = self.method.intervals(self.steps);
        if let [first, .., last] = self.levels[..] {
            let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-6;
            if !near(first, high) || !near(last, low) {
                return Err(GridError::Range { first, last, low, high });
            }
            // The ends are the flow's own: levels that were written down may be rounded.
            let mut levels = self.levels.clone();
            let end = levels.len() - 1;
            (levels[0], levels[end]) = (high, low);
            return Ok(levels);
        }
        match self.schedule.unwrap_or_else(|| self.method.usual_schedule()) {
            ScheduleName::LogUniform => Ok(Schedule::LogUniform.grid(high, low, intervals)),
            ScheduleName::Edm => Ok(Schedule::Edm { rho: self.rho }.grid(high, low, intervals)),
            ScheduleName::Gits => Err(GridError::NotFound { intervals }),
        }
    }
}

/// Why there is no grid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GridError {
    /// GITS's levels were not looked for.
    #[error("schedule gits of {intervals} intervals: no levels are known; find them with `pfgm schedule`")]
    NotFound {
        /// How many intervals they should bound.
        intervals: usize,
    },
    /// The levels are another flow's.
    #[error("levels from {first} to {last}: the flow goes from {high} to {low}; find them anew with `pfgm schedule`")]
    Range {
        /// The first level.
        first: f64,
        /// The last.
        last: f64,
        /// The flow's lowest.
        low: f64,
        /// The flow's highest.
        high: f64,
    },
}
