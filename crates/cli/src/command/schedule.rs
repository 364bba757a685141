//! `pfgm schedule`

use anyhow::{Context, Result, bail};
use pfgm::{
    model::ScheduleSearch,
    solver::{Method, Solver},
    train::RunLock,
};

use crate::{
    args::ScheduleArgs,
    render::{self, display, line},
    resolve::{self, solver::FoundSchedule},
};

/// The solver if the run's has no grid.
const DEFAULT: Method = Method::DpmPp2m;

pub fn run(args: &ScheduleArgs) -> Result<()> {
    let model = resolve::flow_model(&args.run, &args.compute)?;
    let spec = model.spec();
    let own = spec.config.sample.solver.method();
    let method = args.solver.unwrap_or(if own.has_grid() { own } else { DEFAULT });
    if !method.has_grid() {
        bail!("--solver {}: has no grid of noise levels; choose one that has, such as {}", method, DEFAULT);
    }
    let solver = Solver::of_method(method).with_steps(args.steps);
    resolve::solver::check(&solver, spec.extra_dims())?;
    let intervals = method.intervals(args.steps);
    if intervals == 0 {
        bail!("--steps {}: there is no level to search for; give at least 2", args.steps);
    }
    resolve::within("--grid", args.grid, intervals + 1..=1000)?;
    resolve::within("-n", args.count, 1..=resolve::MAX_SAMPLES)?;
    resolve::product("-n and --grid", args.count, args.grid)?;
    let path = FoundSchedule::path(&args.run, args.steps);
    render::check_writable(&path)?;
    let _lock = args.run.is_dir().then(|| RunLock::acquire(&args.run)).transpose()?;
    let mut evaluations = 0;
    let observer = |progress: &pfgm::Progress| {
        evaluations = progress.evaluations;
        std::ops::ControlFlow::Continue(())
    };
    let search = ScheduleSearch::new(solver).trajectories(args.count).grid(args.grid).observer(observer);
    let levels = model.search_schedule(search)?;
    let found = FoundSchedule { solver: method.to_string(), trajectories: args.count, grid: args.grid, levels };
    let text = toml::to_string(&found).context("the schedule cannot be written as TOML")?;
    render::write(&path, text.as_bytes())?;
    let shown: Vec<String> = found.levels.iter().map(|level| format!("{level:.4}")).collect();
    line(format!("levels    {}", shown.join("  ")));
    line(format!("found     on {} trajectories of {} evaluations", args.count, evaluations / args.count as u64));
    line(format!("schedule  {}", display(&path)));
    line(format!(
        "next      pfgm sample {} --solver {} --schedule gits --steps {}",
        display(&args.run),
        method,
        args.steps
    ));
    Ok(())
}
