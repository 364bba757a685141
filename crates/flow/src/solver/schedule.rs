//! Grids of noise levels.

use super::{GridError, Method, ScheduleName};

/// How the noise levels of a grid are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// Equal steps of ln sigma.
    LogUniform,
    /// Equal steps of `sigma^(1/rho)` (EDM, arXiv 2206.00364, eq. 5).
    Edm {
        /// 7 in the paper: large values crowd the levels towards zero.
        rho: f64,
    },
}

impl Schedule {
    /// EDM's schedule with the rho of the paper.
    pub const EDM: Self = Self::Edm { rho: 7.0 };

    /// `steps + 1` noise levels from `from` to `to`, both included; `from` alone for no step.
    pub fn grid(self, from: f64, to: f64, steps: usize) -> Vec<f64> {
        let between = |i: usize| {
            let share = if steps == 0 { 0.0 } else { i as f64 / steps as f64 };
            match self {
                Self::LogUniform => (from.ln() + share * (to.ln() - from.ln())).exp(),
                Self::Edm { rho } => {
                    let (a, b) = (from.powf(1.0 / rho), to.powf(1.0 / rho));
                    (a + share * (b - a)).powf(rho)
                }
            }
        };
        let mut grid: Vec<f64> = (0..=steps).map(between).collect();
        // The ends are given numbers: rounding must not move them.
        grid[0] = from;
        if steps > 0 {
            grid[steps] = to;
        }
        grid
    }
}

/// The noise levels that a solver with given steps visits.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Grid {
    /// Levels spread over the range of the flow.
    Spread {
        /// The number of steps.
        steps: usize,
        /// How the levels are spread.
        schedule: Schedule,
    },
    /// The levels of a GITS search that is yet to be made, or looked up; no solver can follow them before.
    Gits {
        /// The number of steps.
        steps: usize,
    },
    /// Given levels, from the highest to the lowest, which are the ends of the flow's range.
    Levels(Vec<f64>),
}

impl Grid {
    /// The grid of a method's own schedule.
    pub fn of_method(method: Method, steps: usize) -> Self {
        Self::named(method.default_schedule(), None, steps)
    }

    /// The grid of a named schedule.
    pub(super) fn named(name: ScheduleName, rho: Option<f64>, steps: usize) -> Self {
        let schedule = match (name, rho) {
            (ScheduleName::LogUniform, _) => Schedule::LogUniform,
            (ScheduleName::Edm, Some(rho)) => Schedule::Edm { rho },
            (ScheduleName::Edm, None) => Schedule::EDM,
            (ScheduleName::Gits, _) => return Self::Gits { steps },
        };
        Self::Spread { steps, schedule }
    }

    /// The name of its schedule, if its levels are not given.
    pub fn schedule(&self) -> Option<ScheduleName> {
        match self {
            Self::Spread { schedule: Schedule::LogUniform, .. } => Some(ScheduleName::LogUniform),
            Self::Spread { schedule: Schedule::Edm { .. }, .. } => Some(ScheduleName::Edm),
            Self::Gits { .. } => Some(ScheduleName::Gits),
            Self::Levels(_) => None,
        }
    }

    /// The rho of EDM's schedule.
    pub(super) fn rho(&self) -> Option<f64> {
        match self {
            Self::Spread { schedule: Schedule::Edm { rho }, .. } => Some(*rho),
            _ => None,
        }
    }

    /// The number of steps of a method on this grid.
    pub fn steps(&self, method: Method) -> usize {
        match self {
            Self::Spread { steps, .. } | Self::Gits { steps } => *steps,
            Self::Levels(levels) if method == Method::Heun => levels.len(),
            Self::Levels(levels) => levels.len().saturating_sub(1),
        }
    }

    /// The noise levels from the highest of `range` to the lowest.
    ///
    /// # Errors
    /// If the levels of GITS were not looked up, or given levels have other ends than the range.
    pub fn levels(&self, method: Method, (low, high): (f64, f64)) -> Result<Vec<f64>, GridError> {
        match self {
            Self::Spread { steps, schedule } => Ok(schedule.grid(high, low, method.intervals(*steps))),
            Self::Gits { steps } => Err(GridError::NotFound { intervals: method.intervals(*steps) }),
            Self::Levels(levels) => {
                let (first, last) = (levels.first().copied().unwrap_or(0.0), levels.last().copied().unwrap_or(0.0));
                let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-6;
                if levels.len() < 2 || !near(first, high) || !near(last, low) {
                    return Err(GridError::Range { first, last, low, high });
                }
                // The ends are those of the flow: levels in a file may be rounded.
                let mut levels = levels.clone();
                let end = levels.len() - 1;
                (levels[0], levels[end]) = (high, low);
                Ok(levels)
            }
        }
    }
}
