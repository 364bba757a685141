//! Power-function averages of the weights, and any other of them after training (EDM2, arXiv 2312.02696; docs/equations.md, section 15).
//!
//! Step n of a training updates an average by `avg <- beta avg + (1 - beta) weights` with `beta = (1 - 1/n)^(gamma + 1)`. After t steps, the
//! weights of step n have the share `p(n) = (gamma + 1) n^gamma / t^(gamma + 1)`: the profile of the average. Its width relative to t is
//! `sigma_rel`. A training that keeps two such averages, and snapshots of both, can be given any other one later: the combination of
//! snapshots whose profile is closest to the wanted one.
//!
//! ```
//! use pfgm::power_average::{Profile, combination};
//!
//! // Snapshots of two averages, each after 100 and 200 steps.
//! let [narrow, wide] = [0.05, 0.10].map(|width| move |steps| Profile::with_width(width, steps).unwrap());
//! let kept = [narrow(100.0), wide(100.0), narrow(200.0), wide(200.0)];
//! let shares = combination(&kept, Profile::with_width(0.10, 200.0).unwrap());
//! assert!((shares[3] - 1.0).abs() < 1e-6 && shares[..3].iter().all(|share| share.abs() < 1e-6));
//! ```

/// Largest relative width: that of a uniform average (gamma = 0).
pub const MAX_WIDTH: f64 = 0.288;

/// Profile of a power-function average: the share that the weights of each step have in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Exponent of the profile.
    pub gamma: f64,
    /// Number of steps so far.
    pub steps: f64,
}

impl Profile {
    /// The profile of a relative width after a number of steps; `None` unless the width is above 0 and at most [`MAX_WIDTH`].
    pub fn with_width(sigma_rel: f64, steps: f64) -> Option<Self> {
        gamma(sigma_rel).map(|gamma| Self { gamma, steps })
    }

    /// Inner product of two profiles: the integral of their product over the steps.
    pub fn dot(self, other: Self) -> f64 {
        let (a, b) = if self.steps <= other.steps { (self, other) } else { (other, self) };
        let both = (a.gamma + 1.0) * (b.gamma + 1.0) / (a.gamma + b.gamma + 1.0);
        both * (a.steps / b.steps).powf(b.gamma) / b.steps
    }
}

/// Decay of an average in step number `step` (from 1).
pub fn decay(gamma: f64, step: u64) -> f64 {
    (1.0 - 1.0 / step.max(1) as f64).powf(gamma + 1.0)
}

/// Relative width of the profile with an exponent: its standard deviation divided by the number of steps.
pub fn width(gamma: f64) -> f64 {
    (gamma + 1.0).sqrt() / ((gamma + 2.0) * (gamma + 3.0).sqrt())
}

