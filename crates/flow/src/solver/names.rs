//! Names of what a user can choose, each in one table: the text that is written and parsed, and a line of help.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A name that is not in its table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{given}`, expected one of {}", known.join(", "))]
pub struct UnknownName {
    /// What is named.
    pub what: &'static str,
    /// The unknown name.
    pub given: String,
    /// The names of the table.
    pub known: &'static [&'static str],
}

/// Defines an enumeration by its table: variant, name, and help.
macro_rules! named {
    (
        $(#[$attribute:meta])*
        $type:ident, $what:literal {
            $( $(#[$variant_attribute:meta])* $variant:ident, $name:literal, $help:literal; )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type {
            $( $(#[$variant_attribute])* #[doc = $help] $variant, )+
        }

        impl $type {
            /// All variants, in the order of the help.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// All names, in the order of [`Self::ALL`].
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The name, as it is written in files, flags and requests.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// One line of help.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                let found = Self::ALL.iter().find(|value| value.as_str() == text);
                found.copied().ok_or_else(|| UnknownName { what: $what, given: text.to_owned(), known: Self::NAMES })
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|_| D::Error::unknown_variant(&text, Self::NAMES))
            }
        }
    };
}

named! {
    /// The methods that a user can name; [`Solver`](super::Solver) has their options.
    #[non_exhaustive]
    Method, "solver" {
        Euler, "euler", "Euler on a log-uniform grid: one evaluation a step";
        ImprovedEuler, "improved-euler", "Heun on a log-uniform grid: two evaluations a step";
        Heun, "heun", "Heun on EDM's grid, with a last step to zero; stochastic with churn";
        Rk45, "rk45", "Dormand-Prince 5(4): adaptive steps for each sample";
        Ipndm, "ipndm", "iPNDM, multistep with constant coefficients, order 1 to 4: one evaluation a step";
        DpmPp2m, "dpmpp-2m", "DPM-Solver++ of order 2";
        DpmPp3m, "dpmpp-3m", "DPM-Solver++ of order 3";
        UniPc2, "unipc-2", "UniPC, predictor of order 2";
        UniPc3, "unipc-3", "UniPC, predictor of order 3";
        Deis, "deis", "DEIS tAB, multistep, order 1 to 4";
        ReverseSde, "reverse-sde", "Reverse SDE by Euler-Maruyama (infinite D)";
        ReverseDiffusion, "reverse-diffusion", "Reverse-diffusion predictor (infinite D)";
        Ancestral, "ancestral", "Ancestral sampling (infinite D)";
        Consistency, "consistency", "Jumps to the data, one evaluation a step (distilled runs)";
    }
}

named! {
    /// The grids of noise levels that a user can name.
    #[non_exhaustive]
    ScheduleName, "schedule" {
        LogUniform, "log-uniform", "Equal steps of ln sigma";
        Edm, "edm", "Equal steps of sigma^(1/rho)";
        Gits, "gits", "The levels that a GITS search found for the run and this number of steps";
    }
}

named! {
    /// What a stochastic sampler does at each noise level before it steps.
    #[non_exhaustive]
    #[derive(Default)]
    Corrector, "corrector" {
        #[default]
        None, "none", "Predictor steps alone";
        Langevin, "langevin", "Langevin dynamics at each noise level";
    }
}

impl Method {
    /// Whether it is a sampler of the reverse SDE.
    pub fn is_sde(self) -> bool {
        matches!(self, Self::ReverseSde | Self::ReverseDiffusion | Self::Ancestral)
    }

    /// Whether it follows a grid of noise levels.
    pub fn has_grid(self) -> bool {
        !self.is_sde() && self != Self::Rk45
    }

    /// The number of steps where none is given.
    pub fn default_steps(self) -> usize {
        match self {
            Self::Consistency => 2,
            _ if self.is_sde() => 1000,
            _ => 18,
        }
    }

    /// The grid that it was published with or, for multistep methods, the best one measured (docs/results.md).
    pub fn default_schedule(self) -> ScheduleName {
        if self == Self::Heun { ScheduleName::Edm } else { ScheduleName::LogUniform }
    }

    /// The number of grid intervals between the highest and the lowest noise level: the last of Heun's steps goes on to zero.
    pub fn intervals(self, steps: usize) -> usize {
        if self == Self::Heun { steps.saturating_sub(1) } else { steps }
    }
}
