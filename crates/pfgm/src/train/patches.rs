//! Values at the pixels of a step's images, and the patches that images and values are cut to.

use pfgm_data::{Shape, resize::cut};
use rand::RngExt;
use rayon::prelude::*;

use crate::{
    random::{Purpose, stream},
    spec::ModelSpec,
};

/// Images of a step, whole or cut to patches, with the values that the network gets at each pixel.
pub(super) struct Patches {
    /// Shape of the images: that of the data, or of a patch.
    pub shape: Shape,
    /// Images, `[items, N]` of that shape.
    pub images: Vec<f32>,
    /// Values at each pixel, `[items, pixels * channels]`; empty if there are none.
    pub spatial: Vec<f32>,
}

impl Patches {
    /// Computes the values at the pixels of whole images, with noise from the stream of each item and `step`.
    pub(super) fn whole(spec: &ModelSpec, step: u64, items: impl Iterator<Item = u64>, images: Vec<f32>) -> Self {
        let (shape, spatial, seed) = (spec.data.shape, spec.spatial(), spec.config.train.seed);
        if spatial.channels() == 0 {
            return Self { shape, images, spatial: Vec::new() };
        }
        let items: Vec<u64> = items.collect();
        let of = |(item, image): (&u64, &[f32])| {
            spatial.training_values(image, &mut stream(seed, Purpose::Guide, step, *item))
        };
        let spatial = items.par_iter().zip(images.par_chunks_exact(shape.dim())).flat_map_iter(of).collect();
        Self { shape, images, spatial }
    }

    /// As [`Patches::whole`]; if the run learns from patches, cuts each item to a square at a random place.
    pub(super) fn cut(spec: &ModelSpec, step: u64, items: impl Iterator<Item = u64> + Clone, images: Vec<f32>) -> Self {
        let Self { shape, images, spatial } = Self::whole(spec, step, items.clone(), images);
        let (side, Shape::Image { height, width, channels }) = (spec.config.train.patch, shape) else {
            return Self { shape, images, spatial };
        };
        if side == 0 {
            return Self { shape, images, spatial };
        }
        let seed = spec.config.train.seed;
        let corner = |item: u64| {
            let mut rng = stream(seed, Purpose::Patch, step, item);
            (rng.random_range(0..=height - side), rng.random_range(0..=width - side))
        };
        let corners: Vec<(usize, usize)> = items.map(corner).collect();
        let cut_all = |rows: &[f32]| -> Vec<f32> {
            let rows = rows.chunks_exact(rows.len() / corners.len()).zip(&corners);
            rows.flat_map(|(row, &corner)| cut(shape, row, corner, side)).collect()
        };
        let (images, spatial) = (cut_all(&images), cut_all(&spatial));
        Self { shape: Shape::Image { height: side, width: side, channels }, images, spatial }
    }
}
