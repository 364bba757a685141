//! Loads, stores and elementary functions of vectors.

use pulp::Simd;

/// Loads the vector at `at`. If fewer than a vector's values are left, the others are zero.
///
/// # Panics
/// If `values` ends before them.
#[inline(always)]
pub fn load<S: Simd>(simd: S, values: &[f32], at: usize, left: usize) -> S::f32s {
    if left >= S::F32_LANES {
        let values = &values[at..at + S::F32_LANES];
        // SAFETY: the slice holds a whole vector.
        return unsafe { values.as_ptr().cast::<S::f32s>().read_unaligned() };
    }
    simd.partial_load_f32s(&values[at..at + left])
}

/// Stores the first `left` values of a vector at `at`.
///
/// # Panics
/// If `values` ends before them.
#[inline(always)]
pub fn store<S: Simd>(simd: S, values: &mut [f32], at: usize, left: usize, value: S::f32s) {
    if left >= S::F32_LANES {
        let values = &mut values[at..at + S::F32_LANES];
        // SAFETY: the slice holds a whole vector.
        return unsafe { values.as_mut_ptr().cast::<S::f32s>().write_unaligned(value) };
    }
    simd.partial_store_f32s(&mut values[at..at + left], value);
}

/// Computes `e^x` to 2 units in the last place for x in [-87, 88], and beyond the value at the nearer end.
///
/// `2^(x log2 e)`, split into the nearest whole number and a rest in [-1/2, 1/2] whose power is a polynomial.
#[inline(always)]
pub fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, so that the rest is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // 1.5 * 2^23: adding it rounds to an integer, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // Taylor series of seventh order, with an error below 5e-9 on this interval.
    const SERIES: [f32; 7] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let splat = |value: f32| simd.splat_f32s(value);
    let x = simd.min_f32s(simd.max_f32s(x, splat(-87.0)), splat(88.0));
    let shifted = simd.mul_add_e_f32s(x, splat(LOG2_E), splat(ROUND));
    let whole = simd.sub_f32s(shifted, splat(ROUND));
    let rest = simd.mul_add_e_f32s(whole, splat(-LN2_HIGH), x);
    let rest = simd.mul_add_e_f32s(whole, splat(-LN2_LOW), rest);
    let mut sum = splat(1.0 / 5040.0);
    for coefficient in SERIES {
        sum = simd.mul_add_e_f32s(rest, sum, splat(coefficient));
    }
    let exponent = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
    let power = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23)));
    simd.mul_f32s(sum, power)
}

/// Computes the logistic function.
#[inline(always)]
pub fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}

/// Computes SiLU, `x` times its logistic function.
#[inline(always)]
pub fn silu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    simd.div_f32s(x, simd.add_f32s(simd.splat_f32s(1.0), exp(simd, simd.neg_f32s(x))))
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    struct Exp<'a>(&'a mut [f32]);

    impl WithSimd for Exp<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let count = self.0.len();
            for at in (0..count).step_by(S::F32_LANES) {
                let value = exp(simd, load(simd, self.0, at, count - at));
                store(simd, self.0, at, count - at, value);
            }
        }
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let x: Vec<f32> = (-8_700..8_800_i32).map(|step| step as f32 * 0.01 + 0.003).collect();
        for arch in [Arch::new(), Arch::Scalar] {
            let mut y = x.clone();
            arch.dispatch(Exp(&mut y));
            for (&x, &y) in x.iter().zip(&y) {
                let truth = f64::from(x).exp();
                let error = (f64::from(y) - truth).abs() / truth;
                assert!(x > 88.0 || error < 2.0 * f64::from(f32::EPSILON), "{arch:?}: exp({x}): {error}");
            }
        }
    }
}
