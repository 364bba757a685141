//! Synthetic point sets in the plane, reproducible from a seed.

use std::{f32::consts::PI, path::Path};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{ChiSquared, Distribution, StandardNormal};

use crate::{Dataset, Shape, Values};

/// The degrees of freedom of `student-t`: a variance exists, a fourth moment does not.
pub const DEGREES: f64 = 3.0;

/// The names of the sets of this module.
pub const NAMES: [&str; 8] =
    ["heart", "disk", "spiral", "checkerboard", "two-moons", "swiss-roll-2d", "gaussian", "student-t"];

type Draw = fn(&mut ChaCha8Rng) -> [f32; 2];

fn draw_of(name: &str) -> Option<Draw> {
    Some(match name {
        "heart" => in_heart,
        "disk" => in_disk,
        "spiral" => on_spiral,
        "checkerboard" => in_dark_square,
        "two-moons" => on_moon,
        "swiss-roll-2d" => on_roll,
        "gaussian" => from_gaussian,
        "student-t" => from_student_t,
        _ => return None,
    })
}

fn points(draw: Draw, n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).flat_map(|_| draw(&mut rng)).collect()
}

/// Returns `n` points of the set with this name (see [`NAMES`]) as a table with the columns x and y; `None` if there is no such set.
///
/// # Panics
/// If `n` is 0.
pub fn table(name: &str, n: usize, seed: u64) -> Option<Dataset> {
    let values = points(draw_of(name)?, n, seed);
    let mut set = Dataset::new(Path::new(name), Shape::Vector { len: 2 }, Values::Floats(values), None, None)
        .expect("at least one point");
    set.columns = vec!["x".into(), "y".into()];
    Some(set)
}

/// Draws points uniformly from the heart `(x^2 + y^2 - 1)^3 <= x^2 y^3`.
///
/// # Shapes
/// Returns `[n, 2]`, row after row; the other sets of this module do the same.
///
/// ```
/// let rows = pfgm_data::generate::heart(100, 0);
/// assert_eq!(rows.len(), 200);
/// assert!(rows.chunks(2).all(|p| pfgm_data::generate::inside_heart(p[0], p[1])));
/// ```
pub fn heart(n: usize, seed: u64) -> Vec<f32> {
    points(in_heart, n, seed)
}

/// Draws points uniformly from the unit disk.
pub fn disk(n: usize, seed: u64) -> Vec<f32> {
    points(in_disk, n, seed)
}

/// Draws points along two spiral arms of one and a quarter turn, with normal noise of standard deviation 0.02.
pub fn spiral(n: usize, seed: u64) -> Vec<f32> {
    points(on_spiral, n, seed)
}

/// Draws points uniformly from the eight dark squares of a board of four by four squares on `[-1, 1]^2`.
pub fn checkerboard(n: usize, seed: u64) -> Vec<f32> {
    points(in_dark_square, n, seed)
}

/// Draws points from two interleaved half circles around the origin, with normal noise of standard deviation 0.04.
pub fn two_moons(n: usize, seed: u64) -> Vec<f32> {
    points(on_moon, n, seed)
}

/// Draws points from the cross-section of the Swiss roll, with normal noise of standard deviation 0.02.
pub fn swiss_roll(n: usize, seed: u64) -> Vec<f32> {
    points(on_roll, n, seed)
}

/// Draws points from a normal distribution with standard deviation 1/2.
pub fn gaussian(n: usize, seed: u64) -> Vec<f32> {
    points(from_gaussian, n, seed)
}

/// Draws points from a Student-t distribution with scale 1/2 and [`DEGREES`] degrees of freedom.
pub fn student_t(n: usize, seed: u64) -> Vec<f32> {
    points(from_student_t, n, seed)
}

/// Whether a point lies in the heart of [`heart`].
pub fn inside_heart(x: f32, y: f32) -> bool {
    (x * x + y * y - 1.0).powi(3) <= x * x * y * y * y
}

fn in_heart(rng: &mut ChaCha8Rng) -> [f32; 2] {
    loop {
        let (x, y): (f32, f32) = (rng.random_range(-1.2..1.2), rng.random_range(-1.1..1.3));
        if inside_heart(x, y) {
            return [x, y];
        }
    }
}

