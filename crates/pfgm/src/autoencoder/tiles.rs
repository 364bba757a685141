//! Images in tiles that overlap: an autoencoder's memory grows with the area that it computes at once.

use std::fmt;

use crate::memory::{self, MemoryError};

/// Smallest side of a tile, in latents: 64 pixels of 8x8 in each. Below, most of a tile would be overlap and border.
pub const SMALLEST: usize = 8;

/// Share of a tile's side that it has in common with its neighbor.
const OVERLAP: usize = 4;

/// How an autoencoder divides images of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Height and width of a tile in latents, at most those of the image.
    pub tile: [usize; 2],
    /// Height and width of the image in latents.
    pub size: [usize; 2],
    /// Ratio of the sides of images and latents.
    pub factor: usize,
    /// Estimated bytes for one tile, with the weights.
    pub bytes: u64,
}

impl Tiling {
    /// Chooses the tiles of an image of `size` latents: tiles of side `tile` if it is given, otherwise the whole image if it fits into the
    /// available memory, otherwise the largest tiles that do. `bytes` estimates the memory for an area.
    ///
    /// # Errors
    /// Returns an error if the memory is too small for the smallest tiles.
    pub(super) fn choose(
        size: [usize; 2],
        factor: usize,
        tile: Option<usize>,
        bytes: impl Fn([usize; 2]) -> u64,
    ) -> Result<Self, MemoryError> {
        let of = |side: usize| {
            let tile = size.map(|whole| whole.min(side));
            Self { tile, size, factor, bytes: bytes(tile) }
        };
        if let Some(side) = tile {
            let tiling = of((side / factor).max(SMALLEST));
            memory::require(tiling.bytes, LOWER)?;
            return Ok(tiling);
        }
        let available = memory::available();
        let longest = size[0].max(size[1]);
        let sides = std::iter::successors(Some(longest), |&side| (side > SMALLEST).then(|| smaller(side)));
        let fits = sides.map(of).find(|tiling| tiling.bytes <= available);
        fits.ok_or(MemoryError { needed: of(SMALLEST).bytes, available, lower: LOWER })
    }

    /// Whether the image is one tile.
    pub fn is_whole(self) -> bool {
        self.tile == self.size
    }

    /// Number of tiles.
    pub fn count(self) -> usize {
        [0, 1].map(|axis| starts(self.size[axis], self.tile[axis]).len()).into_iter().product()
    }

    /// Upper left corners of the tiles, in latents.
    pub(super) fn corners(self) -> Vec<[usize; 2]> {
        let [rows, columns] = [0, 1].map(|axis| starts(self.size[axis], self.tile[axis]));
        rows.iter().flat_map(|&row| columns.iter().map(move |&column| [row, column])).collect()
    }
}

impl fmt::Display for Tiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [height, width] = self.size.map(|side| side * self.factor);
        let gigabytes = self.bytes as f64 / 1e9;
        if self.is_whole() {
            return write!(f, "images of {height}x{width} at once, about {gigabytes:.1} GB of memory");
        }
        let ([tile_height, tile_width], count) = (self.tile.map(|side| side * self.factor), self.count());
        write!(
            f,
            "images of {height}x{width} in {count} tiles of {tile_height}x{tile_width} that overlap, about {gigabytes:.1} GB of memory"
        )
    }
}

/// What to lower if the memory is too small.
const LOWER: &str = "data.tile (the side of the autoencoder's tiles)";

/// The next smaller side of a tile: three quarters, a multiple of the smallest where it can be.
fn smaller(side: usize) -> usize {
    (side * 3 / 4 / SMALLEST * SMALLEST).max(SMALLEST)
}

/// Starts of tiles of a side along an axis, evenly spaced from the first pixel to the last: neighbors have at least a quarter in common.
fn starts(whole: usize, tile: usize) -> Vec<usize> {
    let rest = whole - tile;
    let step = (tile - tile / OVERLAP).max(1);
    let gaps = rest.div_ceil(step);
    (0..=gaps).map(|index| (index * rest).checked_div(gaps).unwrap_or(0)).collect()
}

/// An image that is put together of tiles. Where tiles overlap, it is their mean with weights that rise linearly from the border of a tile.
pub(super) struct Mosaic {
    size: [usize; 2],
    channels: usize,
    sums: Vec<f32>,
    weights: Vec<f32>,
}

impl Mosaic {
    /// An empty image.
    pub(super) fn new(size: [usize; 2], channels: usize) -> Self {
        let area = size[0] * size[1];
        Self { size, channels, sums: vec![0.0; area * channels], weights: vec![0.0; area] }
    }

