//! Values for what is missing: those of similar rows.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Number of similar rows of which one gives its values.
const NEAREST: usize = 5;
/// Maximum number of rows that are compared.
const COMPARED: usize = 2000;

/// Encoded rows of which some values are known.
pub(super) struct Holes<'a> {
    pub values: &'a mut [f64],
    pub known: &'a [bool],
    pub dim: usize,
}

impl Holes<'_> {
    /// Fills unknown values with those of one of the five nearest rows that have them (hot deck). The distance is the mean square
    /// difference of the standardized values that both rows have.
    pub(super) fn fill(self, rng: &mut ChaCha8Rng) {
        let Self { values, known, dim } = self;
        let rows = values.len() / dim.max(1);
        if dim == 0 || known.iter().all(|known| *known) {
            return;
        }
        let spread: Vec<(f64, f64)> = (0..dim).map(|column| moments(values, known, dim, column)).collect();
        let donors: Vec<usize> = (0..rows.min(COMPARED)).map(|at| at * rows / rows.min(COMPARED)).collect();
        let original = values.to_vec();
        for row in 0..rows {
            let own = row * dim..(row + 1) * dim;
            if known[own.clone()].iter().all(|known| *known) {
                continue;
            }
            let distance = |donor: usize| {
                let (mut sum, mut count) = (0.0, 0.0);
                for (column, (_, std)) in spread.iter().enumerate() {
                    let (a, b) = (row * dim + column, donor * dim + column);
                    if known[a] && known[b] {
                        sum += ((original[a] - original[b]) / std).powi(2);
                        count += 1.0;
                    }
                }
                if count > 0.0 { sum / count } else { f64::INFINITY }
            };
            let mut near: Vec<(f64, usize)> =
                donors.iter().filter(|donor| **donor != row).map(|&donor| (distance(donor), donor)).collect();
            near.sort_by(|a, b| a.0.total_cmp(&b.0));
            let rank = rng.random_range(0..NEAREST);
            for column in 0..dim {
                if known[row * dim + column] {
                    continue;
                }
                let has = near.iter().filter(|(_, donor)| known[donor * dim + column]).take(rank + 1);
                values[row * dim + column] =
                    has.last().map_or(spread[column].0, |(_, donor)| original[donor * dim + column]);
            }
        }
    }
}

/// Mean and standard deviation of the known values of a column.
fn moments(values: &[f64], known: &[bool], dim: usize, column: usize) -> (f64, f64) {
    let of =
        || values.iter().zip(known).skip(column).step_by(dim).filter(|(_, known)| **known).map(|(value, _)| *value);
    let count = of().count().max(1) as f64;
    let mean = of().sum::<f64>() / count;
    let std = (of().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    (mean, if std > 0.0 { std } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn holes_get_values_of_similar_rows() {
        let (rows, dim) = (200, 2);
        // The second value is ten times the first.
        let truth: Vec<f64> = (0..rows).flat_map(|row| [f64::from(row), 10.0 * f64::from(row)]).collect();
        let known: Vec<bool> = (0..rows as usize * dim).map(|at| at % 2 == 0 || (at / 2) % 3 != 0).collect();
        let mut values: Vec<f64> =
            truth.iter().zip(&known).map(|(v, known)| if *known { *v } else { f64::NAN }).collect();
        Holes { values: &mut values, known: &known, dim }.fill(&mut ChaCha8Rng::seed_from_u64(1));
        for (at, (value, truth)) in values.iter().zip(&truth).enumerate() {
            let allowed = if known[at] { 0.0 } else { 60.0 };
            assert!((value - truth).abs() <= allowed, "{at}: {value} for {truth}");
        }
        // A column without any value gets zeros, the mean of nothing.
        let mut values = vec![1.0, f64::NAN, 2.0, f64::NAN];
        Holes { values: &mut values, known: &[true, false, true, false], dim: 2 }
            .fill(&mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(values, [1.0, 0.0, 2.0, 0.0]);
    }
}
