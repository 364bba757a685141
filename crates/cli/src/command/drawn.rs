//! Samples as files: arrays, tables, pictures.

use std::{borrow::Cow, path::Path};

use anyhow::Result;
use pfgm::{
    config::Config,
    model::Samples,
    spec::{DataInfo, ModelSpec},
};
use pfgm_data::{
    Shape,
    npz::{Column, Named},
};
use pfgm_plot::Series;

use crate::{
    args::FilesArgs,
    command::measure::open_reference,
    render::{self, PictureFile, Rows, chart_rows, class_captions, display, line},
    resolve,
};

/// Images in a picture, at most.
const MAX_DRAWN: usize = 400;

/// Samples to be written.
pub struct Drawn<'a> {
    pub seeds: &'a [u64],
    pub classes: &'a [Option<u32>],
    pub values: &'a [f32],
    /// The values in double precision, if single precision rounds them visibly.
    pub precise: Option<&'a [f64]>,
    /// The name of the column of classes.
    pub label: &'a str,
    /// Cells of a table with kinds of columns.
    pub cells: Option<Vec<Vec<String>>>,
}

impl<'a> Drawn<'a> {
    pub fn of(samples: &'a Samples, config: &'a Config) -> Self {
        let label = config.data.label.as_deref().unwrap_or("class");
        let (values, precise) = (samples.values(), samples.wide_values());
        let cells = samples.cells(true);
        Self { seeds: &samples.seeds, classes: &samples.classes, values, precise, label, cells }
    }
}

/// Returns the seeds of the command line.
pub fn seeds(count: usize, seeds: Option<&str>) -> Result<Vec<u64>> {
    match seeds {
        Some(text) => resolve::seeds("--seeds", text),
        None => {
            resolve::within("-n", count, 1..=resolve::MAX_SAMPLES)?;
            Ok((0..count as u64).collect())
        }
    }
}

/// Checks, before anything is drawn, that the files can be written.
pub fn check_files(files: &FilesArgs) -> Result<()> {
    render::check_all([files.npz.as_deref(), files.csv.as_deref()])
}

/// Writes the arrays, images and table of the command line.
pub fn write_arrays(files: &FilesArgs, data: &DataInfo, drawn: &Drawn) -> Result<()> {
    let dim = data.shape.dim();
    if let Some(path) = &files.npz {
        npz(path, data, drawn)?;
    }
    if let Some(folder) = &files.images {
        render::make_folder(folder)?;
        for (seed, image) in drawn.seeds.iter().zip(drawn.values.chunks_exact(dim)) {
            render::write(&folder.join(format!("{seed:06}.png")), &Rows::from(data).pixels().png(image)?)?;
        }
        line(format!("images     {}/{:06}.png ...", display(folder), drawn.seeds[0]));
    }
    if let Some(path) = &files.csv {
        csv(path, data, drawn)?;
    }
    Ok(())
}

/// Writes the samples as a table with the columns of the data, and a column of classes if there are any.
fn csv(path: &Path, data: &DataInfo, drawn: &Drawn) -> Result<()> {
    let has_classes = !data.classes.is_empty() && drawn.classes.iter().any(Option::is_some);
    if let (Some(table), Some(cells)) = (&data.table, &drawn.cells) {
        // Without classes there is no column of classes.
        render::write(path, table.write(has_classes, cells.iter().cloned()).as_bytes())?;
        line(format!("{:<10} {}", "table", display(path)));
        return Ok(());
    }
    let mut names: Vec<Cow<str>> = data.columns.iter().map(Cow::from).collect();
    if has_classes && !names.is_empty() {
        names.push(Cow::from(drawn.label));
    }
    let dim = data.shape.dim();
    let is_whole = |at: usize| data.whole_columns.get(at % dim).copied().unwrap_or(false);
    // Columns far from zero need more digits than single precision has.
    let value = |at: usize| match drawn.precise {
        Some(values) if is_whole(at) => values[at].round().to_string(),
        Some(values) => values[at].to_string(),
        None if is_whole(at) => drawn.values[at].round().to_string(),
        None => drawn.values[at].to_string(),
    };
    let row = |(row, class): (usize, &Option<u32>)| -> Vec<String> {
        let class = class.and_then(|class| data.classes.get(class as usize));
        let class = has_classes.then(|| class.cloned().unwrap_or_default());
        (row * dim..(row + 1) * dim).map(value).chain(class).collect()
    };
    render::table(path, &names, drawn.classes.iter().enumerate().map(row))
}

