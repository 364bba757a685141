//! The inception score.

use super::matrix::rows;

/// The inception score over splits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InceptionScore {
    /// The mean over splits, from 1 to the number of classes. Higher is better; smaller splits have smaller scores.
    pub mean: f64,
    /// The standard deviation between splits, which papers report.
    pub spread: f64,
    /// The standard error of the mean for independent splits: `spread / sqrt(splits - 1)`. NaN for one split.
    pub standard_error: f64,
}

/// `exp(mean of KL(p(class | x) || p(class)))` on each of `splits` runs of rows (Salimans et al., arXiv 1606.03498).
///
/// # Shapes
/// `logits`: `[rows, classes]`, in an order that has nothing to do with the classes
///
/// # Panics
/// Panics if there are fewer rows than splits, or the last row is cut short.
pub fn inception_score(logits: &[f32], classes: usize, splits: usize) -> InceptionScore {
    let rows = rows(logits, classes);
    assert!(splits >= 1 && rows >= splits, "inception score: {rows} rows in {splits} splits");
    let scores: Vec<f64> = (0..splits)
        .map(|split| score(&logits[split * rows / splits * classes..(split + 1) * rows / splits * classes], classes))
        .collect();
    let mean = scores.iter().sum::<f64>() / splits as f64;
    let spread = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / splits as f64).sqrt();
    InceptionScore { mean, spread, standard_error: spread / (splits as f64 - 1.0).max(0.0).sqrt() }
}

fn score(logits: &[f32], classes: usize) -> f64 {
    // KL = sum p ln p - sum p ln q; summed over rows, the second is the entropy of q.
    let rows = (logits.len() / classes) as f64;
    let mut marginal = vec![0.0; classes];
    let mut negentropy = 0.0;
    for row in logits.chunks_exact(classes) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let shifted = row.iter().map(|&logit| f64::from(logit - most));
        let partition: f64 = shifted.clone().map(f64::exp).sum();
        for (marginal, logit) in marginal.iter_mut().zip(shifted) {
            let p = logit.exp() / partition;
            *marginal += p / rows;
            negentropy += p * (logit - partition.ln()) / rows;
        }
    }
    let entropy: f64 = marginal.iter().filter(|&&q| q > 0.0).map(|q| -q * q.ln()).sum();
    (negentropy + entropy).exp()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, features};
    use super::*;

    #[test]
    fn agrees_with_torch_fidelity() {
        // goldens/metrics.py
        let logits = features(3, 205, 12);
        let (mean, spread) = (1.2163741446444374, 0.024815252452410168);
        let found = inception_score(&logits, 12, 10);
        close(found.mean, mean);
        close(found.spread, spread);
        close(found.standard_error, spread / 3.0);
    }

    #[test]
    fn is_the_number_of_classes_at_best_and_one_at_worst() {
        let sure = |class: usize| (0..10).map(move |c| if c == class { 1000.0 } else { 0.0 });
        let all: Vec<f32> = (0..100).flat_map(|row| sure(row % 10)).collect();
        assert!((inception_score(&all, 10, 5).mean - 10.0).abs() < 1e-9);
        let one: Vec<f32> = (0..100).flat_map(|_| sure(3)).collect();
        assert!((inception_score(&one, 10, 5).mean - 1.0).abs() < 1e-9);
    }
}
