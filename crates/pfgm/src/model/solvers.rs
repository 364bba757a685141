//! Solvers of a model's operations.

use crate::{
    config::{ONE_JUMP, several_jumps, solver_problem},
    error::{Error, Result},
    solver::{Method, Solver},
    spec::ModelSpec,
};

impl ModelSpec {
    /// Returns the given solver, or that of the model, checked against its D and its network.
    ///
    /// # Errors
    /// Returns an error if the solver has a value out of range, or does not fit the model.
    pub fn solver_or(&self, solver: Option<Solver>) -> Result<Solver> {
        let solver =
            solver.unwrap_or_else(|| self.config.sample.solver.clone()).for_process(self.config.flow.output.process());
        if (solver.method() == Method::Consistency) != self.is_distilled() {
            let problem = format!("{}: {}", solver.method(), solver_problem(&self.config));
            return Err(Error::argument("solver", problem));
        }
        if several_jumps(&solver, &self.config).is_some() {
            return Err(Error::argument("solver", format!("steps: {ONE_JUMP}")));
        }
        solver.check(self.extra_dims()).map_err(|wrong| Error::argument("solver", wrong.to_string()))?;
        Ok(solver)
    }

    /// Returns the given solver, or that of the model, for an integration that starts below the highest noise level. GITS levels apply only to
    /// the full range.
    ///
    /// # Errors
    /// As [`ModelSpec::solver_or`].
    pub fn partial_solver_or(&self, solver: Option<Solver>) -> Result<Solver> {
        let mut solver = solver.unwrap_or_else(|| self.config.sample.solver.clone());
        solver.reset_schedule();
        self.solver_or(Some(solver))
    }

    /// Returns the default solver for encoding and likelihoods: RK45, with the tolerances of the model's solver if that is
    /// RK45, otherwise 1e-4. A distilled model has its own solver only.
    pub fn invertible_solver(&self) -> Solver {
        match self.config.sample.solver {
            Solver::Rk45(rk45) => rk45.denoise(false).into(),
            ref own @ Solver::Consistency(_) => own.clone(),
            _ => Solver::rk45(1e-4).into(),
        }
    }

    /// Returns the given solver, or [`ModelSpec::invertible_solver`]; rejects solvers that add noise.
    ///
    /// # Errors
    /// As [`ModelSpec::solver_or`], and if the solver adds noise.
    pub fn invertible_solver_or(&self, solver: Option<Solver>) -> Result<Solver> {
        let solver = self.solver_or(Some(solver.unwrap_or_else(|| self.invertible_solver())))?;
        if !solver.is_reversible() {
            let problem =
                format!("{} adds noise and only leads down; give an ODE solver, such as rk45", solver.method());
            return Err(Error::argument("solver", problem));
        }
        Ok(solver)
    }
}
