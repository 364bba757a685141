//! Point charges in n dimensions: Green's function, and the potential and the field as sums of those of the charges (docs/equations.md,
//! section 2).

use std::f64::consts::PI;

use statrs::function::gamma::gamma;

use crate::latent::norm;

/// The area of the unit sphere in `n` dimensions, `2 pi^(n/2) / Gamma(n/2)`: the flux of the field `r / |r|^n`.
pub fn sphere_area(n: usize) -> f64 {
    let half = 0.5 * n as f64;
    2.0 * PI.powf(half) / gamma(half)
}

/// Green's function of Poisson's equation in `n` dimensions: the potential of a unit charge at a distance above 0.
///
/// It is `1 / ((n-2) A |r|^(n-2))` with the area A of the unit sphere, `-ln |r| / (2 pi)` if n = 2, and `-|r| / 2` if n = 1.
///
/// ```
/// use pfgm_flow::coulomb::green;
///
/// assert!((green(3, 2.0) - 1.0 / (8.0 * std::f64::consts::PI)).abs() < 1e-15);
/// ```
pub fn green(n: usize, distance: f64) -> f64 {
    match n {
        1 => -0.5 * distance,
        2 => -distance.ln() / (2.0 * PI),
        _ => distance.powi(2 - n as i32) / ((n as f64 - 2.0) * sphere_area(n)),
    }
}

/// Point charges with their amounts.
#[derive(Clone, Debug, PartialEq)]
pub struct PointCharges {
    n: usize,
    places: Vec<f64>,
    amounts: Vec<f64>,
}

impl PointCharges {
    /// Creates charges in a space of `n` dimensions.
    ///
    /// # Shapes
    /// `places`: `[charges, n]`, `amounts`: `[charges]`
    ///
    /// # Panics
    /// If there is not one place for each amount, or n = 0.
    pub fn new(n: usize, places: Vec<f64>, amounts: Vec<f64>) -> Self {
        assert!(n > 0 && places.len() == n * amounts.len(), "places are rows of {n}, one for each amount");
        Self { n, places, amounts }
    }

    /// Replaces a density on an interval by `count` charges: each is the integral of the density over one of the equal parts, at its middle.
    /// The charges lie on the first axis of a space of `n` dimensions.
    pub fn of_density(n: usize, density: impl Fn(f64) -> f64, (low, high): (f64, f64), count: usize) -> Self {
        let width = (high - low) / count as f64;
        let middle = |part: usize| low + (part as f64 + 0.5) * width;
        let places = (0..count)
            .flat_map(|part| {
                let mut place = vec![0.0; n];
                place[0] = middle(part);
                place
            })
            .collect();
        // Simpson's rule in each part.
        let amount =
            |at: f64| width / 6.0 * (density(at - 0.5 * width) + 4.0 * density(at) + density(at + 0.5 * width));
        Self::new(n, places, (0..count).map(|part| amount(middle(part))).collect())
    }

    /// The places, `[charges, n]`.
    pub fn places(&self) -> &[f64] {
        &self.places
    }

    /// The amounts.
    pub fn amounts(&self) -> &[f64] {
        &self.amounts
    }

    /// The potential of each charge at a point.
    pub fn potentials(&self, at: &[f64]) -> Vec<f64> {
        self.vectors(at).map(|(from, amount)| amount * green(self.n, norm(&from))).collect()
    }

    /// The potential of all charges at a point: the sum of theirs.
    pub fn potential(&self, at: &[f64]) -> f64 {
        self.potentials(at).iter().sum()
    }

    /// The field of each charge at a point, `[charges, n]`: `q r / (A |r|^n)`.
    pub fn fields(&self, at: &[f64]) -> Vec<f64> {
        let area = sphere_area(self.n);
        self.vectors(at)
            .flat_map(|(from, amount)| {
                let factor = amount / (area * norm(&from).powi(self.n as i32));
                from.into_iter().map(move |value| factor * value)
            })
            .collect()
    }

