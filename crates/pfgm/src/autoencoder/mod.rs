//! Autoencoders: images become latents, on which flows are trained, and samples of latents become images again.

mod latents;
mod onnx;
mod tiles;

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hasher},
    path::Path,
};

use burn::tensor::{Device, Tensor, TensorData};
use pfgm_data::Shape;
use pfgm_nn::{AutoencoderConfig, AutoencoderNetwork};
use rand::RngExt;
use rand_distr::StandardNormal;

use self::tiles::{Mosaic, cut};
pub use self::{
    latents::{LatentError, cache_folder},
    onnx::AutoencoderPart,
    tiles::Tiling,
};
use crate::{
    config::{DataConfig, PIXELS},
    import::{ImportError, ReadAutoencoder, read_autoencoder},
    memory::MemoryError,
    random::{Purpose, stream},
    weights::{self, Weight},
};

/// Copies of the weights in memory: the weights, and the filters that convolutions transform.
const COPIES_OF_WEIGHTS: usize = 4;

/// Memory of the program itself, in bytes.
const PROGRAM: u64 = 50_000_000;

/// The range of the logarithm of a latent's variance (diffusers' `DiagonalGaussianDistribution`).
const LOG_VARIANCE: (f32, f32) = (-30.0, 20.0);

/// The means and standard deviations of latents.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Means, `[rows, height, width, channels]`.
    pub mean: Vec<f32>,
    /// Standard deviations, `[rows, height, width, channels]`.
    pub std: Vec<f32>,
}

impl Moments {
    /// Draws latents: row i from the stream of the seed `first + i`.
    pub fn sample(&self, rows: usize, first: u64) -> Vec<f32> {
        let dim = self.mean.len() / rows.max(1);
        let mut drawn = Vec::with_capacity(self.mean.len());
        for (row, (mean, std)) in self.mean.chunks_exact(dim.max(1)).zip(self.std.chunks_exact(dim.max(1))).enumerate()
        {
            // Another stream than that of the flow's own latents, whose step is the number of a stage.
            let mut rng = stream(first.wrapping_add(row as u64), Purpose::Latent, u64::MAX, 0);
            drawn.extend(mean.iter().zip(std).map(|(mean, std)| mean + std * rng.sample::<f32, _>(StandardNormal)));
        }
        drawn
    }
}

/// A trained autoencoder (`AutoencoderKL` of diffusers).
///
/// Images are in [-1, 1]. Latents are as the network has them; [`Autoencoder::scaled`] brings them to unit variance.
#[derive(Debug)]
pub struct Autoencoder {
    network: AutoencoderNetwork,
    config: AutoencoderConfig,
    shift: Vec<f64>,
    scale: Vec<f64>,
    /// A number that depends on the weights and the scale of the latents.
    fingerprint: u64,
    device: Device,
    /// Number of weights.
    weights: usize,
    /// Range of the pixels that the network gets.
    pixels: (f32, f32),
    /// Side of the tiles in pixels; `None` if the available memory decides.
    tile: Option<usize>,
}

impl Autoencoder {
    /// Reads a folder that diffusers wrote, that of a pipeline with a `vae`, or `hf:NAME` from the local cache of the Hugging Face Hub.
    ///
    /// # Errors
    /// Returns an error if there is no autoencoder, one with options that are not supported, or weights that do not fit.
    pub fn open(path: impl AsRef<Path>, device: &Device) -> Result<Self, ImportError> {
        let path = path.as_ref();
        let ReadAutoencoder { config, shift, scale, weights } = read_autoencoder(path)?;
        let wrong = |problem: String| ImportError::Unsupported { path: path.to_owned(), problem };
        let network = config.shapes(device).map_err(|error| wrong(error.to_string()))?;
        let fingerprint = fingerprint(&weights, &[&shift[..], &scale[..]].concat());
        let by_name: HashMap<_, _> = weights.into_iter().map(|weight| (weight.name.clone(), weight)).collect();
        let weights = by_name.values().map(|weight| weight.values.len()).sum();
        let network = weights::assign(network, &by_name)
            .map_err(|source| ImportError::Weights { path: path.to_owned(), source })?;
        Ok(Self {
            network: burn::module::Module::valid(&network),
            config,
            shift,
            scale,
            fingerprint,
            device: device.clone().inner(),
            weights,
            pixels: PIXELS,
            tile: None,
        })
    }

