//! Downsampling, upsampling and cropping of images.

use crate::Shape;

/// Returns the shape of images downsampled by `factor`; `None` if the sides are not divisible or `shape` is not an image.
pub fn shrunk(shape: Shape, factor: usize) -> Option<Shape> {
    match shape {
        Shape::Image { height, width, channels }
            if factor > 0 && height.is_multiple_of(factor) && width.is_multiple_of(factor) =>
        {
            Some(Shape::Image { height: height / factor, width: width / factor, channels })
        }
        _ => None,
    }
}

/// Downsamples an image with a box filter of `factor` x `factor` pixels.
///
/// # Shapes
/// `image`: a row of `shape`; the result: a row of [`shrunk`]
///
/// # Panics
/// When `shape` is no image whose sides divide.
pub fn shrink(shape: Shape, image: &[f32], factor: usize) -> Vec<f32> {
    let (Some(Shape::Image { height, width, channels }), Shape::Image { width: across, .. }) =
        (shrunk(shape, factor), shape)
    else {
        panic!("images of {shape} cannot be made {factor} times smaller");
    };
    let area = (factor * factor) as f32;
    let mut small = Vec::with_capacity(height * width * channels);
    for row in 0..height {
        for column in 0..width {
            for channel in 0..channels {
                let line = |down: usize| ((row * factor + down) * across + column * factor) * channels + channel;
                let sum: f32 = (0..factor)
                    .flat_map(|down| (0..factor).map(move |right| image[line(down) + right * channels]))
                    .sum();
                small.push(sum / area);
            }
        }
    }
    small
}

/// Upsamples an image by bilinear interpolation, aligned with [`shrink`]: the border pixels are repeated, and small pixels lie at the centers of the
/// squares that they are the means of.
///
/// # Shapes
/// `image`: a row of `shape`; the result: a row `factor` times as high and wide
///
/// # Panics
/// When `shape` is no image.
pub fn enlarge(shape: Shape, image: &[f32], factor: usize) -> Vec<f32> {
    let Shape::Image { height, width, channels } = shape else { panic!("{shape} cannot be enlarged") };
    let weights = |size: usize| -> Vec<(usize, usize, f32)> {
        let between = |at: usize| {
            let place = ((at as f32 + 0.5) / factor as f32 - 0.5).clamp(0.0, (size - 1) as f32);
            let low = place as usize;
            (low, (low + 1).min(size - 1), place - low as f32)
        };
        (0..size * factor).map(between).collect()
    };
    let (rows, columns) = (weights(height), weights(width));
    let mut large = Vec::with_capacity(rows.len() * columns.len() * channels);
    for &(above, below, down) in &rows {
        for &(left, next, right) in &columns {
            for channel in 0..channels {
                let value = |row: usize, column: usize| image[(row * width + column) * channels + channel];
                let line = |row: usize| value(row, left) * (1.0 - right) + value(row, next) * right;
                large.push(line(above) * (1.0 - down) + line(below) * down);
            }
        }
    }
    large
}

/// Crops the square of `side` pixels with its upper left corner at `(top, left)`.
///
/// # Panics
/// When it does not lie within the image.
pub fn cut(shape: Shape, image: &[f32], (top, left): (usize, usize), side: usize) -> Vec<f32> {
    let Shape::Image { width, .. } = shape else { panic!("{shape} cannot be cut") };
    // Number of values per pixel of `image`: spatial conditioning has other channels than the image.
    let channels = image.len() / (shape.dim() / channels_of(shape));
    let line = |row: usize| ((top + row) * width + left) * channels;
    (0..side).flat_map(|row| &image[line(row)..line(row) + side * channels]).copied().collect()
}

fn channels_of(shape: Shape) -> usize {
    match shape {
        Shape::Image { channels, .. } => channels,
        Shape::Vector { .. } => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Shape = Shape::Image { height: 2, width: 3, channels: 2 };
    const LARGE: Shape = Shape::Image { height: 4, width: 6, channels: 2 };

    #[test]
    fn a_smaller_image_holds_the_means_of_blocks() {
        let image: Vec<f32> = (0..48).map(|v| v as f32).collect();
        assert_eq!(shrunk(LARGE, 2), Some(SMALL));
        assert_eq!((shrunk(LARGE, 3), shrunk(LARGE, 0), shrunk(Shape::Vector { len: 4 }, 2)), (None, None, None));
        // Pixels 0, 1, 6 and 7 of channel 0 are 0, 2, 12 and 14.
        let small = shrink(LARGE, &image, 2);
        assert_eq!(small[..4], [7.0, 8.0, 11.0, 12.0]);
        assert_eq!(small.len(), SMALL.dim());
    }

    #[test]
    fn enlarging_keeps_planes_where_it_does_not_reach_over_the_border() {
        // Downsampling and upsampling preserves a linear function.
        let plane = |row: f32, column: f32| 3.0 * row - 2.0 * column;
        let large = Shape::Image { height: 8, width: 8, channels: 1 };
        let image: Vec<f32> = (0..64).map(|at| plane((at / 8) as f32, (at % 8) as f32)).collect();
        let small = shrink(large, &image, 2);
        let again = enlarge(Shape::Image { height: 4, width: 4, channels: 1 }, &small, 2);
        for (row, column) in (1..7).flat_map(|row| (1..7).map(move |column| (row, column))) {
            assert!((again[row * 8 + column] - image[row * 8 + column]).abs() < 1e-5);
        }
        assert_eq!(enlarge(SMALL, &[5.0; 12], 2), [5.0; 48]);
    }

    #[test]
    fn a_cut_square_is_part_of_the_image_and_of_what_lies_beside_it() {
        let image: Vec<f32> = (0..48).map(|v| v as f32).collect();
        assert_eq!(cut(LARGE, &image, (1, 2), 2), [16., 17., 18., 19., 28., 29., 30., 31.]);
        let map: Vec<f32> = (0..24).map(|v| v as f32).collect();
        assert_eq!(cut(LARGE, &map, (1, 2), 2), [8., 9., 14., 15.]);
    }
}
