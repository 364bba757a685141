//! EDM's non-leaking augmentation (arXiv 2206.00364, appendix F.2): images are mirrored, scaled, turned, stretched and moved, and
//! the network is told how, so that what it makes when told of nothing is as the data are.

use std::f64::consts::PI;

use pfgm_data::{Shape, affine::Affine, flip_horizontally};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

/// How many values tell what was done to an image.
pub const LABELS: usize = 9;

/// Octaves by which scale and aspect vary, and the share of a side by which an image is moved; one standard deviation each.
const OCTAVES: f64 = 0.2;
const SHARE: f64 = 0.125;

/// What was done to an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deformation {
    map: Affine,
    /// What the network is told: mirrored left to right, upside down; octaves of scale in units of their spread; `cos - 1` and
    /// `sin` of the turn; octaves of aspect times cosine and sine of their axis; what it was moved by in units of its spread.
    /// All zero if nothing was done.
    pub labels: [f32; LABELS],
}

impl Deformation {
    /// Draws what is done to an image: it is mirrored left to right half of the time, and each of the other kinds is done with the
    /// given probability, by itself.
    ///
    /// # Panics
    /// When `shape` is no image.
    pub fn draw(shape: Shape, probability: f64, rng: &mut impl Rng) -> Self {
        let Shape::Image { height, width, .. } = shape else { panic!("{shape} cannot be deformed") };
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
        let told = [
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
        Self { map, labels: told.map(|value| value as f32) }
    }

    /// Whether nothing is done.
    pub fn is_none(&self) -> bool {
        self.map == Affine::IDENTITY
    }

    /// An image with this done to it.
    ///
    /// # Shapes
    /// `image` and the result: rows of `shape`
    pub fn apply(&self, shape: Shape, image: &[f32]) -> Vec<f32> {
        if self.map == Affine::stretch(-1.0, 1.0) {
            // The most frequent of all: exact, and without an interpolation.
            let mut mirrored = image.to_vec();
            flip_horizontally(shape, &mut mirrored);
            return mirrored;
        }
        if self.is_none() { image.to_vec() } else { self.map.apply(shape, image) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    const SHAPE: Shape = Shape::Image { height: 8, width: 6, channels: 1 };

    #[test]
    fn kinds_are_done_as_often_as_asked_and_told_of() {
        let count = 4000;
        let draw = |item| Deformation::draw(SHAPE, 0.2, &mut stream(1, Purpose::Perturbation, 0, item));
        let drawn: Vec<Deformation> = (0..count).map(draw).collect();
        let share = |label: usize| drawn.iter().filter(|d| d.labels[label] != 0.0).count() as f64 / count as f64;
        // Five standard deviations of a share around what is asked for.
        for (label, expected) in [0.5, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2].into_iter().enumerate() {
            let spread = (expected * (1.0 - expected) / f64::from(count as u32)).sqrt();
            assert!((share(label) - expected).abs() < 5.0 * spread, "label {label}: {}", share(label));
        }
        // What is told says what was done.
        for deformation in drawn {
            assert_eq!(deformation.is_none(), deformation.labels == [0.0; LABELS]);
            let [mirrored, upside_down, octaves, cos, sin, _, _, right, down] = deformation.labels.map(f64::from);
            let [[a, b], [c, d]] = deformation.map.matrix;
            let area = (2.0 * OCTAVES * octaves).exp2() * (1.0 - 2.0 * mirrored) * (1.0 - 2.0 * upside_down);
            assert!((a * d - b * c - area).abs() < 1e-5);
            assert!((deformation.map.shift[0] - right * 6.0 / 8.0).abs() < 1e-5);
            assert!((deformation.map.shift[1] - down).abs() < 1e-5);
            if deformation.labels[5] == 0.0 && mirrored + upside_down == 0.0 {
                let scale = area.sqrt();
                assert!((a / scale - cos - 1.0).abs() < 1e-5 && (c / scale - sin).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn without_probability_images_are_mirrored_at_most() {
        for item in 0..50 {
            let drawn = Deformation::draw(SHAPE, 0.0, &mut stream(2, Purpose::Perturbation, 0, item));
            assert_eq!(drawn.labels[1..], [0.0; LABELS - 1]);
        }
    }
}
