//! EDM's non-leaking augmentation (arXiv 2206.00364, appendix F.2): images are mirrored, scaled, rotated, stretched and translated, and
//! the network is conditioned on labels that say how, so that its samples with zero labels are like the data.

use std::f64::consts::PI;

use pfgm_data::{Shape, affine::Affine, flip_horizontally};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

/// Number of labels of an augmented image.
pub const LABELS: usize = 9;

/// Standard deviation of scale and aspect in octaves, and of the translation as a fraction of a side.
const OCTAVES: f64 = 0.2;
const SHARE: f64 = 0.125;

/// Augmentation of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    map: Affine,
    /// Labels for the network: mirrored left to right, upside down; scale in standard deviations; `cos - 1` and `sin` of the rotation;
    /// aspect in standard deviations times cosine and sine of its axis; translation in standard deviations. All are zero for the
    /// identity.
    pub labels: [f32; LABELS],
}

impl Augmentation {
    /// Draws a random augmentation: reflection with probability 1/2, and each other kind with the given probability, independently.
    ///
    /// # Panics
    /// Panics if `shape` is not an image.
    pub fn draw(shape: Shape, probability: f64, rng: &mut impl Rng) -> Self {
        let Shape::Image { height, width, .. } = shape else { panic!("{shape} cannot be augmented") };
        let normal = |rng: &mut _| -> f64 { StandardNormal.sample(rng) };
        let mirrored = rng.random_bool(0.5);
        let upside_down = rng.random_bool(probability) && rng.random_bool(0.5);
        let octaves = if rng.random_bool(probability) { normal(rng) } else { 0.0 };
        let turn = if rng.random_bool(probability) { rng.random_range(-PI..PI) } else { 0.0 };
        let (aspect, axis) =
            if rng.random_bool(probability) { (normal(rng), rng.random_range(-PI..PI)) } else { (0.0, 0.0) };
        let [right, down] = if rng.random_bool(probability) { [normal(rng), normal(rng)] } else { [0.0, 0.0] };
        let sign = |mirrored: bool| if mirrored { -1.0 } else { 1.0 };
        let (scale, ratio) = ((OCTAVES * octaves).exp2(), (OCTAVES * aspect).exp2());
        let map = Affine::stretch(scale * sign(mirrored), scale * sign(upside_down))
            .then(Affine::turn(turn - axis))
            .then(Affine::stretch(ratio, 1.0 / ratio))
            .then(Affine::turn(axis))
            .then(Affine::shift(SHARE * width as f64 * right, SHARE * height as f64 * down));
        let labels = [
            f64::from(u8::from(mirrored)),
            f64::from(u8::from(upside_down)),
            octaves,
            turn.cos() - 1.0,
            turn.sin(),
            aspect * axis.cos(),
            aspect * axis.sin(),
            right,
            down,
        ];
        Self { map, labels: labels.map(|value| value as f32) }
    }

    /// Whether the augmentation is the identity.
    pub fn is_identity(&self) -> bool {
        self.map == Affine::IDENTITY
    }

    /// Applies the augmentation to an image.
    ///
    /// # Shapes
    /// `image` and the result: rows of `shape`
    pub fn apply(&self, shape: Shape, image: &[f32]) -> Vec<f32> {
        if self.map == Affine::stretch(-1.0, 1.0) {
            // The most frequent case: exact, without interpolation.
            let mut mirrored = image.to_vec();
            flip_horizontally(shape, &mut mirrored);
            return mirrored;
        }
        if self.is_identity() { image.to_vec() } else { self.map.apply(shape, image) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    const SHAPE: Shape = Shape::Image { height: 8, width: 6, channels: 1 };

    #[test]
    fn kinds_occur_with_their_probability_and_have_labels() {
        let count = 4000;
        let draw = |item| Augmentation::draw(SHAPE, 0.2, &mut stream(1, Purpose::Perturbation, 0, item));
        let drawn: Vec<Augmentation> = (0..count).map(draw).collect();
        let share = |label: usize| drawn.iter().filter(|d| d.labels[label] != 0.0).count() as f64 / count as f64;
        // Within five standard deviations of the expected share.
        for (label, expected) in [0.5, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2].into_iter().enumerate() {
            let spread = (expected * (1.0 - expected) / f64::from(count as u32)).sqrt();
            assert!((share(label) - expected).abs() < 5.0 * spread, "label {label}: {}", share(label));
        }
        // The labels describe the map.
        for augmentation in drawn {
            assert_eq!(augmentation.is_identity(), augmentation.labels == [0.0; LABELS]);
            let [mirrored, upside_down, octaves, cos, sin, _, _, right, down] = augmentation.labels.map(f64::from);
            let [[a, b], [c, d]] = augmentation.map.matrix;
            let area = (2.0 * OCTAVES * octaves).exp2() * (1.0 - 2.0 * mirrored) * (1.0 - 2.0 * upside_down);
            assert!((a * d - b * c - area).abs() < 1e-5);
            assert!((augmentation.map.shift[0] - right * 6.0 / 8.0).abs() < 1e-5);
            assert!((augmentation.map.shift[1] - down).abs() < 1e-5);
            if augmentation.labels[5] == 0.0 && mirrored + upside_down == 0.0 {
                let scale = area.sqrt();
                assert!((a / scale - cos - 1.0).abs() < 1e-5 && (c / scale - sin).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn without_probability_images_are_mirrored_at_most() {
        for item in 0..50 {
            let drawn = Augmentation::draw(SHAPE, 0.0, &mut stream(2, Purpose::Perturbation, 0, item));
            assert_eq!(drawn.labels[1..], [0.0; LABELS - 1]);
        }
    }
}
