//! Affine transforms of images: rotation, scaling, translation, reflection.

use crate::Shape;

/// `p -> matrix p + shift`, in pixels from the center of an image: x to the right, y down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Rows of the linear part.
    pub matrix: [[f64; 2]; 2],
    /// Translation, `[x, y]`.
    pub shift: [f64; 2],
}

impl Affine {
    /// The identity.
    pub const IDENTITY: Self = Self { matrix: [[1.0, 0.0], [0.0, 1.0]], shift: [0.0, 0.0] };

    /// Returns a scaling along both axes.
    pub fn stretch(x: f64, y: f64) -> Self {
        Self { matrix: [[x, 0.0], [0.0, y]], shift: [0.0, 0.0] }
    }

    /// Returns a rotation by an angle in radians, from x towards y.
    pub fn turn(angle: f64) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self { matrix: [[cos, -sin], [sin, cos]], shift: [0.0, 0.0] }
    }

    /// Returns a translation.
    pub fn shift(x: f64, y: f64) -> Self {
        Self { shift: [x, y], ..Self::IDENTITY }
    }

    /// Returns the composition: this map, then `next`.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        let [[a, b], [c, d]] = self.matrix;
        let column = |p: [f64; 2]| next.linear(p);
        let ([xx, yx], [xy, yy]) = (column([a, c]), column([b, d]));
        let [x, y] = next.linear(self.shift);
        Self { matrix: [[xx, xy], [yx, yy]], shift: [x + next.shift[0], y + next.shift[1]] }
    }

    fn linear(self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [[a, b], [c, d]] = self.matrix;
        [a * x + b * y, c * x + d * y]
    }

    /// Returns the inverse.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn inverse(self) -> Self {
        let [[a, b], [c, d]] = self.matrix;
        let area = a * d - b * c;
        assert!(area != 0.0, "an affine map that flattens the plane has no inverse");
        let matrix = [[d / area, -b / area], [-c / area, a / area]];
        let back = Self { matrix, shift: [0.0, 0.0] };
        let [x, y] = back.linear(self.shift);
        Self { matrix, shift: [-x, -y] }
    }
}

/// Lobes of the windowed sinc.
const LOBES: f64 = 3.0;

/// Lanczos kernel, a windowed sinc: 1 at 0, 0 at other integers.
fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| {
        let angle = std::f64::consts::PI * x;
        if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle }
    };
    if x.abs() < LOBES { sinc(x) * sinc(x / LOBES) } else { 0.0 }
}

/// Returns the pixel at an index beyond the border, where the image is reflected around its last pixel.
fn mirrored(at: i64, len: usize) -> usize {
    let last = len as i64 - 1;
    if last == 0 {
        return 0;
    }
    let at = at.rem_euclid(2 * last);
    at.min(2 * last - at) as usize
}

/// Replaces `taps` by the pixels around a position on an axis and their weights; `spread` is 1, or larger if the image shrinks.
fn find_taps(taps: &mut Vec<(usize, f64)>, place: f64, spread: f64, len: usize) {
    let (first, last) = ((place - LOBES * spread).ceil() as i64, (place + LOBES * spread).floor() as i64);
    let weights = (first..=last).map(|at| (mirrored(at, len), lanczos((at as f64 - place) / spread)));
    taps.clear();
    taps.extend(weights.filter(|&(_, weight)| weight != 0.0));
}

