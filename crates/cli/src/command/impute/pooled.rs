//! Estimates of several imputations, pooled by Rubin's rules.

use serde_json::{Value, json};

use crate::render::line;

/// The mean of a column, of all draws.
pub struct Pooled {
    name: String,
    filled: usize,
    mean: f64,
    /// The standard error if nothing had been missing.
    within: f64,
    /// The standard error with what the draws differ.
    total: f64,
}

impl Pooled {
    /// Pools the mean of a column: `T = W + (1 + 1/m) B` with the mean variance W of the mean and the variance B of the means of m
    /// draws.
    ///
    /// # Shapes
    /// `drawn`: `[holes, draws]`
    pub fn of(name: &str, observed: &[f64], drawn: &[Vec<f64>], draws: usize) -> Self {
        let (mut means, mut within) = (Vec::new(), 0.0);
        for draw in 0..draws {
            let all = || observed.iter().copied().chain(drawn.iter().map(|hole| hole[draw]));
            let count = (observed.len() + drawn.len()) as f64;
            let mean = all().sum::<f64>() / count;
            let variance = all().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
            means.push(mean);
            within += variance / count / draws as f64;
        }
        let mean = means.iter().sum::<f64>() / draws as f64;
        let between = means.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (draws as f64 - 1.0).max(1.0);
        let total = within + (1.0 + 1.0 / draws as f64) * between;
        Self { name: name.to_owned(), filled: drawn.len(), mean, within: within.sqrt(), total: total.sqrt() }
    }

    pub fn print(&self) {
        line(format!(
            "mean       {}: {:.4} +- {:.4} pooled, {:.4} without missing values; {} cells filled",
            self.name, self.mean, self.total, self.within, self.filled
        ));
    }

    pub fn as_json(&self) -> Value {
        json!({
            "name": self.name,
            "filled": self.filled,
            "mean": self.mean,
            "standard_error": self.total,
            "standard_error_within": self.within,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubins_rules_add_the_variance_between_draws() {
        // Two draws of one hole beside 1, 2, 3: means 2.5 and 1.5; variances of the mean 5/12 and 5/12.
        let pooled = Pooled::of("a", &[1.0, 2.0, 3.0], &[vec![4.0, 0.0]], 2);
        assert!((pooled.mean - 2.0).abs() < 1e-12 && (pooled.within.powi(2) - 5.0 / 12.0).abs() < 1e-12);
        assert!((pooled.total.powi(2) - (5.0 / 12.0 + 1.5 * 0.5)).abs() < 1e-12);
        assert_eq!(Pooled::of("a", &[1.0], &[vec![1.0; 3]], 3).total, 0.0);
    }
}
