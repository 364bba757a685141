//! Self-attention, a block of queries at a time: the weights of a block stay in the cache and are never written out.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    buffer::{Shared, with_scratch},
    math::{exp, load, store},
    matrix::{Matrix, MatrixMut, Then, multiply},
};

/// The sizes of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Images.
    pub batch: usize,
    /// Pixels of an image, each of which attends to each.
    pub pixels: usize,
    /// Channels of queries, keys and values each.
    pub channels: usize,
    /// Heads that the channels are split into.
    pub heads: usize,
}

/// Queries of a block.
const QUERIES: usize = 64;

impl Geometry {
    fn width(self) -> usize {
        self.channels / self.heads
    }

    fn scale(self) -> f32 {
        1.0 / (self.width() as f32).sqrt()
    }

    fn check(self, qkv: &[f32], out: &[f32]) {
        let values = self.batch * self.pixels * self.channels;
        assert!(self.channels.is_multiple_of(self.heads), "attention: heads against {self:?}");
        assert_eq!(qkv.len(), 3 * values, "attention: queries, keys and values against {self:?}");
        assert_eq!(out.len(), values, "attention: the output against {self:?}");
    }

    /// `count` rows from `first` on of the queries (0), keys (1) or values (2) of a head.
    fn part(self, qkv: &[f32], image: usize, head: usize, which: usize, first: usize, count: usize) -> Matrix<'_> {
        let start = (image * self.pixels + first) * 3 * self.channels + which * self.channels + head * self.width();
        Matrix::strided(&qkv[start..], count, self.width(), 3 * self.channels)
    }

    /// Rows of the output of a head.
    fn rows(self, out: &[f32], image: usize, head: usize, first: usize, count: usize) -> Matrix<'_> {
        let start = (image * self.pixels + first) * self.channels + head * self.width();
        Matrix::strided(&out[start..], count, self.width(), self.channels)
    }

    /// The attention weights of a block of queries, `[count][pixels]`.
    fn weights(self, arch: Arch, qkv: &[f32], image: usize, head: usize, first: usize, weights: &mut [f32]) {
        let count = weights.len() / self.pixels;
        let queries = self.part(qkv, image, head, 0, first, count);
        let keys = self.part(qkv, image, head, 1, 0, self.pixels).transposed();
        let out = MatrixMut { values: &mut *weights, stride: self.pixels };
        multiply(queries, keys, self.scale(), out, Then::Write);
        weights.chunks_exact_mut(self.pixels).for_each(|row| arch.dispatch(Softmax(row)));
    }
}

/// Turns a row of logits into weights.
struct Softmax<'a>(&'a mut [f32]);

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (row, lanes) = (self.0, S::F32_LANES);
        let whole = row.len() / lanes * lanes;
        let mut most = simd.splat_f32s(f32::NEG_INFINITY);
        for at in (0..whole).step_by(lanes) {
            most = simd.max_f32s(most, load(simd, row, at, lanes));
        }
        let mut largest = simd.reduce_max_f32s(most);
        for &value in &row[whole..] {
            largest = largest.max(value);
        }
        let most = simd.splat_f32s(largest);
        let mut sums = simd.splat_f32s(0.0);
        for at in (0..whole).step_by(lanes) {
            let value = exp(simd, simd.sub_f32s(load(simd, row, at, lanes), most));
            store(simd, row, at, lanes, value);
            sums = simd.add_f32s(sums, value);
        }
        let mut total = simd.reduce_sum_f32s(sums);
        for value in &mut row[whole..] {
            *value = (*value - largest).exp();
            total += *value;
        }
        let factor = 1.0 / total;
        for value in row {
            *value *= factor;
        }
    }
}

/// Turns the gradient for a row of weights into the one for its logits: `w (g - sum(w g))`.
struct SoftmaxGradient<'a> {
    weights: &'a [f32],
    gradient: &'a mut [f32],
}

