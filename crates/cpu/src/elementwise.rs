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

/// bf16 values, as their bits, in single precision.
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

/// The bits of the bf16 values that are nearest, of two that are equally near the even one.
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
            // What is no number stays none: a carry would make an infinity of it.
            *out = if x.is_nan() { bits >> 16 | 0x40 } else { nearest } as u16;
        }
    }
}

/// bf16 values, as their bits, in single precision, by all threads.
pub fn widen(arch: Arch, x: &[u16], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "widen: input and output");
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| arch.dispatch(Widen { x, out }));
}

/// The bits of the bf16 values that are nearest, of two that are equally near the even one, by all threads.
pub fn narrow(arch: Arch, x: &[f32], out: &mut [u16]) {
    assert_eq!(x.len(), out.len(), "narrow: input and output");
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| arch.dispatch(Narrow { x, out }));
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

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn bf16_is_rounded_to_the_nearest() {
        let largest = f32::from_bits(0x7f7f_ffff);
        let mut x = vec![0.0, -0.0, 1.0, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, 1e-45, largest, -largest];
        // Around values that are equally near two others, and everything between.
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
