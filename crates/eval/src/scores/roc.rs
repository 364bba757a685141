//! Receiver operating characteristic (ROC) of a score.

/// The receiver operating characteristic of a score: for each threshold, from the highest down, the share of the first group above it and
/// the share of the second, from (0, 0) to (1, 1).
///
/// # Panics
/// Panics if a group is empty or a score is NaN.
pub fn roc(usual: &[f64], unusual: &[f64]) -> Vec<[f64; 2]> {
    assert!(!usual.is_empty() && !unusual.is_empty(), "roc: both groups must have members");
    let mut scores: Vec<(f64, bool)> =
        usual.iter().map(|&score| (score, false)).chain(unusual.iter().map(|&score| (score, true))).collect();
    assert!(scores.iter().all(|(score, _)| !score.is_nan()), "roc: a score is not a number");
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut counts, mut curve) = ([0_usize; 2], vec![[0.0, 0.0]]);
    for (index, (score, is_unusual)) in scores.iter().enumerate() {
        counts[usize::from(*is_unusual)] += 1;
        // Equal scores share one threshold.
        if scores.get(index + 1).is_none_or(|next| next.0 != *score) {
            curve.push([counts[0] as f64 / usual.len() as f64, counts[1] as f64 / unusual.len() as f64]);
        }
    }
    curve
}

/// The area under [`roc`]: the probability that a member of the second group has the higher score, with ties counting half.
pub fn area_under_roc(usual: &[f64], unusual: &[f64]) -> f64 {
    let curve = roc(usual, unusual);
    curve.windows(2).map(|pair| (pair[1][0] - pair[0][0]) * (pair[0][1] + pair[1][1]) / 2.0).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_counts_pairs() {
        let (usual, unusual) = ([0.1, 0.4, 0.35, 0.8], [0.4, 0.9, 0.7]);
        let pairs = usual.iter().flat_map(|a| unusual.iter().map(move |b| (a, b)));
        let won: f64 = pairs.map(|(a, b)| if b > a { 1.0 } else { f64::from(u8::from(a == b)) / 2.0 }).sum();
        assert!((area_under_roc(&usual, &unusual) - won / 12.0).abs() < 1e-12);
        assert_eq!(area_under_roc(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert_eq!(area_under_roc(&[1.0, 1.0], &[1.0]), 0.5);
        assert_eq!(roc(&[1.0], &[2.0]), [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]);
    }
}
