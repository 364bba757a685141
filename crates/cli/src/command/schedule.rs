//! `pfgm schedule`

use anyhow::{Context, Result, bail};
use pfgm::{
    flow::{Counted, Flow},
    solver::{Method, Search, Solver, gits},
    train::RunLock,
};

use crate::{
    args::ScheduleArgs,
    command::sample::Model,
    render::{self, display, line},
    resolve,
};

/// The solver where the run's has no grid.
const USUAL: Method = Method::DpmPp2m;

pub fn run(args: &ScheduleArgs) -> Result<()> {
    let model = Model::load(&args.run, &args.compute)?;
    let record = &model.record;
    let kept = record.config.sample.solver.method();
    let method = args.solver.unwrap_or(if kept.has_grid() { kept } else { USUAL });
    if !method.has_grid() {
        bail!("--solver {}: it follows no grid; name one that does, such as {}", method, USUAL);
    }
    resolve::solver::check(&Solver::of_method(method).with_steps(args.steps), record.extra_dims())?;
    let intervals = method.intervals(args.steps);
    if intervals == 0 {
        bail!("--steps {}: nothing is left to choose; give at least 2", args.steps);
    }
    resolve::within("--grid", args.grid, intervals + 1..=1000)?;
    resolve::within("-n", args.count, 1..=resolve::MAX_SAMPLES)?;
    resolve::product("-n and --grid", args.count, args.grid)?;
    let path = resolve::solver::Found::path(&args.run, args.steps);
    render::check_writable(&path)?;
    let _lock = args.run.is_dir().then(|| RunLock::acquire(&args.run)).transpose()?;
    let classes = record.data.classes.len();
    let class = |item: usize| (classes > 0).then(|| (item % classes.max(1)) as u32);
    let labels: Vec<Option<u32>> = (0..args.count).map(class).collect();
    let guidance = record.config.sample.guidance;
    let denoiser = record.denoiser(&model.network, labels, guidance, args.count.min(64), &model.device);
    let counted = Counted::new(&denoiser);
    let flow = Flow { denoiser: &counted, extra_dims: record.extra_dims() };
    let range = record.range();
    let x = flow.latents(range.1, 0, 0..args.count as u64);
    let levels = gits(&flow, &Search { method, steps: args.steps, grid: args.grid, range }, &x);
    let found =
        resolve::solver::Found { solver: method.to_string(), trajectories: args.count, grid: args.grid, levels };
    let text = toml::to_string(&found).context("the schedule cannot be written as TOML")?;
    render::write(&path, text.as_bytes())?;
    let shown_levels: Vec<String> = found.levels.iter().map(|level| format!("{level:.4}")).collect();
    line(format!("levels    {}", shown_levels.join("  ")));
    line(format!("found     on {} trajectories of {} evaluations", args.count, counted.rows() / args.count as u64));
    line(format!("schedule  {}", display(&path)));
    line(format!(
        "next      pfgm sample {} --solver {} --schedule gits --steps {}",
        display(&args.run),
        method,
        args.steps
    ));
    Ok(())
}
