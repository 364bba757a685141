//! Elementary functions that compilers turn into vector instructions.

/// `e^x` to 2 units in the last place for x in [-87, 88], and the value at the nearer end beyond.
///
/// `2^(x log2 e)`, split into the nearest whole number and a rest in [-1/2, 1/2] whose power is a polynomial.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, so that the rest is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // 1.5 * 2^23: adding it rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x.mul_add(LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let rest = whole.mul_add(-LN2_LOW, whole.mul_add(-LN2_HIGH, x));
    // Taylor's series to the seventh order, whose rest is below 5e-9 on this interval.
    let mut sum = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = rest.mul_add(sum, coefficient);
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    sum * power
}

/// The logistic function.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for step in -8_700..8_800_i32 {
            let x = step as f32 * 0.01 + 0.003;
            let truth = f64::from(x).exp();
            let error = (f64::from(super::exp(x)) - truth).abs() / truth;
            assert!(x > 88.0 || error < 2.0 * f64::from(f32::EPSILON), "exp({x}): {error}");
        }
    }
}
