//! Arguments of commands that draw charts.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use pfgm_plot::{Canvas, Language, PlotError, Theme};

/// A file format of charts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChartFormat {
    /// Pixels
    Png,
    /// Shapes and texts
    Svg,
    /// Shapes and texts on a page
    Pdf,
}

/// The colors of charts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ThemeName {
    /// On white
    #[default]
    Light,
    /// On a dark background, for projection
    Dark,
}

/// The language of the texts in charts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LanguageName {
    /// English
    #[default]
    En,
    /// Chinese
    Zh,
}

/// Format, resolution, colors and language of charts.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct FigureArgs {
    /// Format of charts without -o; with -o, the file's ending decides [default: png]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<ChartFormat>,

    /// Resolution of charts in pixels per inch, from 48 to 768
    #[arg(long, value_name = "DPI", value_parser = resolution)]
    pub dpi: Option<f64>,

    /// Colors of charts
    #[arg(long, value_enum, value_name = "THEME", default_value = "light")]
    pub theme: ThemeName,

    /// Language of the texts in charts: English or Chinese
    #[arg(long, value_enum, value_name = "LANGUAGE", default_value = "en")]
    pub lang: LanguageName,
}

/// Units of length of a chart in an inch.
const UNITS: f64 = 96.0;

fn resolution(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(dpi) if (48.0..=768.0).contains(&dpi) => Ok(dpi),
        _ => Err("give a number from 48 to 768".to_owned()),
    }
}

impl FigureArgs {
    /// The path that `-o` names, or the default with the ending of `--format`.
    pub fn path(&self, out: Option<&Path>, default: PathBuf) -> Result<PathBuf> {
        let Some(format) = self.format else { return Ok(out.map_or(default, Path::to_owned)) };
        let ending = match format {
            ChartFormat::Png => "png",
            ChartFormat::Svg => "svg",
            ChartFormat::Pdf => "pdf",
        };
        match out {
            Some(out) if out.extension().is_some_and(|own| !own.eq_ignore_ascii_case(ending)) => {
                bail!("--format {ending}: {} has another ending; omit --format", out.display())
            }
            Some(out) => Ok(out.with_extension(ending)),
            None => Ok(default.with_extension(ending)),
        }
    }

    /// Pixels for each unit of length, if `--dpi` is given.
    pub fn scale(&self) -> Option<f64> {
        self.dpi.map(|dpi| dpi / UNITS)
    }

    /// A chart with this resolution, in these colors and this language.
    pub fn apply(&self, canvas: Canvas) -> Result<Canvas, PlotError> {
        let canvas = match self.scale() {
            Some(scale) => canvas.scaled(scale)?,
            None => canvas,
        };
        let language = match self.lang {
            LanguageName::En => Language::English,
            LanguageName::Zh => Language::Chinese,
        };
        let theme = match self.theme {
            ThemeName::Light => Theme::Light,
            ThemeName::Dark => Theme::Dark,
        };
        Ok(canvas.themed(theme).translated(|text| language.translate(text)))
    }
}
