//! Conditioning at each pixel: a low-resolution image with the level of its noise, and the positions of pixels.
//!
//! A super-resolution flow generates images that equal a given image after downsampling. Its network has more input
//! channels; D, the noise and the solver are the same. Training adds noise to the low-resolution image and conditions the network on its
//! level (noise-conditioning augmentation, arXiv 2106.15282), because images that another flow generated differ slightly from the data.

use pfgm_data::{
    Shape,
    resize::{enlarge, shrink, shrunk},
};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// Configuration of a super-resolution flow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpscaleConfig {
    /// Ratio of the sides of the images to those of the low-resolution images.
    pub factor: usize,
    /// Largest standard deviation of the noise that training adds to the low-resolution images (conditioning augmentation).
    pub noise: f64,
    /// Standard deviation of the noise that sampling adds to the low-resolution images.
    pub sample_noise: f64,
}

impl Default for UpscaleConfig {
    fn default() -> Self {
        Self { factor: 2, noise: 0.25, sample_noise: 0.0 }
    }
}

/// The spatial conditioning of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpatialConditioning {
    /// Shape of the images.
    pub shape: Shape,
    /// Super-resolution, if the network is conditioned on low-resolution images.
    pub upscale: Option<UpscaleConfig>,
    /// Whether the network is conditioned on the position of each pixel, as needed for training on patches (arXiv 2304.12526).
    pub positions: bool,
}

/// A low-resolution image and the level of its noise.
#[derive(Clone, Copy, Debug)]
pub struct LowResolution<'a> {
    /// The image, a row of [`SpatialConditioning::low_shape`].
    pub image: &'a [f32],
    /// Standard deviation of its noise.
    pub noise: f64,
}

impl SpatialConditioning {
    /// Number of values at each pixel: the channels of the low-resolution image and its noise level, and two coordinates.
    pub fn channels(&self) -> usize {
        let low = match (self.upscale, self.shape) {
            (Some(_), Shape::Image { channels, .. }) => channels + 1,
            _ => 0,
        };
        low + if self.positions { 2 } else { 0 }
    }

    /// Shape of the low-resolution images; `None` without super-resolution, or if the factor does not divide the sides.
    pub fn low_shape(&self) -> Option<Shape> {
        shrunk(self.shape, self.upscale?.factor)
    }

    /// Returns the values for a training image: the downsampled image with noise of a random level.
    pub fn training_values(&self, image: &[f32], rng: &mut impl Rng) -> Vec<f32> {
        let Some(upscale) = self.upscale else { return self.values(None) };
        let noise = upscale.noise * rng.random::<f64>();
        let low = add_noise(&shrink(self.shape, image, upscale.factor), noise, rng);
        self.values(Some(LowResolution { image: &low, noise }))
    }

    /// Returns the values at each pixel from a low-resolution image, if the run uses them, and the positions of pixels.
    ///
    /// # Shapes
    /// The result: `[height, width, channels]` with [`SpatialConditioning::channels`]
    ///
    /// # Panics
    /// Panics if the rows are vectors, or if the run is a super-resolution flow and `low` is `None`.
    pub fn values(&self, low: Option<LowResolution>) -> Vec<f32> {
        let Shape::Image { height, width, channels } = self.shape else { panic!("{} have no pixels", self.shape) };
        let low = self.upscale.map(|upscale| {
            let low = low.expect("a super-resolution flow gets low-resolution images");
            let shape = self.low_shape().expect("sides that divide, as the configuration was checked");
            (enlarge(shape, low.image, upscale.factor), low.noise as f32)
        });
        let position = |at: usize, size: usize| (2 * at + 1) as f32 / size as f32 - 1.0;
        let mut values = Vec::with_capacity(height * width * self.channels());
        for pixel in 0..height * width {
            if let Some((enlarged, noise)) = &low {
                values.extend(&enlarged[pixel * channels..(pixel + 1) * channels]);
                values.push(*noise);
            }
            if self.positions {
                values.extend([position(pixel % width, width), position(pixel / width, height)]);
            }
        }
        values
    }
}

/// Returns `image` plus Gaussian noise of standard deviation `noise`.
pub fn add_noise(image: &[f32], noise: f64, rng: &mut impl Rng) -> Vec<f32> {
    let mut with_noise = |&value: &f32| {
        let gauss: f64 = StandardNormal.sample(rng);
        (f64::from(value) + noise * gauss) as f32
    };
    image.iter().map(&mut with_noise).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn values_are_the_image_its_noise_and_positions() {
        let shape = Shape::Image { height: 2, width: 4, channels: 1 };
        let upscale = UpscaleConfig { factor: 2, ..UpscaleConfig::default() };
        let spatial = SpatialConditioning { shape, upscale: Some(upscale), positions: true };
        assert_eq!(
            (spatial.channels(), spatial.low_shape()),
            (4, Some(Shape::Image { height: 1, width: 2, channels: 1 }))
        );
        let values = spatial.values(Some(LowResolution { image: &[1.0, 3.0], noise: 0.5 }));
        let expected: [[f32; 4]; 4] =
            [[1.0, 0.5, -0.75, -0.5], [1.5, 0.5, -0.25, -0.5], [2.5, 0.5, 0.25, -0.5], [3.0, 0.5, 0.75, -0.5]];
        assert_eq!(values[..16], expected.concat());
        assert_eq!(values[19], 0.5);
        let positions = SpatialConditioning { upscale: None, ..spatial };
        assert_eq!(positions.values(None)[..4], [-0.75, -0.5, -0.25, -0.5]);
    }

    #[test]
    fn the_noise_level_is_that_of_the_noise() {
        // In a constant gray image, the deviation from gray is the noise, whose size must be the level.
        let shape = Shape::Image { height: 64, width: 64, channels: 1 };
        let spatial = SpatialConditioning { shape, upscale: Some(UpscaleConfig::default()), positions: false };
        let mut levels = Vec::new();
        for item in 0..20 {
            let values = spatial.training_values(&[0.25; 4096], &mut stream(1, Purpose::Guide, 0, item));
            let level = f64::from(values[1]);
            // The upsampled image contains the noise of each low-resolution pixel.
            let squares: f64 = values.chunks_exact(2).map(|pixel| f64::from(pixel[0] - 0.25).powi(2)).sum();
            // Bilinear enlargement by two keeps (5/8)^2 of the variance of white noise.
            let spread = (squares / 4096.0).sqrt() / 0.625;
            assert!((spread - level).abs() < 0.1 * level + 1e-6, "{spread} for {level}");
            levels.push(level);
        }
        assert!(levels.iter().all(|level| (0.0..0.25).contains(level)));
        assert!(levels.iter().cloned().fold(0.0, f64::max) > 0.18, "{levels:?}");
    }
}
