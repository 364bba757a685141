//! `pfgm likelihood`

use std::{path::Path, time::Instant};

use anyhow::{Result, bail};
use pfgm::{
    extra_dims::ExtraDims,
    likelihood::{Prior, Probe},
    measure::{Measured, Measurement, Rows, measure_distributed},
    parallel::{Communicator, Solo},
    solver::Solver,
    spec::ModelSpec,
};
use pfgm_data::Shape;
use pfgm_plot::{Series, histograms};

use crate::{
    args::{
        SolverArgs,
        latents::{LikelihoodArgs, MeasureArgs, PriorName, RunArgs, TraceName},
    },
    command::{rows::Given, sample::Model},
    distributed,
    render::{self, PictureFile, in_run, line},
    resolve::{self, solver::Solved},
};

/// Values of a row up to which the divergence is found exactly, unless asked for otherwise.
const EXACT_UP_TO: usize = 128;

pub fn run(args: &LikelihoodArgs, ranks: &dyn Communicator) -> Result<()> {
    let model = Model::load(&args.run.run, &distributed::compute(&args.run.compute, ranks))?;
    let record = &model.record;
    let prior = match args.prior {
        PriorName::Exact => Prior::Exact,
        PriorName::AuthorsCode if record.extra_dims() == ExtraDims::Finite(1.0) => Prior::AuthorsCode,
        PriorName::AuthorsCode => {
            bail!("--prior authors-code: PFGM's, for D = 1; the run has D = {}", record.extra_dims())
        }
    };
    let file = PictureFile::new(args.out.clone().unwrap_or_else(|| in_run(&args.run.run, "likelihood.png")))?;
    render::check_all([args.csv.as_deref()])?;
    let given = Given::read(&args.rows, record)?;
    let how = Measurement { prior, ..measurement(&args.measure, record, &given, &args.run)? };
    let started = Instant::now();
    let Some(measured) = measured_distributed(&model, &given, &how, "likelihood", ranks)? else { return Ok(()) };
    let summary = measured.summary();
    let per_row = measured.of_rows();
    line(format!(
        "{} rows, {:.1} evaluations each, {:.2} s{}",
        given.count(),
        measured.nfe,
        started.elapsed().as_secs_f64(),
        if args.prior == PriorName::AuthorsCode { ", with the released constant of the prior" } else { "" }
    ));
    let give_or_take =
        |error: Option<f64>, digits: usize| error.map_or_else(String::new, |error| format!(" +- {error:.digits$}"));
    line(format!(
        "ln p       {:.3}{} nats a row, in the data's own units",
        summary.mean,
        give_or_take(summary.error, 3)
    ));
    let unit = Unit::of(record, given.whole);
    if unit == Unit::Bits {
        let bits = |nats: f64| nats / (record.dim() as f64 * std::f64::consts::LN_2);
        line(format!("bits/dim   {:.4}{}", -bits(summary.mean), give_or_take(summary.error.map(bits), 4)));
    }
    let part = |part: Option<f64>, flag: &str| {
        part.map_or_else(|| format!("unknown (give {flag} 2 or more)"), |part| format!("{part:.3}"))
    };
    let draws = if given.whole { part(summary.of_draws, "--draws") } else { "none".into() };
    let probes = if how.probe.is_some() { part(summary.of_probes, "--probes") } else { "none (exact)".into() };
    let rows = part(summary.of_rows, "-n");
    line(format!("of which   rows {rows}, dequantization {draws}, probes {probes}"));
    if let Some(path) = &args.csv {
        let of_row = |(row, log): (usize, &f64)| {
            vec![row.to_string(), log.to_string(), Unit::Bits.of_log(*log, record.dim()).to_string()]
        };
        let names = ["row", "ln_p", "bits_per_dim"].map(Into::into);
        render::table(path, &names, per_row.iter().enumerate().map(of_row))?;
    }
    let values: Vec<f32> = per_row.iter().map(|log| unit.of_log(*log, record.dim()) as f32).collect();
    let picture = histograms(&[Series { name: "rows", values: &values }], &[unit.name().to_owned()])?;
    file.write_and_print(picture, "")
}

/// What likelihoods are told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Images of whole numbers.
    Bits,
    /// Everything else.
    Nats,
}

impl Unit {
    pub fn of(record: &ModelSpec, whole: bool) -> Self {
        if whole && matches!(record.data.shape, Shape::Image { .. }) { Self::Bits } else { Self::Nats }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Bits => "bits a dimension",
            Self::Nats => "ln p",
        }
    }

    pub fn of_log(self, log: f64, dim: usize) -> f64 {
        match self {
            Self::Bits => -log / (dim as f64 * std::f64::consts::LN_2),
            Self::Nats => log,
        }
    }
}

/// How a command line asks for likelihoods to be measured.
pub fn measurement(args: &MeasureArgs, record: &ModelSpec, given: &Given, run: &RunArgs) -> Result<Measurement> {
    for (flag, value) in [("--probes", args.probes), ("--draws", args.draws), ("--batch", run.batch)] {
        resolve::within(flag, value, 1..=resolve::MAX_SAMPLES)?;
    }
    resolve::product("--probes and --draws", args.probes, args.draws)?;
    resolve::product("the rows, --probes and --draws", given.count(), args.probes * args.draws)?;
    let probe = match args.trace {
        TraceName::Auto if record.dim() <= EXACT_UP_TO => None,
        TraceName::Exact => None,
        TraceName::Auto | TraceName::Rademacher => Some(Probe::Rademacher),
        TraceName::Gaussian => Some(Probe::Gaussian),
    };
    if probe.is_none() && args.probes > 1 {
        bail!("--probes {}: the divergence is exact here; omit it, or give --trace rademacher", args.probes);
    }
    if !given.whole && args.draws > 1 {
        bail!("--draws {}: these values are no bytes, and nothing is added to them; omit it", args.draws);
    }
    let (solver, batch) = (way_up(&args.solving, record, &run.run)?, run.batch);
    let (probes, draws, prior) = (args.probes, args.draws, Prior::Exact);
    Ok(Measurement { solver, probe, probes, draws, prior, seed: args.seed, batch })
}

/// The solver that a command line asks for, which must lead up as well as down. Unless it names one, RK45: with the run's tolerances if the
/// run is sampled by it, else at 1e-4, since what is carried up is to come back where it was.
pub fn way_up(args: &SolverArgs, record: &ModelSpec, run: &Path) -> Result<Solver> {
    let base = record.invertible_solver();
    let solver = resolve::solver::changed(args, &base, Solved::of(record, run))?;
    if !solver.is_reversible() {
        bail!(
            "--solver {}: it adds noise on its way and has none back; name an ODE's solver, such as rk45",
            solver.method()
        );
    }
    Ok(solver)
}

/// Measures with progress.
pub fn measured(model: &Model, given: &Given, how: &Measurement, what: &'static str) -> Result<Measured> {
    Ok(measured_distributed(model, given, how, what, &Solo)?.expect("one process has everything"))
}

/// Measures on many ranks; rank 0 gets what was found.
fn measured_distributed(
    model: &Model,
    given: &Given,
    how: &Measurement,
    what: &'static str,
    ranks: &dyn Communicator,
) -> Result<Option<Measured>> {
    let bar = render::progress(what, ranks.share(given.count() * how.draws * how.probes).len());
    let rows = Rows { values: &given.values, labels: &given.labels, whole: given.whole };
    let mut tell = |done| bar.set_position(done as u64);
    let measured = measure_distributed(&model.record, &model.network, rows, how, &model.device, ranks, &mut tell)?;
    bar.finish_and_clear();
    Ok(measured)
}
