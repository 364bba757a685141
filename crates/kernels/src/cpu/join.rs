//! Channels side by side.

use rayon::prelude::*;

/// Pixels that a thread copies at once.
const PIXELS: usize = 256;

/// The channels of `a`, then those of `b`, pixel by pixel.
///
/// # Shapes
/// `a`: `[pixels, channels[0]]`, `b`: `[pixels, channels[1]]`, `joined` (overwritten): `[pixels, both]`
pub fn join(channels: [usize; 2], a: &[f32], b: &[f32], joined: &mut [f32]) {
    let [left, right] = channels;
    joined
        .par_chunks_mut(PIXELS * (left + right))
        .zip(a.par_chunks(PIXELS * left).zip(b.par_chunks(PIXELS * right)))
        .for_each(|(joined, (a, b))| {
            let pixels = a.chunks_exact(left).zip(b.chunks_exact(right));
            for (joined, (a, b)) in joined.chunks_exact_mut(left + right).zip(pixels) {
                joined[..left].copy_from_slice(a);
                joined[left..].copy_from_slice(b);
            }
        });
}

/// Takes [`join`] apart.
pub fn split(channels: [usize; 2], joined: &[f32], a: &mut [f32], b: &mut [f32]) {
    let [left, right] = channels;
    joined
        .par_chunks(PIXELS * (left + right))
        .zip(a.par_chunks_mut(PIXELS * left).zip(b.par_chunks_mut(PIXELS * right)))
        .for_each(|(joined, (a, b))| {
            let pixels = a.chunks_exact_mut(left).zip(b.chunks_exact_mut(right));
            for (joined, (a, b)) in joined.chunks_exact(left + right).zip(pixels) {
                a.copy_from_slice(&joined[..left]);
                b.copy_from_slice(&joined[left..]);
            }
        });
}