impl WithSimd for SoftmaxGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut sums = [0.0_f32; 16];
        let (weights, weights_rest) = self.weights.as_chunks::<16>();
        let (gradients, gradients_rest) = self.gradient.as_chunks::<16>();
        for (weights, gradients) in weights.iter().zip(gradients) {
            for ((sum, weight), gradient) in sums.iter_mut().zip(weights).zip(gradients) {
                *sum += weight * gradient;
            }
        }
        let mut total: f32 = sums.iter().sum();
        for (weight, gradient) in weights_rest.iter().zip(gradients_rest) {
            total += weight * gradient;
        }
        for (gradient, weight) in self.gradient.iter_mut().zip(self.weights) {
            *gradient = weight * (*gradient - total);
        }
    }
}

/// `softmax(q k^T / sqrt(width)) v` for every head.
///
/// # Shapes
/// `qkv`: `[batch, pixels, 3 channels]`, queries, then keys, then values; `out` (overwritten): `[batch, pixels, channels]`
pub fn forward(arch: Arch, geometry: Geometry, qkv: &[f32], out: &mut [f32]) {
    geometry.check(qkv, out);
    let Geometry { batch, pixels, channels, heads } = geometry;
    let blocks = pixels.div_ceil(QUERIES);
    let out = Shared::new(out);
    (0..batch * heads * blocks).into_par_iter().for_each(|piece| {
        let (image, head, first) = (piece / blocks / heads, piece / blocks % heads, piece % blocks * QUERIES);
        let count = QUERIES.min(pixels - first);
        with_scratch(count * pixels, |weights| {
            geometry.weights(arch, qkv, image, head, first, weights);
            let start = (image * pixels + first) * channels + head * geometry.width();
            let len = (count - 1) * channels + geometry.width();
            // SAFETY: other threads write other rows, or the channels of other heads: the product touches only the
            // first `width` of every `channels` values.
            let values = unsafe { out.slice(start, len) };
            let values_of_keys = geometry.part(qkv, image, head, 2, 0, pixels);
            let out = MatrixMut { values, stride: channels };
            multiply(Matrix::new(weights, count, pixels), values_of_keys, 1.0, out, Then::Write);
        });
    });
}

/// The gradient for queries, keys and values from the one for the output, `dout`.
///
/// # Shapes
/// As in [`forward`]; `dqkv` (overwritten) as `qkv`
pub fn gradient(arch: Arch, geometry: Geometry, qkv: &[f32], dout: &[f32], dqkv: &mut [f32]) {
    geometry.check(qkv, dout);
    geometry.check(dqkv, dout);
    let Geometry { batch, pixels, channels, heads } = geometry;
    let (width, scale) = (geometry.width(), geometry.scale());
    let target = Shared::new(dqkv);
    (0..batch * heads).into_par_iter().for_each(|piece| {
        let (image, head) = (piece / heads, piece % heads);
        // SAFETY: other threads write the rows of other images, or the channels of other heads.
        let part = |which: usize, first: usize, count: usize| unsafe {
            let start = (image * pixels + first) * 3 * channels + which * channels + head * width;
            MatrixMut { values: target.slice(start, (count - 1) * 3 * channels + width), stride: 3 * channels }
        };
        for first in (0..pixels).step_by(QUERIES) {
            let count = QUERIES.min(pixels - first);
            let then = if first == 0 { Then::Write } else { Then::Add };
            with_scratch(2 * count * pixels, |memory| {
                let (weights, gradient) = memory.split_at_mut(count * pixels);
                geometry.weights(arch, qkv, image, head, first, weights);
                let dout = geometry.rows(dout, image, head, first, count);
                let values = geometry.part(qkv, image, head, 2, 0, pixels);
                let out = MatrixMut { values: &mut *gradient, stride: pixels };
                multiply(dout, values.transposed(), 1.0, out, Then::Write);
                let rows = gradient.chunks_exact_mut(pixels).zip(weights.chunks_exact(pixels));
                rows.for_each(|(gradient, weights)| arch.dispatch(SoftmaxGradient { weights, gradient }));
                let weights = Matrix::new(weights, count, pixels);
                let logits = Matrix::new(gradient, count, pixels);
                let keys = geometry.part(qkv, image, head, 1, 0, pixels);
                let queries = geometry.part(qkv, image, head, 0, first, count);
                multiply(logits, keys, scale, part(0, first, count), Then::Write);
                multiply(logits.transposed(), queries, scale, part(1, 0, pixels), then);
                multiply(weights.transposed(), dout, 1.0, part(2, 0, pixels), then);
            });
        }
    });
}
