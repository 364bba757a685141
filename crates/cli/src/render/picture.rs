//! Pictures of rows, and the files that they are written to.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pfgm::spec::DataInfo;
use pfgm_data::{Dataset, Shape};
use pfgm_plot::{Figure, FigureKind, Format, Picture, Series, grid, histograms, scatter};

use super::{check_writable, display, line, write};
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
    /// Checks a path before the computation. Its extension selects a format that such a figure can have.
    pub fn new(path: PathBuf, kind: FigureKind) -> Result<Self> {
        let format = Format::of(&path, kind).with_context(|| path.display().to_string())?;
        check_writable(&path)?;
        Ok(Self { path, format, style: FigureArgs::default() })
    }

    /// Checks the path of a chart, as [`PictureFile::new`].
    pub fn chart(path: PathBuf) -> Result<Self> {
        Self::new(path, FigureKind::Chart)
    }

    /// Checks the path of a picture of images, as [`PictureFile::new`].
    pub fn images(path: PathBuf) -> Result<Self> {
        Self::new(path, FigureKind::Images)
    }

    /// Draws charts with this resolution, colors and language.
    pub fn styled(self, style: FigureArgs) -> Self {
        Self { style, ..self }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a figure.
    pub fn write(&self, figure: impl Into<Figure>) -> Result<()> {
        let about = || self.path.display().to_string();
        let figure = match figure.into() {
            Figure::Chart(canvas) => Figure::Chart(self.style.apply(canvas).with_context(about)?),
            images => images,
        };
        let bytes = figure.encode(self.format).with_context(about)?;
        write(&self.path, &bytes)
    }

    /// Writes a figure and prints its path, with a note if there is one.
    pub fn write_and_print(&self, figure: impl Into<Figure>, note: &str) -> Result<()> {
        self.write(figure)?;
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
}

impl<'a> From<&'a DataInfo> for Rows<'a> {
    fn from(data: &'a DataInfo) -> Self {
        Self { shape: data.shape, range: data.range, columns: &data.columns }
    }
}

impl<'a> From<&'a Dataset> for Rows<'a> {
    fn from(data: &'a Dataset) -> Self {
        Self { shape: data.shape, range: data.range, columns: &data.columns }
    }
}

impl Rows<'_> {
    /// What their picture is made of.
    pub fn kind(&self) -> FigureKind {
        match self.shape {
            Shape::Image { .. } => FigureKind::Images,
            Shape::Vector { .. } => FigureKind::Chart,
        }
    }

    /// Draws a grid of images, points in the plane, or the distribution of each column. Vectors are drawn with each
    /// series in its own color; of images only the last series is drawn, in rows of `across`.
    pub fn picture(&self, series: &[Series], across: usize, title: &str) -> Result<Figure> {
        let names = || -> Vec<String> {
            match self.shape {
                Shape::Vector { len } if self.columns.is_empty() => (1..=len).map(|n| format!("column {n}")).collect(),
                _ => self.columns.to_vec(),
            }
        };
        let images = series.last().map_or(&[][..], |series| series.values);
        Ok(match self.shape {
            Shape::Image { .. } => Figure::Images(grid(self.pixels(), images, across)?),
            Shape::Vector { len: 2 } => {
                let names = names();
                scatter(series, [&names[0], &names[1]], title)?.into()
            }
            Shape::Vector { .. } => histograms(series, &names())?.into(),
        })
    }

    /// Draws the picture of [`Rows::picture`] as a PNG file.
    pub fn png(&self, series: &[Series], across: usize, title: &str) -> Result<Vec<u8>> {
        Ok(self.picture(series, across, title)?.encode(Format::Png)?)
    }

    /// How one image is drawn.
    pub fn pixels(&self) -> Picture {
        match self.shape {
            Shape::Image { height, width, channels } => Picture { height, width, channels, range: self.range },
            Shape::Vector { len } => Picture { height: 1, width: len, channels: 1, range: self.range },
        }
    }
}

/// Returns at most `MAX_CHART_ROWS` rows, evenly selected from the data set.
pub fn chart_rows(dataset: &Dataset) -> Result<Vec<f32>> {
    Ok(dataset.some(MAX_CHART_ROWS)?)
}
