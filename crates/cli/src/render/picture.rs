//! Pictures of rows, and the files that they are written to.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pfgm::spec::DataInfo;
use pfgm_data::{Dataset, Shape, TableSchema};
use pfgm_plot::{Canvas, Captions, Column, Format, Picture, Series, histograms, scatter, sheet};

use super::{check_writable, columns::Columns, display, line, write};
use crate::args::FigureArgs;

/// Maximum number of rows of a data set in a chart.
const MAX_CHART_ROWS: usize = 5000;

/// A picture to be written. Its path is writable, and its extension names a format.
pub struct PictureFile {
    path: PathBuf,
    format: Format,
    style: FigureArgs,
}

impl PictureFile {
    /// Checks, before the computation, the path of `-o` or the default, whose extension `--format` changes.
    pub fn new(style: FigureArgs, out: Option<&Path>, default: impl Into<PathBuf>) -> Result<Self> {
        let path = style.path(out, default.into())?;
        let format = Format::of(&path).with_context(|| path.display().to_string())?;
        check_writable(&path)?;
        Ok(Self { path, format, style })
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a picture in the format, resolution, colors and language of the command line.
    pub fn write(&self, canvas: Canvas) -> Result<()> {
        let about = || self.path.display().to_string();
        let bytes = self.style.apply(canvas).and_then(|canvas| self.format.encode(&canvas)).with_context(about)?;
        write(&self.path, &bytes)
    }

    /// Writes a picture and prints its path, with a note if there is one.
    pub fn write_and_print(&self, canvas: Canvas, note: &str) -> Result<()> {
        self.write(canvas)?;
        let separator = if note.is_empty() { "" } else { ": " };
        line(format!("picture    {}{separator}{note}", display(&self.path)));
        Ok(())
    }
}

/// Properties of rows for drawing.
pub struct Rows<'a> {
    /// The shape of a row.
    pub shape: Shape,
    /// The range of the values.
    pub range: (f32, f32),
    /// The names of the columns of a table.
    pub columns: &'a [String],
    /// The columns of a table whose cells are encoded.
    pub table: Option<&'a TableSchema>,
}

impl<'a> From<&'a DataInfo> for Rows<'a> {
    fn from(data: &'a DataInfo) -> Self {
        Self { shape: data.shape, range: data.range, columns: &data.columns, table: data.table.as_ref() }
    }
}

impl<'a> From<&'a Dataset> for Rows<'a> {
    fn from(data: &'a Dataset) -> Self {
        Self { shape: data.shape, range: data.range, columns: &data.columns, table: data.table.as_deref() }
    }
}

impl Rows<'_> {
    /// Draws a sheet of images, points in the plane, or the distribution of each column, in the units of a table. Vectors are drawn with each
    /// series in its own color; of images only the last series is drawn, in rows of `across`, with captions.
    pub fn picture(&self, series: &[Series], (across, captions): (usize, &Captions), title: &str) -> Result<Canvas> {
        if let Some(table) = self.table {
            return cells(table, series, title);
        }
        let names = || -> Vec<String> {
            match self.shape {
                Shape::Vector { len } if self.columns.is_empty() => (1..=len).map(|n| format!("column {n}")).collect(),
                _ => self.columns.to_vec(),
            }
        };
        let images = series.last().map_or(&[][..], |series| series.values);
        Ok(match self.shape {
            Shape::Image { .. } => sheet(self.pixels(), images, across, captions)?,
            Shape::Vector { len: 2 } => {
                let names = names();
                scatter(series, [&names[0], &names[1]], title)?
            }
            Shape::Vector { .. } => histograms(series, &names().into_iter().map(Column::numbers).collect::<Vec<_>>())?,
        })
    }

    /// Draws the picture of [`Rows::picture`] as a PNG file.
    pub fn png(&self, series: &[Series], layout: (usize, &Captions), title: &str) -> Result<Vec<u8>> {
        Ok(self.picture(series, layout, title)?.png()?)
    }

    /// How one image is drawn.
    pub fn pixels(&self) -> Picture {
        match self.shape {
            Shape::Image { height, width, channels } => Picture { height, width, channels, range: self.range },
            Shape::Vector { len } => Picture { height: 1, width: len, channels: 1, range: self.range },
        }
    }
}

/// Draws the columns of a table in its units: two columns of numbers as points, others as histograms.
fn cells(table: &TableSchema, series: &[Series], title: &str) -> Result<Canvas> {
    let found = Columns::decode(table, series);
    let series: Vec<Series> =
        series.iter().zip(&found.values).map(|(series, values)| Series { name: series.name, values }).collect();
    Ok(match &found.columns[..] {
        [x, y] if found.are_points() => scatter(&series, [&x.name, &y.name], title)?,
        columns => histograms(&series, columns)?,
    })
}

/// Captions of columns that each show a class, if there are as many columns as classes.
pub fn class_captions(classes: &[String], across: usize) -> Captions {
    let columns = if classes.len() == across { classes.to_vec() } else { Vec::new() };
    Captions { columns, rows: Vec::new() }
}

/// Captions of numbered rows, such as "image 1".
pub fn numbered(what: &str, count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("{what} {number}")).collect()
}

/// Returns at most `MAX_CHART_ROWS` rows, evenly selected from the data set.
pub fn chart_rows(dataset: &Dataset) -> Result<Vec<f32>> {
    Ok(dataset.some(MAX_CHART_ROWS)?)
}
