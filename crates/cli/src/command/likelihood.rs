//! `pfgm likelihood`

use std::time::Instant;

use anyhow::{Result, bail};
use pfgm::{
    extra_dims::ExtraDims,
    likelihood::{Prior, Probe},
    model::{DensityUnit, Likelihood, LogLikelihoods, Rows, Trace},
    parallel::Communicator,
    spec::ModelSpec,
};
use pfgm_plot::{Canvas, Mean, Series, distribution};

use crate::{
    args::latents::{LikelihoodArgs, MeasureArgs, PriorName, RunArgs, TraceName},
    distributed,
    render::{self, PictureFile, in_run, line},
    resolve::{self, solver::invertible},
};

/// A discretization error that exceeds the error from rows this many times is worth a warning.
const COARSE: f64 = 1.0;
/// Values of a row up to which the divergence is exact by default.
const EXACT_UP_TO: usize = 128;

pub fn run(args: &LikelihoodArgs, ranks: &dyn Communicator) -> Result<()> {
    let model = resolve::flow_model(&args.run.run, &distributed::compute(&args.run.compute, ranks))?;
    let spec = model.spec();
    let prior = match args.prior {
        PriorName::Exact => Prior::Exact,
        PriorName::AuthorsCode if spec.extra_dims() == ExtraDims::Finite(1.0) => Prior::AuthorsCode,
        PriorName::AuthorsCode => {
            bail!("--prior authors-code: only for D = 1 (PFGM); the run has D = {}", spec.extra_dims())
        }
    };
    let file = PictureFile::new(args.figure, args.out.as_deref(), in_run(&args.run.run, "likelihood.png"))?;
    render::check_all([args.csv.as_deref()])?;
    let rows = resolve::rows(&args.rows, spec)?;
    let bar = render::progress("likelihood", 0);
    let how = likelihood(&args.measure, spec, &rows, &args.run)?.prior(prior).observer(resolve::on_bar(&bar));
    let started = Instant::now();
    let found = model.log_likelihood_distributed(&rows, how, ranks)?;
    bar.finish_and_clear();
    let Some(found) = found else { return Ok(()) };
    let summary = found.summary();
    line(format!(
        "{} rows, {:.1} evaluations each, {:.2} s{}",
        rows.len(),
        found.nfe(),
        started.elapsed().as_secs_f64(),
        if args.prior == PriorName::AuthorsCode { ", with the prior of the authors' code" } else { "" }
    ));
    let error =
        |error: Option<f64>, digits: usize| error.map_or_else(String::new, |error| format!(" +- {error:.digits$}"));
    line(format!("ln p       {:.3}{} nats per row, in the units of the data", summary.mean, error(summary.error, 3)));
    if spec.config.data.autoencoder.is_some() {
        line("note       the rows are latents (data.autoencoder): these are densities of latents, not of images");
    }
    let unit = DensityUnit::of(spec.data.shape, rows.is_integer);
    if unit == DensityUnit::BitsPerDim {
        let bits = |nats: f64| unit.of_log_density(nats, spec.dim());
        line(format!("bits/dim   {:.4}{}", bits(summary.mean), error(summary.error.map(|nats| bits(nats).abs()), 4)));
    }
    let part = |part: Option<f64>, flag: &str| {
        part.map_or_else(|| format!("unknown (give {flag} 2 or more)"), |part| format!("{part:.3}"))
    };
    let draws = if rows.is_integer { part(summary.of_draws, "--draws") } else { "none".into() };
    let probes = if found.is_estimate() { part(summary.of_probes, "--probes") } else { "none (exact)".into() };
    let steps = summary.of_steps.map_or_else(String::new, |error| format!(", steps {error:.3}"));
    line(format!(
        "standard error from: rows {}, dequantization {draws}, probes {probes}{steps}",
        part(summary.of_rows, "-n")
    ));
    if summary.of_steps.is_some_and(|error| error > COARSE * summary.of_rows.unwrap_or(summary.mean.abs())) {
        line("the steps are too long for these rows: give more --steps, or rk45 with a smaller --rtol");
    }
    if let Some(path) = &args.csv {
        let bits = found.bits_per_dim();
        let names = ["row", "ln_p", "bits_per_dim"].map(Into::into);
        let row = |row: usize| vec![row.to_string(), found.values()[row].to_string(), bits[row].to_string()];
        render::table(path, &names, (0..rows.len()).map(row))?;
    }
    file.write_and_print(picture(&found, unit, spec.dim())?, "")
}

/// Draws the distribution of the rows' values, and their mean with its 95 % interval.
fn picture(found: &LogLikelihoods, unit: DensityUnit, dim: usize) -> Result<Canvas> {
    let values: Vec<f32> = found.values().iter().map(|&nats| unit.of_log_density(nats, dim) as f32).collect();
    let summary = found.summary();
    let mean = unit.of_log_density(summary.mean, dim);
    let half = summary.error.map(|error| 1.96 * unit.of_log_density(error, dim).abs());
    let name = match half {
        Some(half) => format!("mean {mean:.3}, 95 % interval {:.3} to {:.3}", mean - half, mean + half),
        None => format!("mean {mean:.3}"),
    };
    let rows = format!("{} rows", values.len());
    let series = Series { name: &rows, values: &values };
    Ok(distribution(series, unit_name(unit), Mean { value: mean, half, name: &name })?)
}

/// Name of a unit.
fn unit_name(unit: DensityUnit) -> &'static str {
    match unit {
        DensityUnit::BitsPerDim => "−log₂ p of a row in bits per dimension",
        DensityUnit::Nats => "ln p of a row in nats",
    }
}

/// Returns the likelihood settings of the command line.
pub fn likelihood(args: &MeasureArgs, spec: &ModelSpec, rows: &Rows, run: &RunArgs) -> Result<Likelihood<'static>> {
    for (flag, value) in [("--probes", args.probes), ("--draws", args.draws), ("--batch", run.batch)] {
        resolve::within(flag, value, 1..=resolve::MAX_SAMPLES)?;
    }
    resolve::product("--probes and --draws", args.probes, args.draws)?;
    resolve::product("the rows, --probes and --draws", rows.len(), args.probes * args.draws)?;
    let trace = match args.trace {
        TraceName::Auto if spec.dim() <= EXACT_UP_TO => Trace::Exact,
        TraceName::Exact => Trace::Exact,
        TraceName::Auto | TraceName::Rademacher => Trace::Probes(Probe::Rademacher),
        TraceName::Gaussian => Trace::Probes(Probe::Gaussian),
    };
    if trace == Trace::Exact && args.probes > 1 {
        bail!("--probes {}: the divergence is exact here; omit it, or give --trace rademacher", args.probes);
    }
    if !rows.is_integer && args.draws > 1 {
        bail!("--draws {}: these values are not bytes and need no dequantization; omit it", args.draws);
    }
    let solver = invertible(&args.solving, spec, &run.run)?;
    let how = Likelihood::default().solver(solver).trace(trace).probes(args.probes).draws(args.draws);
    Ok(how.seed(args.seed).batch(run.batch))
}
