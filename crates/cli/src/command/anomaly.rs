//! `pfgm anomaly`

use std::borrow::Cow;

use anyhow::{Result, bail};
use pfgm::model::{Anomaly, DensityUnit, Score, find_class};
use pfgm_data::Dataset;
use pfgm_eval::{area_under_roc, roc};
use pfgm_plot::{Canvas, Series, histograms, lines};

use crate::{
    args::{AnomalyArgs, DataArgs},
    command::likelihood::likelihood,
    render::{self, PictureFile, display, in_run, line},
    resolve,
};

pub fn run(args: &AnomalyArgs) -> Result<()> {
    let model = resolve::flow_model(&args.run.run, &args.run.compute)?;
    let spec = model.spec();
    let (low, high) = spec.range();
    args.sigma.iter().try_for_each(|&sigma| resolve::within("--sigma", sigma, low..=high))?;
    let file = PictureFile::chart(args.out.clone().unwrap_or_else(|| in_run(&args.run.run, "anomaly.png")))?;
    let roc = PictureFile::chart(args.roc.clone().unwrap_or_else(|| in_run(&args.run.run, "roc.png")))?;
    render::check_all([args.csv.as_deref()])?;
    let (normal, scored) = groups(args)?;
    if normal.len() < 2 {
        bail!("{} normal rows and {} to score; give at least 2 and 1", normal.len(), scored.len());
    }
    let how = likelihood(&args.measure, spec, &spec.unlabeled_rows(&normal)?, &args.run)?;
    let bar = render::progress("likelihood", 0);
    let how = Anomaly::default()
        .likelihood(how.observer(resolve::on_bar(&bar)))
        .reconstruction(args.sigma.iter().copied())
        .batch(args.run.batch);
    let found = model.anomaly_scores(&normal, &scored, how)?;
    bar.finish_and_clear();
    // Like the other scores, it is larger for unusual rows.
    let unit = match found.unit {
        DensityUnit::BitsPerDim => "bits per dimension",
        DensityUnit::Nats => "-ln p, in nats",
    };
    line(format!("{} normal rows, {} scored; likelihood in {unit}", normal.len(), scored.len()));
    for Score { name, usual, of_rows, .. } in &found.scores {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        line(format!(
            "{name:<22} normal {:>10.4}   scored {:>10.4}   area under ROC {:.4}",
            mean(usual),
            mean(of_rows),
            area_under_roc(usual, of_rows)
        ));
    }
    line("an area of 0.5 is chance level, 1 is perfect separation");
    if let Some(path) = &args.csv {
        table(path, &found.scores, [normal.len(), scored.len()])?;
    }
    let names: Vec<String> = found.scores.iter().map(|score| score.name.clone()).collect();
    let values = |of: fn(&Score) -> &Vec<f64>, count: usize| -> Vec<f32> {
        (0..count).flat_map(|row| found.scores.iter().map(move |score| of(score)[row] as f32)).collect()
    };
    let (first, second) = (values(|score| &score.usual, normal.len()), values(|score| &score.of_rows, scored.len()));
    let series = [Series { name: "normal", values: &first }, Series { name: "scored", values: &second }];
    file.write(histograms(&series, &names)?)?;
    roc.write(curves(&found.scores)?)?;
    line(format!("pictures   {}, {}", display(file.path()), display(roc.path())));
    Ok(())
}

/// Writes the scores of each row.
fn table(path: &std::path::Path, scores: &[Score], [normal, scored]: [usize; 2]) -> Result<()> {
    let names = ["row", "normal"].map(Cow::from).into_iter().chain(scores.iter().map(|score| Cow::from(&score.name)));
    let of_row = |(is_normal, row): (bool, usize)| {
        let of = |score: &Score| if is_normal { score.usual[row] } else { score.of_rows[row] }.to_string();
        [row.to_string(), is_normal.to_string()].into_iter().chain(scores.iter().map(of)).collect()
    };
    let of_group = |(is_normal, count): (bool, usize)| (0..count).map(move |row| (is_normal, row));
    let rows = [(true, normal), (false, scored)].into_iter().flat_map(of_group);
    render::table(path, &names.collect::<Vec<_>>(), rows.map(of_row))
}

/// The normal rows, and those to score.
fn groups(args: &AnomalyArgs) -> Result<(Dataset, Dataset)> {
    let few = |data: Dataset| match args.rows.count {
        Some(count) => resolve::spread(&data, count),
        None => data,
    };
    if args.rows.count == Some(0) {
        bail!("-n 0: give at least 1");
    }
    let data = resolve::dataset(&args.rows.data, &args.rows.table)?;
    if let Some(source) = &args.normal_data {
        return Ok((few(resolve::dataset(source, &DataArgs::default())?), few(data)));
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
    let series: Vec<Series> =
        scores.iter().zip(&curves).map(|(score, values)| Series { name: &score.name, values }).collect();
    Ok(lines(&series, ["false positive rate", "true positive rate"], "receiver operating characteristic")?)
}
