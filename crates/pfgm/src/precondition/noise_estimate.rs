//! Estimate of the noise in a point from the point itself.

use pfgm_data::Shape;

/// How the noise in a point is estimated without its noise level.
///
/// Neighboring pixels of an image are alike, and those of noise are not. The finest details of an image therefore show noise a tenth
/// as large as the image, where its norm cannot tell noise from brightness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoiseEstimate {
    /// By the norm of the point.
    Norm {
        /// Largest root mean square of a row of the data.
        max_row_rms: f64,
    },
    /// By what remains of an image when the mean of each block of 2x2 pixels is subtracted.
    Details {
        /// Height, width and channels.
        size: [usize; 3],
        /// Largest root mean square of these details in the data.
        detail_rms: f64,
    },
}

impl NoiseEstimate {
    /// Estimated variance of the noise in `x`: a mean square, minus the largest of the data. Negative if the data look as noisy.
    pub fn variance<T: Copy + Into<f64>>(self, x: &[T]) -> f64 {
        match self {
            Self::Norm { max_row_rms } => mean_square(x) - max_row_rms * max_row_rms,
            Self::Details { size, detail_rms } => detail_mean_square(size, x) - detail_rms * detail_rms,
        }
    }

    /// Adds `times` the gradient of [`NoiseEstimate::variance`] to `point`.
    pub fn add_gradient(self, x: &[f64], times: f64, point: &mut [f64]) {
        match self {
            Self::Norm { .. } => {
                let factor = 2.0 * times / x.len() as f64;
                point.iter_mut().zip(x).for_each(|(point, x)| *point += factor * x);
            }
            Self::Details { size, .. } => {
                let factor = 2.0 * times / detail_count(size);
                for_each_block(size, |square| {
                    let mean = square.iter().map(|&at| x[at]).sum::<f64>() / 4.0;
                    square.iter().for_each(|&at| point[at] += factor * (x[at] - mean));
                });
            }
        }
    }
}

/// Mean square of values.
pub fn mean_square<T: Copy + Into<f64>>(x: &[T]) -> f64 {
    x.iter().map(|&value| value.into() * value.into()).sum::<f64>() / x.len() as f64
}

/// Mean square of an image's finest details: 1 for standard normal noise.
///
/// # Shapes
/// `x`: `[height, width, channels]`, at least 2x2 pixels. The last row or column of an odd side is ignored.
pub fn detail_mean_square<T: Copy + Into<f64>>(size: [usize; 3], x: &[T]) -> f64 {
    let mut total = 0.0;
    for_each_block(size, |square| {
        let values = square.map(|at| x[at].into());
        let mean = values.iter().sum::<f64>() / 4.0;
        total += values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    });
    total / detail_count(size)
}

/// Height, width and channels of images with at least one block of 2x2 pixels; `None` for other rows.
pub fn detail_size(shape: Shape) -> Option<[usize; 3]> {
    match shape {
        Shape::Image { height, width, channels } if height > 1 && width > 1 => Some([height, width, channels]),
        Shape::Image { .. } | Shape::Vector { .. } => None,
    }
}

/// Degrees of freedom of the details: three for each block of 2x2 pixels and channel.
fn detail_count([height, width, channels]: [usize; 3]) -> f64 {
    (3 * (height / 2) * (width / 2) * channels) as f64
}

/// Visits the four offsets of each block of 2x2 pixels.
fn for_each_block([height, width, channels]: [usize; 3], mut visit: impl FnMut([usize; 4])) {
    for row in 0..height / 2 {
        for column in 0..width / 2 {
            for channel in 0..channels {
                let first = ((2 * row) * width + 2 * column) * channels + channel;
                let below = first + width * channels;
                visit([first, first + channels, below, below + channels]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_show_noise_and_not_brightness() {
        // A bright slope, and a board of single pixels upon it.
        let image = |noise: f64| -> Vec<f64> {
            let sign = |at: usize| if (at / 5 + at % 5).is_multiple_of(2) { 1.0 } else { -1.0 };
            (0..20).map(|at| 0.9 + 0.01 * at as f64 + noise * sign(at)).collect()
        };
        let of = |noise: f64| detail_mean_square([4, 5, 1], &image(noise));
        // A step of 0.01 across and of 0.05 down: 4 (0.005^2 + 0.025^2) in three values.
        assert!((of(0.0) - 4.0 * (0.005_f64.powi(2) + 0.025_f64.powi(2)) / 3.0).abs() < 1e-12);
        // The board is one of three.
        assert!((of(0.3) - of(0.0) - 4.0 * 0.09 / 3.0).abs() < 1e-12);
        let estimate = NoiseEstimate::Details { size: [4, 5, 1], detail_rms: 0.1 };
        assert!(estimate.variance(&image(0.0)) < 0.0 && estimate.variance(&image(0.3)) > 0.1);
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let x: Vec<f64> = (0..30).map(|at| (at as f64).sin()).collect();
        for estimate in
            [NoiseEstimate::Norm { max_row_rms: 0.5 }, NoiseEstimate::Details { size: [3, 5, 2], detail_rms: 0.5 }]
        {
            let mut gradient = vec![0.0; 30];
            estimate.add_gradient(&x, 1.0, &mut gradient);
            for at in 0..30 {
                let moved = |by: f64| {
                    let mut x = x.clone();
                    x[at] += by;
                    estimate.variance(&x)
                };
                assert!(((moved(1e-4) - moved(-1e-4)) / 2e-4 - gradient[at]).abs() < 1e-8);
            }
        }
    }
}
