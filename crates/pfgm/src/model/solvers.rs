//! Which solver an operation of a model uses.

use crate::{
    error::{Error, Result},
    solver::Solver,
    spec::ModelSpec,
};

impl ModelSpec {
    /// The given solver, or the model's own, checked against its D and its network.
    ///
    /// # Errors
    /// Returns an error if the solver has a value out of range, or does not fit the model.
    pub fn solver_or(&self, solver: Option<Solver>) -> Result<Solver> {
        let solver =
            solver.unwrap_or_else(|| self.config.sample.solver.clone()).for_process(self.config.flow.output.process());
        solver.check(self.extra_dims()).map_err(|wrong| Error::argument("solver", wrong.to_string()))?;
        Ok(solver)
    }

    /// The given solver, or the model's own, to start below the highest noise level: levels that were found are those of the whole way.
    ///
    /// # Errors
    /// As [`ModelSpec::solver_or`].
    pub fn partial_solver_or(&self, solver: Option<Solver>) -> Result<Solver> {
        let mut solver = solver.unwrap_or_else(|| self.config.sample.solver.clone());
        solver.reset_schedule();
        self.solver_or(Some(solver))
    }

    /// The solver that leads up as well as down unless another is given: RK45, with the tolerances of the model's own solver if that is
    /// RK45, otherwise 1e-4.
    pub fn invertible_solver(&self) -> Solver {
        match self.config.sample.solver {
            Solver::Rk45(rk45) => rk45.denoise(false).into(),
            _ => Solver::rk45(1e-4).into(),
        }
    }

    /// The given solver, or [`ModelSpec::invertible_solver`]; rejects one that only leads down.
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
