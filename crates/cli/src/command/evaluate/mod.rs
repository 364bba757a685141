//! `pfgm evaluate`

mod measured;
mod table;

use std::path::Path;

use anyhow::{Context, Result, bail};
use pfgm::{
    evaluate::{EvaluateError, Reference, Report, choose, evaluate},
    features::{FeatureError, Features},
    parallel::Communicator,
};
use pfgm_data::{
    Dataset, Shape,
    npz::{Column, Named},
};
use pfgm_eval::{ScoredColumn, TableScores, compare_tables, interval, share_interval};

use self::measured::Measured;
use crate::{
    args::evaluate::{EvaluateArgs, ExtractorName},
    command::measure::{self, Origin, Progress, as_json},
    render::{self, display, line},
    resolve,
};

/// Scores of neighborhoods.
const NEIGHBORHOODS: [&str; 4] = ["precision", "recall", "density", "coverage"];

pub fn run(args: &EvaluateArgs, ranks: &dyn Communicator) -> Result<()> {
    check(args)?;
    let measured = args.what.as_deref().map(|what| Measured::open(what, args, ranks)).transpose()?;
    let features = Features::open(args.extractor.into(), args.weights.as_deref()).map_err(in_flags)?;
    let dataset = reference_data(args, measured.as_ref())?;
    let progress = Progress::new();
    let own = measured.as_ref().map(|measured| (measured.shape(), measured.range()));
    let Some((scaling, shape)) = measure::scaling(dataset.as_ref(), own)? else {
        bail!("nothing to evaluate; name a run or data, or --data and --save-statistics");
    };
    if let Some(measured) = &measured {
        check_shapes(measured, shape, args)?;
    }
    let dim = features.dim(shape)?;
    let reference = match (&args.reference_statistics, &dataset) {
        (Some(path), _) => ranks.is_root().then(|| Reference::read(path, dim)).transpose()?,
        (None, Some(dataset)) => {
            let rows = choose(dataset.len(), args.reference_rows.unwrap_or(usize::MAX), args.seed);
            measure::reference(&features, (dataset, &rows), &scaling, ranks, &progress)?
        }
        (None, None) => bail!("no reference; give --data or --reference-statistics"),
    };
    if let Some(reference) = &reference {
        save(args, reference, dim)?;
    }
    let Some(measured) = &measured else {
        progress.finish();
        return Ok(());
    };
    let samples = measured.features(args, &features, &scaling, ranks, &progress)?;
    let (Some((samples, origin)), Some(reference)) = (samples, reference) else { return Ok(()) };
    let tell = |what, done, all| progress.tell(what, done, all);
    let found = evaluate(&samples, features.classes(), &reference, args.seed, &tell);
    let mut report = match (found, &args.reference_statistics) {
        // A matrix that is not a covariance came from the file.
        (Err(error @ EvaluateError::Metric(_)), Some(path)) => return Err(error).context(path.display().to_string()),
        (found, _) => found?,
    };
    progress.finish();
    if measured.is_reference(args) {
        report.warnings.push("the samples are the rows of the reference: scores say nothing about a model".to_owned());
    }
    let origin = Origin {
        extractor: features.extractor().name(),
        samples: origin,
        reference: reference_name(args, dataset.as_ref()),
        rows: reference.rows(),
    };
    print(&origin, &report);
    let table = table_scores(args, measured, dataset.as_ref())?;
    if let Some(scores) = &table {
        table::print(scores);
    }
    if let Some(path) = &args.json {
        let mut report = as_json(&origin, &report);
        report["table"] = table.as_ref().map_or(serde_json::Value::Null, table::as_json);
        render::write(path, format!("{report:#}\n").as_bytes())?;
        line(format!("json        {}", display(path)));
    }
    Ok(())
}

