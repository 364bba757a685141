//! Flows of latents: `data.autoencoder`.

use anyhow::{Context, Result};
use pfgm::{
    autoencoder::{Autoencoder, cache_folder},
    config::DataConfig,
    model::Samples,
};
use pfgm_data::Dataset;

use crate::render::line;

/// Opens the autoencoder of a run; None if its flow is one of the data themselves.
fn autoencoder(data: &DataConfig) -> Result<Option<Autoencoder>> {
    let Some(path) = &data.autoencoder else { return Ok(None) };
    let opened = Autoencoder::open(path, &pfgm::device::open("cpu")?);
    Ok(Some(opened.context("data.autoencoder")?))
}

/// Opens the data of a training; their latents if the flow is one of latents.
pub fn open(data: &DataConfig) -> Result<Dataset> {
    of(data, pfgm_data::open(&data.source, &data.options())?)
}

/// Returns the latents of images if a run's flow is one of latents, and otherwise the data themselves.
pub fn of(data: &DataConfig, images: Dataset) -> Result<Dataset> {
    let Some(autoencoder) = autoencoder(data)? else { return Ok(images) };
    let latents = autoencoder.latents(&images, &cache_folder()).context("data.autoencoder")?;
    line(format!("latents      of {}: {} from images of {}", images.name, latents.shape, images.shape));
    Ok(latents)
}

/// Decodes samples of a flow of latents to images; others remain.
pub fn decoded(data: &DataConfig, samples: Samples) -> Result<Samples> {
    match autoencoder(data)? {
        Some(autoencoder) => Ok(samples.decoded(&autoencoder).context("data.autoencoder")?),
        None => Ok(samples),
    }
}
