//! Solver arguments.

use std::str::FromStr;

use clap::{
    Args, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use pfgm::{
    process::Process,
    solver::{Corrector, Method, ScheduleName, SolverOverrides, UnknownName},
};

/// Parses one of the names in a table of the library.
fn parser<T>(names: impl Iterator<Item = (&'static str, &'static str)>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = UnknownName> + Clone + Send + Sync + 'static,
{
    let values: Vec<PossibleValue> = names.map(|(name, help)| PossibleValue::new(name).help(help)).collect();
    PossibleValuesParser::new(values).try_map(|text: String| text.parse::<T>())
}

/// Parses the name of a solver.
pub fn method() -> impl TypedValueParser<Value = Method> {
    parser(Method::ALL.iter().map(|method| (method.as_str(), method.help())))
}

fn schedule() -> impl TypedValueParser<Value = ScheduleName> {
    parser(ScheduleName::ALL.iter().map(|schedule| (schedule.as_str(), schedule.help())))
}

fn corrector() -> impl TypedValueParser<Value = Corrector> {
    parser(Corrector::ALL.iter().map(|corrector| (corrector.as_str(), corrector.help())))
}

/// Value of `--process`: the diffusion process that a stochastic sampler reverses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProcessArg {
    /// Variance exploding
    Ve,
    /// Variance preserving
    Vp,
    /// Sub-variance-preserving
    SubVp,
}

/// Changes to a run's solver.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct SolverArgs {
    /// The solver [default: the run's]
    #[arg(long, value_parser = method(), help_heading = "Solver")]
    pub solver: Option<Method>,

    /// Number of steps, for solvers with fixed steps [default: the run's; 1000 for a reverse SDE]
    #[arg(long, value_name = "N", help_heading = "Solver")]
    pub steps: Option<usize>,

    /// Order of ipndm and deis, 1 to 4 [default: the run's, or 3]
    #[arg(long, value_name = "K", help_heading = "Solver")]
    pub order: Option<usize>,

    /// Grid of noise levels [default: the solver's own]
    #[arg(long, value_parser = schedule(), help_heading = "Solver")]
    pub schedule: Option<ScheduleName>,

    /// Exponent rho of schedule edm [default: the run's, or 7]
    #[arg(long, value_name = "RHO", help_heading = "Solver")]
    pub rho: Option<f64>,

    /// Analytical first step (AFS): the first step uses the far field, one evaluation fewer
    #[arg(long, help_heading = "Solver")]
    pub afs: bool,

    /// Whether a multistep solver lowers its order in the last steps [default: the run's; true for dpmpp and unipc]
    #[arg(long, value_name = "BOOL", help_heading = "Solver")]
    pub lower_order_final: Option<bool>,

    /// Relative tolerance of rk45 [default: the run's]
    #[arg(long, value_name = "TOL", help_heading = "Solver")]
    pub rtol: Option<f64>,

    /// Absolute tolerance of rk45 [default: the run's]
    #[arg(long, value_name = "TOL", help_heading = "Solver")]
    pub atol: Option<f64>,

    /// heun: amount of stochasticity, EDM's S_churn, at least 0 (D infinite or 1) [default: the run's, or 0]
    #[arg(long, value_name = "S", help_heading = "Solver")]
    pub churn: Option<f64>,

    /// Lowest noise level with churn, EDM's S_tmin [default: the run's, or 0]
    #[arg(long, value_name = "SIGMA", help_heading = "Solver")]
    pub churn_min: Option<f64>,

    /// Highest noise level with churn, EDM's S_tmax [default: the run's, or unlimited]
    #[arg(long, value_name = "SIGMA", help_heading = "Solver")]
    pub churn_max: Option<f64>,

    /// Standard deviation of the added noise, EDM's S_noise [default: the run's, or 1]
    #[arg(long, value_name = "S", help_heading = "Solver")]
    pub churn_noise: Option<f64>,

    /// Diffusion process that a reverse SDE reverses [default: the run's, or ve]
    #[arg(long, value_enum, help_heading = "Solver")]
    pub process: Option<ProcessArg>,

    /// Corrector of a reverse SDE [default: the run's, or none]
    #[arg(long, value_parser = corrector(), help_heading = "Solver")]
    pub corrector: Option<Corrector>,

    /// Corrector steps at each noise level [default: the run's, or 1]
    #[arg(long, value_name = "N", help_heading = "Solver")]
    pub corrector_steps: Option<usize>,

    /// Signal-to-noise ratio of the corrector, above 0 [default: the run's, or 0.16]
    #[arg(long, value_name = "R", help_heading = "Solver")]
    pub snr: Option<f64>,
}

impl SolverArgs {
    /// Whether any flag was given.
    pub fn is_given(&self) -> bool {
        *self != Self::default()
    }
    /// Returns the changes; `process` maps a name to a process.
    pub fn overrides(&self, process: impl FnOnce(ProcessArg) -> Process) -> SolverOverrides {
        SolverOverrides {
            method: self.solver,
            steps: self.steps,
            order: self.order,
            schedule: self.schedule,
            rho: self.rho,
            lower_order_final: self.lower_order_final,
            rtol: self.rtol,
            atol: self.atol,
            afs: self.afs.then_some(true),
            churn: self.churn,
            churn_min: self.churn_min,
            churn_max: self.churn_max,
            churn_noise: self.churn_noise,
            process: self.process.map(process),
            corrector: self.corrector,
            corrector_steps: self.corrector_steps,
            snr: self.snr,
            ..SolverOverrides::default()
        }
    }
}
