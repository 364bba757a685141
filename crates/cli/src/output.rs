//! What a person sees: lines on standard output, pictures of samples.

use std::{
    borrow::Cow,
    fmt, fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use pfgm::{spec::DataInfo, train::checkpoint::write_atomically};
use pfgm_data::{
    Dataset, Shape,
    npz::{Named, write_npz},
};
use pfgm_plot::{Picture, Series, grid, histograms, scatter};

/// Rows of a data set that a picture shows at the most.
const SHOWN: usize = 5000;

/// Whether this process keeps quiet, because another one speaks for it.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Says nothing from now on.
#[cfg(feature = "mpi")]
pub fn be_silent() {
    SILENT.store(true, Ordering::Relaxed);
}

pub fn is_silent() -> bool {
    SILENT.load(Ordering::Relaxed)
}

/// A bar of progress, which nobody sees where there is no terminal.
pub fn bar(steps: u64, template: &str) -> Result<ProgressBar> {
    let bar = if is_silent() { ProgressBar::hidden() } else { ProgressBar::new(steps) };
    Ok(bar.with_style(ProgressStyle::with_template(template)?))
}

/// Prints a line; a reader that has gone away (`pfgm ... | head`) is no error.
pub fn line(text: impl fmt::Display) {
    if !is_silent() {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

/// Writes a file whole or not at all, making its folder.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    make_folder_of(path)?;
    write_atomically(path, bytes).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Finds out, before anything is computed for it, whether a file can be written.
pub fn check_writable(path: &Path) -> Result<()> {
    if path.is_dir() {
        bail!("{}: is a folder; name a file", path.display());
    }
    make_folder_of(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let probe = folder.join(format!(".pfgm-{}", std::process::id()));
    fs::write(&probe, [])
        .and_then(|()| fs::remove_file(&probe))
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// The same of several files, of those that are wanted.
pub fn check_all<'a>(paths: impl IntoIterator<Item = Option<&'a Path>>) -> Result<()> {
    paths.into_iter().flatten().try_for_each(check_writable)
}

/// Writes arrays as an archive, and says so.
pub fn arrays(name: &str, path: &Path, arrays: &[Named]) -> Result<()> {
    let mut file = Cursor::new(Vec::new());
    write_npz(&mut file, arrays).context("the arrays")?;
    write(path, file.get_ref())?;
    line(format!("{name:<10} {}", shown(path)));
    Ok(())
}

/// Writes a table, and says so; without a heading where there are no names.
pub fn table(path: &Path, names: &[Cow<str>], rows: impl IntoIterator<Item = Vec<String>>) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    if !names.is_empty() {
        table.write_record(names.iter().map(|name| name.as_bytes()))?;
    }
    for row in rows {
        table.write_record(row)?;
    }
    write(path, &table.into_inner().context("the table")?)?;
    line(format!("{:<10} {}", "table", shown(path)));
    Ok(())
}

/// A bar of what is done, and of how long the rest takes.
pub fn progress(what: &'static str, count: usize) -> ProgressBar {
    bar(count as u64, "{msg} {wide_bar} {pos}/{len}  {eta} left").expect("a template").with_message(what)
}

/// Makes the folder that a file is to be in.
pub fn make_folder_of(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => make_folder(folder),
        _ => Ok(()),
    }
}

/// Makes a folder and those above it.
pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{}: the folder cannot be made", folder.display()))
}

/// What a picture is made of.
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
    /// A picture of rows: a grid of images, points in the plane, or the distribution of each column. Vectors are shown
    /// with `series` in different colours, images of the last series only.
    pub fn picture(&self, series: &[Series], across: usize, title: &str) -> Result<Vec<u8>> {
        let names = || -> Vec<String> {
            match self.shape {
                Shape::Vector { len } if self.columns.is_empty() => (1..=len).map(|n| format!("column {n}")).collect(),
                _ => self.columns.to_vec(),
            }
        };
        let shown = series.last().map_or(&[][..], |series| series.values);
        Ok(match self.shape {
            Shape::Image { .. } => grid(self.pixels(), shown, across)?,
            Shape::Vector { len: 2 } => {
                let names = names();
                scatter(series, [&names[0], &names[1]], title)?
            }
            Shape::Vector { .. } => histograms(series, &names())?,
        })
    }

    /// How one image is drawn.
    pub fn pixels(&self) -> Picture {
        match self.shape {
            Shape::Image { height, width, channels } => Picture { height, width, channels, range: self.range },
            Shape::Vector { len } => Picture { height: 1, width: len, channels: 1, range: self.range },
        }
    }
}

/// As many rows as a chart shows.
pub fn rows_for_chart(dataset: &Dataset) -> Result<Vec<f32>> {
    Ok(dataset.some(SHOWN)?)
}

/// A path as it is shown, and as it can be typed.
pub fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains(' ') { format!("'{text}'") } else { text }
}

/// A path beside another that is a file, or in it when it is a folder.
pub fn within(run: &Path, name: &str) -> PathBuf {
    if run.is_dir() { run.join(name) } else { PathBuf::from(name) }
}
