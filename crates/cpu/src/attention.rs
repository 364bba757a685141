//! Scaled dot-product self-attention, a block of queries at a time: the weights of a block stay in the cache.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::{
    buffer::{Shared, with_scratch},
    math::{exp, load, store},
    matrix::{Matrix, MatrixMut, Then, multiply},
};

/// Sizes of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Number of images.
    pub batch: usize,
    /// Pixels of an image; each attends to all.
    pub pixels: usize,
    /// Channels of the queries, of the keys, and of the values.
    pub channels: usize,
    /// Heads that the channels are split into.
    pub heads: usize,
}

/// Queries of a block.
const QUERIES: usize = 64;

/// One head of one image.
#[derive(Clone, Copy)]
struct Head {
    image: usize,
    head: usize,
}

/// The three parts of `qkv`.
#[derive(Clone, Copy)]
enum Part {
    Queries = 0,
    Keys = 1,
    Values = 2,
}

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

    /// Place of a pixel in `qkv`.
    fn start(self, of: Head, part: Part, pixel: usize) -> usize {
        (of.image * self.pixels + pixel) * 3 * self.channels + part as usize * self.channels + of.head * self.width()
    }

    /// Rows of the queries, keys or values of a head.
    fn part(self, qkv: &[f32], of: Head, part: Part, rows: Range<usize>) -> Matrix<'_> {
        Matrix::strided(&qkv[self.start(of, part, rows.start)..], rows.len(), self.width(), 3 * self.channels)
    }

    /// Rows of the output of a head.
    fn rows(self, out: &[f32], of: Head, rows: Range<usize>) -> Matrix<'_> {
        let start = (of.image * self.pixels + rows.start) * self.channels + of.head * self.width();
        Matrix::strided(&out[start..], rows.len(), self.width(), self.channels)
    }

    /// Computes the scaled products of a block of queries with all keys, `[rows, pixels]`.
    fn logits(self, qkv: &[f32], of: Head, rows: Range<usize>, logits: &mut [f32]) {
        let queries = self.part(qkv, of, Part::Queries, rows);
        let keys = self.part(qkv, of, Part::Keys, 0..self.pixels).transposed();
        let out = MatrixMut { values: logits, stride: self.pixels };
        multiply(queries, keys, self.scale(), out, Then::Write);
    }
}

/// Computes the softmax of each row, in place.
fn softmax_rows(arch: Arch, width: usize, rows: &mut [f32]) {
    rows.chunks_exact_mut(width).for_each(|row| arch.dispatch(Softmax(row)));
}

/// Computes the softmax of a row, in place.
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

/// Computes the gradient for a row of logits from the one for its weights, in place: `w (g - sum(w g))`.
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

/// Computes `softmax(q k^T / sqrt(width)) v` for every head.
///
/// # Shapes
/// `qkv`: `[batch, pixels, 3 channels]`, queries, then keys, then values; `out` (overwritten): `[batch, pixels, channels]`
///
/// # Panics
/// If the lengths do not match.
pub fn forward(arch: Arch, geometry: Geometry, qkv: &[f32], out: &mut [f32]) {
    geometry.check(qkv, out);
    let Geometry { batch, pixels, channels, heads } = geometry;
    let blocks = pixels.div_ceil(QUERIES);
    let out = Shared::new(out);
    (0..batch * heads * blocks).into_par_iter().for_each(|piece| {
        let (of, first) =
            (Head { image: piece / blocks / heads, head: piece / blocks % heads }, piece % blocks * QUERIES);
        let rows = first..pixels.min(first + QUERIES);
        let count = rows.len();
        with_scratch(count * pixels, |weights| {
            geometry.logits(qkv, of, rows, weights);
            softmax_rows(arch, pixels, weights);
            let start = (of.image * pixels + first) * channels + of.head * geometry.width();
            let len = (count - 1) * channels + geometry.width();
            // SAFETY: other threads write other rows, or the channels of other heads: the product touches only the
            // first `width` of every `channels` values.
            let values = unsafe { out.slice(start, len) };
            let values_of_keys = geometry.part(qkv, of, Part::Values, 0..pixels);
            let out = MatrixMut { values, stride: channels };
            multiply(Matrix::new(weights, count, pixels), values_of_keys, 1.0, out, Then::Write);
        });
    });
}

/// Computes the gradient for queries, keys and values from the one for the output, `dout`.
///
/// # Shapes
/// As in [`forward`]; `dqkv` (overwritten) as `qkv`
///
/// # Panics
/// If the lengths do not match.
pub fn gradient(arch: Arch, geometry: Geometry, qkv: &[f32], dout: &[f32], dqkv: &mut [f32]) {
    geometry.check(qkv, dout);
    geometry.check(dqkv, dout);
    let Geometry { batch, pixels, channels, heads } = geometry;
    let (width, scale) = (geometry.width(), geometry.scale());
    let target = Shared::new(dqkv);
    (0..batch * heads).into_par_iter().for_each(|piece| {
        let of = Head { image: piece / heads, head: piece % heads };
        // SAFETY: other threads write the rows of other images, or the channels of other heads.
        let part = |part: Part, rows: Range<usize>| unsafe {
            let len = (rows.len() - 1) * 3 * channels + width;
            MatrixMut { values: target.slice(geometry.start(of, part, rows.start), len), stride: 3 * channels }
        };
        for first in (0..pixels).step_by(QUERIES) {
            let rows = first..pixels.min(first + QUERIES);
            let count = rows.len();
            let then = if first == 0 { Then::Write } else { Then::Add };
            with_scratch(2 * count * pixels, |memory| {
                let (weights, gradient) = memory.split_at_mut(count * pixels);
                geometry.logits(qkv, of, rows.clone(), weights);
                softmax_rows(arch, pixels, weights);
                let dout = geometry.rows(dout, of, rows.clone());
                let values = geometry.part(qkv, of, Part::Values, 0..pixels);
                let out = MatrixMut { values: &mut *gradient, stride: pixels };
                multiply(dout, values.transposed(), 1.0, out, Then::Write);
                let lines = gradient.chunks_exact_mut(pixels).zip(weights.chunks_exact(pixels));
                lines.for_each(|(gradient, weights)| arch.dispatch(SoftmaxGradient { weights, gradient }));
                let weights = Matrix::new(weights, count, pixels);
                let logits = Matrix::new(gradient, count, pixels);
                let keys = geometry.part(qkv, of, Part::Keys, 0..pixels);
                let queries = geometry.part(qkv, of, Part::Queries, rows.clone());
                multiply(logits, keys, scale, part(Part::Queries, rows), Then::Write);
                multiply(logits.transposed(), queries, scale, part(Part::Keys, 0..pixels), then);
                multiply(weights.transposed(), dout, 1.0, part(Part::Values, 0..pixels), then);
            });
        }
    });
}