    /// Adds a tile whose upper left corner is at `corner`.
    ///
    /// # Shapes
    /// `values`: `[height, width, channels]` of `tile`
    pub(super) fn add(&mut self, values: &[f32], tile: [usize; 2], corner: [usize; 2]) {
        for row in 0..tile[0] {
            let at_row = self.weight(0, row, tile, corner);
            for column in 0..tile[1] {
                let weight = at_row * self.weight(1, column, tile, corner);
                let (from, to) = (row * tile[1] + column, (corner[0] + row) * self.size[1] + corner[1] + column);
                self.weights[to] += weight;
                let values = &values[from * self.channels..(from + 1) * self.channels];
                let sums = &mut self.sums[to * self.channels..(to + 1) * self.channels];
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
            }
        }
    }

    /// Weight of a place along an axis: the distance from the border of the tile up to the overlap, except at the border of the image.
    fn weight(&self, axis: usize, at: usize, tile: [usize; 2], corner: [usize; 2]) -> f32 {
        let side = tile[axis];
        let ramp = (side / OVERLAP).max(1) as f32;
        let from_start = if corner[axis] == 0 { side } else { at + 1 };
        let from_end = if corner[axis] + side == self.size[axis] { side } else { side - at };
        (from_start.min(from_end) as f32 / ramp).min(1.0)
    }

    /// The image, `[height, width, channels]`.
    pub(super) fn finish(self) -> Vec<f32> {
        let Self { mut sums, weights, channels, .. } = self;
        for (pixel, weight) in sums.chunks_exact_mut(channels).zip(weights) {
            pixel.iter_mut().for_each(|value| *value /= weight);
        }
        sums
    }
}

/// Cuts a tile out of an image.
///
/// # Shapes
/// `image`: `[height, width, channels]` with the `size`; the result: that of `tile`
pub(super) fn cut(image: &[f32], size: [usize; 2], channels: usize, tile: [usize; 2], corner: [usize; 2]) -> Vec<f32> {
    let line = |row: usize| {
        let start = ((corner[0] + row) * size[1] + corner[1]) * channels;
        &image[start..start + tile[1] * channels]
    };
    (0..tile[0]).flat_map(line).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_an_image_and_put_it_together() {
        for (size, tile) in [([20, 13], [8, 8]), ([8, 8], [8, 8]), ([9, 40], [8, 12]), ([64, 64], [48, 48])] {
            let tiling = Tiling { tile, size, factor: 1, bytes: 0 };
            let image: Vec<f32> = (0..size[0] * size[1] * 2).map(|at| (at * at % 997) as f32).collect();
            let mut mosaic = Mosaic::new(size, 2);
            for corner in tiling.corners() {
                mosaic.add(&cut(&image, size, 2, tile, corner), tile, corner);
            }
            let found = mosaic.finish();
            assert!(found.iter().zip(&image).all(|(a, b)| (a - b).abs() <= 1e-3), "{size:?} of {tile:?}");
            for axis in 0..2 {
                let starts = starts(size[axis], tile[axis]);
                assert!(starts.windows(2).all(|pair| pair[1] - pair[0] <= tile[axis] - tile[axis] / OVERLAP));
                assert_eq!(starts.last().unwrap() + tile[axis], size[axis]);
            }
        }
    }

    #[test]
    fn the_blend_has_no_edge() {
        // Two tiles with different constants: the result runs from one to the other in steps of one over the overlap.
        let (size, tile) = ([8, 28], [8, 16]);
        let tiling = Tiling { tile, size, factor: 1, bytes: 0 };
        let mut mosaic = Mosaic::new(size, 1);
        for (index, corner) in tiling.corners().into_iter().enumerate() {
            mosaic.add(&vec![index as f32; 8 * 16], tile, corner);
        }
        let found = mosaic.finish();
        assert_eq!((tiling.count(), found[0], found[27]), (2, 0.0, 1.0));
        assert!(found[..28].windows(2).all(|pair| (0.0..=0.3).contains(&(pair[1] - pair[0]))), "{:?}", &found[..28]);
    }

    #[test]
    fn the_budget_sets_the_side() {
        let available = memory::available();
        let per = |whole: u64| move |[height, width]: [usize; 2]| whole * (height * width) as u64 / (64 * 64);
        let sides = |whole: u64| Tiling::choose([64, 64], 8, None, per(whole)).unwrap().tile;
        assert_eq!(sides(available / 2), [64, 64]);
        // Three quarters of the side are 0.56 of the area.
        assert_eq!(sides(available / 2 * 3), [48, 48]);
        assert_eq!(sides(available * 3), [32, 32]);
        let error = Tiling::choose([64, 64], 8, None, per(available.saturating_mul(100))).unwrap_err();
        assert!(error.lower.contains("data.tile"), "{error}");
        let given = Tiling::choose([64, 64], 8, Some(256), per(1000)).unwrap();
        assert_eq!((given.tile, given.count(), given.is_whole()), ([32, 32], 9, false));
        assert_eq!(given.to_string(), "images of 512x512 in 9 tiles of 256x256 that overlap, about 0.0 GB of memory");
    }
}
