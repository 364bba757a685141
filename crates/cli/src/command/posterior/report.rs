//! The files of a restoration: picture, arrays, table, scores.

use std::borrow::Cow;

use anyhow::Result;
use pfgm::{
    model::Samples,
    spec::{DataInfo, ModelSpec},
};
use pfgm_data::{
    Shape,
    npz::{Column, Named},
};
use pfgm_plot::{Captions, Series, sheet};
use serde_json::json;

use super::{Scores, Task, default_picture};
use crate::{
    args::RestoreArgs,
    render::{self, PictureFile, Rows, display, line, numbered},
};

/// Measurements in a picture, at most.
const SHOWN: usize = 16;
/// Draws of a measurement in a picture, at most.
const SHOWN_DRAWS: usize = 8;

/// Where results go; the paths are known to be writable.
pub struct Files {
    picture: PictureFile,
}

impl Files {
    /// Checks the paths that the command line names.
    pub fn new(args: &RestoreArgs, spec: &ModelSpec) -> Result<Self> {
        let picture = PictureFile::new(args.figure, args.out.as_deref(), default_picture(args))?;
        render::check_all([&args.npz, &args.csv, &args.json].map(Option::as_deref))?;
        if args.csv.is_some() && matches!(spec.data.shape, Shape::Image { .. }) {
            anyhow::bail!("--csv: the rows are images; use --npz");
        }
        Ok(Self { picture })
    }

    /// Writes everything.
    pub fn write(&self, args: &RestoreArgs, task: &Task, samples: &Samples, scores: &Scores) -> Result<()> {
        let statistics = samples.mean_and_deviation(args.draws);
        if args.npz.is_some() {
            arrays(args, task, samples, &statistics)?;
        }
        if let Some(path) = &args.csv {
            let data = samples.data();
            let names = std::iter::once(Cow::from("measurement")).chain(data.columns.iter().map(Cow::from));
            let names: Vec<Cow<str>> = if data.columns.is_empty() { Vec::new() } else { names.collect() };
            let values = samples.values_f64();
            let row = |(at, row): (usize, &[f64])| {
                let number = (at / args.draws).to_string();
                std::iter::once(number).chain(row.iter().map(f64::to_string)).collect::<Vec<String>>()
            };
            render::table(path, &names, values.chunks_exact(data.shape.dim()).enumerate().map(row))?;
        }
        if let Some(path) = &args.json {
            let method = args.method.map(|method| format!("{method:?}").to_lowercase());
            let report = json!({
                "operator": args.operator,
                "method": method.unwrap_or_else(|| if args.exact.is_some() { "exact" } else { "mmps" }.to_owned()),
                "noises": task.noises,
                "measurements": task.measurements.count,
                "draws": args.draws,
                "seed": args.seed,
                "evaluations": samples.nfe(),
                "scores": scores.as_json(),
            });
            render::write(path, format!("{report:#}\n").as_bytes())?;
            line(format!("json       {}", display(path)));
        }
        self.draw(args.draws, task, samples, &statistics)
    }

    fn draw(&self, draws: usize, task: &Task, samples: &Samples, statistics: &(Vec<f64>, Vec<f64>)) -> Result<()> {
        let data = samples.data();
        let Shape::Image { .. } = data.shape else {
            let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
            let (drawn, means) = (samples.values(), single(&statistics.0));
            let series = [Series { name: "draws", values: drawn }, Series { name: "means", values: &means }];
            return self
                .picture
                .write_and_print(Rows::from(data).picture(&series, (1, &Captions::default()), &data.name)?, "");
        };
        let shown = task.measurements.count.min(SHOWN);
        let across = usize::from(task.truth.is_some()) + 3 + draws.min(SHOWN_DRAWS);
        let images: Vec<f32> =
            (0..shown).flat_map(|number| images(number, draws, (task, data), samples, statistics)).collect();
        let truth = if task.truth.is_some() { "truth, " } else { "" };
        let note = format!("{truth}measurement, mean, standard deviation, draws");
        let names = ["truth", "measurement", "mean", "std"].into_iter().skip(usize::from(task.truth.is_none()));
        let draws = (1..=draws.min(SHOWN_DRAWS)).map(|draw| format!("draw {draw}"));
        let columns = names.map(String::from).chain(draws).collect();
        let captions = Captions { columns, rows: numbered("image", shown) };
        self.picture.write_and_print(sheet(Rows::from(data).pixels(), &images, across, &captions)?, &note)
    }
}