/// Images in a row of a picture: one for each class if all classes take turns.
pub fn across(in_turn: bool, data: &DataInfo, drawn: &Drawn) -> usize {
    match data.classes.len() {
        2..=16 if in_turn => data.classes.len(),
        _ => (drawn.seeds.len().min(MAX_DRAWN) as f64).sqrt().ceil() as usize,
    }
}

/// Draws a picture of the samples; with a column for each class if all classes take turns.
///
/// `reference` are rows of the data, which charts show beside the samples.
pub fn write_picture(
    in_turn: bool,
    data: &DataInfo,
    drawn: &Drawn,
    reference: Option<&[f32]>,
    file: &PictureFile,
) -> Result<()> {
    let (count, across) = (drawn.seeds.len(), across(in_turn, data, drawn));
    // A picture of all samples could be too large to make.
    let rows = match data.shape {
        Shape::Image { .. } => count.min(MAX_DRAWN.next_multiple_of(across)),
        Shape::Vector { .. } => count,
    };
    let samples = Series { name: "samples", values: &drawn.values[..rows * data.shape.dim()] };
    let series: Vec<Series> =
        reference.map(|values| Series { name: "data", values }).into_iter().chain([samples]).collect();
    let captions = class_captions(if in_turn { &data.classes } else { &[] }, across);
    let picture = Rows::from(data).picture(&series, (across, &captions), &data.name)?;
    let note = if rows < count { format!("the first {rows}") } else { String::new() };
    file.write_and_print(picture, &note)
}

/// Rows of the data of a run of points or of a table; `None` if its rows are images, or the data cannot be read any more.
pub fn reference(spec: &ModelSpec, data: &DataInfo) -> Option<Vec<f32>> {
    if !matches!(data.shape, Shape::Vector { .. }) {
        return None;
    }
    let source = &spec.config.data.source;
    let dataset = open_reference(source, &Default::default(), Some(spec)).ok()?;
    (dataset.shape == data.shape).then(|| chart_rows(&dataset).ok()).flatten()
}

/// Writes `x` (bytes or 16 bits if the data were such images, else floats), `seeds`, and `labels` if there are classes.
fn npz(path: &Path, data: &DataInfo, drawn: &Drawn) -> Result<()> {
    let count = drawn.seeds.len();
    let shape = match data.shape {
        Shape::Image { height, width, channels } => vec![count, height, width, channels],
        Shape::Vector { len } => vec![count, len],
    };
    let bytes: Vec<u8> = drawn.values.iter().map(|value| value.round() as u8).collect();
    let words: Vec<u16> = drawn.values.iter().map(|value| value.round() as u16).collect();
    let values = match data.range {
        (0.0, 255.0) if shape.len() == 4 => Column::Bytes(&bytes),
        (0.0, 65535.0) if shape.len() == 4 => Column::Words(&words),
        _ => Column::Floats(drawn.values),
    };
    // Classes with numeric names keep these numbers.
    let numbers: Option<Vec<i64>> = data.classes.iter().map(|name| name.parse().ok()).collect();
    let number = |&class: &u32| match &numbers {
        Some(numbers) => numbers.get(class as usize).copied().unwrap_or(class.into()),
        None => class.into(),
    };
    let labels: Vec<i64> = drawn.classes.iter().flatten().map(number).collect();
    let seeds_shape = [count];
    let mut arrays = vec![
        Named { name: "x", shape: &shape, values },
        Named { name: "seeds", shape: &seeds_shape, values: Column::Seeds(drawn.seeds) },
    ];
    let label_shape = [labels.len()];
    if !labels.is_empty() {
        arrays.push(Named { name: "labels", shape: &label_shape, values: Column::Integers(&labels) });
    }
    render::arrays("arrays", path, &arrays)
}