/// The unit disk, evenly.
fn in_disk(rng: &mut ChaCha8Rng) -> [f32; 2] {
    loop {
        let (x, y): (f32, f32) = (rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
        if x * x + y * y <= 1.0 {
            return [x, y];
        }
    }
}

/// Two arms of one and a quarter turn, evenly along their length, with a little noise.
fn on_spiral(rng: &mut ChaCha8Rng) -> [f32; 2] {
    // The square root makes equal steps nearly equal lengths.
    let angle = 2.5 * PI * rng.random_range(0.015_f32..1.0).sqrt();
    let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    let radius = side * angle / (2.5 * PI);
    noisy([radius * angle.cos(), radius * angle.sin()], 0.02, rng)
}

/// The eight dark squares of a board of four by four on `[-1, 1]^2`, evenly.
fn in_dark_square(rng: &mut ChaCha8Rng) -> [f32; 2] {
    let (row, pair) = (rng.random_range(0..4_u8), rng.random_range(0..2_u8));
    let column = 2 * pair + row % 2;
    let (x, y): (f32, f32) = (rng.random_range(0.0..0.5), rng.random_range(0.0..0.5));
    [-1.0 + 0.5 * f32::from(column) + x, -1.0 + 0.5 * f32::from(row) + y]
}

/// Two half circles that reach into each other, with a little noise, around the origin.
fn on_moon(rng: &mut ChaCha8Rng) -> [f32; 2] {
    let angle = rng.random_range(0.0..PI);
    let (x, y) = (angle.cos(), angle.sin());
    let [x, y] = if rng.random_bool(0.5) { [x - 0.5, y - 0.25] } else { [0.5 - x, 0.25 - y] };
    noisy([0.8 * x, 0.8 * y], 0.04, rng)
}

/// The cross-section of the Swiss roll: one arm of one and a half turns, evenly in angle, with a little noise.
fn on_roll(rng: &mut ChaCha8Rng) -> [f32; 2] {
    let angle = 1.5 * PI * rng.random_range(1.0_f32..3.0);
    let radius = angle / (4.5 * PI);
    noisy([radius * angle.cos(), radius * angle.sin()], 0.02, rng)
}

/// A normal distribution of standard deviation 1/2: no edge.
fn from_gaussian(rng: &mut ChaCha8Rng) -> [f32; 2] {
    noisy([0.0; 2], 0.5, rng)
}

/// A Student-t distribution of scale 1/2 with [`DEGREES`] degrees of freedom: no edge, and far outliers.
fn from_student_t(rng: &mut ChaCha8Rng) -> [f32; 2] {
    let chi2 = ChiSquared::new(DEGREES).expect("a positive number of degrees").sample(rng);
    noisy([0.0; 2], (0.25 * DEGREES / chi2).sqrt() as f32, rng)
}

fn noisy(point: [f32; 2], scale: f32, rng: &mut impl Rng) -> [f32; 2] {
    point.map(|value| {
        let gauss: f32 = StandardNormal.sample(rng);
        value + scale * gauss
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(name: &str) -> Vec<[f32; 2]> {
        let set = table(name, 4000, 0).unwrap();
        let mut row = [0.0; 2];
        (0..set.len())
            .map(|index| {
                set.read(index, &mut row).unwrap();
                row
            })
            .collect()
    }

    fn share(name: &str, inside: impl Fn(f32, f32) -> bool) -> f64 {
        let points = drawn(name);
        points.iter().filter(|p| inside(p[0], p[1])).count() as f64 / points.len() as f64
    }

    #[test]
    fn points_lie_where_the_formula_has_them() {
        assert_eq!(share("heart", inside_heart), 1.0);
        assert_eq!(share("disk", |x, y| x.hypot(y) <= 1.0), 1.0);
        // Half of the area contains half of the points (4 standard deviations are 0.03).
        assert!((share("disk", |x, y| x.hypot(y) <= 0.5_f32.sqrt()) - 0.5).abs() < 0.03);
        let square = |v: f32| ((v + 1.0) / 0.5).floor() as i32;
        assert_eq!(share("checkerboard", |x, y| (square(x) + square(y)).rem_euclid(2) == 0), 1.0);
        assert!((share("checkerboard", |x, _| x < 0.0) - 0.5).abs() < 0.03);
        assert!((share("two-moons", |_, y| y > 0.0) - 0.5).abs() < 0.04);
        // The arm's radius tells its angle; noise of 0.02 stays below 0.1.
        let on_roll = |x: f32, y: f32| {
            let turns = (x.hypot(y) * 4.5 * PI - y.atan2(x)) / (2.0 * PI);
            (turns - turns.round()).abs() * 2.0 / 4.5 < 0.1
        };
        assert_eq!(share("swiss-roll-2d", on_roll), 1.0);
        // In the plane P(|x| > r) is exp(-2 r^2), and for Student's t (1 + 4 r^2/3)^(-3/2).
        assert!((share("gaussian", |x, y| x.hypot(y) > 0.5) - (-0.5_f64).exp()).abs() < 0.032);
        assert!((share("student-t", |x, y| x.hypot(y) > 0.5) - (4.0_f64 / 3.0).powf(-1.5)).abs() < 0.032);
        let far = 3.0;
        let tail = (1.0_f64 + 4.0 * far * far / 3.0).powf(-1.5);
        assert!((share("student-t", |x, y| f64::from(x.hypot(y)) > far) / tail - 1.0).abs() < 0.4);
        let spread = drawn("spiral").iter().map(|p| p[0].hypot(p[1])).fold(0.0, f32::max);
        assert!((0.98..1.1).contains(&spread), "{spread}");
    }

    #[test]
    fn the_same_points_every_time_and_only_known_names() {
        assert_eq!(crate::BUILT_IN[1..], NAMES);
        for name in NAMES {
            assert_eq!(table(name, 10, 0).unwrap().values, table(name, 10, 0).unwrap().values, "{name}");
        }
        assert!(table("hart", 10, 0).is_none());
    }
}