/// The images of one measurement, one after another.
fn images(
    number: usize,
    draws: usize,
    (task, data): (&Task, &DataInfo),
    samples: &Samples,
    (means, deviations): &(Vec<f64>, Vec<f64>),
) -> Vec<f32> {
    let dim = data.shape.dim();
    let part = |values: &[f64]| -> Vec<f32> {
        values[number * dim..(number + 1) * dim].iter().map(|&value| value as f32).collect()
    };
    let (low, high) = data.range;
    // White is the largest deviation of all measurements.
    let most = deviations.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let deviation = part(deviations).iter().map(|value| low + (high - low) * value / most as f32).collect();
    let truth = task.truth.as_ref().map(|truth| truth[number * dim..(number + 1) * dim].to_vec());
    let drawn = (0..draws.min(SHOWN_DRAWS)).map(|draw| samples.row(number * draws + draw).to_vec());
    let first = truth.into_iter().chain([measured(number, task, data), part(means), deviation]);
    first.chain(drawn).flatten().collect()
}

/// A measurement as an image of the data's size: itself, with what was not measured black, or projected back.
fn measured(number: usize, task: &Task, data: &DataInfo) -> Vec<f32> {
    let (low, high) = (f64::from(data.range.0), f64::from(data.range.1));
    let (operator, dim) = (&task.operator.operator, data.shape.dim());
    let outputs = operator.outputs();
    let values = &task.measurements.values[number * outputs..(number + 1) * outputs];
    let filled = task.operator.layout.filled(values, low);
    if task.operator.has_range && filled.len() == dim {
        return filled.into_iter().map(|value| value as f32).collect();
    }
    // A^T a over A^T A 1 is an average where the operator is one.
    let (mut back, mut ones, mut gains) = (vec![0.0; dim], vec![0.0; outputs], vec![0.0; dim]);
    operator.transpose(values, &mut back);
    operator.apply(&vec![1.0; dim], &mut ones);
    operator.transpose(&ones, &mut gains);
    let largest = gains.iter().copied().fold(0.0, f64::max);
    let image = back.iter().zip(&gains).map(|(value, gain)| if *gain > 1e-6 * largest { value / gain } else { low });
    image.map(|value| value.clamp(low, high) as f32).collect()
}

fn arrays(
    args: &RestoreArgs,
    task: &Task,
    samples: &Samples,
    (means, deviations): &(Vec<f64>, Vec<f64>),
) -> Result<()> {
    let Some(path) = &args.npz else { return Ok(()) };
    let (count, outputs) = (task.measurements.count, task.operator.operator.outputs());
    let row: Vec<usize> = samples.row_shape().to_vec();
    let of_rows = |first: &[usize]| [first, &row[..]].concat();
    let (drawn, single, measured) = (of_rows(&[count, args.draws]), of_rows(&[count]), [count, outputs]);
    let values = samples.values_f64();
    let noises = [count];
    let mut named = vec![
        Named { name: "x", shape: &drawn, values: Column::Doubles(&values) },
        Named { name: "mean", shape: &single, values: Column::Doubles(means) },
        Named { name: "std", shape: &single, values: Column::Doubles(deviations) },
        Named { name: "measurement", shape: &measured, values: Column::Doubles(&task.measurements.values) },
        Named { name: "noise", shape: &noises, values: Column::Doubles(&task.noises) },
    ];
    if let Some(truth) = &task.truth {
        named.push(Named { name: "truth", shape: &single, values: Column::Floats(truth) });
    }
    render::arrays("arrays", path, &named)
}
