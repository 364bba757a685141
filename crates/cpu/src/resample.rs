//! Downsampling and upsampling of images by a factor of two, with a filter.
//!
//! Downsampling is a strided convolution with the taps of the filter. Upsampling is its transpose times
//! four, which keeps a constant image constant. The taps `[1, 1]` give the mean of 2x2 pixels and the nearest neighbor,
//! `[1, 3, 3, 1]` is the filter of StyleGAN 2 (arXiv 1912.04958).

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// The sizes of a resampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Images.
    pub batch: usize,
    /// Height of the smaller image.
    pub height: usize,
    /// Width of the smaller image.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

impl Geometry {
    fn check(self, small: &[f32], large: &[f32], taps: &[f32]) {
        let values = self.batch * self.height * self.width * self.channels;
        assert_eq!(small.len(), values, "resample: the smaller image against {self:?}");
        assert_eq!(large.len(), 4 * values, "resample: the larger image against {self:?}");
        let mirrored = taps.iter().eq(taps.iter().rev());
        assert!(!taps.is_empty() && taps.len().is_multiple_of(2) && mirrored, "resample: the taps {taps:?}");
    }
}

/// One row of output pixels: each is a weighted sum of input pixels.
struct Row<'a> {
    geometry: Geometry,
    x: &'a [f32],
    taps: &'a [f32],
    /// Factor of the taps' products.
    scale: f32,
    image: usize,
    row: usize,
    y: &'a mut [f32],
}

/// [`Row`] of a downsampled image.
struct Downsample<'a>(Row<'a>);

impl WithSimd for Downsample<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Row { geometry: Geometry { height, width, channels, .. }, x, taps, scale, image, row, y } = self.0;
        let (height, width, border) = (2 * height, 2 * width, taps.len() / 2 - 1);
        for (column, y) in y.chunks_exact_mut(channels).enumerate() {
            y.fill(0.0);
            for (i, vertical) in taps.iter().enumerate() {
                let row = (2 * row + i).wrapping_sub(border);
                for (j, horizontal) in taps.iter().enumerate() {
                    let column = (2 * column + j).wrapping_sub(border);
                    if row < height && column < width {
                        let x = &x[((image * height + row) * width + column) * channels..][..channels];
                        let weight = scale * vertical * horizontal;
                        for (y, x) in y.iter_mut().zip(x) {
                            *y += weight * x;
                        }
                    }
                }
            }
        }
    }
}

/// [`Row`] of an upsampled image.
struct Upsample<'a>(Row<'a>);

impl WithSimd for Upsample<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Row { geometry: Geometry { height, width, channels, .. }, x, taps, scale, image, row, y } = self.0;
        let border = taps.len() / 2 - 1;
        // Output pixel `place` takes tap `place + border - 2 source` of every source: every second tap.
        for (column, y) in y.chunks_exact_mut(channels).enumerate() {
            y.fill(0.0);
            for i in ((row + border) % 2..taps.len()).step_by(2) {
                let source_row = (row + border).wrapping_sub(i) / 2;
                for j in ((column + border) % 2..taps.len()).step_by(2) {
                    let source_column = (column + border).wrapping_sub(j) / 2;
                    if row + border >= i && column + border >= j && source_row < height && source_column < width {
                        let start = ((image * height + source_row) * width + source_column) * channels;
                        let weight = scale * taps[i] * taps[j];
                        for (y, x) in y.iter_mut().zip(&x[start..][..channels]) {
                            *y += weight * x;
                        }
                    }
                }
            }
        }
    }
}

/// A resampling filter: its taps in one direction, and the factor of the result.
#[derive(Clone, Copy, Debug)]
pub struct Taps<'a> {
    /// Weights of neighboring pixels in one direction; an even number, symmetric.
    pub taps: &'a [f32],
    /// Factor of the result.
    pub scale: f32,
}

/// Downsamples images: each pixel is `scale` times the sum of the pixels around it, weighted by `taps` in both directions.
///
/// # Shapes
/// `x`: `[batch, 2 height, 2 width, channels]`, `y` (overwritten): `[batch, height, width, channels]`
pub fn downsample2x(arch: Arch, geometry: Geometry, filter: Taps, x: &[f32], y: &mut [f32]) {
    let Taps { taps, scale } = filter;
    geometry.check(y, x, taps);
    let (height, line) = (geometry.height, geometry.width * geometry.channels);
    y.par_chunks_exact_mut(line).with_min_len(4).enumerate().for_each(|(index, y)| {
        let (image, row) = (index / height, index % height);
        arch.dispatch(Downsample(Row { geometry, x, taps, scale, image, row, y }));
    });
}

/// Upsamples images: the transpose of [`downsample2x`].
///
/// # Shapes
/// `x`: `[batch, height, width, channels]`, `y` (overwritten): `[batch, 2 height, 2 width, channels]`
pub fn upsample2x(arch: Arch, geometry: Geometry, filter: Taps, x: &[f32], y: &mut [f32]) {
    let Taps { taps, scale } = filter;
    geometry.check(x, y, taps);
    let (height, line) = (2 * geometry.height, 2 * geometry.width * geometry.channels);
    y.par_chunks_exact_mut(line).with_min_len(4).enumerate().for_each(|(index, y)| {
        let (image, row) = (index / height, index % height);
        arch.dispatch(Upsample(Row { geometry, x, taps, scale, image, row, y }));
    });
}
