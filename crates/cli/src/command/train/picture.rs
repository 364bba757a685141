//! The picture that is drawn after a training.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::Device;
use pfgm::{Model, checkpoint, solver::Grid, train::Trainer};
use pfgm_data::{Dataset, Shape};
use pfgm_plot::Series;

use crate::{
    command::cascade,
    render::{self, Rows, chart_rows, class_captions},
    resolve,
};

/// Samples in the picture.
const IMAGES: usize = 64;
const ROWS: usize = 2000;
/// Samples in the picture of a flow of latents.
const DECODED: usize = 8;
/// Rows of images for each class.
const ROUNDS: usize = 8;

/// Draws samples of the last checkpoint to `samples.png` in the run's folder: images with a column for each class, or points and
/// columns together with the data's.
pub fn draw(trainer: &Trainer, data: &Dataset, folder: &Path, device: &Device) -> Result<PathBuf> {
    let spec = trainer.spec();
    if spec.config.upscale.is_some() {
        return cascade::upscaled_picture(trainer, data, folder, device);
    }
    let classes = spec.data.classes.len();
    let (count, across) = match (spec.data.shape, classes) {
        (Shape::Vector { .. }, _) => (ROWS, 1),
        // Decoding an image takes longer than sampling its latents.
        _ if spec.config.data.autoencoder.is_some() => (DECODED, 4),
        (_, 2..=16) => (ROUNDS * classes, classes),
        _ => (IMAGES, 8),
    };
    // A schedule can be searched for only once there is a run.
    let mut solver = spec.config.sample.solver.clone();
    if let Some(Grid::Gits { .. }) = solver.grid() {
        solver.reset_schedule();
    }
    let model = Model::load_on(checkpoint::path_of(folder, trainer.steps_taken()), device)?;
    // Samples of large images take as long as many steps.
    render::line(format!("drawing      {count} samples for samples.png"));
    let bar = render::progress("sampling", 0);
    let samples = model.sample(count).balanced().solver(solver).observer(resolve::on_bar(&bar)).draw()?;
    bar.finish_and_clear();
    let samples = resolve::latents::decoded(&spec.config.data, samples)?;
    let rows = match spec.data.shape {
        Shape::Image { .. } => Vec::new(),
        Shape::Vector { .. } => chart_rows(data)?,
    };
    let series = [Series { name: "data", values: &rows }, Series { name: "samples", values: samples.values() }];
    let picture = Rows::from(samples.data()).png(
        &series,
        (across, &class_captions(&spec.data.classes, across)),
        &spec.data.name,
    )?;
    let path = folder.join("samples.png");
    render::write(&path, &picture)?;
    Ok(path)
}
