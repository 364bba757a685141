//! Flows of latents: `data.autoencoder`.

use anyhow::{Context, Result};
use pfgm::{
    autoencoder::{Autoencoder, cache_folder},
    config::DataConfig,
    model::Samples,
};
use pfgm_data::{Dataset, Shape};

use crate::render::line;

/// Opens the autoencoder of a run; None if its flow is one of the data themselves.
pub fn autoencoder(data: &DataConfig) -> Result<Option<Autoencoder>> {
    Autoencoder::of(data, &pfgm::device::open("cpu")?).context("data.autoencoder")
}

/// Says how images of so many latents are computed, and in how much memory.
pub fn announce(autoencoder: &Autoencoder, shape: Shape) -> Result<()> {
    if let Shape::Image { height, width, .. } = shape {
        line(format!("autoencoder  {}", autoencoder.tiling([height, width]).context("data.autoencoder")?));
    }
    Ok(())
}

/// Opens the data of a training; their latents if the flow is one of latents.
pub fn open(data: &DataConfig) -> Result<Dataset> {
    of(data, pfgm_data::open(&data.source, &data.options())?)
}

/// Returns the latents of images if a run's flow is one of latents, and otherwise the data themselves.
pub fn of(data: &DataConfig, images: Dataset) -> Result<Dataset> {
    let Some(autoencoder) = autoencoder(data)? else { return Ok(images) };
    if let Shape::Image { height, width, channels } = images.shape
        && let Some([height, width]) = autoencoder.latent_size([height, width])
    {
        announce(&autoencoder, Shape::Image { height, width, channels })?;
    }
    let latents = autoencoder.latents(&images, &cache_folder()).context("data.autoencoder")?;
    line(format!("latents      of {}: {} from images of {}", images.name, latents.shape, images.shape));
    Ok(latents)
}

/// Decodes samples of a flow of latents to images; others remain.
pub fn decoded(data: &DataConfig, samples: Samples) -> Result<Samples> {
    match autoencoder(data)? {
        Some(autoencoder) => {
            announce(&autoencoder, samples.data().shape)?;
            Ok(samples.decoded(&autoencoder).context("data.autoencoder")?)
        }
        None => Ok(samples),
    }
}
