//! `pfgm anomaly`

use std::borrow::Cow;

use anyhow::{Result, bail};
use pfgm::{
    flow::{Denoiser, Query},
    measure::Measurement,
    prior,
    random::{Purpose, stream},
};
use pfgm_data::Dataset;
use pfgm_eval::{area_under_roc, roc};
use pfgm_plot::{Series, histograms, scatter};

use crate::{
    args::{AnomalyArgs, DataArgs},
    command::{
        likelihood::{Unit, measured, measurement},
        rows::{Given, class},
        sample::Model,
    },
    render::{self, PictureFile, display, in_run, line},
    resolve,
};

/// A score of every row, of the usual ones and of those asked about: higher is more unusual.
struct Score {
    name: String,
    usual: Vec<f64>,
    asked: Vec<f64>,
}

pub fn run(args: &AnomalyArgs) -> Result<()> {
    let model = Model::load(&args.run.run, &args.run.compute)?;
    let record = &model.record;
    let (low, high) = record.range();
    args.sigma.iter().try_for_each(|&sigma| resolve::within("--sigma", sigma, low..=high))?;
    let file = PictureFile::new(args.out.clone().unwrap_or_else(|| in_run(&args.run.run, "anomaly.png")))?;
    let roc = PictureFile::new(args.roc.clone().unwrap_or_else(|| in_run(&args.run.run, "roc.png")))?;
    render::check_all([args.csv.as_deref()])?;
    let (usual, asked) = groups(args, &model)?;
    if usual.count() < 2 || asked.count() == 0 {
        bail!("{} usual rows and {} asked about; give at least 2 and 1", usual.count(), asked.count());
    }
    let how = measurement(&args.measure, record, &usual, &args.run)?;
    let likelihood = likelihood(&model, &usual, &asked, &how)?;
    let mut scores = vec![typicality(&likelihood), likelihood];
    for &sigma in &args.sigma {
        let [usual, asked] = [&usual, &asked].map(|given| smoothing(&model, given, sigma, args.run.batch));
        scores.push(Score { name: format!("smoothing at {sigma}"), usual, asked });
    }
    let unit = Unit::of(record, usual.whole);
    line(format!("{} usual rows, {} asked about; likelihood in {}", usual.count(), asked.count(), unit.name()));
    for Score { name, usual, asked } in &scores {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        line(format!(
            "{name:<20} usual {:>10.4}   asked {:>10.4}   area under ROC {:.4}",
            mean(usual),
            mean(asked),
            area_under_roc(usual, asked)
        ));
    }
    line("the area is 1/2 where a score cannot tell them apart, and 1 where it always can");
    if let Some(path) = &args.csv {
        let scored = scores.iter().map(|score| Cow::from(&score.name));
        let names: Vec<Cow<str>> = ["row", "usual"].map(Cow::from).into_iter().chain(scored).collect();
        let of_row = |(usual, row): (bool, usize)| {
            let of = |score: &Score| if usual { score.usual[row] } else { score.asked[row] }.to_string();
            [row.to_string(), usual.to_string()].into_iter().chain(scores.iter().map(of)).collect()
        };
        let of_group = |(usual, count): (bool, usize)| (0..count).map(move |row| (usual, row));
        let rows = [(true, usual.count()), (false, asked.count())].into_iter().flat_map(of_group);
        render::table(path, &names, rows.map(of_row))?;
    }
    let names: Vec<String> = scores.iter().map(|score| score.name.clone()).collect();
    let rows = |of: fn(&Score) -> &Vec<f64>, count: usize| -> Vec<f32> {
        (0..count).flat_map(|row| scores.iter().map(move |score| of(score)[row] as f32)).collect()
    };
    let (first, second) = (rows(|score| &score.usual, usual.count()), rows(|score| &score.asked, asked.count()));
    let series = [Series { name: "usual", values: &first }, Series { name: "asked about", values: &second }];
    file.write(histograms(&series, &names)?)?;
    roc.write(curves(&scores)?)?;
    line(format!("pictures   {}, {}", display(file.path()), display(roc.path())));
    Ok(())
}

