//! Animations: one file, or a folder of numbered pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pfgm_plot::{Animation, Canvas, Captions, Picture, PlotError, animate, sheet};
use rayon::prelude::*;

use super::{check_writable, display, line, make_folder, write};
use crate::{args::FigureArgs, resolve};

/// An animation to be written: one file, a folder of numbered frames, or both.
pub struct AnimationFile {
    file: Option<(PathBuf, Animation)>,
    folder: Option<PathBuf>,
    style: FigureArgs,
}

impl AnimationFile {
    /// Checks, before the computation, the path of `--animate` and the folder of `--frames`; `None` if there is neither. The path is a
    /// file that ends in .gif, .png or .apng, or a folder, which exists or ends in `/`.
    pub fn new(path: Option<&Path>, frames: Option<&Path>, style: FigureArgs) -> Result<Option<Self>> {
        let is_folder = |path: &Path| path.is_dir() || path.to_string_lossy().ends_with('/');
        let file = match path.filter(|path| !is_folder(path)) {
            Some(path) => {
                let format = resolve::animation("--animate", path)?;
                check_writable(path)?;
                Some((path.to_owned(), format))
            }
            None => None,
        };
        let folder = frames.or(path.filter(|path| is_folder(path))).map(Path::to_owned);
        folder.as_deref().map(make_folder).transpose()?;
        Ok((file.is_some() || folder.is_some()).then_some(Self { file, folder, style }))
    }

    /// Draws and writes charts, and prints the path.
    pub fn write_charts(&self, count: usize, draw: impl Fn(usize) -> Result<Canvas, PlotError> + Sync) -> Result<()> {
        let draw = |frame: usize| self.style.apply(draw(frame)?);
        if let Some((path, format)) = &self.file {
            write(path, &animate(*format, count, draw)?)?;
            line(format!("animation  {}", display(path)));
        }
        match &self.folder {
            Some(folder) => write_frames(folder, count, draw),
            None => Ok(()),
        }
    }

    /// Draws and writes sheets of images, and prints the path.
    pub fn write_sheets(
        &self,
        picture: Picture,
        frames: &[Vec<f32>],
        (columns, captions): (usize, &Captions),
    ) -> Result<()> {
        self.write_charts(frames.len(), |frame| sheet(picture, &frames[frame], columns, captions))
    }
}

/// Writes frames of even width and height, which encoders of films need, and prints how to make a film.
fn write_frames(folder: &Path, count: usize, draw: impl Fn(usize) -> Result<Canvas, PlotError> + Sync) -> Result<()> {
    let path = |frame: usize| folder.join(format!("frame-{frame:04}.png"));
    (0..count).into_par_iter().try_for_each(|frame| {
        let png = draw(frame).and_then(|canvas| canvas.even().png()).with_context(|| format!("frame {frame}"))?;
        write(&path(frame), &png)
    })?;
    let pattern = display(&folder.join("frame-%04d.png"));
    line(format!("frames     {} ..., {count} of them", display(&path(0))));
    line(format!("film       ffmpeg -framerate 25 -i {pattern} -pix_fmt yuv420p film.mp4 (or film.webm)"));
    Ok(())
}