    /// The same autoencoder for a network of latents that was trained with pixels of another range than [-1, 1]: EDM2's have [0, 1].
    ///
    /// # Panics
    /// Panics unless the range is finite and not empty.
    #[must_use]
    pub fn with_pixels(self, pixels: (f32, f32)) -> Self {
        assert!(pixels.1 > pixels.0 && pixels.0.is_finite() && pixels.1.is_finite(), "pixels from {pixels:?}");
        Self { pixels, ..self }
    }

    /// The same autoencoder with tiles of so many pixels a side (0: as large as the available memory allows). A tile has at least 8x8 latents.
    #[must_use]
    pub fn with_tile(self, side: usize) -> Self {
        Self { tile: (side > 0).then_some(side), ..self }
    }

    /// How images of so many latents are encoded and decoded: at once, or in tiles.
    ///
    /// # Errors
    /// Returns an error if the memory is too small.
    pub fn tiling(&self, size: [usize; 2]) -> Result<Tiling, MemoryError> {
        Tiling::choose(size, self.factor(), self.tile, |area| self.bytes(area))
    }

    /// Estimated memory for encoding or decoding an image of so many latents, with the weights.
    fn bytes(&self, size: [usize; 2]) -> u64 {
        let floats = self.config.activations(size).saturating_add(COPIES_OF_WEIGHTS.saturating_mul(self.weights));
        PROGRAM + (floats as u64).saturating_mul(size_of::<f32>() as u64)
    }

    /// Opens the autoencoder of a run; `None` if its flow is one of the data themselves.
    ///
    /// # Errors
    /// As [`Autoencoder::open`].
    pub fn of(data: &DataConfig, device: &Device) -> Result<Option<Self>, ImportError> {
        let opened = data.autoencoder.as_ref().map(|path| Self::open(path, device)).transpose()?;
        Ok(opened.map(|autoencoder| autoencoder.with_pixels(data.autoencoder_range).with_tile(data.tile)))
    }

    /// Channels of the images.
    pub fn image_channels(&self) -> usize {
        self.config.image
    }

    /// Channels of the latents.
    pub fn latent_channels(&self) -> usize {
        self.config.latent
    }

    /// The ratio of the sides of images and latents.
    pub fn factor(&self) -> usize {
        self.config.factor()
    }

    /// Height and width of the latents of images; `None` if the factor does not divide their sides.
    pub fn latent_size(&self, [height, width]: [usize; 2]) -> Option<[usize; 2]> {
        let factor = self.factor();
        let divides = |side: usize| side > 0 && side.is_multiple_of(factor);
        (divides(height) && divides(width)).then_some([height / factor, width / factor])
    }

    /// Shape of the images of latents of a shape; `None` if the autoencoder has no such latents.
    pub fn images_of(&self, latents: Shape) -> Option<Shape> {
        match latents {
            Shape::Image { height, width, channels } if channels == self.config.latent => {
                let [height, width] = [height, width].map(|side| side * self.factor());
                Some(Shape::Image { height, width, channels: self.config.image })
            }
            Shape::Image { .. } | Shape::Vector { .. } => None,
        }
    }

    /// Computes the moments of the latents of images in [-1, 1].
    ///
    /// # Shapes
    /// `images`: `[rows, height, width, channels]`
    ///
    /// # Errors
    /// Returns an error if the memory is too small even for tiles.
    ///
    /// # Panics
    /// Panics if the factor does not divide the sides, or `images` are no whole rows.
    pub fn encode(&self, images: &[f32], size: [usize; 2]) -> Result<Moments, MemoryError> {
        let latents = self.latent_size(size);
        let latents =
            latents.unwrap_or_else(|| panic!("images of {size:?}: give sides that {} divides", self.factor()));
        let tiling = self.tiling(latents)?;
        let (mut mean, mut std) = (Vec::new(), Vec::new());
        let (low, high) = LOG_VARIANCE;
        let deviation = |value: f32| (0.5 * value.clamp(low, high)).exp();
        for row in rows(images, size, self.config.image) {
            let row: Vec<f32> = row.iter().map(|value| self.to_pixel(*value)).collect();
            let [mut means, mut deviations] = [(); 2].map(|()| Mosaic::new(latents, self.config.latent));
            for corner in tiling.corners() {
                let (place, tile) = (corner.map(|at| at * self.factor()), tiling.tile.map(|side| side * self.factor()));
                let (means_of, logarithms) =
                    self.network.encode(self.tensor(cut(&row, size, self.config.image, tile, place), tile));
                means.add(&values(means_of), tiling.tile, corner);
                let deviations_of: Vec<f32> = values(logarithms).into_iter().map(deviation).collect();
                deviations.add(&deviations_of, tiling.tile, corner);
            }
            mean.extend(means.finish());
            std.extend(deviations.finish());
        }
        Ok(Moments { mean, std })
    }

