//! `pfgm anomaly`

use std::{borrow::Cow, time::Instant};

use anyhow::{Result, bail};
use pfgm::{
    model::{Anomaly, DensityUnit, Score, find_class},
    spec::ModelSpec,
};
use pfgm_data::{Dataset, Shape};
use pfgm_eval::{area_standard_error, area_under_roc, roc};
use pfgm_plot::{Canvas, Column, Series, histograms, roc_curves};

use crate::{
    args::{AnomalyArgs, DataArgs, WhenLikelihood, latents::TraceName},
    command::likelihood::likelihood,
    render::{self, PictureFile, display, in_run, line},
    resolve,
};

pub fn run(args: &AnomalyArgs) -> Result<()> {
    let model = resolve::flow_model(&args.run.run, &args.run.compute)?;
    let spec = model.spec();
    let (low, high) = spec.range();
    args.sigma.iter().try_for_each(|&sigma| resolve::within("--sigma", sigma, low..=high))?;
    let file = PictureFile::new(args.figure, args.out.as_deref(), in_run(&args.run.run, "anomaly.png"))?;
    let roc = PictureFile::new(args.figure, args.roc.as_deref(), in_run(&args.run.run, "roc.png"))?;
    render::check_all([args.csv.as_deref()])?;
    let (normal, scored) = groups(args, spec)?;
    if normal.len() < 2 {
        bail!("{} normal rows and {} to score; give at least 2 and 1", normal.len(), scored.len());
    }
    let bar = render::progress("scores", 0);
    let mut how = Anomaly::default().denoising().reconstruction(args.sigma.iter().copied()).batch(args.run.batch);
    let with_likelihood = wants_likelihood(args, spec);
    if with_likelihood {
        let likelihood = likelihood(&args.measure, spec, &spec.unlabeled_rows(&normal)?, &args.run)?;
        how = how.likelihood(likelihood.observer(resolve::on_bar(&bar)));
    }
    let started = Instant::now();
    let found = model.anomaly_scores(&normal, &scored, how)?;
    bar.finish_and_clear();
    // Like the other scores, it is larger for unusual rows.
    let unit = match found.unit {
        _ if !with_likelihood => "",
        DensityUnit::BitsPerDim => "; likelihood in bits per dimension",
        DensityUnit::Nats => "; likelihood in -ln p, in nats",
    };
    let seconds = started.elapsed().as_secs_f64();
    line(format!("{} normal rows, {} scored, {seconds:.2} s{unit}", normal.len(), scored.len()));
    for score in &found.scores {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (area, [low, high]) = area(score);
        line(format!(
            "{:<22} normal {:>10.4}   scored {:>10.4}   area under ROC {area:.4} ({low:.4} .. {high:.4})",
            score.name,
            mean(&score.usual),
            mean(&score.of_rows),
        ));
    }
    line("higher is more anomalous; an area of 0.5 is chance level, 1 is perfect separation; 95 % intervals");
    if let Some(path) = &args.csv {
        table(path, &found.scores, [normal.len(), scored.len()])?;
    }
    let names: Vec<Column> = found.scores.iter().map(|score| Column::numbers(named(score))).collect();
    let values = |of: fn(&Score) -> &Vec<f64>, count: usize| -> Vec<f32> {
        (0..count).flat_map(|row| found.scores.iter().map(move |score| of(score)[row] as f32)).collect()
    };
    let (first, second) = (values(|score| &score.usual, normal.len()), values(|score| &score.of_rows, scored.len()));
    let counts = [format!("{} normal rows", normal.len()), format!("{} scored rows", scored.len())];
    let series = [Series { name: &counts[0], values: &first }, Series { name: &counts[1], values: &second }];
    file.write(histograms(&series, &names)?)?;
    roc.write(curves(&found.scores)?)?;
    line(format!("pictures   {}, {}", display(file.path()), display(roc.path())));
    Ok(())
}

/// Whether the likelihood is to be computed.
fn wants_likelihood(args: &AnomalyArgs, spec: &ModelSpec) -> bool {
    let measure = &args.measure;
    let is_given = measure.solving.is_given()
        || measure.trace != TraceName::Auto
        || (measure.probes, measure.draws, measure.seed) != (1, 1, 0);
    match args.likelihood {
        WhenLikelihood::Auto => is_given || matches!(spec.data.shape, Shape::Image { .. }),
        WhenLikelihood::Always => true,
        WhenLikelihood::Never => false,
    }
}

