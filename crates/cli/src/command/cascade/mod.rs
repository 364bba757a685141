//! `pfgm cascade`

mod file;
mod sampling;
mod train;

use std::path::PathBuf;

use anyhow::{Result, bail};
use burn::tensor::Device;
use pfgm::{Model, cascade::disagreement, train::Trainer};
use pfgm_data::{
    Dataset, Shape,
    resize::{enlarge, shrink},
};
use pfgm_plot::{Captions, Series};

use crate::{
    args::cascade::{Cascade, CascadeCommand},
    render::{self, Rows, line},
};

pub fn run(args: &CascadeCommand) -> Result<()> {
    if args.distributed {
        bail!(
            "--distributed: a cascade works in one process; its models can be resumed in many, as in `pfgm train DIR/base --resume --distributed`"
        );
    }
    match &args.what {
        Cascade::Train(args) => train::run(args),
        Cascade::Sample(args) => sampling::run(args),
    }
}

/// Images in the picture after a training.
const UPSCALED: usize = 24;
/// Triples of images in a row of it.
const ACROSS: usize = 4;

/// Draws downscaled images of the data, their upscaled samples, and the original images, side by side.
pub fn upscaled_picture(
    trainer: &Trainer,
    data: &Dataset,
    folder: &std::path::Path,
    device: &Device,
) -> Result<PathBuf> {
    let spec = trainer.spec();
    let (shape, dim) = (spec.data.shape, spec.dim());
    let scale = spec.config.upscale.unwrap_or_default();
    let truth = data.some(UPSCALED)?;
    let count = truth.len() / dim;
    let rows = (0..count).map(|index| index * data.len() / count);
    let class = |row: usize| data.labels.as_ref().map(|labels| labels.of_row[row]);
    let classes: Vec<Option<u32>> =
        rows.map(|row| if spec.data.classes.is_empty() { None } else { class(row) }).collect();
    let low: Vec<f32> = truth.chunks_exact(dim).flat_map(|image| shrink(shape, image, scale.factor)).collect();
    let model = Model::from_parts(spec.clone(), trainer.averaged(), device);
    let made = model.upscale(&low[..]).classes(classes).draw()?.into_values();
    agreement(shape, spec.data.range, &made, &low, scale.factor);
    let low_shape = spec.spatial().low_shape().unwrap_or(shape);
    let low = low.chunks_exact(low_shape.dim()).map(|image| blocks(low_shape, image, scale.factor));
    let triples = low.zip(made.chunks_exact(dim)).zip(truth.chunks_exact(dim));
    let values: Vec<f32> = triples.flat_map(|((low, made), truth)| [&low, made, truth].concat()).collect();
    let series = [Series { name: "samples", values: &values }];
    let columns = ["low", "sample", "original"].iter().cycle().take(3 * ACROSS).map(ToString::to_string).collect();
    let captions = Captions { columns, rows: Vec::new() };
    let path = folder.join("samples.png");
    render::write(&path, &Rows::from(&spec.data).png(&series, (3 * ACROSS, &captions), &spec.data.name)?)?;
    Ok(path)
}

/// Prints the difference between downscaled samples and the low-resolution images that they were conditioned on.
fn agreement(shape: Shape, range: (f32, f32), images: &[f32], low: &[f32], factor: usize) {
    let share = 100.0 * disagreement(shape, images, low, factor) / f64::from(range.1 - range.0);
    line(format!(
        "agreement    downscaled samples differ from their low-resolution images by {share:.2} % of the range (root mean square)"
    ));
}

/// An image with its pixels enlarged to blocks.
fn blocks(shape: Shape, image: &[f32], factor: usize) -> Vec<f32> {
    let Shape::Image { height, width, channels } = shape else { return enlarge(shape, image, factor) };
    let pixel = |row: usize, column: usize| &image[(row * width + column) * channels..][..channels];
    let places = (0..height * factor).flat_map(|row| (0..width * factor).map(move |column| (row, column)));
    places.flat_map(|(row, column)| pixel(row / factor, column / factor)).copied().collect()
}
