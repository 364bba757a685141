//! Bilinear resizing.

use rayon::prelude::*;

/// Two pixels that a pixel of the result is interpolated between.
struct Between {
    low: usize,
    high: usize,
    /// Weight of the second.
    share: f32,
}

/// Maps pixel centers of `to` pixels to `from` pixels, clamped at the ends: torch's `interpolate` with
/// `align_corners=False`. It interpolates between two pixels without antialiasing, as published scores do.
fn places(from: usize, to: usize) -> Vec<Between> {
    let scale = from as f32 / to as f32;
    let place = |at: usize| {
        let exact = ((at as f32 + 0.5) * scale - 0.5).max(0.0);
        let low = (exact as usize).min(from - 1);
        Between { low, high: (low + 1).min(from - 1), share: exact - low as f32 }
    };
    (0..to).map(place).collect()
}

/// Resizes images to squares with three channels, and scales and shifts each value: `factor x + offset`. One channel is repeated
/// three times; of four the last is dropped.
///
/// # Shapes
/// `images`: `[batch, height, width, channels]`, result `[batch, side, side, 3]`
pub fn to_square(
    images: &[f32],
    [height, width, channels]: [usize; 3],
    side: usize,
    (factor, offset): (f32, f32),
) -> Vec<f32> {
    let (rows, columns) = (places(height, side), places(width, side));
    let batch = images.len() / (height * width * channels);
    let mut out = vec![0.0; batch * side * side * 3];
    let images = out.par_chunks_exact_mut(side * side * 3).zip(images.par_chunks_exact(height * width * channels));
    images.for_each(|(out, image)| {
        for (line, row) in out.chunks_exact_mut(side * 3).zip(&rows) {
            let (low, high) = (&image[row.low * width * channels..], &image[row.high * width * channels..]);
            for (pixel, column) in line.chunks_exact_mut(3).zip(&columns) {
                for (channel, value) in pixel.iter_mut().enumerate() {
                    let channel = if channels < 3 { 0 } else { channel };
                    let (left, right) = (column.low * channels + channel, column.high * channels + channel);
                    let across = |line: &[f32]| (1.0 - column.share) * line[left] + column.share * line[right];
                    *value = ((1.0 - row.share) * across(low) + row.share * across(high)).mul_add(factor, offset);
                }
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_torch() {
        // goldens/resize.py
        let image: Vec<f32> = (0..2 * 3 * 3).map(|v| (v * v) as f32).collect();
        let found = to_square(&image, [2, 3, 3], 5, (1.0, 0.0));
        let sums: Vec<f32> = found.chunks_exact(3).map(|pixel| pixel[0] + 2.0 * pixel[1] + 3.0 * pixel[2]).collect();
        #[rustfmt::skip]
        let expected = [
            14.0, 54.8, 116.0, 242.0, 326.0,
            77.0, 130.76, 211.4, 356.84, 453.8,
            329.0, 434.6, 593.0, 816.2, 965.0,
            581.0, 738.44, 974.6, 1275.56, 1476.2,
            644.0, 814.4, 1070.0, 1390.4, 1604.0,
        ];
        for (found, expected) in sums.iter().zip(expected) {
            assert!((found - expected).abs() < 0.01, "{sums:?}");
        }
        // Downsampling uses only the neighbors of every fourth pixel.
        let line: Vec<f32> = (0..64).map(|v| (v % 8) as f32).collect();
        let found = to_square(&line, [8, 8, 1], 2, (2.0, -1.0));
        assert_eq!(found, [2.0, 2.0, 2.0, 10.0, 10.0, 10.0, 2.0, 2.0, 2.0, 10.0, 10.0, 10.0]);
    }
}
