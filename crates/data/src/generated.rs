//! Data sets that a formula makes: always the same points.

use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Dataset, Shape, Values};

/// Points spread evenly over a heart in the plane, `(x^2 + y^2 - 1)^3 <= x^2 y^3`.
pub fn heart(points: usize) -> Dataset {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut values = Vec::with_capacity(2 * points);
    while values.len() < 2 * points {
        let (x, y): (f32, f32) = (rng.random_range(-1.2..1.2), rng.random_range(-1.1..1.3));
        if inside_heart(x, y) {
            values.extend([x, y]);
        }
    }
    let shape = Shape::Vector { len: 2 };
    let mut heart = Dataset::new(Path::new("heart"), shape, Values::Floats(values), None, None)
        .expect("a heart of at least one point");
    heart.columns = vec!["x".into(), "y".into()];
    heart
}

/// Whether a point lies in the heart of [`heart`].
pub fn inside_heart(x: f32, y: f32) -> bool {
    (x * x + y * y - 1.0).powi(3) <= x * x * y * y * y
}
