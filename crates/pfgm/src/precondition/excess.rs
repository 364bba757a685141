//! How much noisier a point looks than any data do.

use pfgm_data::Shape;

/// The part of a point that shows its noise.
///
/// Images differ little from pixel to pixel, and noise does: their finest details tell noise a tenth as large as the image from
/// none, where the norm cannot tell noise from brightness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Excess {
    /// The whole of it.
    Norm {
        /// The largest root mean square of a row of the data.
        reach: f64,
    },
    /// What is left of an image when each square of four pixels loses its mean.
    Details {
        /// Height, width and channels.
        size: [usize; 3],
        /// The largest root mean square of an image of the data.
        reach: f64,
    },
}

impl Excess {
    /// The mean square of the part, less the most that data have of it: the square of the noise's standard deviation, where it
    /// is large.
    pub fn of<T: Copy + Into<f64>>(self, x: &[T]) -> f64 {
        match self {
            Self::Norm { reach } => mean_square(x) - reach * reach,
            Self::Details { size, reach } => details(size, x) - reach * reach,
        }
    }

    /// Adds the gradient of [`Excess::of`], so many times.
    pub fn add_gradient(self, x: &[f64], times: f64, point: &mut [f64]) {
        match self {
            Self::Norm { .. } => {
                let factor = 2.0 * times / x.len() as f64;
                point.iter_mut().zip(x).for_each(|(point, x)| *point += factor * x);
            }
            Self::Details { size, .. } => {
                let factor = 2.0 * times / freedoms(size);
                squares(size, |square| {
                    let mean = square.iter().map(|&at| x[at]).sum::<f64>() / 4.0;
                    square.iter().for_each(|&at| point[at] += factor * (x[at] - mean));
                });
            }
        }
    }
}

/// The mean square of values.
pub fn mean_square<T: Copy + Into<f64>>(x: &[T]) -> f64 {
    x.iter().map(|&value| value.into() * value.into()).sum::<f64>() / x.len() as f64
}

/// The mean square of an image's finest details: standard normal noise has 1.
///
/// # Shapes
/// `x`: `[height, width, channels]`, of at least two by two pixels; what is left over of odd sides is not looked at
pub fn details<T: Copy + Into<f64>>(size: [usize; 3], x: &[T]) -> f64 {
    let mut total = 0.0;
    squares(size, |square| {
        let values = square.map(|at| x[at].into());
        let mean = values.iter().sum::<f64>() / 4.0;
        total += values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    });
    total / freedoms(size)
}

/// Height, width and channels of images that have details: squares of four pixels.
pub fn detailed(shape: Shape) -> Option<[usize; 3]> {
    match shape {
        Shape::Image { height, width, channels } if height > 1 && width > 1 => Some([height, width, channels]),
        Shape::Image { .. } | Shape::Vector { .. } => None,
    }
}

/// How many values details have: three of every four.
fn freedoms([height, width, channels]: [usize; 3]) -> f64 {
    (3 * (height / 2) * (width / 2) * channels) as f64
}

/// Visits all squares of four pixels.
fn squares([height, width, channels]: [usize; 3], mut visit: impl FnMut([usize; 4])) {
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
    fn noise_shows_in_details_and_brightness_does_not() {
        // A bright slope, and a board of single pixels upon it.
        let image = |noise: f64| -> Vec<f64> {
            let sign = |at: usize| if (at / 5 + at % 5).is_multiple_of(2) { 1.0 } else { -1.0 };
            (0..20).map(|at| 0.9 + 0.01 * at as f64 + noise * sign(at)).collect()
        };
        let of = |noise: f64| details([4, 5, 1], &image(noise));
        // A step of 0.01 across and of 0.05 down: 4 (0.005^2 + 0.025^2) in three values.
        assert!((of(0.0) - 4.0 * (0.005_f64.powi(2) + 0.025_f64.powi(2)) / 3.0).abs() < 1e-12);
        // The board is one of three.
        assert!((of(0.3) - of(0.0) - 4.0 * 0.09 / 3.0).abs() < 1e-12);
        let excess = Excess::Details { size: [4, 5, 1], reach: 0.1 };
        assert!(excess.of(&image(0.0)) < 0.0 && excess.of(&image(0.3)) > 0.1);
    }

    #[test]
    fn gradients_are_those_of_differences() {
        let x: Vec<f64> = (0..30).map(|at| (at as f64).sin()).collect();
        for excess in [Excess::Norm { reach: 0.5 }, Excess::Details { size: [3, 5, 2], reach: 0.5 }] {
            let mut gradient = vec![0.0; 30];
            excess.add_gradient(&x, 1.0, &mut gradient);
            for at in 0..30 {
                let moved = |by: f64| {
                    let mut x = x.clone();
                    x[at] += by;
                    excess.of(&x)
                };
                assert!(((moved(1e-4) - moved(-1e-4)) / 2e-4 - gradient[at]).abs() < 1e-8);
            }
        }
    }
}