/// Exponent of the profile with a relative width; `None` unless the width is above 0 and at most [`MAX_WIDTH`].
pub fn gamma(sigma_rel: f64) -> Option<f64> {
    if !(sigma_rel > 1e-4 && sigma_rel <= MAX_WIDTH) {
        return None;
    }
    // The width falls with gamma from 0.2887 at 0.
    let (mut low, mut high) = (0.0, 1e8);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if width(middle) > sigma_rel {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(0.5 * (low + high))
}

/// Coefficients of the kept averages in the combination whose profile is closest to the wanted one, by least squares. They sum to 1.
///
/// # Panics
/// Panics if nothing is kept.
pub fn combination(kept: &[Profile], wanted: Profile) -> Vec<f64> {
    assert!(!kept.is_empty(), "a combination of at least one average");
    // Unit diagonal, which keeps the elimination accurate.
    let scale: Vec<f64> = kept.iter().map(|profile| profile.dot(*profile).sqrt().recip()).collect();
    let row = |i: usize| -> Vec<f64> {
        let entries = kept.iter().zip(&scale).map(|(profile, scale_j)| profile.dot(kept[i]) * scale[i] * scale_j);
        entries.chain([kept[i].dot(wanted) * scale[i]]).collect()
    };
    let mut system: Vec<Vec<f64>> = (0..kept.len()).map(row).collect();
    let shares: Vec<f64> = solve(&mut system).iter().zip(&scale).map(|(value, scale)| value * scale).collect();
    // Weights that do not change must stay as they are.
    let total: f64 = shares.iter().sum();
    shares.iter().map(|share| share / total).collect()
}

/// Relative distance of a combination's profile from the wanted one: 0 is the same profile, 1 as far as no profile at all.
pub fn mismatch(kept: &[Profile], shares: &[f64], wanted: Profile) -> f64 {
    let pairs = kept.iter().zip(shares);
    let with = |other: Profile| -> f64 { pairs.clone().map(|(profile, share)| share * profile.dot(other)).sum() };
    let own: f64 = pairs.clone().map(|(profile, share)| share * with(*profile)).sum();
    ((own - 2.0 * with(wanted)) / wanted.dot(wanted) + 1.0).max(0.0).sqrt()
}

/// Solves a linear system, whose last column is the right-hand side, by elimination with row pivoting. Equations without a usable pivot get
/// the value 0: their profile is a combination of the others.
fn solve(system: &mut [Vec<f64>]) -> Vec<f64> {
    const SMALLEST: f64 = 1e-14;
    let count = system.len();
    for column in 0..count {
        let pivot = (column..count).max_by(|&a, &b| system[a][column].abs().total_cmp(&system[b][column].abs()));
        system.swap(column, pivot.expect("rows are left"));
        let (above, below) = system.split_at_mut(column + 1);
        let pivot = &above[column];
        if pivot[column].abs() < SMALLEST {
            continue;
        }
        for row in below {
            let factor = row[column] / pivot[column];
            row.iter_mut().zip(pivot).skip(column).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    let mut solution = vec![0.0; count];
    for column in (0..count).rev() {
        let row = &system[column];
        if row[column].abs() >= SMALLEST {
            let known: f64 = (column + 1..count).map(|other| row[other] * solution[other]).sum();
            solution[column] = (row[count] - known) / row[column];
        }
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Averages of a trajectory of one weight, by their definition: after each of `at` steps.
    fn averages(gamma: f64, weight: impl Fn(f64) -> f64, at: &[u64]) -> Vec<f64> {
        let (mut average, mut found) = (0.0, Vec::new());
        for step in 1..=*at.last().unwrap() {
            let beta = decay(gamma, step);
            average = beta * average + (1.0 - beta) * weight(step as f64);
            if at.contains(&step) {
                found.push(average);
            }
        }
        found
    }

    #[test]
    fn widths_are_those_of_the_paper() {
        // EDM2, section 3.1 and appendix C: gamma of sigma_rel 0.05 and 0.10.
        assert!((gamma(0.05).unwrap() - 16.97).abs() < 0.01);
        assert!((gamma(0.10).unwrap() - 6.94).abs() < 0.01);
        assert!((width(0.0) - 12.0_f64.sqrt().recip()).abs() < 1e-12);
        assert!(gamma(0.0).is_none() && gamma(0.3).is_none() && gamma(f64::NAN).is_none());
    }

    #[test]
    fn the_inner_product_is_the_integral() {
        let (a, b) = (Profile { gamma: 6.94, steps: 300.0 }, Profile { gamma: 16.97, steps: 500.0 });
        let p = |profile: Profile, t: f64| {
            (profile.gamma + 1.0) * t.powf(profile.gamma) / profile.steps.powf(profile.gamma + 1.0)
        };
        let sum: f64 = (0..300_000).map(|i| (i as f64 + 0.5) * 1e-3).map(|t| p(a, t) * p(b, t) * 1e-3).sum();
        assert!((a.dot(b) / sum - 1.0).abs() < 1e-6 && a.dot(b) == b.dot(a));
    }

    #[test]
    fn two_averages_are_combined_as_the_normal_equations_say() {
        // Least squares of two profiles: (a.a  a.b; a.b  b.b) s = (a.w, b.w), scaled to a sum of 1. The integrals are sums over a grid here.
        let (a, b) = (Profile::with_width(0.05, 100.0).unwrap(), Profile::with_width(0.10, 100.0).unwrap());
        let wanted = Profile::with_width(0.07, 100.0).unwrap();
        let share = |profile: Profile, t: f64| {
            (profile.gamma + 1.0) * t.powf(profile.gamma) / profile.steps.powf(profile.gamma + 1.0)
        };
        let dot = |p: Profile, q: Profile| -> f64 {
            (0..200_000).map(|i| (f64::from(i) + 0.5) * 5e-4).map(|t| share(p, t) * share(q, t) * 5e-4).sum()
        };
        let determinant = dot(a, a) * dot(b, b) - dot(a, b).powi(2);
        let exact = [
            (dot(b, b) * dot(a, wanted) - dot(a, b) * dot(b, wanted)) / determinant,
            (dot(a, a) * dot(b, wanted) - dot(a, b) * dot(a, wanted)) / determinant,
        ];
        let found = combination(&[a, b], wanted);
        for (found, exact_share) in found.iter().zip(exact) {
            assert!((found - exact_share / (exact[0] + exact[1])).abs() < 1e-5, "{found} {exact_share}");
        }
        // The distance, again by sums.
        let difference = |t: f64| found[0] * share(a, t) + found[1] * share(b, t) - share(wanted, t);
        let squares: f64 = (0..200_000).map(|i| difference((f64::from(i) + 0.5) * 5e-4).powi(2) * 5e-4).sum();
        let distance = (squares / dot(wanted, wanted)).sqrt();
        assert!((mismatch(&[a, b], &found, wanted) - distance).abs() < 1e-4, "{distance}");
        assert!(mismatch(&[a], &[1.0], a) < 1e-6 && distance > 0.01 && distance < 0.5);
    }

    #[test]
    fn other_averages_are_reconstructed_from_snapshots() {
        let every: Vec<u64> = (1..=20).map(|snapshot| 200 * snapshot).collect();
        let weight = |t: f64| (t / 700.0).sin() + (-t / 300.0).exp() + 1e-4 * t;
        let tracked = [0.05, 0.10].map(|width| gamma(width).unwrap());
        let mut kept = Vec::new();
        let mut values = Vec::new();
        for gamma in tracked {
            kept.extend(every.iter().map(|&steps| Profile { gamma, steps: steps as f64 }));
            values.extend(averages(gamma, weight, &every));
        }
        for width in [0.03, 0.05, 0.075, 0.10, 0.13, 0.2] {
            let wanted = Profile::with_width(width, 4000.0).unwrap();
            let shares = combination(&kept, wanted);
            let total: f64 = shares.iter().sum();
            let found: f64 = shares.iter().zip(&values).map(|(share, value)| share * value).sum();
            let exact = averages(wanted.gamma, weight, &[4000])[0];
            let latest = weight(4000.0);
            assert!((total - 1.0).abs() < 1e-12, "sigma_rel {width}: shares sum to {total}");
            // Wider than both that are kept, the twenty snapshots of the early steps are far apart.
            let bound = if width > 0.15 { 1e-2 } else { 3e-3 };
            assert!(
                (found - exact).abs() < bound * (exact - latest).abs().max(0.3),
                "sigma_rel {width}: {found}, {exact}"
            );
        }
        // A tracked one is its own snapshot.
        let shares = combination(&kept, Profile::with_width(0.05, 4000.0).unwrap());
        assert!((shares[19] - 1.0).abs() < 1e-5, "{}", shares[19]);
    }
}
