//! The far hemisphere, as numbers that can be tested.
//!
//! From far away every set of charges is one charge, whose field lines leave evenly in all directions of the N + D
//! dimensions. So with `u = r / |(x, r)|` the square of `u` follows a beta distribution, `u^2 ~ Beta(D/2, N/2)`; at N = 2
//! and D = 1 the height `u` itself is uniform (Archimedes). For infinite D, `|x|^2 / sigma^2 ~ chi2_N`. The points of the
//! prior (docs/equations.md, section 4) obey the same law, for they are the hemisphere projected.

use std::f64::consts::PI;

use statrs::function::{beta::beta_reg, gamma::gamma_ur};

use crate::extra_dims::ExtraDims;

/// Coordinates of points on the hemisphere: both are uniform on [0, 1] if and only if the points are uniform.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Angles {
    /// The share of the hemisphere that is lower than the point; if N = 1, the share to the left of the point.
    pub height: Vec<f64>,
    /// The angle of the first two coordinates, in turns from -x; empty if N = 1.
    pub azimuth: Vec<f64>,
}

/// The angles of points at noise level `sigma`, seen from `center`.
///
/// # Shapes
/// `x`: `[points, center.len()]`
pub fn angles(extra_dims: ExtraDims, center: &[f64], x: &[f64], sigma: f64) -> Angles {
    let dim = center.len();
    let mut angles = Angles::default();
    for row in x.chunks_exact(dim) {
        let from = |axis: usize| row[axis] - center[axis];
        let squared: f64 = (0..dim).map(|axis| from(axis).powi(2)).sum();
        let lower = share_below(extra_dims, dim, squared / (sigma * sigma));
        if dim == 1 {
            angles.height.push(if from(0) < 0.0 { 0.5 * lower } else { 1.0 - 0.5 * lower });
        } else {
            angles.height.push(lower);
            angles.azimuth.push(from(1).atan2(from(0)) / (2.0 * PI) + 0.5);
        }
    }
    angles
}

/// The share of the hemisphere that is lower than a point with `|x|^2 / sigma^2 = ratio`.
pub fn share_below(extra_dims: ExtraDims, dim: usize, ratio: f64) -> f64 {
    let n = dim as f64;
    match extra_dims {
        ExtraDims::Finite(d) => beta_reg(d / 2.0, n / 2.0, (d / (ratio + d)).clamp(0.0, 1.0)),
        ExtraDims::Infinite => gamma_ur(n / 2.0, ratio / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_are_archimedes_and_the_gaussian_limit() {
        // N = 2, D = 1: u itself.
        for u in [0.1, 0.5, 0.9] {
            let ratio = 1.0 / (u * u) - 1.0;
            assert!((share_below(ExtraDims::Finite(1.0), 2, ratio) - u).abs() < 1e-12);
        }
        // N = 1, D = 1: the angle above the horizon.
        assert!((share_below(ExtraDims::Finite(1.0), 1, 1.0) - 0.5).abs() < 1e-12);
        // N = 2: exp(-ratio/2) in the limit.
        for ratio in [0.3, 2.0, 7.0] {
            let limit = share_below(ExtraDims::Infinite, 2, ratio);
            assert!((limit - (-0.5 * ratio).exp()).abs() < 1e-12);
            assert!((share_below(ExtraDims::Finite(1e6), 2, ratio) - limit).abs() < 1e-5);
        }
    }

    #[test]
    fn one_dimension_has_a_left_and_a_right() {
        let found = angles(ExtraDims::Finite(1.0), &[1.0], &[0.0, 1.0, 2.0], 1.0);
        assert!(found.azimuth.is_empty());
        for (found, expected) in found.height.iter().zip([0.25, 0.5, 0.75]) {
            assert!((found - expected).abs() < 1e-12, "{found}");
        }
    }
}