/// The area under the ROC curve of a score, with its 95 % interval.
fn area(score: &Score) -> (f64, [f64; 2]) {
    let area = area_under_roc(&score.usual, &score.of_rows);
    let error = 1.96 * area_standard_error(area, [score.usual.len(), score.of_rows.len()]);
    (area, [(area - error).max(0.0), (area + error).min(1.0)])
}

/// Writes the scores of each row.
fn table(path: &std::path::Path, scores: &[Score], [normal, scored]: [usize; 2]) -> Result<()> {
    let own = scores.iter().map(|score| Cow::from(&score.name));
    let p_names = scores.iter().map(|score| Cow::from(format!("p-value of {}", score.name)));
    let names = ["row", "normal"].map(Cow::from).into_iter().chain(own).chain(p_names);
    let p_values: Vec<Vec<f64>> = scores.iter().map(Score::p_values).collect();
    let of_row = |(is_normal, row): (bool, usize)| {
        let of = |score: &Score| if is_normal { score.usual[row] } else { score.of_rows[row] }.to_string();
        // Normal rows are what p-values are relative to.
        let p_value = |values: &Vec<f64>| if is_normal { String::new() } else { values[row].to_string() };
        let first = [row.to_string(), is_normal.to_string()].into_iter();
        first.chain(scores.iter().map(of)).chain(p_values.iter().map(p_value)).collect()
    };
    let of_group = |(is_normal, count): (bool, usize)| (0..count).map(move |row| (is_normal, row));
    let rows = [(true, normal), (false, scored)].into_iter().flat_map(of_group);
    render::table(path, &names.collect::<Vec<_>>(), rows.map(of_row))
}

/// The normal rows, and those to score.
fn groups(args: &AnomalyArgs, spec: &ModelSpec) -> Result<(Dataset, Dataset)> {
    let few = |data: Dataset| match args.rows.count {
        Some(count) => resolve::spread(&data, count),
        None => data,
    };
    if args.rows.count == Some(0) {
        bail!("-n 0: give at least 1");
    }
    let data = resolve::dataset_of(spec, &args.rows.data, &args.rows.table)?;
    if let Some(source) = &args.normal_data {
        return Ok((few(resolve::dataset_of(spec, source, &DataArgs::default())?), few(data)));
    }
    let names = args.normal_classes.as_deref().unwrap_or_default();
    let shown = names.join(",");
    let Some(labels) = &data.labels else {
        bail!("--normal-classes {shown}: {} has no labels; give --label, or --normal-data PATH", args.rows.data);
    };
    let class = |name: &String| {
        find_class(&labels.names, name).map_err(|error| resolve::with_flag(error, &format!("--normal-classes {name}")))
    };
    let normal = names.iter().map(class).collect::<Result<Vec<u32>>>()?;
    let (normal, others): (Vec<usize>, Vec<usize>) =
        (0..data.len()).partition(|&row| normal.contains(&labels.of_row[row]));
    if normal.is_empty() || others.is_empty() {
        bail!(
            "--normal-classes {shown}: {} of {} rows are of these classes; there must be others",
            normal.len(),
            data.len()
        );
    }
    Ok((few(data.select(&normal)), few(data.select(&others))))
}

/// Draws the ROC curves of all scores.
fn curves(scores: &[Score]) -> Result<Canvas> {
    let corners = |score: &Score| -> Vec<f32> {
        roc(&score.usual, &score.of_rows).into_iter().flatten().map(|rate| rate as f32).collect()
    };
    let curves: Vec<Vec<f32>> = scores.iter().map(corners).collect();
    let names: Vec<String> = scores.iter().map(named).collect();
    let series: Vec<Series> = names.iter().zip(&curves).map(|(name, values)| Series { name, values }).collect();
    Ok(roc_curves(&series, "ROC curves; AUC with its 95 % interval")?)
}

/// The name of a score with its area under the ROC curve and the interval of that.
fn named(score: &Score) -> String {
    let (area, [low, high]) = area(score);
    format!("{}: AUC {area:.3} ({low:.3} to {high:.3})", score.name)
}
