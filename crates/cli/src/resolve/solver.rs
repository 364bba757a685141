//! How a run is solved: its own solver with the changes that a command line asks for.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pfgm::{
    extra_dims::ExtraDims,
    prediction::Output,
    process::{BETA_MAX, BETA_MIN, Process},
    solver::{Corrector, Method, ScheduleName, SolverConfig},
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
pub fn solver(args: &SolverArgs, record: &ModelSpec, run: &Path) -> Result<SolverConfig> {
    changed(args, &record.config.sample.solver, Solved::of(record, run))
}

/// A solver with the changes that a command line asks for.
pub fn changed(args: &SolverArgs, kept: &SolverConfig, solved: Solved) -> Result<SolverConfig> {
    let base = match args.solver.map(Method::from) {
        Some(method) if method != kept.method => {
            // Another method has other choices; what all have in common stays.
            let steps = if method.is_sde() || kept.method.is_sde() { method.usual_steps() } else { kept.steps };
            let SolverConfig { rtol, atol, denoise, .. } = *kept;
            SolverConfig { method, steps, rtol, atol, denoise, ..SolverConfig::default() }
        }
        _ => kept.clone(),
    };
    refuse_idle(args, &base)?;
    let chosen_steps = args.steps.is_some_and(|steps| steps != base.steps) || args.schedule.is_some();
    let mut solver = SolverConfig {
        method: base.method,
        steps: args.steps.unwrap_or(base.steps),
        order: args.order.or(base.order),
        schedule: args.schedule.map(Into::into).or(base.schedule),
        rho: args.rho.unwrap_or(base.rho),
        levels: if chosen_steps { Vec::new() } else { base.levels },
        lower_order_final: args.lower_order_final.or(base.lower_order_final),
        rtol: args.rtol.unwrap_or(base.rtol),
        atol: args.atol.unwrap_or(base.atol),
        denoise: base.denoise,
        afs: args.afs || base.afs,
        churn: args.churn.unwrap_or(base.churn),
        churn_min: args.churn_min.unwrap_or(base.churn_min),
        churn_max: args.churn_max.or(base.churn_max),
        churn_noise: args.churn_noise.unwrap_or(base.churn_noise),
        noise: base.noise,
        process: args.process.map(|name| process(name, solved.output)).or(base.process),
        corrector: args.corrector.map_or(base.corrector, Into::into),
        corrector_steps: args.corrector_steps.unwrap_or(base.corrector_steps),
        snr: args.snr.unwrap_or(base.snr),
    }
    .for_process(solved.output.process());
    check(&solver, solved.extra_dims)?;
    if find_levels(&mut solver, solved.run).context("--schedule gits")? {
        check(&solver, solved.extra_dims)?;
    }
    Ok(solver)
}

/// Takes the levels that `pfgm schedule` found, where they are wanted; says whether they were.
pub fn find_levels(solver: &mut SolverConfig, run: Option<&Path>) -> Result<bool> {
    let wanted = solver.schedule == Some(ScheduleName::Gits) && solver.levels.is_empty();
    if wanted {
        let Some(run) = run else {
            bail!("schedules are found for runs; name another one");
        };
        solver.levels = Found::read(run, solver)?.levels;
    }
    Ok(wanted)
}

/// Checks a solver as the flags that it is made of.
pub fn check(solver: &SolverConfig, extra_dims: ExtraDims) -> Result<()> {
    match solver.check(extra_dims) {
        Ok(()) => Ok(()),
        Err((key, value, problem)) => bail!("--{} {value}: {problem}", key.replace('_', "-")),
    }
}

/// Refuses flags that the method would not look at.
fn refuse_idle(args: &SolverArgs, base: &SolverConfig) -> Result<()> {
    let method = base.method;
    let edm = args.schedule.map(Into::into).or(base.schedule).unwrap_or(method.usual_schedule());
    let churns = args.churn.unwrap_or(base.churn) > 0.0;
    let corrects = args.corrector.map_or(base.corrector, Into::into) != Corrector::None;
    let (adaptive, remedy) =
        (method == Method::Rk45, "rk45 chooses its steps by --rtol and --atol; name another solver");
    let idle = [
        (args.steps.is_some() && adaptive, "steps", remedy),
        (args.rtol.is_some() && !adaptive, "rtol", "add --solver rk45"),
        (args.atol.is_some() && !adaptive, "atol", "add --solver rk45"),
        (args.rho.is_some() && !method.has_grid(), "rho", "name a solver that follows a grid"),
        (args.rho.is_some() && edm != ScheduleName::Edm, "rho", "add --schedule edm"),
        (args.churn_min.is_some() && !churns, "churn-min", "add --churn"),
        (args.churn_max.is_some() && !churns, "churn-max", "add --churn"),
        (args.churn_noise.is_some() && !churns, "churn-noise", "add --churn"),
        (args.corrector_steps.is_some() && !corrects, "corrector-steps", "add --corrector langevin"),
        (args.snr.is_some() && !corrects, "snr", "add --corrector langevin"),
    ];
    match idle.into_iter().find(|(idle, ..)| *idle) {
        Some((_, flag, remedy)) => bail!("--{flag}: nothing would use it; {remedy}, or omit it"),
        None => Ok(()),
    }
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

    fn read(run: &Path, solver: &SolverConfig) -> Result<Self> {
        let (path, steps) = (Self::path(run, solver.steps), solver.steps);
        let shown = path.display();
        if !path.is_file() {
            bail!(
                "there is no {shown}; find it with `pfgm schedule {} --steps {steps} --solver {}`",
                run.display(),
                solver.method.word()
            );
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("{shown}: cannot be read"))?;
        let found: Self = toml::from_str(&text).map_err(|error| {
            anyhow::anyhow!("{shown}: {}; write it anew with `pfgm schedule`", error.message().trim())
        })?;
        if found.levels.len() != solver.method.intervals(steps) + 1 {
            bail!(
                "{shown}: {} levels, made for {}; for {} find them with `pfgm schedule --solver {2}`",
                found.levels.len(),
                found.solver,
                solver.method.word()
            );
        }
        Ok(found)
    }
}