/// Scores of tables with kinds of columns; `None` for other data.
fn table_scores(args: &EvaluateArgs, measured: &Measured, reference: Option<&Dataset>) -> Result<Option<TableScores>> {
    let Some((reference, schema)) = reference.and_then(|set| set.table.as_ref().map(|table| (set, table))) else {
        return Ok(None);
    };
    let rows = match measured {
        Measured::Images(dataset) => table::columns(schema, dataset)?,
        Measured::Latents(..) => return Ok(None),
        Measured::Run(run) => {
            let count = args.count.unwrap_or(reference.len()).min(table::MOST_DRAWN);
            let first = args.seed;
            let seeds: Vec<u64> = (0..count as u64).map(|seed| first.wrapping_add(seed)).collect();
            let sampling =
                run.model.sample(0).seeds(seeds).solver(run.solver(args)?).batch(args.batch.max(count.min(1024)));
            let sampling = if args.balanced { sampling.balanced() } else { sampling };
            let samples = sampling.guided(run.guidance.options()).draw()?;
            table::columns_of_samples(schema, &samples)
        }
    };
    let reference = table::columns(schema, reference)?;
    // Classes are compared where both tables have them.
    let common = |all: &[ScoredColumn], others: &[ScoredColumn]| -> Vec<ScoredColumn> {
        let is_common = |column: &&ScoredColumn| others.iter().any(|other| other.name == column.name);
        all.iter().filter(is_common).cloned().collect()
    };
    Ok(Some(compare_tables(&common(&rows, &reference), &common(&reference, &rows), args.seed)?))
}

/// Converts an error of an extractor to one that names the flag.
fn in_flags(error: FeatureError) -> anyhow::Error {
    match error {
        FeatureError::NoWeights { extractor, hint } => {
            anyhow::anyhow!("--extractor {extractor}: its weights are not given; add --weights FILE ({hint})")
        }
        other => other.into(),
    }
}

/// Returns an error if rows and reference differ in shape; networks resize images of any shape.
fn check_shapes(measured: &Measured, shape: Shape, args: &EvaluateArgs) -> Result<()> {
    let own = measured.shape();
    let are_images = measured.is_image() && matches!(shape, Shape::Image { .. });
    if own == shape || are_images && args.extractor != ExtractorName::Pixels {
        return Ok(());
    }
    let (what, reference) = (measured.name(), args.data.as_deref().unwrap_or("the reference"));
    bail!(
        "{what}: rows of {own}, but those of {reference} are {shape}; give a reference of that shape, or for images the \
         --extractor of a network"
    )
}

/// Returns an error if something cannot be evaluated or written.
fn check(args: &EvaluateArgs) -> Result<()> {
    for (flag, value) in [("-n", args.count), ("--batch", Some(args.batch)), ("--reference-rows", args.reference_rows)]
    {
        value.map_or(Ok(()), |value| resolve::within(flag, value, 1..=resolve::MAX_SAMPLES))?;
    }
    if args.what.is_none() && args.save_statistics.is_none() && args.save_features.is_none() {
        bail!("nothing to evaluate; name a run or data, or --data and --save-statistics");
    }
    if args.what.is_none() && args.json.is_some() {
        bail!("--json: nothing is evaluated; name a run or data, or omit it");
    }
    if args.extractor == ExtractorName::Pixels && args.weights.is_some() {
        bail!("--weights: pixels need no network; add --extractor, or omit it");
    }
    render::check_all([&args.json, &args.save_statistics, &args.save_features].map(Option::as_deref))
}

/// Returns the reference data set; `None` if the reference is given by statistics.
fn reference_data(args: &EvaluateArgs, measured: Option<&Measured>) -> Result<Option<Dataset>> {
    if args.reference_statistics.is_some() {
        if args.reference_rows.is_some() {
            bail!("--reference-rows: statistics cover all rows; omit one of the flags");
        }
        return Ok(None);
    }
    let trained_on = match measured {
        Some(Measured::Run(run) | Measured::Latents(run, _)) => Some(run.model.spec()),
        _ => None,
    };
    if let (Some(Measured::Images(dataset)), Some(source)) = (measured, &args.data)
        && dataset.table.is_some()
    {
        return resolve::kinded_dataset(source, &args.table).map(Some);
    }
    let Some(source) = args.data.as_deref().or(trained_on.map(|spec| spec.config.data.source.as_str())) else {
        bail!("no reference; give --data or --reference-statistics");
    };
    measure::open_reference(source, &args.table, trained_on).map(Some)
}

