//! Elementwise operations and sums of rows.

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

/// `sum += row` for each row.
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

/// `out += row . vector` for each row, added in an order that does not depend on the number of rows.
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
            // Two independent sums hide latency.
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

/// Conversion of bf16 values, given as bits, to single precision.
struct Widen<'a> {
    x: &'a [u16],
    out: &'a mut [f32],
}

impl WithSimd for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, x) in self.out.iter_mut().zip(self.x) {
            *out = f32::from_bits(u32::from(*x) << 16);
        }
    }
}

/// Rounding to the nearest bf16 values, ties to even.
struct Narrow<'a> {
    x: &'a [f32],
    out: &'a mut [u16],
}

impl WithSimd for Narrow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, x) in self.out.iter_mut().zip(self.x) {
            let bits = x.to_bits();
            let nearest = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
            // Keeps NaN: a carry would turn it into an infinity.
            *out = if x.is_nan() { bits >> 16 | 0x40 } else { nearest } as u16;
        }
    }
}

/// Converts bf16 values, given as bits, to single precision, on all threads.
pub fn widen(arch: Arch, x: &[u16], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "widen: input and output");
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| arch.dispatch(Widen { x, out }));
}

/// Rounds to the nearest bf16 values, ties to even, and writes their bits, on all threads.
pub fn narrow(arch: Arch, x: &[f32], out: &mut [u16]) {
    assert_eq!(x.len(), out.len(), "narrow: input and output");
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| arch.dispatch(Narrow { x, out }));
}

/// Computes `out = factor x` on all threads.
pub fn scale(arch: Arch, x: &[f32], factor: f32, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "scale: input and output");
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| scale_one(arch, x, factor, out));
}

/// Computes `out = factor x` on this thread.
pub fn scale_one(arch: Arch, x: &[f32], factor: f32, out: &mut [f32]) {
    arch.dispatch(Scale { x, factor, out });
}

/// Computes `y = (y + residual) factor` on this thread.
pub fn add_scale(arch: Arch, y: &mut [f32], residual: &[f32], factor: f32) {
    arch.dispatch(AddScale { y, residual, factor });
}

/// Computes `out += row . vector` for each row on this thread, in an order that does not depend on the number of rows.
pub fn dot_rows(arch: Arch, rows: &[f32], vector: &[f32], out: &mut [f32]) {
    assert_eq!(rows.len(), vector.len() * out.len(), "dot: rows against results");
    arch.dispatch(DotRows { rows, vector, out });
}

/// Sums rows that are as long as `sum`, on this thread.
pub fn sum_rows(arch: Arch, rows: &[f32], sum: &mut [f32]) {
    sum.fill(0.0);
    arch.dispatch(SumRows { rows, sum });
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn bf16_is_rounded_to_the_nearest() {
        let largest = f32::from_bits(0x7f7f_ffff);
        let mut x = vec![0.0, -0.0, 1.0, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, 1e-45, largest, -largest];
        // Values around ties, and everything between.
        x.extend((0..70_000_u32).map(|at| f32::from_bits(0x3f80_0000 + at)));
        x.extend((0..70_000_u32).map(|at| f32::from_bits(at.wrapping_mul(0x9e37_79b9))).filter(|x| !x.is_nan()));
        let wanted: Vec<u16> = x.iter().map(|&x| bf16::from_f32(x).to_bits()).collect();
        for arch in crate::simd::available() {
            let mut narrow = vec![0; x.len()];
            super::narrow(arch, &x, &mut narrow);
            assert!(narrow == wanted, "{}", crate::simd::name(arch));
            let mut wide = vec![0.0; x.len()];
            widen(arch, &narrow, &mut wide);
            assert!(wide.iter().zip(&wanted).all(|(wide, bits)| *wide == bf16::from_bits(*bits).to_f32()));
            let nan = [f32::NAN, f32::from_bits(0x7fff_ffff), f32::from_bits(0xffff_ffff), f32::from_bits(0x7f80_0001)];
            let mut narrow = [0; 4];
            super::narrow(arch, &nan, &mut narrow);
            assert!(narrow.iter().all(|bits| bf16::from_bits(*bits).is_nan()), "{narrow:x?}");
        }
    }
}
