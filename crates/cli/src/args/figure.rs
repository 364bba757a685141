//! Arguments of commands that draw pictures.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use pfgm_plot::{Canvas, Language, PlotError, Theme};

/// A file format of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChartFormat {
    /// Pixels
    Png,
    /// Shapes and texts
    Svg,
    /// Shapes and texts on a page
    Pdf,
}

impl ChartFormat {
    /// The ending of files.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Svg => "svg",
            Self::Pdf => "pdf",
        }
    }
}

/// The colors of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ThemeName {
    /// On white
    #[default]
    Light,
    /// On a dark background, for projection
    Dark,
}

/// The language of the texts in pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LanguageName {
    /// English
    #[default]
    En,
    /// Chinese
    Zh,
}

/// Format, resolution, colors and language of pictures, and their enlargement.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct FigureArgs {
    #[command(flatten)]
    pub style: StyleArgs,

    /// Enlargement of the picture, and of each frame of an animation: pixels for each unit of length, from 0.5 to 8 [default: 1 for images and animations, about 1.6 for charts, 2 for the figures of `field`]
    #[arg(long, value_name = "S", value_parser = enlargement, conflicts_with = "dpi")]
    pub scale: Option<f64>,
}

/// Format, resolution, colors and language of pictures; of `temperature`, whose `--scale` is another.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct StyleArgs {
    /// Format of the picture without -o; with -o, the file's ending decides [default: png; for the figures of `compare`, svg and pdf]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<ChartFormat>,

    /// Resolution of the picture in pixels per inch, from 48 to 768; images and animations have 96, charts about 150 [default: that of the picture]
    #[arg(long, value_name = "DPI", value_parser = resolution)]
    pub dpi: Option<f64>,

    /// Colors of the picture
    #[arg(long, value_enum, value_name = "THEME", default_value = "light")]
    pub theme: ThemeName,

    /// Language of the texts in the picture: English or Chinese
    #[arg(long, value_enum, value_name = "LANGUAGE", default_value = "en")]
    pub lang: LanguageName,
}

/// A value of `--frames`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frames {
    /// How many frames there are.
    Count(usize),
    /// The folder that they are written to.
    Folder(PathBuf),
}

impl Frames {
    /// Parses a value: a number, or else a folder.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count) => Ok(Self::Count(count)),
            Err(_) if text.is_empty() => Err("give a number, or a folder".to_owned()),
            Err(_) => Ok(Self::Folder(PathBuf::from(text))),
        }
    }

    /// The last number that was given.
    pub fn count(given: &[Self]) -> Option<usize> {
        given.iter().rev().find_map(|value| if let Self::Count(count) = value { Some(*count) } else { None })
    }

    /// The last folder that was given.
    pub fn folder(given: &[Self]) -> Option<&Path> {
        given
            .iter()
            .rev()
            .find_map(|value| if let Self::Folder(folder) = value { Some(folder.as_path()) } else { None })
    }
}

/// Units of length of a picture in an inch.
const UNITS: f64 = 96.0;

fn resolution(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(dpi) if (48.0..=768.0).contains(&dpi) => Ok(dpi),
        _ => Err("give a number from 48 to 768".to_owned()),
    }
}

fn enlargement(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if (0.5..=8.0).contains(&scale) => Ok(scale),
        _ => Err("give a number from 0.5 to 8".to_owned()),
    }
}

impl From<StyleArgs> for FigureArgs {
    fn from(style: StyleArgs) -> Self {
        Self { style, scale: None }
    }
}

impl FigureArgs {
    /// The path that `-o` names, or the default with the ending of `--format`.
    pub fn path(&self, out: Option<&Path>, default: PathBuf) -> Result<PathBuf> {
        let Some(format) = self.style.format else { return Ok(out.map_or(default, Path::to_owned)) };
        let ending = format.ending();
        match out {
            Some(out) if out.extension().is_some_and(|own| !own.eq_ignore_ascii_case(ending)) => {
                bail!("--format {ending}: {} has another ending; omit --format", out.display())
            }
            Some(out) => Ok(out.with_extension(ending)),
            None => Ok(default.with_extension(ending)),
        }
    }

    /// Pixels for each unit of length, if `--scale` or `--dpi` is given.
    pub fn scale(&self) -> Option<f64> {
        self.scale.or(self.style.dpi.map(|dpi| dpi / UNITS))
    }

    /// A picture with this resolution, in these colors and this language.
    pub fn apply(&self, canvas: Canvas) -> Result<Canvas, PlotError> {
        let canvas = match self.scale() {
            Some(scale) => canvas.scaled(scale)?,
            None => canvas,
        };
        let language = match self.style.lang {
            LanguageName::En => Language::English,
            LanguageName::Zh => Language::Chinese,
        };
        let theme = match self.style.theme {
            ThemeName::Light => Theme::Light,
            ThemeName::Dark => Theme::Dark,
        };
        Ok(canvas.themed(theme).translated(|text| language.translate(text)))
    }
}
