//! How a flow is solved, as it is typed.

use clap::{Args, ValueEnum};
use pfgm::solver::{Corrector, Method, ScheduleName};

/// [`Method`] as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Solver {
    /// Euler on a log-uniform grid: one evaluation a step
    Euler,
    /// Heun on a log-uniform grid: two evaluations a step
    ImprovedEuler,
    /// Heun on the EDM grid, the last step to zero; stochastic with --churn
    Heun,
    /// Adaptive steps, for each sample by itself
    Rk45,
    /// Multistep on the noise, coefficients of equal steps (--order 1 to 4): one evaluation a step, as those below
    Ipndm,
    /// DPM-Solver++ of order 2
    #[value(name = "dpmpp-2m")]
    DpmPp2m,
    /// DPM-Solver++ of order 3
    #[value(name = "dpmpp-3m")]
    DpmPp3m,
    /// UniPC, predictor of order 2
    #[value(name = "unipc-2")]
    UniPc2,
    /// UniPC, predictor of order 3
    #[value(name = "unipc-3")]
    UniPc3,
    /// DEIS tAB, multistep on the noise (--order 1 to 4)
    Deis,
    /// Reverse SDE by Euler and Maruyama (infinite D, as those below)
    ReverseSde,
    /// Reverse-diffusion predictor
    ReverseDiffusion,
    /// Ancestral predictor
    Ancestral,
}

impl From<Solver> for Method {
    fn from(solver: Solver) -> Self {
        match solver {
            Solver::Euler => Self::Euler,
            Solver::ImprovedEuler => Self::ImprovedEuler,
            Solver::Heun => Self::Heun,
            Solver::Rk45 => Self::Rk45,
            Solver::Ipndm => Self::Ipndm,
            Solver::DpmPp2m => Self::DpmPp2m,
            Solver::DpmPp3m => Self::DpmPp3m,
            Solver::UniPc2 => Self::UniPc2,
            Solver::UniPc3 => Self::UniPc3,
            Solver::Deis => Self::Deis,
            Solver::ReverseSde => Self::ReverseSde,
            Solver::ReverseDiffusion => Self::ReverseDiffusion,
            Solver::Ancestral => Self::Ancestral,
        }
    }
}

/// [`ScheduleName`] as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScheduleArg {
    /// Equal steps of ln sigma
    LogUniform,
    /// Equal steps of sigma^(1/rho)
    Edm,
    /// What `pfgm schedule` found for the run and this number of steps
    Gits,
}

impl From<ScheduleArg> for ScheduleName {
    fn from(schedule: ScheduleArg) -> Self {
        match schedule {
            ScheduleArg::LogUniform => Self::LogUniform,
            ScheduleArg::Edm => Self::Edm,
            ScheduleArg::Gits => Self::Gits,
        }
    }
}

/// The process that a stochastic sampler reverses, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProcessArg {
    /// Variance exploding
    Ve,
    /// Variance preserving
    Vp,
    /// The same with less noise
    SubVp,
}

/// [`Corrector`] as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CorrectorArg {
    /// Predictor steps alone
    None,
    /// Langevin dynamics at each level
    Langevin,
}

impl From<CorrectorArg> for Corrector {
    fn from(corrector: CorrectorArg) -> Self {
        match corrector {
            CorrectorArg::None => Self::None,
            CorrectorArg::Langevin => Self::Langevin,
        }
    }
}

/// How the flow is solved, where it is not as the run says.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct SolverArgs {
    /// The solver [default: the run's]
    #[arg(long, value_enum, help_heading = "Solver")]
    pub solver: Option<Solver>,

    /// Steps of a solver with fixed steps [default: the run's; 1000 for a stochastic sampler]
    #[arg(long, value_name = "N", help_heading = "Solver")]
    pub steps: Option<usize>,

    /// Order of ipndm and deis, 1 to 4 [default: the run's, or 3]
    #[arg(long, value_name = "K", help_heading = "Solver")]
    pub order: Option<usize>,

    /// How the steps are spread [default: the solver's own]
    #[arg(long, value_enum, help_heading = "Solver")]
    pub schedule: Option<ScheduleArg>,

    /// How much schedule edm crowds towards low levels [default: the run's, or 7]
    #[arg(long, value_name = "RHO", help_heading = "Solver")]
    pub rho: Option<f64>,

    /// Take the first step on the far field: one evaluation less
    #[arg(long, help_heading = "Solver")]
    pub afs: bool,

    /// Whether a multistep solver ends with lower orders [default: the run's; dpmpp and unipc do]
    #[arg(long, value_name = "BOOL", help_heading = "Solver")]
    pub lower_order_final: Option<bool>,

    /// Relative tolerance of rk45 [default: the run's]
    #[arg(long, value_name = "TOL", help_heading = "Solver")]
    pub rtol: Option<f64>,

    /// Absolute tolerance of rk45 [default: the run's]
    #[arg(long, value_name = "TOL", help_heading = "Solver")]
    pub atol: Option<f64>,

    /// heun: the noise that is added on the way, EDM's S_churn (D infinite or 1) [default: the run's, or 0]
    #[arg(long, value_name = "S", help_heading = "Solver")]
    pub churn: Option<f64>,

    /// The lowest level that is churned
    #[arg(long, value_name = "SIGMA", help_heading = "Solver")]
    pub churn_min: Option<f64>,

    /// The highest level that is churned
    #[arg(long, value_name = "SIGMA", help_heading = "Solver")]
    pub churn_max: Option<f64>,

    /// The size of that noise, 1 as the theory has it
    #[arg(long, value_name = "S", help_heading = "Solver")]
    pub churn_noise: Option<f64>,

    /// The process that a stochastic sampler reverses [default: the one that the run was trained on, else ve]
    #[arg(long, value_enum, help_heading = "Solver")]
    pub process: Option<ProcessArg>,

    /// What a stochastic sampler does at each level before it steps [default: the run's, or none]
    #[arg(long, value_enum, help_heading = "Solver")]
    pub corrector: Option<CorrectorArg>,

    /// Steps of the corrector at each level [default: the run's, or 1]
    #[arg(long, value_name = "N", help_heading = "Solver")]
    pub corrector_steps: Option<usize>,

    /// Ratio of signal to noise of the corrector [default: the run's, or 0.16]
    #[arg(long, value_name = "R", help_heading = "Solver")]
    pub snr: Option<f64>,
}

impl SolverArgs {
    /// Whether anything was said.
    pub fn is_given(&self) -> bool {
        *self != Self::default()
    }
}
