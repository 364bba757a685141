//! The names of what a user can choose.

use serde::{Deserialize, Serialize};

/// The methods that a user can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Euler's method in r on a log-uniform grid: order 1, one evaluation a step.
    Euler,
    /// Heun's method in r on a log-uniform grid: order 2, two evaluations a step.
    ImprovedEuler,
    /// Heun's method on the EDM grid, then one Euler step to zero: order 2, `2 steps - 1` evaluations. With `churn`, EDM's
    /// stochastic sampler.
    Heun,
    /// Dormand and Prince's 5(4) pair in ln r with step control for each sample by itself.
    Rk45,
    /// iPNDM of order 1 to 4, one evaluation a step.
    Ipndm,
    /// DPM-Solver++ 2M, one evaluation a step.
    #[serde(rename = "dpmpp-2m")]
    DpmPp2m,
    /// DPM-Solver++ 3M, one evaluation a step.
    #[serde(rename = "dpmpp-3m")]
    DpmPp3m,
    /// UniPC with a predictor of order 2, one evaluation a step.
    #[serde(rename = "unipc-2")]
    UniPc2,
    /// UniPC with a predictor of order 3, one evaluation a step.
    #[serde(rename = "unipc-3")]
    UniPc3,
    /// DEIS tAB of order 1 to 4, one evaluation a step.
    Deis,
    /// The reverse SDE by Euler and Maruyama; D infinite.
    ReverseSde,
    /// The reverse-diffusion sampler; D infinite.
    ReverseDiffusion,
    /// Ancestral sampling; D infinite.
    Ancestral,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Euler,
        Self::ImprovedEuler,
        Self::Heun,
        Self::Rk45,
        Self::Ipndm,
        Self::DpmPp2m,
        Self::DpmPp3m,
        Self::UniPc2,
        Self::UniPc3,
        Self::Deis,
        Self::ReverseSde,
        Self::ReverseDiffusion,
        Self::Ancestral,
    ];

    /// Whether it is one of the stochastic samplers of score models.
    pub fn is_sde(self) -> bool {
        matches!(self, Self::ReverseSde | Self::ReverseDiffusion | Self::Ancestral)
    }

    /// Whether it follows a grid of noise levels.
    pub fn has_grid(self) -> bool {
        !self.is_sde() && self != Self::Rk45
    }

    /// The highest order that can be chosen, of a method that comes in several.
    pub fn highest_order(self) -> Option<usize> {
        matches!(self, Self::Ipndm | Self::Deis).then_some(4)
    }

    /// How many steps are worth while when nobody says.
    pub fn usual_steps(self) -> usize {
        if self.is_sde() { 1000 } else { 18 }
    }

    /// The grid's intervals between the two ends of the flow: Heun's last step goes on to zero.
    pub fn intervals(self, steps: usize) -> usize {
        if self == Self::Heun { steps - 1 } else { steps }
    }

    /// The grid that it was published with or, for multistep methods, that measured best (docs/results.md).
    pub fn usual_schedule(self) -> ScheduleName {
        if self == Self::Heun { ScheduleName::Edm } else { ScheduleName::LogUniform }
    }

    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Euler => "euler",
            Self::ImprovedEuler => "improved-euler",
            Self::Heun => "heun",
            Self::Rk45 => "rk45",
            Self::Ipndm => "ipndm",
            Self::DpmPp2m => "dpmpp-2m",
            Self::DpmPp3m => "dpmpp-3m",
            Self::UniPc2 => "unipc-2",
            Self::UniPc3 => "unipc-3",
            Self::Deis => "deis",
            Self::ReverseSde => "reverse-sde",
            Self::ReverseDiffusion => "reverse-diffusion",
            Self::Ancestral => "ancestral",
        }
    }
}

/// The grids that a user can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleName {
    /// Equal steps of ln sigma.
    LogUniform,
    /// Equal steps of `sigma^(1/rho)`.
    Edm,
    /// The levels that [`gits`](super::gits) found for the run: they are given as [`SolverConfig::levels`](super::SolverConfig::levels).
    Gits,
}

impl ScheduleName {
    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            Self::LogUniform => "log-uniform",
            Self::Edm => "edm",
            Self::Gits => "gits",
        }
    }
}

/// What follows each predictor step of a stochastic sampler, or precedes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corrector {
    /// Nothing.
    #[default]
    None,
    /// Langevin dynamics.
    Langevin,
}
