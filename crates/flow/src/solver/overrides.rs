//! Options of a solver as files, command lines and requests give them: a flat table, each option by itself and optional.

mod unused;

use serde::{Deserialize, Serialize};

use self::unused::Unused;
use super::{
    Churn, Consistency, Corrector, Euler, Grid, Heun, InvalidOption, Langevin, Method, Multistep, ReverseSde, Rk45,
    Schedule, ScheduleName, Solver, StochasticHeun,
};
use crate::process::Process;

/// Changes to a solver. What is None stays as it is.
///
/// ```
/// use pfgm_flow::solver::{Method, Solver, SolverOverrides};
///
/// let run = Solver::heun(18).into();
/// let fewer = SolverOverrides { steps: Some(9), ..SolverOverrides::default() };
/// assert_eq!(fewer.apply(&run).unwrap(), Solver::heun(9).into());
/// // Another method starts with its own defaults; the number of steps carries over.
/// let other = SolverOverrides { method: Some(Method::UniPc2), ..SolverOverrides::default() };
/// assert_eq!(other.apply(&run).unwrap(), Solver::unipc(2, 18).into());
/// // An option that the method does not have is an error.
/// let wrong = SolverOverrides { rtol: Some(1e-5), ..SolverOverrides::default() };
/// assert_eq!(wrong.apply(&run).unwrap_err().option, "rtol");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SolverOverrides {
    /// The solver: euler, improved-euler, heun, rk45, ipndm, deis, dpmpp-2m, dpmpp-3m, unipc-2, unipc-3, reverse-sde, reverse-diffusion,
    /// ancestral; consistency for distilled runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Number of steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Order of ipndm and deis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<usize>,
    /// Grid of noise levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleName>,
    /// Exponent of schedule edm: large values crowd the levels towards zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rho: Option<f64>,
    /// The noise levels themselves, from the highest to the lowest, instead of a schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<Vec<f64>>,
    /// Whether the last steps of a multistep method have lower orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower_order_final: Option<bool>,
    /// Relative tolerance of rk45.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtol: Option<f64>,
    /// Absolute tolerance of rk45.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub atol: Option<f64>,
    /// Whether a last step to sigma = 0 replaces the state by yhat; heun and reverse SDEs always end so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denoise: Option<bool>,
    /// Analytical first step: the far field replaces the first evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub afs: Option<bool>,
    /// Amount of noise that EDM's stochastic sampler adds to heun (S_churn). D must be infinite or 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub churn: Option<f64>,
    /// Lowest noise level with churn (S_min).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub churn_min: Option<f64>,
    /// Highest noise level with churn (S_max).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub churn_max: Option<f64>,
    /// Standard deviation of churn's noise, 1 in theory (S_noise).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub churn_noise: Option<f64>,
    /// Standard deviation of noise that is added before each step of euler, improved-euler and heun, to measure robustness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// Process that a reverse SDE reverses; vp and sub-vp can have beta_min and beta_max.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// Corrector of a reverse SDE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrector: Option<Corrector>,
    /// Corrector steps at each noise level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrector_steps: Option<usize>,
    /// Signal-to-noise ratio of the corrector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snr: Option<f64>,
}

impl SolverOverrides {
    /// The solver with these changes.
    ///
    /// If the method changes, its options start at their defaults. The number of steps carries over between methods that follow a grid,
    /// and `denoise` between methods that have it; nothing else does.
    ///
    /// # Errors
    /// If an option is not one of the method, or options contradict each other. [`Solver::check`] checks the values.
    pub fn apply(&self, base: &Solver) -> Result<Solver, InvalidOption> {
        self.applied(base, Unused::Error)
    }

    /// [`SolverOverrides::apply`], but ignores numbers of other methods (`steps`, `rtol`, `atol`, `rho`, `snr`, `corrector_steps`, `denoise`
    /// and `churn_*`), which files of earlier versions contain.
    ///
    /// # Errors
    /// As [`SolverOverrides::apply`].
    pub fn apply_lenient(&self, base: &Solver) -> Result<Solver, InvalidOption> {
        self.applied(base, Unused::Ignored)
    }