    /// Computes the images of latents, about in [-1, 1].
    ///
    /// # Shapes
    /// `latents`: `[rows, height, width, channels]` with the `size` of the latents
    ///
    /// # Errors
    /// Returns an error if the memory is too small even for tiles.
    ///
    /// # Panics
    /// Panics if `latents` are no whole rows.
    pub fn decode(&self, latents: &[f32], size: [usize; 2]) -> Result<Vec<f32>, MemoryError> {
        let (tiling, mut images) = (self.tiling(size)?, Vec::new());
        for row in rows(latents, size, self.config.latent) {
            let mut image = Mosaic::new(size.map(|side| side * self.factor()), self.config.image);
            for corner in tiling.corners() {
                let tile = self.tensor(cut(row, size, self.config.latent, tiling.tile, corner), tiling.tile);
                let pixels = values(self.network.decode(tile));
                image.add(&pixels, tiling.tile.map(|side| side * self.factor()), corner.map(|at| at * self.factor()));
            }
            images.extend(image.finish().into_iter().map(|pixel| self.of_pixel(pixel)));
        }
        Ok(images)
    }

    /// A value of [-1, 1] in the range of pixels that the network gets. The usual range changes nothing, to the bit.
    fn to_pixel(&self, value: f32) -> f32 {
        let (low, high) = self.pixels;
        if self.pixels == PIXELS { value } else { low + 0.5 * (value + 1.0) * (high - low) }
    }

    /// The inverse of [`Autoencoder::to_pixel`].
    fn of_pixel(&self, pixel: f32) -> f32 {
        let (low, high) = self.pixels;
        if self.pixels == PIXELS { pixel } else { 2.0 * (pixel - low) / (high - low) - 1.0 }
    }

    /// Latents as flows have them: shifted, and scaled to about unit variance.
    pub fn scaled(&self, latents: &mut [f32]) {
        for (index, value) in latents.iter_mut().enumerate() {
            let channel = index % self.config.latent;
            *value = ((f64::from(*value) - self.shift[channel]) / self.scale[channel]) as f32;
        }
    }

    /// The inverse of [`Autoencoder::scaled`].
    pub fn unscaled(&self, latents: &mut [f32]) {
        for (index, value) in latents.iter_mut().enumerate() {
            let channel = index % self.config.latent;
            *value = (f64::from(*value) * self.scale[channel] + self.shift[channel]) as f32;
        }
    }

    /// One image as a tensor.
    fn tensor(&self, image: Vec<f32>, [height, width]: [usize; 2]) -> Tensor<4> {
        let channels = image.len() / (height * width);
        Tensor::from_data(TensorData::new(image, [1, height, width, channels]), &self.device)
    }
}

/// Rows, one after another: an image of 512x512 alone takes gigabytes between the layers.
fn rows(values: &[f32], [height, width]: [usize; 2], channels: usize) -> impl Iterator<Item = &[f32]> {
    let dim = height * width * channels;
    assert!(dim > 0 && values.len().is_multiple_of(dim), "{} values are no rows of {dim}", values.len());
    values.chunks_exact(dim)
}

fn fingerprint(weights: &[Weight], numbers: &[f64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let sorted: BTreeMap<&str, &Weight> = weights.iter().map(|weight| (weight.name.as_str(), weight)).collect();
    for (name, weight) in sorted {
        hasher.write(name.as_bytes());
        weight.values.iter().for_each(|value| hasher.write_u32(value.to_bits()));
    }
    numbers.iter().for_each(|value| hasher.write_u64(value.to_bits()));
    hasher.finish()
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("autoencoders compute in single precision")
}
