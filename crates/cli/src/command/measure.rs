//! Evaluation: references, progress, and reports as JSON.

use std::sync::Mutex;

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use pfgm::{
    evaluate::{Reference, Report, Scaling, extract_distributed},
    features::Features,
    parallel::Communicator,
    spec::ModelSpec,
};
use pfgm_data::{Dataset, Shape};
use pfgm_eval::{Share, interval, share_interval};
use serde_json::{Value, json};

use crate::{args::DataArgs, render, resolve};

/// The scaling and shape of the reference if it is a data set, else those of the images that are evaluated.
pub fn scaling(dataset: Option<&Dataset>, measured: Option<(Shape, (f32, f32))>) -> Result<Option<(Scaling, Shape)>> {
    Ok(match (dataset, measured) {
        (Some(dataset), _) => Some((Scaling::of(dataset)?, dataset.shape)),
        (None, Some((shape @ Shape::Image { .. }, range))) => Some((Scaling::images(range), shape)),
        (None, Some((shape, _))) => {
            bail!("--reference-statistics: the rows are {shape} and statistics have no value range; give --data")
        }
        (None, None) => None,
    })
}

/// The features of some rows of a data set. Rank 0 gets them.
pub fn reference(
    features: &Features,
    (dataset, rows): (&Dataset, &[usize]),
    scaling: &Scaling,
    ranks: &dyn Communicator,
    progress: &Progress,
) -> Result<Option<Reference>> {
    let share = ranks.share(rows.len()).len();
    let mut tell = |done| progress.tell("features of the reference", done, share);
    let Some(found) = extract_distributed(features, (dataset, rows), scaling, ranks, &mut tell)? else {
        return Ok(None);
    };
    Ok(Some(Reference::of(found.features, features.dim(dataset.shape)?)?))
}

/// Opens a reference, by default with the columns that a run was trained on, and with its encodings.
pub fn open_reference(source: &str, table: &DataArgs, run: Option<&ModelSpec>) -> Result<Dataset> {
    let trained_on = run.map(|spec| &spec.config.data);
    let columns = trained_on.map(|data| data.columns.clone()).filter(|columns| !columns.is_empty());
    let table = DataArgs {
        columns: table.columns.clone().or(columns),
        label: table.label.clone().or_else(|| trained_on?.label.clone()),
        ..table.clone()
    };
    match run {
        // The run's own data, scaled and cropped as for its training.
        Some(spec) if spec.config.data.source == source => {
            let options = resolve::known(spec.config.data.options(), spec);
            Ok(pfgm_data::open(source, &resolve::with_flags(options, &table))?)
        }
        Some(spec) => resolve::dataset_of(spec, source, &table),
        None => resolve::dataset(source, &table),
    }
}

/// Progress bars, one after another.
pub struct Progress(Mutex<(&'static str, ProgressBar)>);

impl Progress {
    pub fn new() -> Self {
        Self(Mutex::new(("", ProgressBar::hidden())))
    }

    pub fn tell(&self, what: &'static str, done: usize, all: usize) {
        // If another thread holds the bar, the next call updates it.
        let Ok(mut bar) = self.0.try_lock() else { return };
        if bar.0 != what {
            bar.1.finish_and_clear();
            let new = render::bar(all as u64, "{msg} {wide_bar} {percent} %  {eta} left").expect("a template");
            *bar = (what, new.with_message(what));
        }
        bar.1.set_position(done as u64);
    }

    pub fn finish(&self) {
        if let Ok(bar) = self.0.lock() {
            bar.1.finish_and_clear();
        }
    }
}

/// Description of the compared rows.
pub struct Origin {
    pub extractor: &'static str,
    pub samples: String,
    pub reference: String,
    pub rows: Option<usize>,
}

/// All scores as JSON.
pub fn as_json(origin: &Origin, report: &Report) -> Value {
    let number = |value: f64, standard_error: f64| -> Value {
        let interval = interval(value, standard_error);
        json!({ "value": value, "standard_error": standard_error, "interval": interval })
    };
    let with = |mut number: Value, more: Value| -> Value {
        if let (Value::Object(number), Value::Object(more)) = (&mut number, more) {
            number.extend(more);
        }
        number
    };
    let share = |share: Share, most: f64| {
        let interval = share_interval(share, most);
        json!({ "value": share.value, "standard_error": share.standard_error, "interval": interval })
    };
    let frechet =
        report.frechet.map(|found| with(number(found.distance, found.standard_error), json!({ "bias": found.bias })));
    let kid = report.kid.map(|(found, subsets)| {
        let how = json!({ "spread": found.spread, "subsets": subsets.count, "subset_rows": subsets.rows });
        with(number(found.mean, found.standard_error), how)
    });
    let score = report.inception_score.map(|(found, splits)| {
        with(number(found.mean, found.standard_error), json!({ "spread": found.spread, "splits": splits }))
    });
    let of = |part: fn(&pfgm_eval::Neighborhoods) -> Share, most: f64| {
        report
            .neighborhoods
            .as_ref()
            .map(|(found, how)| with(share(part(found), most), json!({ "k": how.k, "rows": how.rows })))
    };
    json!({
        "extractor": origin.extractor,
        "features": report.features,
        "samples": { "from": origin.samples, "count": report.samples },
        "reference": { "from": origin.reference, "rows": origin.rows },
        "seed": report.seed,
        "frechet_distance": frechet,
        "kid": kid,
        "inception_score": score,
        "precision": of(|found| found.precision, 1.0),
        "recall": of(|found| found.recall, 1.0),
        "density": of(|found| found.density, f64::INFINITY),
        "coverage": of(|found| found.coverage, 1.0),
        "warnings": report.warnings,
    })
}
