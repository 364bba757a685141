//! Concatenation of channels.

use rayon::prelude::*;

/// Pixels that a thread copies at once.
const PIXELS: usize = 256;

/// Concatenates the channels of `a` and `b`, pixel by pixel.
///
/// # Shapes
/// `a`: `[pixels, channels[0]]`, `b`: `[pixels, channels[1]]`, `out` (overwritten): `[pixels, channels[0] + channels[1]]`
pub fn concat(channels: [usize; 2], a: &[f32], b: &[f32], out: &mut [f32]) {
    let [left, right] = channels;
    out.par_chunks_mut(PIXELS * (left + right))
        .zip(a.par_chunks(PIXELS * left).zip(b.par_chunks(PIXELS * right)))
        .for_each(|(out, (a, b))| {
            let pixels = a.chunks_exact(left).zip(b.chunks_exact(right));
            for (out, (a, b)) in out.chunks_exact_mut(left + right).zip(pixels) {
                out[..left].copy_from_slice(a);
                out[left..].copy_from_slice(b);
            }
        });
}

/// Splits channels: the inverse of [`concat()`], and its gradient.
///
/// # Shapes
/// `x`: `[pixels, channels[0] + channels[1]]`, `a`, `b` (overwritten): `[pixels, channels[0]]`, `[pixels, channels[1]]`
pub fn split(channels: [usize; 2], x: &[f32], a: &mut [f32], b: &mut [f32]) {
    let [left, right] = channels;
    x.par_chunks(PIXELS * (left + right))
        .zip(a.par_chunks_mut(PIXELS * left).zip(b.par_chunks_mut(PIXELS * right)))
        .for_each(|(x, (a, b))| {
            let pixels = a.chunks_exact_mut(left).zip(b.chunks_exact_mut(right));
            for (x, (a, b)) in x.chunks_exact(left + right).zip(pixels) {
                a.copy_from_slice(&x[..left]);
                b.copy_from_slice(&x[left..]);
            }
        });
}