    fn applied(&self, base: &Solver, unused: Unused) -> Result<Solver, InvalidOption> {
        let mut rest = self.clone();
        let base = match rest.method.take() {
            Some(method) if method != base.method() => carried_over(base, method),
            _ => base.clone(),
        };
        let method = base.method();
        let solver = match base {
            Solver::Euler(euler) => rest.euler(euler, method)?.into(),
            Solver::Heun(Heun { grid, afs, perturbation }) => rest.heun(grid, Churn::new(0.0), (afs, perturbation))?,
            Solver::StochasticHeun(StochasticHeun { grid, churn }) => rest.heun(grid, churn, (false, 0.0))?,
            Solver::Rk45(rk45) => rest.rk45(rk45).into(),
            Solver::Multistep(multistep) => rest.multistep(multistep, method)?.into(),
            Solver::ReverseSde(sde) => rest.reverse_sde(sde).into(),
            Solver::Consistency(Consistency { mut grid }) => {
                rest.grid(&mut grid, method)?;
                Consistency { grid }.into()
            }
        };
        rest.finish(&solver, unused)?;
        Ok(solver)
    }

    fn euler(&mut self, mut euler: Euler, method: Method) -> Result<Euler, InvalidOption> {
        self.grid(&mut euler.grid, method)?;
        set(&mut self.afs, &mut euler.afs);
        set(&mut self.denoise, &mut euler.denoise);
        set(&mut self.noise, &mut euler.perturbation);
        Ok(euler)
    }

    /// Heun's method, or EDM's stochastic sampler if there is churn.
    fn heun(&mut self, mut grid: Grid, mut churn: Churn, ode: (bool, f64)) -> Result<Solver, InvalidOption> {
        self.grid(&mut grid, Method::Heun)?;
        set(&mut self.churn, &mut churn.amount);
        if churn.amount.is_nan() || churn.amount < 0.0 {
            return Err(InvalidOption::new("churn", churn.amount, "give 0 or a number above it"));
        }
        if churn.amount > 0.0 {
            if self.afs.take().unwrap_or(ode.0) {
                return Err(InvalidOption::new(
                    "afs",
                    true,
                    "a stochastic sampler does not start on the far field; omit it",
                ));
            }
            let noise = self.noise.take().unwrap_or(ode.1);
            if noise != 0.0 {
                return Err(InvalidOption::new("noise", noise, "heun with churn adds noise of its own; use 0"));
            }
            set(&mut self.churn_min, &mut churn.levels.0);
            set(&mut self.churn_max, &mut churn.levels.1);
            set(&mut self.churn_noise, &mut churn.noise);
            return Ok(StochasticHeun { grid, churn }.into());
        }
        let mut heun = Heun { grid, afs: ode.0, perturbation: ode.1 };
        set(&mut self.afs, &mut heun.afs);
        set(&mut self.noise, &mut heun.perturbation);
        Ok(heun.into())
    }

    fn rk45(&mut self, mut rk45: Rk45) -> Rk45 {
        set(&mut self.rtol, &mut rk45.tolerance.rtol);
        set(&mut self.atol, &mut rk45.tolerance.atol);
        set(&mut self.denoise, &mut rk45.denoise);
        rk45
    }

    fn multistep(&mut self, mut multistep: Multistep, method: Method) -> Result<Multistep, InvalidOption> {
        self.grid(&mut multistep.grid, method)?;
        if matches!(method, Method::Ipndm | Method::Deis) {
            set(&mut self.order, &mut multistep.method.order);
        }
        set(&mut self.lower_order_final, &mut multistep.method.lower_order_final);
        set(&mut self.afs, &mut multistep.afs);
        set(&mut self.denoise, &mut multistep.denoise);
        Ok(multistep)
    }

    fn reverse_sde(&mut self, mut sde: ReverseSde) -> ReverseSde {
        set(&mut self.steps, &mut sde.steps);
        sde.process = self.process.take().or(sde.process);
        match self.corrector.take() {
            Some(Corrector::None) => sde.corrector = None,
            Some(Corrector::Langevin) => sde.corrector = sde.corrector.or(Some(Langevin::default())),
            None => {}
        }
        if let Some(langevin) = &mut sde.corrector {
            set(&mut self.corrector_steps, &mut langevin.steps);
            set(&mut self.snr, &mut langevin.snr);
        }
        sde
    }

