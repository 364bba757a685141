//! Pearson's chi-square test of counts.

use rayon::prelude::*;
use statrs::function::gamma::gamma_ur;

/// The result of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquare {
    /// `sum (observed - expected)^2 / expected`.
    pub statistic: f64,
    /// Groups minus one.
    pub degrees: usize,
    /// The probability of a statistic at least as large under the expectation; accurate if at least about five are
    /// expected in each group.
    pub p_value: f64,
}

/// Tests counts against their expectations, which have the same sum.
///
/// # Panics
/// Panics if there are not as many expectations as counts, or fewer than two, or one is not above zero.
pub fn chi_square(observed: &[usize], expected: &[f64]) -> ChiSquare {
    assert!(observed.len() == expected.len() && observed.len() > 1, "chi_square: as many expectations as counts");
    assert!(expected.iter().all(|expected| *expected > 0.0), "chi_square: expectations lie above zero");
    let statistic = observed.iter().zip(expected).map(|(&o, e)| (o as f64 - e).powi(2) / e).sum();
    let degrees = observed.len() - 1;
    ChiSquare { statistic, degrees, p_value: gamma_ur(degrees as f64 / 2.0, statistic / 2.0) }
}

/// Tests whether two sets of counts are draws of the same shares: the chi-square test of homogeneity. Groups without a count are left
/// out.
///
/// # Panics
/// Panics if there are not as many counts in both, or one set has none.
pub fn chi_square_of_two(first: &[usize], second: &[usize]) -> ChiSquare {
    assert_eq!(first.len(), second.len(), "chi_square_of_two: as many counts");
    let total = |counts: &[usize]| counts.iter().sum::<usize>() as f64;
    let ratio = (total(second) / total(first)).sqrt();
    assert!(ratio > 0.0 && ratio.is_finite(), "chi_square_of_two: no counts");
    let pairs = first.iter().zip(second).filter(|(a, b)| **a + **b > 0);
    let degrees = pairs.clone().count().saturating_sub(1);
    let of_pair = |(&a, &b): (&usize, &usize)| (ratio * a as f64 - b as f64 / ratio).powi(2) / (a + b) as f64;
    let statistic = pairs.map(of_pair).sum();
    let p_value = if degrees == 0 { 1.0 } else { gamma_ur(degrees as f64 / 2.0, statistic / 2.0) };
    ChiSquare { statistic, degrees, p_value }
}

/// Samples by the point that each is nearest to.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    /// Samples of each group of points.
    pub observed: Vec<usize>,
    /// The group's share of the points, times the samples.
    pub expected: Vec<f64>,
    /// The largest distance of a sample from its nearest point.
    pub farthest: f64,
}

/// Counts the samples nearest to the points of each group. Groups consist of adjacent points in the
/// order of their coordinates, with equal points together; there are about `groups` of about the same size.
///
/// # Shapes
/// `points`: `[points, dim]`, `samples`: `[samples, dim]`
///
/// # Panics
/// Panics if there is no point, or `dim` is zero.
pub fn shares(points: &[f64], samples: &[f64], dim: usize, groups: usize) -> Shares {
    let count = points.len() / dim;
    assert!(count > 0, "shares: no points");
    let row = |index: usize| &points[index * dim..(index + 1) * dim];
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| {
        let unequal = row(a).iter().zip(row(b)).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
        unequal.unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut group_of = vec![0; count];
    let mut sizes: Vec<usize> = vec![0];
    for (place, &index) in order.iter().enumerate() {
        let same = place > 0 && row(order[place - 1]) == row(index);
        let full = sizes[sizes.len() - 1] * groups.max(1) >= count;
        if full && !same {
            sizes.push(0);
        }
        group_of[index] = sizes.len() - 1;
        *sizes.last_mut().expect("one group") += 1;
    }
    let nearest: Vec<(usize, f64)> = samples
        .par_chunks_exact(dim)
        .map(|sample| {
            let distance = |index: usize| row(index).iter().zip(sample).map(|(y, x)| (x - y) * (x - y)).sum::<f64>();
            let distances = (0..count).map(|index| (index, distance(index)));
            distances.min_by(|a, b| a.1.total_cmp(&b.1)).expect("one point")
        })
        .collect();
    let mut observed = vec![0; sizes.len()];
    nearest.iter().for_each(|(index, _)| observed[group_of[*index]] += 1);
    let expected = sizes.iter().map(|&size| nearest.len() as f64 * size as f64 / count as f64).collect();
    Shares { observed, expected, farthest: nearest.iter().map(|(_, d)| d.sqrt()).fold(0.0, f64::max) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_scipy() {
        // stats.chisquare([16, 18, 16, 14, 12, 12], [16, 16, 16, 16, 16, 8]): 3.5, p = 0.62338763
        let found = chi_square(&[16, 18, 16, 14, 12, 12], &[16.0, 16.0, 16.0, 16.0, 16.0, 8.0]);
        assert!((found.statistic - 3.5).abs() < 1e-12 && found.degrees == 5, "{found:?}");
        assert!((found.p_value - 0.623_387_627_749_58).abs() < 1e-9, "{found:?}");
        assert!(chi_square(&[100, 0], &[50.0, 50.0]).p_value < 1e-20);
    }

    #[test]
    fn two_sets_of_counts_are_compared_as_a_table() {
        // stats.chi2_contingency([[10, 20, 30], [24, 36, 60]], correction=False): 0.37815, 2 degrees; the empty group is left out.
        let found = chi_square_of_two(&[10, 20, 0, 30], &[24, 36, 0, 60]);
        assert!((found.statistic - 0.378_151_260_504_202).abs() < 1e-12 && found.degrees == 2, "{found:?}");
        assert!((found.p_value - (-0.378_151_260_504_202_f64 / 2.0).exp()).abs() < 1e-9, "{found:?}");
        assert!(chi_square_of_two(&[100, 0], &[150, 150]).p_value < 1e-10);
    }

    #[test]
    fn equal_points_are_one_and_shares_follow_their_number() {
        let points = [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 5.0, 1.0];
        let samples = [0.1, 0.0, 1.0, 0.1, 0.9, 0.0, 5.0, 1.3];
        let found = shares(&points, &samples, 2, 4);
        assert_eq!(found.observed, [1, 2, 1]);
        assert_eq!(found.expected, [1.0, 2.0, 1.0]);
        assert!((found.farthest - 0.3).abs() < 1e-12);
        let two = shares(&points, &samples, 2, 2);
        assert_eq!((two.observed.iter().sum::<usize>(), two.observed.len()), (4, 2));
    }
}