/// The rows that are usual, and those asked about.
fn groups(args: &AnomalyArgs, model: &Model) -> Result<(Given, Given)> {
    let asked = resolve::dataset(&args.rows.data, &args.rows.table)?;
    // Of rows that may be anything the class is not told.
    let mut free = model.record.clone();
    free.data.classes.clear();
    let given = |data: &Dataset, source: &str| Given::of(data, source, args.rows.count, &free);
    if let Some(source) = &args.normal_data {
        let usual = given(&resolve::dataset(source, &DataArgs::default())?, source)?;
        let asked = given(&asked, &args.rows.data)?;
        // Both are measured alike.
        return Ok((Given { whole: usual.whole, ..usual }, Given { whole: usual.whole, ..asked }));
    }
    let names = args.normal_classes.as_deref().unwrap_or_default();
    let Some(labels) = &asked.labels else {
        bail!(
            "--normal-classes {}: {} has no labels to tell by; give --label, or --normal-data PATH",
            names.join(","),
            args.rows.data
        );
    };
    let normal =
        names.iter().map(|name| class("--normal-classes", &labels.names, name)).collect::<Result<Vec<u32>>>()?;
    let (usual, others): (Vec<usize>, Vec<usize>) =
        (0..asked.len()).partition(|&row| normal.contains(&labels.of_row[row]));
    if usual.is_empty() || others.is_empty() {
        bail!(
            "--normal-classes {}: {} of {} rows are of these classes; there must be others",
            names.join(","),
            usual.len(),
            asked.len()
        );
    }
    let of = |rows: &[usize]| given(&asked.select(rows), &args.rows.data);
    Ok((of(&usual)?, of(&others)?))
}

/// The curves of all scores in one picture.
fn curves(scores: &[Score]) -> Result<Vec<u8>> {
    let curves: Vec<Vec<f32>> = scores
        .iter()
        .map(|score| {
            // Straight lines between the corners, as points near enough to look like them.
            let corners = roc(&score.usual, &score.asked);
            let line = |pair: &[[f64; 2]]| -> Vec<f32> {
                let [[a, b], [c, d]] = [pair[0], pair[1]];
                let steps = (200.0 * (c - a).hypot(d - b)).ceil().max(1.0) as usize;
                let at = |step: usize, from: f64, to: f64| (from + (to - from) * step as f64 / steps as f64) as f32;
                (0..=steps).flat_map(|step| [at(step, a, c), at(step, b, d)]).collect()
            };
            corners.windows(2).flat_map(line).collect()
        })
        .collect();
    let series: Vec<Series> =
        scores.iter().zip(&curves).map(|(score, values)| Series { name: &score.name, values }).collect();
    Ok(scatter(&series, ["false alarms", "found"], "receiver operating characteristic")?)
}

/// How unlikely rows are: `- ln p`, of images of bytes as bits a dimension.
fn likelihood(model: &Model, usual: &Given, asked: &Given, how: &Measurement) -> Result<Score> {
    let (unit, dim) = (Unit::of(&model.record, usual.whole), model.record.dim());
    let of = |given: &Given, what| -> Result<Vec<f64>> {
        let unlikely = |log: f64| if unit == Unit::Bits { unit.of_log(log, dim) } else { -log };
        Ok(measured(model, given, how, what)?.of_rows().into_iter().map(unlikely).collect())
    };
    Ok(Score { name: "likelihood".into(), usual: of(usual, "usual")?, asked: of(asked, "asked")? })
}

/// How far from what is usual a likelihood is, in either direction: simple images may be likelier than anything that was learned from.
fn typicality(likelihood: &Score) -> Score {
    let middle = likelihood.usual.iter().sum::<f64>() / likelihood.usual.len() as f64;
    let away = |values: &[f64]| values.iter().map(|value| (value - middle).abs()).collect();
    Score { name: "typicality".into(), usual: away(&likelihood.usual), asked: away(&likelihood.asked) }
}

/// How far `yhat` of a row with noise lies from the row, as a root mean square: what the run cannot draw is smoothed away.
fn smoothing(model: &Model, given: &Given, sigma: f64, batch: usize) -> Vec<f64> {
    let (record, dim) = (&model.record, model.record.dim());
    let points = given.points(record);
    let denoiser = record.denoiser(&model.network, Vec::new(), 1.0, batch, &model.device);
    let mut noisy = points.clone();
    for (row, x) in noisy.chunks_exact_mut(dim).enumerate() {
        prior::perturb(record.extra_dims(), sigma, &mut stream(0, Purpose::Perturbation, 0, row as u64), x);
    }
    let (levels, items): (Vec<f64>, Vec<usize>) = (vec![sigma; given.count()], (0..given.count()).collect());
    let mut yhat = vec![0.0; noisy.len()];
    denoiser.denoise(&Query { x: &noisy, sigma: &levels, item: &items }, &mut yhat);
    let apart =
        |(a, b): (&[f64], &[f64])| (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / dim as f64).sqrt();
    yhat.chunks_exact(dim).zip(points.chunks_exact(dim)).map(apart).collect()
}
