//! `pfgm restore`: draws from the posterior distribution given measurements.

mod report;
mod scores;

use std::{path::Path, time::Instant};

use anyhow::{Context, Result, bail};
use pfgm::{
    ExactField, Model, Progress,
    extra_dims::ExtraDims,
    model::{Inpaint, Posterior, Rows, Samples},
    posterior::Guidance,
    prediction::Output,
    random::{Purpose, stream},
    solver::Solver,
    spec::ModelSpec,
};
use rand_distr::{Distribution, StandardNormal};

use self::{report::Files, scores::Scores};
use crate::{
    args::{RestoreArgs, RestoreMethod},
    command::restore::refuse_latents,
    render::{self, line},
    resolve::{self, Measurements, Operator, solver::Solved},
};

/// What draws are made of.
enum Source {
    Model(Box<Model>),
    Exact(Box<ExactField>),
}

impl Source {
    fn open(args: &RestoreArgs) -> Result<Self> {
        let Some(data) = &args.exact else {
            let run = args.run.as_deref().context("name a run, or give --exact DATA")?;
            return Ok(Self::Model(Box::new(resolve::flow_model(run, &args.compute)?)));
        };
        let d = match resolve::extra_dims("-D", &args.extra_dims)? {
            ExtraDims::Finite(d) => d,
            ExtraDims::Infinite => f64::INFINITY,
        };
        let charges = resolve::dataset(data, &args.rows.table)?;
        Ok(Self::Exact(Box::new(ExactField::new(&charges, d).map_err(|error| resolve::about(error, &charges, data))?)))
    }

    fn spec(&self) -> &ModelSpec {
        match self {
            Self::Model(model) => model.spec(),
            Self::Exact(field) => field.spec(),
        }
    }

    fn solver(&self, args: &RestoreArgs) -> Result<Solver> {
        match (self, &args.run) {
            (Self::Model(model), Some(run)) => resolve::solver::solver(&args.solving, model.spec(), run),
            _ => {
                let solved = Solved { extra_dims: self.spec().extra_dims(), output: &Output::Edm, run: None };
                resolve::solver::changed(&args.solving, &Solver::rk45(1e-5).into(), solved)
            }
        }
    }
}

/// Measurements that are to be restored.
struct Task {
    operator: Operator,
    measurements: Measurements,
    noises: Vec<f64>,
    /// The rows that were measured, if they are known.
    truth: Option<Vec<f32>>,
}

pub fn run(args: &RestoreArgs) -> Result<()> {
    let method = method(args)?;
    check(args, method)?;
    let source = Source::open(args)?;
    let spec = source.spec();
    refuse_latents(spec)?;
    let files = Files::new(args, spec)?;
    let operator = resolve::operator(&args.operator, spec.data.shape)?;
    let task = task(args, spec, operator, method)?;
    resolve::product("-n and --draws", task.measurements.count, args.draws)?;
    let (bar, started) = (render::progress("restoring", 0), Instant::now());
    let observer = resolve::on_bar(&bar);
    let samples = if method == RestoreMethod::Repaint {
        repaint(args, &source, &task, observer)?
    } else {
        let how = posterior(args, &source, method)?.noises(task.noises.clone()).observer(observer);
        let (values, operator) = (&task.measurements.values, &*task.operator.operator);
        match &source {
            Source::Model(model) => model.posterior(values, operator, how)?,
            Source::Exact(field) => field.posterior(values, operator, how)?,
        }
    };
    bar.finish_and_clear();
    line(format!(
        "{} measurements of {} values, {} draws each, {:.1} evaluations a draw, {:.2} s",
        task.measurements.count,
        task.operator.operator.outputs(),
        args.draws,
        samples.nfe(),
        started.elapsed().as_secs_f64()
    ));
    let scores = Scores::of(&task, &samples, args.draws);
    scores.print(args.noise.as_deref() == Some("auto"));
    files.write(args, &task, &samples, &scores)
}

/// The method that the command line asks for.
fn method(args: &RestoreArgs) -> Result<RestoreMethod> {
    let default = if args.exact.is_some() { RestoreMethod::Exact } else { RestoreMethod::Mmps };
    match args.method.unwrap_or(default) {
        RestoreMethod::Exact if args.exact.is_none() => {
            bail!("--method exact: draws from the rows of a data set; give --exact DATA in place of the run")
        }
        RestoreMethod::Repaint if args.exact.is_some() => {
            bail!("--method repaint: needs a run; use `--method tds`, or omit it")
        }
        method => Ok(method),
    }
}

/// Refuses flags that belong to other methods, and values out of range.
fn check(args: &RestoreArgs, method: RestoreMethod) -> Result<()> {
    let of_methods = [
        ("--iterations", args.iterations.is_some(), RestoreMethod::Mmps, "mmps"),
        ("--zeta", args.zeta.is_some(), RestoreMethod::Dps, "dps"),
        ("--particles", args.particles.is_some(), RestoreMethod::Tds, "tds"),
        ("--rounds", args.rounds.is_some(), RestoreMethod::Repaint, "repaint"),
    ];
    for (flag, is_given, of, name) in of_methods {
        if is_given && method != of {
            bail!("{flag}: goes with --method {name}; omit it");
        }
    }
    if args.exact.is_some() && (args.class.is_some() || args.guidance.is_some()) {
        bail!("--class and --guidance: the exact field is not conditioned on classes; omit them");
    }
    for (flag, value, most) in [
        ("--draws", Some(args.draws), resolve::MAX_SAMPLES),
        ("--batch", Some(args.batch), resolve::MAX_SAMPLES),
        ("--iterations", args.iterations, resolve::MAX_LEVELS),
        ("--particles", args.particles, resolve::MAX_SAMPLES),
        ("--rounds", args.rounds, resolve::MAX_LEVELS),
    ] {
        value.map_or(Ok(()), |value| resolve::within(flag, value, 1..=most))?;
    }
    args.zeta.map_or(Ok(()), |zeta| resolve::within("--zeta", zeta, f64::MIN_POSITIVE..=1e6))
}