fn reference_name(args: &EvaluateArgs, dataset: Option<&Dataset>) -> String {
    match (dataset, &args.reference_statistics) {
        (Some(dataset), _) => dataset.name.clone(),
        (None, path) => path.as_deref().map(|path| path.display().to_string()).unwrap_or_default(),
    }
}

/// Writes the requested statistics and features.
fn save(args: &EvaluateArgs, reference: &Reference, dim: usize) -> Result<()> {
    let write = |path: &Path, arrays: &[Named]| render::arrays("statistics", path, arrays);
    if let Some(path) = &args.save_statistics {
        let Some(moments) = reference.moments() else {
            bail!("--save-statistics: a covariance of {dim} features is too large; use --extractor of a network");
        };
        write(
            path,
            &[
                Named { name: "mu", shape: &[dim], values: Column::Doubles(&moments.mean) },
                Named { name: "sigma", shape: &[dim, dim], values: Column::Doubles(&moments.covariance) },
            ],
        )?;
    }
    if let Some(path) = &args.save_features {
        let Some(features) = reference.features() else {
            bail!("--save-features: statistics do not have the features; give the reference as --data");
        };
        write(
            path,
            &[Named { name: "pool_3", shape: &[features.len() / dim, dim], values: Column::Floats(features) }],
        )?;
    }
    Ok(())
}

/// A number with its interval.
fn number(name: &str, value: f64, [low, high]: [f64; 2], note: &str) {
    let interval = match (high - low).is_finite() {
        true => format!("{} .. {}", digits(low), digits(high)),
        false => String::new(),
    };
    line(format!("{name:<12}{:<11} {interval:<22} {note}", digits(value)).trim_end());
}

/// Four decimals, or six for small numbers.
fn digits(value: f64) -> String {
    if value.abs() < 0.1 { format!("{value:.6}") } else { format!("{value:.4}") }
}

fn print(origin: &Origin, report: &Report) {
    line(format!("extractor   {} ({} features)", origin.extractor, report.features));
    line(format!("samples     {}", origin.samples));
    let rows = origin.rows.map_or_else(String::new, |rows| format!("{rows} of "));
    line(format!("reference   {rows}{}", origin.reference));
    line(format!("{:<12}{:<11} {:<22} seed {}", "", "", "95 % interval", report.seed));
    if let Some(found) = &report.frechet {
        let bias = digits(found.bias);
        let note = format!("about {bias} of it is the bias of {} samples; jackknife of 10 groups", report.samples);
        number("FD", found.distance, interval(found.distance, found.standard_error), &note);
    }
    if let Some((found, subsets)) = &report.kid {
        let note = format!(
            "+- {} (standard error); {} subsets of {}",
            digits(found.standard_error),
            subsets.count,
            subsets.rows
        );
        number("KID", found.mean, interval(found.mean, found.standard_error), &note);
    }
    if let Some((found, splits)) = &report.inception_score {
        let note = format!("+- {} between {splits} splits", digits(found.spread));
        number("IS", found.mean, interval(found.mean, found.standard_error), &note);
    }
    if let Some((found, how)) = &report.neighborhoods {
        let note = format!("k = {}, {} rows of both", how.k, how.rows);
        // Only density may be above 1.
        let shares = [found.precision, found.recall, found.density, found.coverage];
        for ((name, share), most) in NEIGHBORHOODS.iter().zip(shares).zip([1.0, 1.0, f64::INFINITY, 1.0]) {
            number(name, share.value, share_interval(share, most), &note);
        }
    }
    for warning in &report.warnings {
        line(format!("warning: {warning}"));
    }
}
