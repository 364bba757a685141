//! Autoencoders: images become latents, on which flows are trained, and samples of latents become images again.

mod latents;

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hasher},
    path::Path,
};

use burn::tensor::{Device, Tensor, TensorData};
use pfgm_nn::{AutoencoderConfig, AutoencoderNetwork};
use rand::RngExt;
use rand_distr::StandardNormal;

pub use self::latents::{LatentError, cache_folder};
use crate::{
    import::{ImportError, ReadAutoencoder, read_autoencoder},
    random::{Purpose, stream},
    weights::{self, Weight},
};

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
        let network = weights::assign(network, &by_name)
            .map_err(|source| ImportError::Weights { path: path.to_owned(), source })?;
        Ok(Self {
            network: burn::module::Module::valid(&network),
            config,
            shift,
            scale,
            fingerprint,
            device: device.clone().inner(),
        })
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

    /// Computes the moments of the latents of images in [-1, 1].
    ///
    /// # Shapes
    /// `images`: `[rows, height, width, channels]`
    ///
    /// # Panics
    /// Panics if the factor does not divide the sides, or `images` are no whole rows.
    pub fn encode(&self, images: &[f32], size: [usize; 2]) -> Moments {
        assert!(self.latent_size(size).is_some(), "images of {size:?}: give sides that {} divides", self.factor());
        let (mut mean, mut std) = (Vec::new(), Vec::new());
        for row in self.rows(images, size, self.config.image) {
            let (means, log_variances) = self.network.encode(row);
            mean.extend(values(means));
            let (low, high) = LOG_VARIANCE;
            std.extend(values(log_variances).into_iter().map(|value| (0.5 * value.clamp(low, high)).exp()));
        }
        Moments { mean, std }
    }

    /// Computes the images of latents, about in [-1, 1].
    ///
    /// # Shapes
    /// `latents`: `[rows, height, width, channels]` with the `size` of the latents
    ///
    /// # Panics
    /// Panics if `latents` are no whole rows.
    pub fn decode(&self, latents: &[f32], size: [usize; 2]) -> Vec<f32> {
        self.rows(latents, size, self.config.latent).flat_map(|row| values(self.network.decode(row))).collect()
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

    /// Rows as images, one after another: an image of 512x512 alone takes gigabytes between the layers.
    fn rows<'a>(
        &'a self,
        values: &'a [f32],
        [height, width]: [usize; 2],
        channels: usize,
    ) -> impl Iterator<Item = Tensor<4>> + 'a {
        let dim = height * width * channels;
        assert!(dim > 0 && values.len().is_multiple_of(dim), "{} values are no rows of {dim}", values.len());
        let shape = [1, height, width, channels];
        values.chunks_exact(dim).map(move |row| Tensor::from_data(TensorData::new(row.to_vec(), shape), &self.device))
    }
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
