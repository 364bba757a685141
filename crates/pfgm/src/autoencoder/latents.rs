//! Data sets of latents, kept in files so that images are encoded once.

use std::{
    env, fs,
    hash::{DefaultHasher, Hasher},
    io,
    path::{Path, PathBuf},
};

use pfgm_data::{
    DataError, Dataset, Shape, Transform, Values, atomic,
    npz::{Column, Named, read_arrays, write_npz},
};

use super::Autoencoder;
use crate::{config::PIXELS, memory::MemoryError};

/// Images that are encoded together.
const BATCH: usize = 16;

/// Why images have no latents.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LatentError {
    /// The rows are not images of the autoencoder's kind.
    #[error(
        "{name}: rows of {shape}, but the autoencoder is for images of {channels} channels with sides that {factor} divides"
    )]
    Shape {
        /// The data set.
        name: String,
        /// The shape of its rows.
        shape: Shape,
        /// The channels of the autoencoder's images.
        channels: usize,
        /// The ratio of the sides of images and latents.
        factor: usize,
    },
    /// A row cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The memory is too small.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The latents cannot be kept.
    #[error("{path}: latents cannot be written: {source}; set PFGM_CACHE to another folder")]
    Cache {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

/// The folder in which latents are kept: `PFGM_CACHE`, or `pfgm` in the user's folder of caches.
pub fn cache_folder() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("PFGM_CACHE").unwrap_or_else(|| {
        let home = || set("HOME").or_else(|| set("USERPROFILE")).unwrap_or_else(env::temp_dir).join(".cache");
        set("XDG_CACHE_HOME").unwrap_or_else(home).join("pfgm")
    })
}

impl Autoencoder {
    /// The scaled means of the latents of images, as a data set with their labels.
    ///
    /// They are kept in a file of the folder `cache`, whose name depends on the images and the autoencoder. If the file is there, no image is
    /// encoded.
    ///
    /// # Errors
    /// Returns an error if the rows are no images of the autoencoder's kind, a row cannot be read, or the file cannot be written.
    pub fn latents(&self, images: &Dataset, cache: &Path) -> Result<Dataset, LatentError> {
        let (channels, factor) = (self.image_channels(), self.factor());
        let wrong = || LatentError::Shape { name: images.name.clone(), shape: images.shape, channels, factor };
        let size = match images.shape {
            Shape::Image { height, width, channels: found } if found == channels => [height, width],
            _ => return Err(wrong()),
        };
        let [height, width] = self.latent_size(size).ok_or_else(wrong)?;
        let shape = Shape::Image { height, width, channels: self.latent_channels() };
        let transform = Transform::fit(images)?;
        let path = cache.join(format!("latents-{:016x}.npz", self.key(images, &transform)?));
        let expected = [images.len(), height, width, self.latent_channels()];
        let values = match read(&path, &expected) {
            Some(values) => values,
            None => {
                let values = self.encode_all(images, &transform, size)?;
                write(&path, &expected, &values).map_err(|source| LatentError::Cache { path, source })?;
                values
            }
        };
        let extremes = |(low, high): (f32, f32), &value: &f32| (low.min(value), high.max(value));
        let range = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), extremes);
        let name = Path::new(&images.name);
        Ok(Dataset::new(name, shape, Values::Floats(values), Some(range), images.labels.clone())?
            .with_name(images.name.clone()))
    }

    fn encode_all(&self, images: &Dataset, transform: &Transform, size: [usize; 2]) -> Result<Vec<f32>, LatentError> {
        let dim = images.shape.dim();
        let mut latents = Vec::new();
        let mut batch = vec![0.0; BATCH * dim];
        for first in (0..images.len()).step_by(BATCH) {
            let count = BATCH.min(images.len() - first);
            for (row, out) in batch.chunks_exact_mut(dim).take(count).enumerate() {
                images.read_transformed(first + row, transform, out)?;
            }
            latents.extend(self.encode(&batch[..count * dim], size)?.mean);
        }
        self.scaled(&mut latents);
        Ok(latents)
    }

    /// A number that depends on the images and the autoencoder.
    fn key(&self, images: &Dataset, transform: &Transform) -> Result<u64, DataError> {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.fingerprint);
        if self.pixels != PIXELS {
            [self.pixels.0, self.pixels.1].iter().for_each(|value| hasher.write_u32(value.to_bits()));
        }
        // Latents of tiles differ a little from those of whole images.
        self.tile.iter().for_each(|side| hasher.write_usize(*side));
        let mut row = vec![0.0; images.shape.dim()];
        for index in 0..images.len() {
            images.read_transformed(index, transform, &mut row)?;
            row.iter().for_each(|value| hasher.write_u32(value.to_bits()));
        }
        Ok(hasher.finish())
    }
}

/// Latents of an earlier run; None if there are none, or others.
fn read(path: &Path, shape: &[usize]) -> Option<Vec<f32>> {
    let mut arrays = read_arrays(path, &fs::read(path).ok()?).ok()?;
    arrays.remove("x").filter(|array| array.shape == shape).map(|array| array.values)
}

fn write(path: &Path, shape: &[usize], values: &[f32]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let array = Named { name: "x", shape, values: Column::Floats(values) };
    atomic::write_with(path, |file| write_npz(file, &[array]))
}