    /// The field of all charges at a point, minus the gradient of the potential.
    pub fn field(&self, at: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.n];
        for field in self.fields(at).chunks_exact(self.n) {
            sum.iter_mut().zip(field).for_each(|(sum, value)| *sum += value);
        }
        sum
    }

    /// The vector from each charge to a point, and the amount.
    fn vectors<'a>(&'a self, at: &'a [f64]) -> impl Iterator<Item = (Vec<f64>, f64)> + 'a {
        let charges = self.places.chunks_exact(self.n).zip(&self.amounts);
        charges.map(move |(place, amount)| (at.iter().zip(place).map(|(x, y)| x - y).collect(), *amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{extra_dims::ExtraDims, field::ExactField};

    #[test]
    fn the_areas_of_spheres_are_known() {
        for (n, area) in [(1, 2.0), (2, 2.0 * PI), (3, 4.0 * PI), (4, 2.0 * PI * PI)] {
            assert!((sphere_area(n) / area - 1.0).abs() < 1e-12, "{n}");
        }
    }

    #[test]
    fn the_field_is_the_gradient_and_has_no_divergence_off_the_charges() {
        for n in 1..6 {
            let place = |index: usize| (0..n).map(|axis| ((index * 7 + axis * 3) as f64).sin()).collect::<Vec<_>>();
            let charges = PointCharges::new(n, (0..4).flat_map(place).collect(), vec![1.0, 2.0, 0.5, -0.75]);
            let at: Vec<f64> = (0..n).map(|axis| 1.7 + 0.3 * axis as f64).collect();
            let moved = |axis: usize, by: f64| {
                let mut at = at.clone();
                at[axis] += by;
                at
            };
            let (field, h) = (charges.field(&at), 1e-4);
            let mut divergence = 0.0;
            for (axis, value) in field.iter().enumerate() {
                let slope = (charges.potential(&moved(axis, h)) - charges.potential(&moved(axis, -h))) / (2.0 * h);
                assert!((value + slope).abs() < 1e-8, "n = {n}: {value} and {slope}");
                divergence +=
                    (charges.field(&moved(axis, h))[axis] - charges.field(&moved(axis, -h))[axis]) / (2.0 * h);
            }
            assert!(divergence.abs() < 1e-7, "n = {n}: {divergence}");
        }
    }

    #[test]
    fn the_sum_is_the_library_field() {
        let places = [0.5, 0.25, -1.0, 0.75, 0.25, -0.5];
        let raised: Vec<f64> = places.chunks_exact(2).flat_map(|y| [y[0], y[1], 0.0]).collect();
        let sum = PointCharges::new(3, raised, vec![1.0; 3]).field(&[0.3, -0.4, 0.6]);
        let field = ExactField::new(places.to_vec(), 2, ExtraDims::Finite(1.0));
        let strength = 3.0 / (4.0 * PI) * field.log_strength(&[0.3, -0.4], 0.6).exp();
        let direction = field.field(&[0.3, -0.4], 0.6);
        for (sum, e) in sum.iter().zip(&direction) {
            assert!((sum - strength * e / norm(&direction)).abs() < 1e-12);
        }
    }

    #[test]
    fn many_charges_converge_to_the_integral() {
        // In space, a uniform density on [a, b] seen at height z: asinh((x-a)/z) - asinh((x-b)/z), divided by 4 pi.
        let (low, high, x, z) = (-1.0_f64, 1.0_f64, 0.35_f64, 0.4_f64);
        let integral = (((x - low) / z).asinh() - ((x - high) / z).asinh()) / (4.0 * PI);
        let error = |count| {
            let charges = PointCharges::of_density(3, |_| 1.0, (low, high), count);
            assert!((charges.amounts().iter().sum::<f64>() - 2.0).abs() < 1e-12);
            (charges.potential(&[x, 0.0, z]) / integral - 1.0).abs()
        };
        assert!(error(4) > 1e-3 && error(400) < 1e-6, "{} {}", error(4), error(400));
        let order = (error(50) / error(100)).log2();
        assert!((order - 2.0).abs() < 0.05, "{order}");
    }
}
