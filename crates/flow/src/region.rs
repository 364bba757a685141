//! Regions of the plane, and the probability within them.

/// A point in the plane.
pub type Point = [f64; 2];

/// Whether a point lies inside a closed polygon (even-odd rule).
pub fn contains(outline: &[Point], [x, y]: Point) -> bool {
    crossings(outline, y).iter().filter(|crossing| **crossing < x).count() % 2 == 1
}

/// The integral of a density over the inside of a closed polygon.
///
/// The polygon is cut into `rows` strips of equal height; along each, the integral runs exactly from edge to edge, in about `rows` points.
///
/// ```
/// let square = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
/// let integral = pfgm_flow::region::integral(&square, 100, |[x, y]| x * y);
/// assert!((integral - 0.25).abs() < 1e-5);
/// ```
pub fn integral(outline: &[Point], rows: usize, density: impl Fn(Point) -> f64) -> f64 {
    let ends = |axis: usize| {
        outline.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p[axis]), high.max(p[axis])))
    };
    let ((left, right), (low, high)) = (ends(0), ends(1));
    if !(left < right && low < high) {
        return 0.0;
    }
    let (height, most) = ((high - low) / rows as f64, (right - left) / rows as f64);
    let strip = |row: usize| {
        let y = low + (row as f64 + 0.5) * height;
        let crossings = crossings(outline, y);
        let inside = crossings.chunks_exact(2).map(|pair| {
            let parts = ((pair[1] - pair[0]) / most).ceil().max(1.0);
            let width = (pair[1] - pair[0]) / parts;
            (0..parts as usize).map(|part| width * density([pair[0] + (part as f64 + 0.5) * width, y])).sum::<f64>()
        });
        height * inside.sum::<f64>()
    };
    (0..rows).map(strip).sum()
}

/// Where the outline crosses a horizontal line, from left to right.
fn crossings(outline: &[Point], y: f64) -> Vec<f64> {
    let next = outline.iter().cycle().skip(1);
    let mut crossings: Vec<f64> = outline
        .iter()
        .zip(next)
        .filter(|(a, b)| (a[1] <= y) != (b[1] <= y))
        .map(|(a, b)| a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]))
        .collect();
    crossings.sort_by(f64::total_cmp);
    crossings
}

/// A circle as a closed polygon.
pub fn circle([x, y]: Point, radius: f64, corners: usize) -> Vec<Point> {
    let turn = |corner: usize| 2.0 * std::f64::consts::PI * corner as f64 / corners as f64;
    (0..corners).map(|corner| [x + radius * turn(corner).cos(), y + radius * turn(corner).sin()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{extra_dims::ExtraDims, field::ExactField};

    #[test]
    fn a_star_has_its_inside() {
        let star: Vec<Point> = (0..10)
            .map(|corner| {
                let (radius, turn) =
                    (if corner % 2 == 0 { 2.0 } else { 0.8 }, 0.2 * f64::from(corner) * std::f64::consts::PI);
                [radius * turn.cos(), radius * turn.sin()]
            })
            .collect();
        assert!(contains(&star, [1.9, 0.0]) && contains(&star, [0.0, 0.0]) && !contains(&star, [-1.9, 0.0]));
        // The shoelace formula.
        let area: f64 =
            star.iter().zip(star.iter().cycle().skip(1)).map(|(a, b)| 0.5 * (a[0] * b[1] - a[1] * b[0])).sum();
        assert!((integral(&star, 400, |_| 1.0) / area - 1.0).abs() < 1e-4);
        assert_eq!(integral(&[[0.0, 0.0], [1.0, 0.0]], 10, |_| 1.0), 0.0);
    }

    #[test]
    fn the_mass_of_a_kernel_in_a_disc_is_known() {
        // One charge in the plane at D = 1: P(|x| < a) = 1 - 1/sqrt(1 + a^2/z^2).
        let field = ExactField::new(vec![0.5, -0.2], 2, ExtraDims::Finite(1.0));
        for (a, z) in [(0.3, 0.2), (1.0, 0.2), (2.0, 3.0)] {
            let disc = circle([0.5, -0.2], a, 400);
            let mass = integral(&disc, 200, |x| field.log_density(&x, z).exp());
            let known = 1.0 - 1.0 / (1.0_f64 + a * a / (z * z)).sqrt();
            assert!((mass / known - 1.0).abs() < 2e-4, "{mass} of {known}");
        }
    }
}
