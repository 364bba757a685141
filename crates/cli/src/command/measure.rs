//! What the commands share that measure samples: the reference, the features of what a run draws, a report as JSON.

use std::{sync::Mutex, time::Instant};

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use pfgm::{
    config::DataConfig,
    evaluate::{Reference, Report, Scaling, choose, extract_distributed, gather},
    features::{Extracted, Features},
    parallel::Communicator,
    sample::{SampleRequest, sample},
    solver::Solver,
};
use pfgm_data::{Dataset, OpenOptions, Shape};
use pfgm_eval::Share;
use serde_json::{Value, json};

use crate::{
    args::DataArgs,
    command::sample::{Model, class_in_turn},
    render, resolve,
};

/// Samples that are in memory at once.
const CHUNK: usize = 1024;
/// Standard errors on either side of an interval of 95 %.
pub const WIDE: f64 = 1.96;

/// What is drawn from a run to be measured.
pub struct Drawing<'a> {
    pub count: usize,
    /// The seed of the first sample.
    pub seed: u64,
    pub solver: &'a Solver,
    pub guidance: f64,
    /// Samples computed together.
    pub batch: usize,
    /// Of the first samples, how many are kept; only by one process.
    pub kept: usize,
    /// Who draws.
    pub ranks: &'a dyn Communicator,
}

/// What was drawn.
pub struct Drawn {
    pub features: Extracted,
    /// Evaluations of each sample, on average.
    pub nfe: f64,
    /// Seconds that the sampling took; features are not counted.
    pub seconds: f64,
    /// The first samples.
    pub first: Vec<f32>,
}

/// Draws samples and looks at them, some at a time; each rank its share. Rank 0 gets what was found, the others none.
pub fn draw(
    model: &Model,
    drawing: &Drawing,
    (features, scaling): (&Features, &Scaling),
    progress: &Progress,
) -> Result<Option<Drawn>> {
    let (data, dim) = (&model.record.data, model.record.dim());
    let own = drawing.ranks.share(drawing.count);
    let count = own.len();
    let mut drawn = Drawn { features: Extracted::default(), nfe: 0.0, seconds: 0.0, first: Vec::new() };
    for first in (0..count).step_by(CHUNK) {
        let seed = |at: usize| drawing.seed.wrapping_add((own.start + at) as u64);
        let seeds: Vec<u64> = (first..count.min(first + CHUNK)).map(seed).collect();
        let chunk = seeds.len();
        let request = SampleRequest {
            classes: seeds.iter().map(|&seed| class_in_turn(seed, data.classes.len())).collect(),
            seeds,
            solver: drawing.solver.clone(),
            guidance: drawing.guidance,
            batch: drawing.batch,
            released: None,
        };
        // Every sample counts twice: once when it is drawn, once when it was looked at.
        let tell = |done: usize| progress.tell("samples and their features", 2 * first + done, 2 * count);
        let started = Instant::now();
        let samples = sample(&model.record, &model.network, &request, &model.device, &mut |done| tell(done))?;
        drawn.seconds += started.elapsed().as_secs_f64();
        drawn.nfe += samples.nfe * chunk as f64;
        let kept = drawing.kept.saturating_sub(first).min(chunk);
        drawn.first.extend(&samples.values[..kept * dim]);
        let mut read = |row: usize, values: &mut [f32]| {
            values.copy_from_slice(&samples.values[row * dim..(row + 1) * dim]);
            scaling.apply(values);
            Ok(())
        };
        let found = features.extract(data.shape, chunk, &mut read, &mut |done| tell(chunk + done))?;
        drawn.features.features.extend(found.features);
        drawn.features.logits.extend(found.logits);
    }
    let mut sum = [drawn.nfe];
    drawing.ranks.sum(&mut sum);
    drawn.nfe = sum[0] / drawing.count as f64;
    let Drawn { features, nfe, seconds, first } = drawn;
    Ok(gather(features, drawing.ranks).map(|features| Drawn { features, nfe, seconds, first }))
}

/// The reference's scaling and shape, where it is a data set; else those of the images that are measured.
pub fn scaling(dataset: Option<&Dataset>, measured: Option<(Shape, (f32, f32))>) -> Result<Option<(Scaling, Shape)>> {
    Ok(match (dataset, measured) {
        (Some(dataset), _) => Some((Scaling::of(dataset)?, dataset.shape)),
        (None, Some((shape @ Shape::Image { .. }, range))) => Some((Scaling::images(range), shape)),
        (None, Some((shape, _))) => {
            bail!("--reference-statistics: the rows are {shape}, whose scale it does not tell; give --data")
        }
        (None, None) => None,
    })
}

/// The features of a data set, of so many rows at the most, which are chosen by a seed; rank 0 gets them.
pub fn reference(
    features: &Features,
    dataset: &Dataset,
    scaling: &Scaling,
    (most, seed): (usize, u64),
    ranks: &dyn Communicator,
    progress: &Progress,
) -> Result<Option<Reference>> {
    let rows = choose(dataset.len(), most, seed);
    let share = ranks.share(rows.len()).len();
    let mut tell = |done| progress.tell("features of the reference", done, share);
    let Some(found) = extract_distributed(features, (dataset, &rows), scaling, ranks, &mut tell)? else {
        return Ok(None);
    };
    Ok(Some(Reference::of(found.features, features.dim(dataset.shape)?)?))
}

/// Opens a reference, with the columns that a run was trained on unless others are named.
pub fn open_reference(source: &str, table: &DataArgs, trained_on: Option<&DataConfig>) -> Result<Dataset> {
    let columns = trained_on.map(|data| data.columns.clone()).filter(|columns| !columns.is_empty());
    let table = DataArgs {
        columns: table.columns.clone().or(columns),
        label: table.label.clone().or_else(|| trained_on?.label.clone()),
    };
    match trained_on {
        // The run's own data, made smaller and cropped as they were for it.
        Some(data) if data.source == source => {
            let (columns, label) = (table.columns.unwrap_or_default(), table.label);
            Ok(pfgm_data::open(source, &OpenOptions { columns, label, ..data.options() })?)
        }
        _ => resolve::dataset(source, &table),
    }
}

/// One bar after another.
pub struct Progress(Mutex<(&'static str, ProgressBar)>);

impl Progress {
    pub fn new() -> Self {
        Self(Mutex::new(("", ProgressBar::hidden())))
    }

    pub fn tell(&self, what: &'static str, done: usize, all: usize) {
        // A bar that another thread holds will be told again.
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

/// What the numbers are of, in words.
pub struct Origin {
    pub extractor: &'static str,
    pub samples: String,
    pub reference: String,
    pub rows: Option<usize>,
}

/// Where a number lies with 95 %.
pub fn interval(value: f64, standard_error: f64) -> [f64; 2] {
    [value - WIDE * standard_error, value + WIDE * standard_error]
}

/// The same of a share, which is nowhere below 0 or above `most`: 1, but of density.
pub fn share_interval(share: Share, most: f64) -> [f64; 2] {
    interval(share.value, share.standard_error).map(|end| end.clamp(0.0, most))
}

/// Everything that was found.
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
    let of = |part: fn(&pfgm_eval::Neighbourhoods) -> Share, most: f64| {
        report
            .neighbourhoods
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
