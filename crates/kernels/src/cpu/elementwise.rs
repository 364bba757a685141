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

/// The sum of rows that are as long as `sum`, by this thread.
pub fn sum_rows(arch: Arch, rows: &[f32], sum: &mut [f32]) {
    sum.fill(0.0);
    arch.dispatch(SumRows { rows, sum });
}
