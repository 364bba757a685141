//! The mean of nested estimates (rows, dequantization samples, probes) and its standard error.

/// A mean over rows, its standard error, and the components of the error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The mean of `ln p` over rows.
    pub mean: f64,
    /// Its standard error, which the discretization error is added to in quadrature; `None` for a single row.
    pub error: Option<f64>,
    /// The part of the error that more rows would reduce.
    pub of_rows: Option<f64>,
    /// The part that more dequantization samples would reduce; `None` if a row has one.
    pub of_draws: Option<f64>,
    /// The part that more probes would reduce; `None` if a draw has one.
    pub of_probes: Option<f64>,
    /// The part that shorter steps, or a smaller tolerance, would reduce: the estimated discretization error. It is infinite if RK45 cannot
    /// follow the flow, and `None` if it was not estimated.
    pub of_steps: Option<f64>,
}

/// `ln p` of rows in the units of the data, `[rows, draws, probes]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Nested {
    pub(super) logs: Vec<f64>,
    pub(super) draws: usize,
    pub(super) probes: usize,
    /// The discretization error, if it was estimated.
    pub(super) of_steps: Option<f64>,
}

impl Nested {
    /// `ln p` of each row, the mean of its draws and probes.
    pub(super) fn of_rows(&self) -> Vec<f64> {
        means(&self.logs, self.draws * self.probes)
    }

    /// Returns the mean over rows. Rows, draws and probes are nested: the variance of each contains a contribution of the next.
    pub(super) fn summary(&self) -> Summary {
        let (by_draw, by_row) = (means(&self.logs, self.probes), self.of_rows());
        let rows = by_row.len() as f64;
        let (draws, probes) = (self.draws as f64, self.probes as f64);
        let of_probe = (self.probes > 1).then(|| inner_variance(&self.logs, self.probes));
        let of_draw = (self.draws > 1)
            .then(|| (inner_variance(&by_draw, self.draws) - of_probe.unwrap_or(0.0) / probes).max(0.0));
        let square = (by_row.len() > 1).then(|| inner_variance(&by_row, by_row.len()) / rows);
        let probe_square = of_probe.map(|variance| variance / (rows * draws * probes));
        let draw_square = of_draw.map(|variance| variance / (rows * draws));
        let others = probe_square.unwrap_or(0.0) + draw_square.unwrap_or(0.0);
        Summary {
            mean: by_row.iter().sum::<f64>() / rows,
            error: square.map(|square| square.sqrt().hypot(self.of_steps.unwrap_or(0.0))),
            of_rows: square.map(|square| (square - others).max(0.0).sqrt()),
            of_draws: draw_square.map(f64::sqrt),
            of_probes: probe_square.map(f64::sqrt),
            of_steps: self.of_steps,
        }
    }
}

/// The means of groups of `size`.
fn means(values: &[f64], size: usize) -> Vec<f64> {
    values.chunks_exact(size).map(|group| group.iter().sum::<f64>() / size as f64).collect()
}

/// The variance within groups of `size`, unbiased, averaged over groups.
fn inner_variance(values: &[f64], size: usize) -> f64 {
    let of_group = |group: &[f64]| {
        let mean = group.iter().sum::<f64>() / size as f64;
        group.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (size - 1) as f64
    };
    let groups = values.chunks_exact(size);
    let count = groups.len() as f64;
    groups.map(of_group).sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn rows_draws_and_probes_have_their_parts_of_the_error() {
        // Standard deviations 3 of rows, 2 of draws and 1 of probes; the components follow from their numbers.
        let (rows, draws, probes) = (4000, 3, 2);
        let mut rng = stream(1, Purpose::Latent, 0, 0);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut logs = Vec::new();
        for _ in 0..rows {
            let row = 3.0 * normal();
            for _ in 0..draws {
                let draw = row + 2.0 * normal();
                logs.extend((0..probes).map(|_| draw + normal()));
            }
        }
        let summary = Nested { logs: logs.clone(), draws, probes, of_steps: None }.summary();
        let n = f64::from(rows);
        let close = |found: f64, variance: f64| (found / (variance / n).sqrt() - 1.0).abs() < 0.06;
        assert!(close(summary.of_rows.unwrap(), 9.0), "{summary:?}");
        assert!(close(summary.of_draws.unwrap(), 4.0 / 3.0), "{summary:?}");
        assert!(close(summary.of_probes.unwrap(), 1.0 / 6.0), "{summary:?}");
        assert!(close(summary.error.unwrap(), 9.0 + 4.0 / 3.0 + 1.0 / 6.0), "{summary:?}");
        let coarse = Nested { logs, draws, probes, of_steps: Some(4.0) }.summary();
        assert!(
            (coarse.error.unwrap() - summary.error.unwrap().hypot(4.0)).abs() < 1e-12
                && coarse.of_rows == summary.of_rows
        );
        let one = Nested { logs: vec![1.0; 6], draws, probes, of_steps: Some(4.0) }.summary();
        assert_eq!((one.error, one.of_rows), (None, None));
        assert!(summary.mean.abs() < 5.0 * summary.error.unwrap());
    }
}