/// Reads measurements, or simulates them.
fn task(args: &RestoreArgs, spec: &ModelSpec, operator: Operator, method: RestoreMethod) -> Result<Task> {
    let noise = match (&args.noise, method) {
        (Some(noise), RestoreMethod::Repaint) if noise.parse() != Ok(0.0) => {
            bail!("--noise {noise}: repaint takes known values as exact; omit --noise, or name another method")
        }
        (Some(noise), _) => noise,
        (None, RestoreMethod::Repaint) => "0",
        (None, _) => bail!("--noise: give the standard deviation of the noise, in units of the measurement, or auto"),
    };
    if !args.simulate {
        let measurements = resolve::measurements(&args.rows, spec, &operator)?;
        let noises = resolve::noises(noise, &operator, &measurements)?;
        return Ok(Task { operator, measurements, noises, truth: None });
    }
    if noise == "auto" {
        bail!("--noise auto: give the noise that --simulate adds");
    }
    let data = resolve::selected_rows(&args.rows, spec)?;
    let rows = spec.unlabeled_rows(&data).map_err(|error| resolve::about(error, &data, &args.rows.data))?;
    let mut measurements = Measurements { count: rows.len(), values: Vec::new() };
    for row in rows.values.chunks_exact(spec.dim()) {
        let row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
        let mut out = vec![0.0; operator.operator.outputs()];
        operator.operator.apply(&row, &mut out);
        measurements.values.extend(out);
    }
    let noises = resolve::noises(noise, &operator, &measurements)?;
    let outputs = operator.operator.outputs();
    for (number, row) in measurements.values.chunks_exact_mut(outputs).enumerate() {
        let mut rng = stream(args.seed, Purpose::Measurement, 0, number as u64);
        for value in row {
            let gauss: f64 = StandardNormal.sample(&mut rng);
            *value += noises[number] * gauss;
        }
    }
    Ok(Task { operator, measurements, noises, truth: Some(rows.values) })
}

/// The options of the draws.
fn posterior<'a>(args: &RestoreArgs, source: &Source, method: RestoreMethod) -> Result<Posterior<'a>> {
    let mut how = Posterior::new(args.draws, 0.0).seed(args.seed).batch(args.batch).solver(source.solver(args)?);
    how = match method {
        RestoreMethod::Mmps => how.guidance(Guidance::Mmps { iterations: args.iterations.unwrap_or(4) }),
        RestoreMethod::Pigdm => how.guidance(Guidance::PiGdm { spread: source.spec().spread() }),
        RestoreMethod::Dps => how.guidance(Guidance::Dps { zeta: args.zeta.unwrap_or(1.0) }),
        RestoreMethod::Tds => how.particles(args.particles.unwrap_or(args.draws.max(64))),
        RestoreMethod::Exact | RestoreMethod::Repaint => how,
    };
    if let Some(class) = class(args, source.spec())? {
        how = how.class(class);
    }
    Ok(args.guidance.into_iter().fold(how, Posterior::guidance_scale))
}

/// The class that the command line names.
fn class(args: &RestoreArgs, spec: &ModelSpec) -> Result<Option<u32>> {
    Ok(args.class.as_deref().map(|name| spec.class(name)).transpose()?)
}

/// Draws by RePaint.
fn repaint(
    args: &RestoreArgs,
    source: &Source,
    task: &Task,
    observer: impl FnMut(&Progress) -> std::ops::ControlFlow<()>,
) -> Result<Samples> {
    let (Source::Model(model), Some(known)) = (source, &task.operator.known) else {
        bail!("--method repaint: is for --operator mask=FILE alone; name another method")
    };
    if args.guidance.is_some() {
        bail!("--guidance: repaint has none; omit it");
    }
    let others = crate::args::SolverArgs { steps: None, ..args.solving.clone() };
    if others.is_given() {
        bail!("--method repaint: has a solver of its own; give --steps and --rounds only");
    }
    let steps = args.solving.steps.unwrap_or(50);
    resolve::within("--steps", steps, 1..=resolve::MAX_LEVELS)?;
    let outputs = task.operator.operator.outputs();
    let row = |values: &[f64]| task.operator.layout.filled(values, 0.0);
    let rows = task.measurements.values.chunks_exact(outputs).flat_map(row).map(|value| value as f32).collect();
    let labels = vec![class(args, model.spec())?; task.measurements.count];
    let how = Inpaint::default().steps(steps).rounds(args.rounds.unwrap_or(4)).fillings(args.draws).seed(args.seed);
    Ok(model.inpaint_rows(&Rows::new(rows, labels, false), known, how.batch(args.batch).observer(observer))?)
}

/// The default name of the picture.
fn default_picture(args: &RestoreArgs) -> std::path::PathBuf {
    let name = "restored.png";
    args.run.as_deref().map_or_else(|| Path::new(name).to_owned(), |run| render::in_run(run, name))
}
