//! What an image network sees beside the point, pixel by pixel: a low-resolution image and how noisy it is, the pixels' places.
//!
//! A super-resolution flow is the flow of the images that look like a given one when they are made smaller. Its network is the flow's
//! own with more input channels; D, the noise and the solver know nothing of it. The low-resolution image is noised in training and
//! the network told how much (noise-conditioning augmentation, arXiv 2106.15282), so that it serves images that a flow made, which
//! are not quite as the data are.

use pfgm_data::{
    Shape,
    resize::{enlarge, shrink, shrunk},
};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// What makes a run a super-resolution flow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpscaleConfig {
    /// How many times smaller the low-resolution images are.
    pub factor: usize,
    /// The most noise that they get in training, a standard deviation in the model's space; levels are uniform from 0 on.
    pub noise: f64,
    /// The noise that they get in sampling.
    pub sample_noise: f64,
}

impl Default for UpscaleConfig {
    fn default() -> Self {
        Self { factor: 2, noise: 0.25, sample_noise: 0.0 }
    }
}

/// The maps beside the images of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maps {
    /// The shape of the images.
    pub shape: Shape,
    /// Whether a low-resolution image is one of them, and which.
    pub upscale: Option<UpscaleConfig>,
    /// Whether the network is told each pixel's place, as one that learns from patches must be (arXiv 2304.12526).
    pub places: bool,
}

/// A low-resolution image and the noise in it.
#[derive(Clone, Copy, Debug)]
pub struct Low<'a> {
    /// The image, a row of [`Maps::low_shape`].
    pub image: &'a [f32],
    /// The standard deviation of its noise.
    pub noise: f64,
}

impl Maps {
    /// Values a pixel: the low-resolution image's and its noise's, two of its place.
    pub fn channels(&self) -> usize {
        let low = match (self.upscale, self.shape) {
            (Some(_), Shape::Image { channels, .. }) => channels + 1,
            _ => 0,
        };
        low + if self.places { 2 } else { 0 }
    }

    /// The shape of the low-resolution images, where there are any and the sides divide.
    pub fn low_shape(&self) -> Option<Shape> {
        shrunk(self.shape, self.upscale?.factor)
    }

    /// The maps of a training image: the image itself made smaller, with noise of a level drawn for it.
    pub fn of_training(&self, image: &[f32], rng: &mut impl Rng) -> Vec<f32> {
        let Some(upscale) = self.upscale else { return self.of(None) };
        let noise = upscale.noise * rng.random::<f64>();
        let low = noised(&shrink(self.shape, image, upscale.factor), noise, rng);
        self.of(Some(Low { image: &low, noise }))
    }

    /// The maps beside an image of which nothing is known but the low-resolution one, if the run is of that kind.
    ///
    /// # Shapes
    /// `[height, width, channels]` with [`Maps::channels`]
    ///
    /// # Panics
    /// When the run is one of vectors, or of images of low resolution and none is given.
    pub fn of(&self, low: Option<Low>) -> Vec<f32> {
        let Shape::Image { height, width, channels } = self.shape else { panic!("{} have no maps", self.shape) };
        let low = self.upscale.map(|upscale| {
            let low = low.expect("a super-resolution flow is given low-resolution images");
            let shape = self.low_shape().expect("sides that divide, as the configuration was checked");
            (enlarge(shape, low.image, upscale.factor), low.noise as f32)
        });
        let place = |at: usize, size: usize| (2 * at + 1) as f32 / size as f32 - 1.0;
        let mut maps = Vec::with_capacity(height * width * self.channels());
        for pixel in 0..height * width {
            if let Some((enlarged, noise)) = &low {
                maps.extend(&enlarged[pixel * channels..(pixel + 1) * channels]);
                maps.push(*noise);
            }
            if self.places {
                maps.extend([place(pixel % width, width), place(pixel / width, height)]);
            }
        }
        maps
    }
}

/// An image with Gaussian noise of this standard deviation.
pub fn noised(image: &[f32], noise: f64, rng: &mut impl Rng) -> Vec<f32> {
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
    fn maps_hold_the_image_its_noise_and_the_places() {
        let shape = Shape::Image { height: 2, width: 4, channels: 1 };
        let upscale = UpscaleConfig { factor: 2, ..UpscaleConfig::default() };
        let maps = Maps { shape, upscale: Some(upscale), places: true };
        assert_eq!((maps.channels(), maps.low_shape()), (4, Some(Shape::Image { height: 1, width: 2, channels: 1 })));
        let values = maps.of(Some(Low { image: &[1.0, 3.0], noise: 0.5 }));
        let expected: [[f32; 4]; 4] =
            [[1.0, 0.5, -0.75, -0.5], [1.5, 0.5, -0.25, -0.5], [2.5, 0.5, 0.25, -0.5], [3.0, 0.5, 0.75, -0.5]];
        assert_eq!(values[..16], expected.concat());
        assert_eq!(values[19], 0.5);
        let places = Maps { upscale: None, ..maps };
        assert_eq!(places.of(None)[..4], [-0.75, -0.5, -0.25, -0.5]);
    }

    #[test]
    fn training_tells_how_much_noise_there_is() {
        // Of a grey image whatever is not grey is noise: its size is what the network is told.
        let shape = Shape::Image { height: 64, width: 64, channels: 1 };
        let maps = Maps { shape, upscale: Some(UpscaleConfig::default()), places: false };
        let mut levels = Vec::new();
        for item in 0..20 {
            let values = maps.of_training(&[0.25; 4096], &mut stream(1, Purpose::Guide, 0, item));
            let told = f64::from(values[1]);
            // Means over blocks of the enlarged image, one of the low-resolution one's pixels each.
            let squares: f64 = values.chunks_exact(2).map(|pixel| f64::from(pixel[0] - 0.25).powi(2)).sum();
            // Bilinear enlargement by two keeps (5/8)^2 of the variance of white noise.
            let spread = (squares / 4096.0).sqrt() / 0.625;
            assert!((spread - told).abs() < 0.1 * told + 1e-6, "{spread} told as {told}");
            levels.push(told);
        }
        assert!(levels.iter().all(|level| (0.0..0.25).contains(level)));
        assert!(levels.iter().cloned().fold(0.0, f64::max) > 0.18, "{levels:?}");
    }
}
