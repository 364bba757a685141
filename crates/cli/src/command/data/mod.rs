//! `pfgm data`

pub mod table;

use anyhow::{Context, Result};
use pfgm_data::{Dataset, NumberType, Shape, Transform};
use pfgm_plot::{Captions, Series};
use serde_json::json;

use crate::{
    args::DataCommand,
    render::{self, PictureFile, Rows, chart_rows, line},
    resolve,
};

/// Images on a contact sheet.
const SHEET: usize = 100;
/// Maximum number of values on it, which limits the number of large images.
const SHEET_VALUES: usize = 1 << 26;
const ACROSS: usize = 10;

pub fn run(args: &DataCommand) -> Result<()> {
    let dataset = resolve::kinded_dataset(&args.path, &args.table)?;
    render::check_all([args.json.as_deref()])?;
    let default = format!("{}-contact-sheet.png", dataset.name);
    let file = PictureFile::new(args.figure, args.out.as_deref(), default)?;
    describe(&dataset)?;
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&found(&dataset)?).context("what was found")?;
        render::write(path, text.as_bytes())?;
    }
    let rows = match dataset.shape {
        Shape::Image { .. } => dataset.some((SHEET_VALUES / dataset.shape.dim()).clamp(1, SHEET))?,
        Shape::Vector { .. } => chart_rows(&dataset)?,
    };
    let series = Series { name: &dataset.name, values: &rows };
    let picture = Rows::from(&dataset).picture(&[series], (ACROSS, &Captions::default()), &dataset.name)?;
    file.write_and_print(picture, "")
}

fn describe(dataset: &Dataset) -> Result<()> {
    let kind = number_type(dataset);
    let shape = match dataset.shape {
        Shape::Image { height, width, channels } => {
            let color = match channels {
                1 => "gray",
                3 => "color",
                4 => "color with transparency",
                _ => "channels of their own",
            };
            format!("images, {height} high, {width} wide, {channels} channels ({color})")
        }
        Shape::Vector { len } => format!("vectors of {len}"),
    };
    line(dataset.name.to_string());
    line(format!("rows       {}", dataset.len()));
    line(format!("shape      {shape}"));
    let own = if dataset.range_is_nominal { "nominal range" } else { "own range" };
    // The values of a table are encoded; the lines of its columns have their ranges.
    if dataset.table.is_none() {
        line(format!("values     {kind}, {own} {} to {}", dataset.range.0, dataset.range.1));
    }
    if let Some(table) = &dataset.table {
        table::lines(dataset, table)?.into_iter().for_each(line);
    } else if let Shape::Vector { len } = dataset.shape {
        let transform = Transform::fit(dataset)?;
        for column in 0..len {
            let name = dataset.columns.get(column).cloned().unwrap_or_else(|| (column + 1).to_string());
            let (mean, std) = (transform.offset[column], transform.scale[column]);
            line(format!("column     {name}: mean {mean:.4}, standard deviation {std:.4}"));
        }
    }
    match &dataset.labels {
        None => line("labels     none"),
        Some(labels) => {
            let mut counts = vec![0_usize; labels.names.len()];
            labels.of_row.iter().for_each(|&class| counts[class as usize] += 1);
            let list: Vec<String> =
                labels.names.iter().zip(counts).take(20).map(|(name, count)| format!("{name} ({count})")).collect();
            let more = if labels.names.len() > 20 { ", ..." } else { "" };
            line(format!("labels     {} classes: {}{more}", labels.names.len(), list.join(", ")));
        }
    }
    for notice in &dataset.notices {
        line(format!("note       {notice}"));
    }
    Ok(())
}

fn number_type(dataset: &Dataset) -> &'static str {
    match dataset.number {
        NumberType::Bool => "true or false",
        NumberType::U8 => "8-bit",
        NumberType::U16 => "16-bit",
        NumberType::F16 => "floats of 16 bits",
        NumberType::F32 => "floats",
        NumberType::F64 => "floats of 64 bits",
        _ => "whole numbers",
    }
}

/// Properties of the data for `--json`.
fn found(dataset: &Dataset) -> Result<serde_json::Value> {
    let columns = match (&dataset.table, dataset.shape) {
        (Some(table), _) => table::found(dataset, table)?,
        (None, Shape::Image { .. }) => serde_json::Value::Null,
        (None, Shape::Vector { .. }) => {
            let transform = Transform::fit(dataset)?;
            let names = &dataset.columns;
            let column = |(at, (mean, std)): (usize, (&f64, &f32))| {
                let name = names.get(at).cloned().unwrap_or_else(|| (at + 1).to_string());
                json!({ "name": name, "mean": mean, "standard_deviation": std })
            };
            transform.offset.iter().zip(&transform.scale).enumerate().map(column).collect()
        }
    };
    let classes = dataset.labels.as_ref().map(|labels| {
        let class = |(name, count)| json!({ "name": name, "rows": count });
        labels.names.iter().zip(labels.counts()).map(class).collect::<Vec<_>>()
    });
    let notices: Vec<_> =
        dataset.notices.iter().map(|notice| json!({ "text": notice.to_string(), "notice": notice })).collect();
    Ok(json!({
        "name": dataset.name,
        "rows": dataset.len(),
        "shape": dataset.shape,
        "number_type": dataset.number,
        "range": [dataset.range.0, dataset.range.1],
        "range_is_nominal": dataset.range_is_nominal,
        "columns": columns,
        "classes": classes,
        "notices": notices,
    }))
}
