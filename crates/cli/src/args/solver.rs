//! Solvers as they are typed.

use clap::{Args, ValueEnum};
use pfgm::solver::{Corrector, Method, ScheduleName};

/// [`Method`] as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Solver {
    /// Euler on a log-uniform grid: one evaluation a step
    Euler,
    /// Heun on a log-uniform grid: two evaluations a step
    ImprovedEuler,
    /// Heun on EDM's grid, with a last step to zero; stochastic with --churn
    Heun,
    /// Dormand-Prince 5(4): adaptive steps for each sample
    Rk45,
    /// iPNDM, multistep with constant coefficients (--order 1 to 4): one evaluation a step
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
    /// DEIS tAB, multistep (--order 1 to 4)
    Deis,
    /// Reverse SDE by Euler-Maruyama (infinite D)
    ReverseSde,
    /// Reverse-diffusion predictor (infinite D)
    ReverseDiffusion,
    /// Ancestral sampling (infinite D)
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
    /// Levels that `pfgm schedule` found for the run and this number of steps
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
    /// Sub-variance-preserving
    SubVp,
}

/// [`Corrector`] as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CorrectorArg {
    /// No corrector
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

/// Changes to a run's solver.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct SolverArgs {
    /// The solver [default: the run's]
    #[arg(long, value_enum, help_heading = "Solver")]
    pub solver: Option<Solver>,

    /// Number of steps, for solvers with fixed steps [default: the run's; 1000 for a reverse SDE]
    #[arg(long, value_name = "N", help_heading = "Solver")]
    pub steps: Option<usize>,

    /// Order of ipndm and deis, 1 to 4 [default: the run's, or 3]
    #[arg(long, value_name = "K", help_heading = "Solver")]
    pub order: Option<usize>,

    /// Grid of noise levels [default: the solver's own]
    #[arg(long, value_enum, help_heading = "Solver")]
    pub schedule: Option<ScheduleArg>,

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
    #[arg(long, value_enum, help_heading = "Solver")]
    pub corrector: Option<CorrectorArg>,

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
}