impl Affine {
    /// Transforms an image with Lanczos resampling and reflection at the borders.
    ///
    /// # Shapes
    /// `image` and the result: rows of `shape`
    ///
    /// # Panics
    /// When `shape` is no image, or the map flattens it.
    pub fn apply(self, shape: Shape, image: &[f32]) -> Vec<f32> {
        let Shape::Image { height, width, channels } = shape else { panic!("{shape} is no image") };
        let back = self.inverse();
        let center = [(width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0];
        let [[a, b], [c, d]] = back.matrix;
        let spread = (a * d - b * c).abs().sqrt().max(1.0);
        let mut result = vec![0.0_f32; image.len()];
        let mut sum = vec![0.0_f64; channels];
        let (mut columns, mut rows) = (Vec::new(), Vec::new());
        for (pixel, out) in result.chunks_exact_mut(channels).enumerate() {
            let [x, y] = back.linear([(pixel % width) as f64 - center[0], (pixel / width) as f64 - center[1]]);
            find_taps(&mut columns, x + back.shift[0] + center[0], spread, width);
            find_taps(&mut rows, y + back.shift[1] + center[1], spread, height);
            let mut total = 0.0;
            sum.fill(0.0);
            for &(row, of_row) in &rows {
                for &(column, of_column) in &columns {
                    let weight = of_row * of_column;
                    total += weight;
                    let from = &image[(row * width + column) * channels..][..channels];
                    sum.iter_mut().zip(from).for_each(|(sum, &value)| *sum += weight * f64::from(value));
                }
            }
            out.iter_mut().zip(&sum).for_each(|(out, sum)| *out = (sum / total) as f32);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flip_horizontally;

    const SHAPE: Shape = Shape::Image { height: 6, width: 5, channels: 2 };

    fn image() -> Vec<f32> {
        (0..60).map(|at| ((at * 37) % 23) as f32 - 11.0).collect()
    }

    fn assert_close(a: &[f32], b: &[f32]) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} against {b:?}");
    }

    #[test]
    fn mirroring_and_moving_by_whole_pixels_are_exact() {
        let mut flipped = image();
        flip_horizontally(SHAPE, &mut flipped);
        assert_close(&Affine::stretch(-1.0, 1.0).apply(SHAPE, &image()), &flipped);
        assert_close(&Affine::IDENTITY.apply(SHAPE, &image()), &image());
        // One to the right and two down.
        let moved = Affine::shift(1.0, 2.0).apply(SHAPE, &image());
        for row in 2..6 {
            assert_close(&moved[(row * 5 + 1) * 2..(row + 1) * 10], &image()[(row - 2) * 10..(row - 2) * 10 + 8]);
        }
    }

    #[test]
    fn lines_of_pixels_are_images_too() {
        for shape in
            [Shape::Image { height: 1, width: 6, channels: 1 }, Shape::Image { height: 6, width: 1, channels: 1 }]
        {
            let line = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
            let turned = Affine::turn(std::f64::consts::PI).apply(shape, &line);
            assert_close(&turned, &[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
            assert!(Affine::turn(0.3).then(Affine::shift(0.4, 2.3)).apply(shape, &line).iter().all(|v| v.is_finite()));
        }
    }

    #[test]
    fn maps_follow_one_another() {
        let map = Affine::stretch(1.2, 0.9).then(Affine::turn(0.4)).then(Affine::shift(1.0, -0.5));
        let [x, y] = map.linear([2.0, 1.0]);
        let (sin, cos) = 0.4_f64.sin_cos();
        assert!((x + map.shift[0] - (2.4 * cos - 0.9 * sin + 1.0)).abs() < 1e-12);
        assert!((y + map.shift[1] - (2.4 * sin + 0.9 * cos - 0.5)).abs() < 1e-12);
        let nothing = map.then(map.inverse());
        let parts = [nothing.matrix[0], nothing.matrix[1], nothing.shift];
        for (found, wanted) in parts.iter().flatten().zip([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]) {
            assert!((found - wanted).abs() < 1e-12);
        }
    }

    #[test]
    fn a_smooth_image_turns_smoothly() {
        // A blob beside the center goes where the map says, and keeps its height.
        let shape = Shape::Image { height: 33, width: 33, channels: 1 };
        let blob = |cx: f64, cy: f64| -> Vec<f32> {
            let value = |at: usize| {
                let (x, y) = ((at % 33) as f64 - 16.0 - cx, (at / 33) as f64 - 16.0 - cy);
                (-(x * x + y * y) / 18.0).exp() as f32
            };
            (0..33 * 33).map(value).collect()
        };
        let (sin, cos) = 0.7_f64.sin_cos();
        let turned = Affine::turn(0.7).apply(shape, &blob(5.0, 1.0));
        let expected = blob(5.0 * cos - sin, 5.0 * sin + cos);
        // Corners come from beyond the border, where the blob's mirror image is.
        let inside = |at: &usize| (at % 33).abs_diff(16).pow(2) + (at / 33).abs_diff(16).pow(2) <= 16 * 16;
        let error = (0..33 * 33).filter(inside).map(|at| (turned[at] - expected[at]).abs()).fold(0.0, f32::max);
        assert!(error < 4e-3, "{error}");
        // Half the size: half the width of the blob, brightness as before.
        let small = Affine::stretch(0.5, 0.5).apply(shape, &blob(0.0, 0.0));
        assert!((small[16 * 33 + 16] - 1.0).abs() < 0.1 && (small[16 * 33 + 19] - (-2.0_f32).exp()).abs() < 0.05);
    }
}
