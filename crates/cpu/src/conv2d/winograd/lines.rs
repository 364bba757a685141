//! The transforms of one line: evaluation at the points, interpolation, and the transposes of both.

use pulp::Simd;

use super::{A, B, IN, OUT};

/// The values of a line of three weights at the points: `G g`. Row `p` of `G` is `[1, p, p^2] / prod (p - q)` over the other
/// points `q`, and `[0, 0, 1]` for infinity.
#[inline(always)]
pub(super) fn evaluate_line<S: Simd>(simd: S, g: [S::f32s; 3]) -> [S::f32s; IN] {
    let splat = |value: f32| simd.splat_f32s(value);
    let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
    let even_a = simd.mul_f32s(splat(-1.0 / 1.5), fma(splat(0.5), g[2], g[0]));
    let even_b = simd.mul_f32s(splat(1.0 / 6.0), fma(splat(2.0), g[2], g[0]));
    [
        g[0],
        fma(splat(A / -1.5), g[1], even_a),
        fma(splat(A / 1.5), g[1], even_a),
        fma(splat(B / 6.0), g[1], even_b),
        fma(splat(B / -6.0), g[1], even_b),
        g[2],
    ]
}

#[inline(always)]
pub(super) fn evaluate_line_transposed<S: Simd>(simd: S, u: [S::f32s; IN]) -> [S::f32s; 3] {
    let splat = |value: f32| simd.splat_f32s(value);
    let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
    let (even_a, odd_a) = (simd.add_f32s(u[1], u[2]), simd.sub_f32s(u[1], u[2]));
    let (even_b, odd_b) = (simd.add_f32s(u[3], u[4]), simd.sub_f32s(u[3], u[4]));
    [
        fma(splat(-1.0 / 1.5), even_a, fma(splat(1.0 / 6.0), even_b, u[0])),
        fma(splat(A / -1.5), odd_a, simd.mul_f32s(splat(B / 6.0), odd_b)),
        fma(splat(0.5 / -1.5), even_a, fma(splat(2.0 / 6.0), even_b, u[5])),
    ]
}

/// The input transform of six values: `B^T d`. Row `p` of `B^T` holds the coefficients of the polynomial through the
/// points without `p`'s factor.
#[inline(always)]
pub(super) fn input_line<S: Simd>(simd: S, d: [S::f32s; IN]) -> [S::f32s; IN] {
    let splat = |value: f32| simd.splat_f32s(value);
    let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
    let (minus_two, minus_half, minus_five_halves) = (splat(-2.0), splat(-0.5), splat(-2.5));
    let even_a = fma(minus_two, d[2], d[4]);
    let odd_a = fma(minus_two, d[1], d[3]);
    let even_b = fma(minus_half, d[2], d[4]);
    let odd_b = fma(minus_half, d[1], d[3]);
    [
        simd.add_f32s(fma(minus_five_halves, d[2], d[0]), d[4]),
        fma(splat(A), odd_a, even_a),
        fma(splat(-A), odd_a, even_a),
        fma(splat(B), odd_b, even_b),
        fma(splat(-B), odd_b, even_b),
        simd.add_f32s(fma(minus_five_halves, d[3], d[1]), d[5]),
    ]
}

/// The output transform of six values: `A^T m`. Row `k` of `A^T` holds the powers `p^k`.
#[inline(always)]
pub(super) fn output_line<S: Simd>(simd: S, m: [S::f32s; IN]) -> [S::f32s; OUT] {
    let splat = |value: f32| simd.splat_f32s(value);
    let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
    let (even_a, odd_a) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (even_b, odd_b) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    [
        simd.add_f32s(simd.add_f32s(m[0], even_a), even_b),
        fma(splat(A), odd_a, simd.mul_f32s(splat(B), odd_b)),
        fma(splat(0.5), even_a, simd.mul_f32s(splat(2.0), even_b)),
        fma(splat(A / 2.0), odd_a, fma(splat(2.0 * B), odd_b, m[5])),
    ]
}

/// The transposed of [`output_line`]: `A y`.
#[inline(always)]
pub(super) fn gradient_line<S: Simd>(simd: S, y: [S::f32s; OUT]) -> [S::f32s; IN] {
    let splat = |value: f32| simd.splat_f32s(value);
    let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
    let (even_a, odd_a) = (fma(splat(0.5), y[2], y[0]), fma(splat(0.5), y[3], y[1]));
    let (even_b, odd_b) = (fma(splat(2.0), y[2], y[0]), fma(splat(2.0), y[3], y[1]));
    [
        y[0],
        fma(splat(A), odd_a, even_a),
        fma(splat(-A), odd_a, even_a),
        fma(splat(B), odd_b, even_b),
        fma(splat(-B), odd_b, even_b),
        y[3],
    ]
}
