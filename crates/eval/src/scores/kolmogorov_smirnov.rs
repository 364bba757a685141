//! Kolmogorov-Smirnov test of a sample against a distribution.

/// The result of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KolmogorovSmirnov {
    /// The largest distance between the two cumulative distributions.
    pub statistic: f64,
    /// The probability of a distance at least as large if the sample follows the distribution (asymptotic, with
    /// Stephens's correction for small samples).
    pub p_value: f64,
}

/// Tests whether `sample` follows the distribution with the cumulative distribution function `cdf`.
///
/// # Panics
/// Panics if the sample is empty.
pub fn kolmogorov_smirnov(sample: &[f64], cdf: impl Fn(f64) -> f64) -> KolmogorovSmirnov {
    assert!(!sample.is_empty(), "kolmogorov_smirnov: an empty sample");
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let statistic = sorted
        .iter()
        .enumerate()
        .map(|(below, &x)| {
            let value = cdf(x);
            (value - below as f64 / n).max((below + 1) as f64 / n - value)
        })
        .fold(0.0, f64::max);
    let lambda = (n.sqrt() + 0.12 + 0.11 / n.sqrt()) * statistic;
    let series: f64 = (1..=100)
        .map(|j| {
            let j = f64::from(j);
            (if j % 2.0 == 1.0 { 2.0 } else { -2.0 }) * (-2.0 * j * j * lambda * lambda).exp()
        })
        .sum();
    // The series converges slowly where the probability is one.
    let p_value = if lambda < 0.2 { 1.0 } else { series.clamp(0.0, 1.0) };
    KolmogorovSmirnov { statistic, p_value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_scipy() {
        // stats.kstest([0.05, 0.11, 0.32, 0.34, 0.41, 0.58, 0.61, 0.77, 0.9, 0.94], "uniform", method="exact")
        let sample = [0.05, 0.11, 0.32, 0.34, 0.41, 0.58, 0.61, 0.77, 0.9, 0.94];
        let found = kolmogorov_smirnov(&sample, |x| x);
        assert!((found.statistic - 0.12).abs() < 1e-12, "{found:?}");
        // stats.kstest(((np.arange(50) + 0.5) / 50) ** 1.3, "uniform", method="exact")
        let sample: Vec<f64> = (0..50).map(|i| ((f64::from(i) + 0.5) / 50.0).powf(1.3)).collect();
        let found = kolmogorov_smirnov(&sample, |x| x);
        assert!((found.statistic - 0.106_224_511_964_431_5).abs() < 1e-12, "{found:?}");
        assert!((found.p_value - 0.588_053).abs() < 0.02, "{found:?}");
        let even: Vec<f64> = (0..1000).map(|i| (f64::from(i) + 0.5) / 1000.0).collect();
        assert!(kolmogorov_smirnov(&even, |x| x).p_value > 0.9999);
        // A sample of another distribution is rejected.
        assert!(kolmogorov_smirnov(&even, |x| x * x).p_value < 1e-10);
    }
}
