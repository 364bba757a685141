//! Logarithm and exponential in double precision without branches, so that compilers turn loops over them into vector code.

use std::f64::consts::{LOG2_E, SQRT_2};

/// ln 2 in two parts; the first has so few digits that its small multiples are exact.
const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// 2^52: a whole number below it stands in the low bits of their sum.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// Computes `ln(1 + x)` for x >= 0 to 3 units in the last place; above 1e300 it returns the value at 1e300.
///
/// `1 + x = 2^k m` with m between sqrt(1/2) and sqrt(2), and `ln m = 2 artanh(s)` with `s = (m-1)/(m+1)`, `|s| < 0.172`;
/// the rounding error of `1 + x` is added to first order.
#[inline(always)]
pub fn ln_1p(x: f64) -> f64 {
    let x = if x < 1e300 { x } else { 1e300 };
    let sum = 1.0 + x;
    let lost = (x - (sum - 1.0)) / sum;
    // Moving the bits by those of sqrt(2) makes the exponent change at sqrt(2) instead of at 2.
    let bits = sum.to_bits();
    let moved = bits.wrapping_add((1.0_f64.to_bits()).wrapping_sub((0.5 * SQRT_2).to_bits()));
    let exponent = f64::from_bits((moved >> 52) | WHOLE.to_bits()) - (WHOLE + 1023.0);
    let mantissa = (moved & ((1 << 52) - 1)).wrapping_add((0.5 * SQRT_2).to_bits());
    let m = f64::from_bits(mantissa);
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let mut series = 1.0 / 23.0;
    for odd in [21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        series = series * square + 1.0 / odd;
    }
    // 2 s is the largest part; the rest is added to it last.
    let rest = 2.0 * s * square * series + exponent * LN2_LOW + lost;
    exponent * LN2_HIGH + (2.0 * s + rest)
}

/// Computes `e^x` for x <= 0 to 2 units in the last place; below -700 it returns the value at -700, 1e-304.
///
/// `2^(x log2 e)`, split into the nearest whole number and a rest whose power is a polynomial.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    const ROUND: f64 = 1.5 * WHOLE;
    let x = if x > -700.0 { x } else { -700.0 };
    let shifted = x * LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = (x - whole * LN2_HIGH) - whole * LN2_LOW;
    let mut series = 1.0;
    for over in [13.0, 12.0, 11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0] {
        series = series * rest * (1.0 / over) + 1.0;
    }
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    (series * rest + 1.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agree_with_the_standard_library() {
        for step in -4000..4000 {
            let x = 10_f64.powf(f64::from(step) * 0.05) * 1.234_567;
            let (found, truth) = (ln_1p(x), x.min(1e300).ln_1p());
            assert!((found - truth).abs() <= 4.0 * f64::EPSILON * truth, "ln_1p({x:e}) = {found:e}, not {truth:e}");
        }
        assert_eq!(ln_1p(0.0), 0.0);
        assert_eq!(ln_1p(f64::INFINITY), 1e300_f64.ln_1p());
        for step in 0..70_000 {
            let x = -f64::from(step) * 0.01;
            let (found, truth) = (exp(x), x.exp());
            assert!((found - truth).abs() <= 3.0 * f64::EPSILON * truth, "exp({x}) = {found:e}, not {truth:e}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f64::NEG_INFINITY) < 1e-303);
    }
}
