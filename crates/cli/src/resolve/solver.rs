//! Solvers: that of the run, with the changes of the command line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pfgm::{
    extra_dims::ExtraDims,
    prediction::Output,
    process::{BETA_MAX, BETA_MIN, Process},
    solver::{Grid, InvalidOption, Method, Solver},
    spec::ModelSpec,
};
use serde::{Deserialize, Serialize};

use crate::args::{ProcessArg, SolverArgs};

/// Properties of the run that a solver is checked against.
#[derive(Clone, Copy)]
pub struct Solved<'a> {
    pub extra_dims: ExtraDims,
    pub output: &'a Output,
    /// The run, which may have schedules.
    pub run: Option<&'a Path>,
}

impl<'a> Solved<'a> {
    pub fn of(spec: &'a ModelSpec, run: &'a Path) -> Self {
        Self { extra_dims: spec.extra_dims(), output: &spec.config.flow.output, run: Some(run) }
    }
}

/// Returns the solver of a run with the changes of the command line.
pub fn solver(args: &SolverArgs, spec: &ModelSpec, run: &Path) -> Result<Solver> {
    let solver = changed(args, &spec.config.sample.solver, Solved::of(spec, run))?;
    if let Some(grid) = solver.grid() {
        let method = solver.method();
        grid.levels(method, spec.range())
            .with_context(|| format!("`pfgm schedule {} --solver {method}` searches levels", run.display()))?;
    }
    Ok(solver)
}

/// Returns a solver with the changes of the command line.
pub fn changed(args: &SolverArgs, kept: &Solver, solved: Solved) -> Result<Solver> {
    let overrides = args.overrides(|name| process(name, solved.output));
    let mut solver = overrides.apply(kept).map_err(as_flag)?.for_process(solved.output.process());
    check(&solver, solved.extra_dims)?;
    if find_levels(&mut solver, solved.run).context("--schedule gits")? {
        check(&solver, solved.extra_dims)?;
    }
    Ok(solver)
}

/// Converts an error about an option of a solver to one that names its flag.
fn as_flag(wrong: InvalidOption) -> anyhow::Error {
    let flag = |option: &str| if option == "method" { "solver".to_owned() } else { option.replace('_', "-") };
    let remedy = wrong.needs.map(|(option, value)| format!("; add --{} {value}, or omit it", flag(option)));
    anyhow::anyhow!("--{} {}: {}{}", flag(wrong.option), wrong.value, wrong.problem, remedy.unwrap_or_default())
}

/// Reads the levels of `pfgm schedule` if the solver uses them; returns whether it does.
pub fn find_levels(solver: &mut Solver, run: Option<&Path>) -> Result<bool> {
    let method = solver.method();
    let Some(grid @ &mut Grid::Gits { steps }) = solver.grid_mut() else { return Ok(false) };
    let Some(run) = run else {
        bail!("GITS schedules belong to runs; choose another schedule");
    };
    *grid = Grid::Levels(FoundSchedule::read(run, method, steps)?.levels);
    Ok(true)
}

/// Checks a solver. Errors name its flags.
pub fn check(solver: &Solver, extra_dims: ExtraDims) -> Result<()> {
    solver.check(extra_dims).map_err(as_flag)
}

/// A process by name, with the rates of the run's own if it has any.
fn process(name: ProcessArg, output: &Output) -> Process {
    let (beta_min, beta_max) = match *output {
        Output::Vp { beta_min, beta_max } | Output::SubVp { beta_min, beta_max } => (beta_min, beta_max),
        _ => (BETA_MIN, BETA_MAX),
    };
    match name {
        ProcessArg::Ve => Process::Ve,
        ProcessArg::Vp => Process::Vp { beta_min, beta_max },
        ProcessArg::SubVp => Process::SubVp { beta_min, beta_max },
    }
}

/// Returns the requested solver, which must be an ODE solver that can integrate in both directions. The default is RK45, with the tolerances
/// of the run if its solver is RK45, else 1e-4. The solver of a distilled run leads down only; the library refuses to encode with it.
pub fn invertible(args: &SolverArgs, spec: &ModelSpec, run: &Path) -> Result<Solver> {
    let solver = changed(args, &spec.invertible_solver(), Solved::of(spec, run))?;
    if !solver.is_reversible() && !spec.is_distilled() {
        bail!("--solver {}: adds noise, and cannot be inverted; name an ODE solver, such as rk45", solver.method());
    }
    Ok(solver)
}

/// A GITS schedule in the file of a run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundSchedule {
    /// The solver that it was searched for.
    pub solver: String,
    /// Trajectories that it was searched on.
    pub trajectories: usize,
    /// Candidate levels.
    pub grid: usize,
    /// The noise levels, from the highest to the lowest.
    pub levels: Vec<f64>,
}

impl FoundSchedule {
    /// The file of the schedule with this number of steps.
    pub fn path(run: &Path, steps: usize) -> PathBuf {
        let folder = if run.is_dir() { run } else { run.parent().unwrap_or(Path::new("")) };
        folder.join(format!("schedule-{steps}.toml"))
    }

    fn read(run: &Path, method: Method, steps: usize) -> Result<Self> {
        let path = Self::path(run, steps);
        let shown = path.display();
        if !path.is_file() {
            bail!(
                "there is no {shown}; create it with `pfgm schedule {} --steps {steps} --solver {}`",
                run.display(),
                method
            );
        }
        let text = super::read_text(&path).with_context(|| shown.to_string())?;
        let found: Self = toml::from_str(&text).map_err(|error| {
            anyhow::anyhow!("{shown}: {}; write it again with `pfgm schedule`", error.message().trim())
        })?;
        if found.levels.len() != method.intervals(steps) + 1 {
            bail!(
                "{shown}: {} levels, made for {}; for {} find them with `pfgm schedule --solver {2}`",
                found.levels.len(),
                found.solver,
                method
            );
        }
        Ok(found)
    }
}