    /// The options of a grid. Given levels count for more than a schedule.
    fn grid(&mut self, grid: &mut Grid, method: Method) -> Result<(), InvalidOption> {
        let before = grid.steps(method);
        let steps = self.steps.take();
        let schedule = self.schedule.take();
        if let Some(levels) = self.levels.take().filter(|levels| !levels.is_empty()) {
            self.rho = None;
            let given = levels.len();
            *grid = Grid::Levels(levels);
            return match steps {
                Some(steps) if steps != grid.steps(method) => {
                    let wanted = method.intervals(steps).saturating_add(1);
                    let problem = format!("{steps} steps of {method} need {wanted}");
                    Err(InvalidOption::new("levels", format!("{given} levels"), problem))
                }
                _ => Ok(()),
            };
        }
        let steps = steps.unwrap_or(before);
        if let Some(name) = schedule {
            *grid = Grid::named(name, grid.rho(), steps);
        } else if steps != before {
            *grid = match grid {
                Grid::Spread { schedule, .. } => Grid::Spread { steps, schedule: *schedule },
                Grid::Gits { .. } => Grid::Gits { steps },
                Grid::Levels(_) => Grid::of_method(method, steps),
            };
        }
        if let Grid::Spread { schedule: Schedule::Edm { rho }, .. } = grid {
            set(&mut self.rho, rho);
        }
        Ok(())
    }

    /// The options of a solver, each that it has.
    pub(super) fn of(solver: &Solver) -> Self {
        let method = solver.method();
        let mut options = Self { method: Some(method), steps: solver.steps(), ..Self::default() };
        if let Some(grid) = solver.grid() {
            (options.schedule, options.rho) = (grid.schedule(), grid.rho());
            if let Grid::Levels(levels) = grid {
                options.levels = Some(levels.clone());
            }
        }
        let noise = |share: f64| Some(share).filter(|share| *share != 0.0);
        match solver {
            Solver::Euler(Euler { afs, denoise, perturbation, .. }) => {
                (options.afs, options.denoise, options.noise) = (Some(*afs), Some(*denoise), noise(*perturbation));
            }
            Solver::Heun(Heun { afs, perturbation, .. }) => {
                (options.afs, options.noise) = (Some(*afs), noise(*perturbation))
            }
            Solver::StochasticHeun(StochasticHeun { churn, .. }) => {
                (options.churn, options.churn_min) = (Some(churn.amount), Some(churn.levels.0));
                // TOML and JSON of earlier versions know no infinity here.
                options.churn_max = Some(churn.levels.1).filter(|level| level.is_finite());
                options.churn_noise = Some(churn.noise);
            }
            Solver::Rk45(Rk45 { tolerance, denoise }) => {
                (options.rtol, options.atol) = (Some(tolerance.rtol), Some(tolerance.atol));
                options.denoise = Some(*denoise);
            }
            Solver::Multistep(Multistep { method: formula, afs, denoise, .. }) => {
                options.order = matches!(method, Method::Ipndm | Method::Deis).then_some(formula.order);
                options.lower_order_final = Some(formula.lower_order_final);
                (options.afs, options.denoise) = (Some(*afs), Some(*denoise));
            }
            Solver::ReverseSde(ReverseSde { process, corrector, .. }) => {
                options.process = *process;
                options.corrector = Some(if corrector.is_some() { Corrector::Langevin } else { Corrector::None });
                options.corrector_steps = corrector.map(|langevin| langevin.steps);
                options.snr = corrector.map(|langevin| langevin.snr);
            }
            Solver::Consistency(_) => {}
        }
        options
    }
}

/// Moves a given value to where it belongs.
fn set<T>(given: &mut Option<T>, value: &mut T) {
    if let Some(given) = given.take() {
        *value = given;
    }
}

/// Another method with its defaults, and what carries over to it.
fn carried_over(base: &Solver, method: Method) -> Solver {
    let mut solver = Solver::of_method(method);
    if let (Some(steps), Some(grid)) = (base.grid().map(|grid| grid.steps(base.method())), solver.grid_mut()) {
        *grid = Grid::of_method(method, steps);
    }
    if let Solver::Euler(Euler { denoise, .. })
    | Solver::Rk45(Rk45 { denoise, .. })
    | Solver::Multistep(Multistep { denoise, .. }) = base
    {
        solver.set_denoise(*denoise);
    }
    solver
}

/// Reads the flat table of this and earlier versions; a table without `method` is one of Heun's method.
impl<'de> Deserialize<'de> for Solver {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut options = SolverOverrides::deserialize(deserializer)?;
        let method = options.method.take().unwrap_or(Method::Heun);
        options.apply_lenient(&Self::of_method(method)).map_err(serde::de::Error::custom)
    }
}

/// Writes the flat table that this and earlier versions read.
impl Serialize for Solver {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_options().serialize(serializer)
    }
}
