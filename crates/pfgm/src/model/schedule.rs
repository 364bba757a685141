//! Search for the noise levels of a solver with few steps, on trajectories of the model.

use super::{
    Model,
    execution::{Execution, execution_options},
    integrate::{Conditions, Estimator},
    monitor::Monitored,
};
use crate::{
    error::{Error, Result},
    flow::Flow,
    solver::{Search, Solver, gits},
};

/// A search for the noise levels of a solver with few steps (GITS, arXiv 2405.11326): [`Model::search_schedule`].
#[must_use = "nothing is searched before `Model::search_schedule`"]
pub struct ScheduleSearch<'a> {
    solver: Solver,
    trajectories: usize,
    grid: usize,
    execution: Execution<'a>,
}

impl<'a> ScheduleSearch<'a> {
    /// Creates a search for the levels of this solver.
    pub fn new(solver: impl Into<Solver>) -> Self {
        Self { solver: solver.into(), trajectories: 256, grid: 60, execution: Execution::default() }
    }

    /// Sets the number of trajectories. Default: 256.
    pub fn trajectories(mut self, count: usize) -> Self {
        self.trajectories = count;
        self
    }

    /// Sets the number of candidate levels. Default: 60.
    pub fn grid(mut self, levels: usize) -> Self {
        self.grid = levels;
        self
    }

    execution_options!('a);
}

impl Model {
    /// Searches for the noise levels with the smallest error of a solver, and returns them from the highest to the lowest.
    ///
    /// ```
    /// use pfgm::{model::ScheduleSearch, prelude::*};
    ///
    /// let model = Model::load("digits")?;
    /// let levels = model.search_schedule(ScheduleSearch::new(Solver::dpmpp(2, 3)).trajectories(2).grid(8))?;
    /// assert_eq!(levels.len(), 4);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the solver has no grid of noise levels, or the computation is canceled.
    pub fn search_schedule(&self, how: ScheduleSearch) -> Result<Vec<f64>> {
        self.check_has_yhat("search_schedule")?;
        let ScheduleSearch { solver, trajectories, grid, execution } = how;
        let solver = self.spec.solver_or(Some(solver))?;
        let method = solver.method();
        let Some(steps) = solver.grid().map(|grid| grid.steps(method)) else {
            return Err(Error::argument("solver", format!("{method} has no grid of noise levels")));
        };
        let intervals = method.intervals(steps);
        if intervals == 0 || grid <= intervals {
            return Err(Error::argument(
                "grid",
                format!("{grid}: give more than the {intervals} intervals of the solver"),
            ));
        }
        let seeds: Vec<u64> = (0..trajectories as u64).collect();
        let guidance = self.spec.config.sample.guidance;
        let denoiser = self.conditioned(Conditions { guidance, ..Conditions::of(self.spec.classes_in_turn(&seeds)) });
        let running = execution.begin("schedule", trajectories)?;
        let monitored = Monitored::new(&*denoiser, &running);
        let flow = Flow { denoiser: &monitored, extra_dims: self.spec.extra_dims() };
        let x = self.spec.prior(0, seeds);
        let levels = gits(&flow, &Search { method, steps, grid, range: self.spec.range() }, &x);
        running.advance(trajectories)?;
        Ok(levels)
    }
}
