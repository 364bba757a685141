//! What a training step's network sees beside its points, and the patches that both are cut to.

use pfgm_data::{Shape, resize::cut};
use rand::RngExt;
use rayon::prelude::*;

use crate::{
    random::{Purpose, stream},
    spec::ModelSpec,
};

/// Images and what is seen beside them.
pub(super) struct Beside {
    /// The shape of the images: the data's, or a patch's.
    pub shape: Shape,
    /// The images, `[items, N]` of that shape.
    pub images: Vec<f32>,
    /// What is seen beside them, `[items, pixels * maps]`; empty where nothing is.
    pub maps: Vec<f32>,
}

impl Beside {
    /// What is seen beside whole images, drawn for each item from its own stream of `step`.
    pub(super) fn whole(record: &ModelSpec, step: u64, items: impl Iterator<Item = u64>, images: Vec<f32>) -> Self {
        let (shape, maps, seed) = (record.data.shape, record.maps(), record.config.train.seed);
        if maps.channels() == 0 {
            return Self { shape, images, maps: Vec::new() };
        }
        let items: Vec<u64> = items.collect();
        let of =
            |(item, image): (&u64, &[f32])| maps.of_training(image, &mut stream(seed, Purpose::Guide, step, *item));
        let maps = items.par_iter().zip(images.par_chunks_exact(shape.dim())).flat_map_iter(of).collect();
        Self { shape, images, maps }
    }

    /// The same, where the run learns from patches, cut to a square at a place drawn for each item.
    pub(super) fn cut(
        record: &ModelSpec,
        step: u64,
        items: impl Iterator<Item = u64> + Clone,
        images: Vec<f32>,
    ) -> Self {
        let Self { shape, images, maps } = Self::whole(record, step, items.clone(), images);
        let (side, Shape::Image { height, width, channels }) = (record.config.train.patch, shape) else {
            return Self { shape, images, maps };
        };
        if side == 0 {
            return Self { shape, images, maps };
        }
        let seed = record.config.train.seed;
        let corner = |item: u64| {
            let mut rng = stream(seed, Purpose::Patch, step, item);
            (rng.random_range(0..=height - side), rng.random_range(0..=width - side))
        };
        let corners: Vec<(usize, usize)> = items.map(corner).collect();
        let cut_all = |rows: &[f32]| -> Vec<f32> {
            let rows = rows.chunks_exact(rows.len() / corners.len()).zip(&corners);
            rows.flat_map(|(row, &corner)| cut(shape, row, corner, side)).collect()
        };
        let (images, maps) = (cut_all(&images), cut_all(&maps));
        Self { shape: Shape::Image { height: side, width: side, channels }, images, maps }
    }
}
