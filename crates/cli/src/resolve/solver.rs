//! How a run is solved: its own solver with the changes that a command line asks for.

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

/// What is solved.
#[derive(Clone, Copy)]
pub struct Solved<'a> {
    pub extra_dims: ExtraDims,
    pub output: Output,
    /// Where found schedules are, if there is a run.
    pub run: Option<&'a Path>,
}

impl<'a> Solved<'a> {
    pub fn of(record: &ModelSpec, run: &'a Path) -> Self {
        Self { extra_dims: record.extra_dims(), output: record.config.flow.output, run: Some(run) }
    }
}

/// A run's solver with the changes that a command line asks for. `run` is where found schedules are.
pub fn solver(args: &SolverArgs, record: &ModelSpec, run: &Path) -> Result<Solver> {
    changed(args, &record.config.sample.solver, Solved::of(record, run))
}

/// A solver with the changes that a command line asks for.
pub fn changed(args: &SolverArgs, kept: &Solver, solved: Solved) -> Result<Solver> {
    let overrides = args.overrides(|name| process(name, solved.output));
    let mut solver = overrides.apply(kept).map_err(as_flag)?.for_process(solved.output.process());
    check(&solver, solved.extra_dims)?;
    if find_levels(&mut solver, solved.run).context("--schedule gits")? {
        check(&solver, solved.extra_dims)?;
    }
    Ok(solver)
}

/// An option of a solver that cannot work, as the flag that it is.
fn as_flag(wrong: InvalidOption) -> anyhow::Error {
    let flag = if wrong.option == "method" { "solver".to_owned() } else { wrong.option.replace('_', "-") };
    anyhow::anyhow!("--{flag} {}: {}", wrong.value, wrong.problem)
}

/// Takes the levels that `pfgm schedule` found, where they are wanted; says whether they were.
pub fn find_levels(solver: &mut Solver, run: Option<&Path>) -> Result<bool> {
    let method = solver.method();
    let Some(grid @ &mut Grid::Gits { steps }) = solver.grid_mut() else { return Ok(false) };
    let Some(run) = run else {
        bail!("schedules are found for runs; name another one");
    };
    *grid = Grid::Levels(Found::read(run, method, steps)?.levels);
    Ok(true)
}

/// Checks a solver as the flags that it is made of.
pub fn check(solver: &Solver, extra_dims: ExtraDims) -> Result<()> {
    solver.check(extra_dims).map_err(as_flag)
}

/// A process by name, with the rates of the run's own where it has some.
fn process(name: ProcessArg, output: Output) -> Process {
    let (beta_min, beta_max) = match output {
        Output::Vp { beta_min, beta_max } | Output::SubVp { beta_min, beta_max } => (beta_min, beta_max),
        _ => (BETA_MIN, BETA_MAX),
    };
    match name {
        ProcessArg::Ve => Process::Ve,
        ProcessArg::Vp => Process::Vp { beta_min, beta_max },
        ProcessArg::SubVp => Process::SubVp { beta_min, beta_max },
    }
}

/// A schedule as it is kept with a run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The solver that it was found for.
    pub solver: String,
    /// Trajectories that it was found on.
    pub trajectories: usize,
    /// Levels that it was chosen from.
    pub grid: usize,
    /// The noise levels, from the highest to the lowest.
    pub levels: Vec<f64>,
}

impl Found {
    /// Where the schedule of so many steps is kept.
    pub fn path(run: &Path, steps: usize) -> PathBuf {
        let folder = if run.is_dir() { run } else { run.parent().unwrap_or(Path::new("")) };
        folder.join(format!("schedule-{steps}.toml"))
    }

    fn read(run: &Path, method: Method, steps: usize) -> Result<Self> {
        let path = Self::path(run, steps);
        let shown = path.display();
        if !path.is_file() {
            bail!(
                "there is no {shown}; find it with `pfgm schedule {} --steps {steps} --solver {}`",
                run.display(),
                method
            );
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("{shown}: cannot be read"))?;
        let found: Self = toml::from_str(&text).map_err(|error| {
            anyhow::anyhow!("{shown}: {}; write it anew with `pfgm schedule`", error.message().trim())
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
