//! `pfgm data`

use std::path::PathBuf;

use anyhow::Result;
use pfgm_data::{Dataset, Shape, Transform};
use pfgm_plot::Series;

use crate::{
    args::DataCommand,
    render::{PictureFile, Rows, chart_rows, line},
    resolve,
};

/// Images on a contact sheet.
const SHEET: usize = 100;
const ACROSS: usize = 10;

pub fn run(args: &DataCommand) -> Result<()> {
    let dataset = resolve::dataset(&args.path, &args.table)?;
    let path = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}-contact-sheet.png", dataset.name)));
    let file = PictureFile::new(path)?;
    describe(&dataset)?;
    let rows = match dataset.shape {
        Shape::Image { .. } => dataset.some(SHEET)?,
        Shape::Vector { .. } => chart_rows(&dataset)?,
    };
    let series = Series { name: &dataset.name, values: &rows };
    let picture = Rows::from(&dataset).picture(&[series], ACROSS, &dataset.name)?;
    file.write_and_print(picture, "")
}

fn describe(dataset: &Dataset) -> Result<()> {
    let kind = if dataset.values.are_bytes() { "8-bit" } else { "floats" };
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
    line(format!("values     {kind}, nominal range {} to {}", dataset.range.0, dataset.range.1));
    if let Shape::Vector { len } = dataset.shape {
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
    Ok(())
}
