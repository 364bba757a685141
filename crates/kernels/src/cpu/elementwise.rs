//! Passes over values that do little arithmetic, compiled for the vector unit that is there.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Values that a thread takes at once.
const CHUNK: usize = 1 << 14;

/// `out = factor x`.
struct Scale<'a> {
    x: &'a [f32],
    factor: f32,
    out: &'a mut [f32],
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, x) in self.out.iter_mut().zip(self.x) {
            *out = x * self.factor;
        }
    }
}

/// `sum += row` for every row.
struct SumRows<'a> {
    rows: &'a [f32],
    sum: &'a mut [f32],
}

impl WithSimd for SumRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.rows.chunks_exact(self.sum.len()) {
            for (sum, value) in self.sum.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

/// `out += row . vector` for every row, each in the same order whichever rows there are.
struct DotRows<'a> {
    rows: &'a [f32],
    vector: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for DotRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (right, right_rest) = S::as_simd_f32s(self.vector);
        for (row, out) in self.rows.chunks_exact(self.vector.len()).zip(self.out) {
            let (left, left_rest) = S::as_simd_f32s(row);
            // Two sums, so that one does not wait for the other.
            let mut sums = [simd.splat_f32s(0.0); 2];
            for (index, (a, b)) in left.iter().zip(right).enumerate() {
                sums[index % 2] = simd.mul_add_e_f32s(*a, *b, sums[index % 2]);
            }
            let rest: f32 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
            *out += simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1])) + rest;
        }
    }
}

/// `y = (y + residual) factor`.
struct AddScale<'a> {
    y: &'a mut [f32],
    residual: &'a [f32],
    factor: f32,
}

impl WithSimd for AddScale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (y, residual) in self.y.iter_mut().zip(self.residual) {
            *y = (*y + residual) * self.factor;
        }
    }
}

/// `out = factor x`, by all threads.
pub fn scale(arch: Arch, x: &[f32], factor: f32, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "scale: input and output");
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| scale_one(arch, x, factor, out));
}

/// `out = factor x`, by this thread.
pub fn scale_one(arch: Arch, x: &[f32], factor: f32, out: &mut [f32]) {
    arch.dispatch(Scale { x, factor, out });
}

/// `y = (y + residual) factor`, by this thread.
pub fn add_scale(arch: Arch, y: &mut [f32], residual: &[f32], factor: f32) {
    arch.dispatch(AddScale { y, residual, factor });
}

/// `out += row . vector` for every row, by this thread.
pub fn dot_rows(arch: Arch, rows: &[f32], vector: &[f32], out: &mut [f32]) {
    assert_eq!(rows.len(), vector.len() * out.len(), "dot: rows against results");
    arch.dispatch(DotRows { rows, vector, out });
}

/// The sum of rows that are as long as `sum`, by this thread.
pub fn sum_rows(arch: Arch, rows: &[f32], sum: &mut [f32]) {
    sum.fill(0.0);
    arch.dispatch(SumRows { rows, sum });
}
