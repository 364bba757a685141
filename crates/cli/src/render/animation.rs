//! Animations: one file, or a folder of numbered pictures.

use std::path::PathBuf;

use anyhow::{Context, Result};
use pfgm_plot::{Animation, Canvas, Picture, PlotError, animate, animated_grid, grid};
use rayon::prelude::*;

use super::{check_writable, display, line, make_folder, write};
use crate::{args::FigureArgs, resolve};

/// An animation to be written.
pub struct AnimationFile {
    path: PathBuf,
    /// The format of a file; `None` if the path is a folder.
    format: Option<Animation>,
    style: FigureArgs,
}

impl AnimationFile {
    /// Checks a path before the computation: a file that ends in .gif, .png or .apng, or a folder, which exists or ends in `/`.
    pub fn new(flag: &str, path: PathBuf) -> Result<Self> {
        if path.is_dir() || path.to_string_lossy().ends_with('/') {
            make_folder(&path)?;
            return Ok(Self { path, format: None, style: FigureArgs::default() });
        }
        let format = Some(resolve::animation(flag, &path)?);
        check_writable(&path)?;
        Ok(Self { path, format, style: FigureArgs::default() })
    }

    /// Draws charts with this resolution, colors and language.
    pub fn styled(self, style: FigureArgs) -> Self {
        Self { style, ..self }
    }

    /// Draws and writes charts, and prints the path.
    pub fn write_charts(&self, count: usize, draw: impl Fn(usize) -> Result<Canvas, PlotError> + Sync) -> Result<()> {
        let draw = |frame: usize| self.style.apply(draw(frame)?);
        match self.format {
            Some(format) => self.write_file(&animate(format, count, draw)?),
            None => self.write_frames(count, |frame| draw(frame)?.png()),
        }
    }

    /// Draws and writes grids of images, and prints the path.
    pub fn write_grids(&self, picture: Picture, frames: &[Vec<f32>], columns: usize) -> Result<()> {
        match self.format {
            Some(format) => self.write_file(&animated_grid(format, picture, frames, columns)?),
            None => self.write_frames(frames.len(), |frame| grid(picture, &frames[frame], columns)),
        }
    }

    fn write_file(&self, bytes: &[u8]) -> Result<()> {
        write(&self.path, bytes)?;
        line(format!("animation  {}", display(&self.path)));
        Ok(())
    }

    fn write_frames(&self, count: usize, png: impl Fn(usize) -> Result<Vec<u8>, PlotError> + Sync) -> Result<()> {
        let path = |frame: usize| self.path.join(format!("frame-{frame:04}.png"));
        (0..count).into_par_iter().try_for_each(|frame| {
            let png = png(frame).with_context(|| format!("frame {frame}"))?;
            write(&path(frame), &png)
        })?;
        line(format!("frames     {} ..., {count} of them", display(&path(0))));
        Ok(())
    }
}
