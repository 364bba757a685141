//! Scores of tables: columns, pairs of columns, whether rows can be told apart, copies and tails.

use super::{area_under_roc, forest::cross_validated_scores};
use crate::MetricError;

/// Share of the largest values that Hill's index is computed of.
const TAIL: f64 = 0.05;
/// Rows of each table that are compared by classifiers and distances, at most.
const MOST_ROWS: usize = 5000;
/// The normal quantile of 97.5 %.
const NORMAL: f64 = 1.96;

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredColumn {
    /// Name of the column.
    pub name: String,
    /// Numbers, or the numbers of levels; NaN where there is no value.
    pub values: Vec<f64>,
    /// Number of levels of a category; `None` for numbers.
    pub levels: Option<usize>,
}

/// How far the values of one column agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Marginal {
    /// Name of the column.
    pub name: String,
    /// The largest distance of the cumulative distributions (KS) of numbers; total variation distance of categories.
    pub distance: f64,
    /// Whether the column is one of categories.
    pub is_category: bool,
    /// Share of missing values in the first and the second table.
    pub missing: [f64; 2],
    /// The 99 % and the 99.9 % quantile in both tables; `None` for categories.
    pub quantiles: Option<[[f64; 2]; 2]>,
    /// Hill's index of the largest 5 % in both tables; `None` for categories and for columns without enough positive values.
    pub hill: Option<[f64; 2]>,
}

/// Scores that compare a table with a reference.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TableScores {
    /// Each column.
    pub marginals: Vec<Marginal>,
    /// The mean difference of the associations of all pairs of columns; `None` if there is only one column.
    pub association: Option<f64>,
    /// The pair of columns with the largest difference, with the association in both tables.
    pub worst_pair: Option<([String; 2], [f64; 2])>,
    /// Area under the ROC curve of a random forest that tells rows of the two tables apart: 0.5 if it cannot.
    pub classifier_area: f64,
    /// Its 95 % interval (Hanley and McNeil 1982).
    pub classifier_interval: [f64; 2],
    /// Median distance of a row to the nearest row of the reference, and of a row of the reference to the nearest other one.
    pub closest: [f64; 2],
    /// Share of the rows that are equal to a row of the reference, and of rows of the reference equal to another one.
    pub copies: [f64; 2],
    /// Rows of each table that the last three scores compare.
    pub rows: usize,
}

impl TableScores {
    /// The mean distance of the columns.
    pub fn mean_distance(&self) -> f64 {
        self.marginals.iter().map(|column| column.distance).sum::<f64>() / self.marginals.len().max(1) as f64
    }
}

/// Compares a table with a reference that has the same columns.
///
/// Associations are the correlation of ranks (numbers), Cramer's V (categories) and the square root of the correlation ratio (one of
/// each), all from 0 or -1 to 1. Distances are Euclidean with numbers in units of the reference's standard deviation and 1 for each
/// category or missing value that differs.
///
/// # Errors
/// Returns an error if columns differ, or a table has fewer than 20 rows.
pub fn compare_tables(
    table: &[ScoredColumn],
    reference: &[ScoredColumn],
    seed: u64,
) -> Result<TableScores, MetricError> {
    let rows = |table: &[ScoredColumn]| table.first().map_or(0, |column| column.values.len());
    let same = |(a, b): (&ScoredColumn, &ScoredColumn)| a.name == b.name && a.levels == b.levels;
    if table.len() != reference.len() || !table.iter().zip(reference).all(same) {
        return Err(MetricError::Columns);
    }
    let least = rows(table).min(rows(reference));
    if least < crate::FEWEST {
        return Err(MetricError::FewRows { rows: least, least: crate::FEWEST });
    }
    let marginals: Vec<Marginal> = table.iter().zip(reference).map(|(a, b)| marginal(a, b)).collect();
    let pairs: Vec<(usize, usize)> = (0..table.len()).flat_map(|a| (a + 1..table.len()).map(move |b| (a, b))).collect();
    let differences: Vec<(f64, (usize, usize), [f64; 2])> = pairs
        .into_iter()
        .map(|(a, b)| {
            let both = [association(&table[a], &table[b]), association(&reference[a], &reference[b])];
            ((both[0] - both[1]).abs(), (a, b), both)
        })
        .collect();
    let mean = differences.iter().map(|(difference, ..)| difference).sum::<f64>() / differences.len().max(1) as f64;
    let worst = differences.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let count = least.min(MOST_ROWS);
    let (few, few_reference) = (spread_rows(table, count), spread_rows(reference, count));
    let (classifier_area, classifier_interval) = told_apart(&few, &few_reference, table.len(), seed);
    let (closest, copies) = nearest(&few, &few_reference, reference);
    Ok(TableScores {
        marginals,
        association: (!differences.is_empty()).then_some(mean),
        worst_pair: worst.map(|(_, (a, b), both)| ([*a, *b].map(|at| table[at].name.clone()), *both)),
        classifier_area,
        classifier_interval,
        closest,
        copies,
        rows: count,
    })
}

fn present(column: &ScoredColumn) -> Vec<f64> {
    let mut values: Vec<f64> = column.values.iter().copied().filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    values
}

fn marginal(a: &ScoredColumn, b: &ScoredColumn) -> Marginal {
    let (x, y) = (present(a), present(b));
    let missing = [a, b]
        .map(|column| column.values.iter().filter(|value| value.is_nan()).count() as f64)
        .into_iter()
        .zip([a.values.len(), b.values.len()])
        .map(|(missing, all)| missing / all as f64)
        .collect::<Vec<f64>>();
    let has_values = !x.is_empty() && !y.is_empty();
    let distance = match a.levels {
        _ if !has_values => f64::from(u8::from(x.is_empty() != y.is_empty())),
        Some(levels) => {
            let share = |values: &[f64], level: usize| {
                values.iter().filter(|value| **value == level as f64).count() as f64 / values.len() as f64
            };
            (0..levels).map(|level| (share(&x, level) - share(&y, level)).abs()).sum::<f64>() / 2.0
        }
        None => two_sample_distance(&x, &y),
    };
    let are_numbers = a.levels.is_none() && has_values;
    let quantile = |values: &[f64], share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    Marginal {
        name: a.name.clone(),
        distance,
        is_category: a.levels.is_some(),
        missing: [missing[0], missing[1]],
        quantiles: are_numbers.then(|| [0.99, 0.999].map(|share| [quantile(&x, share), quantile(&y, share)])),
        hill: are_numbers.then(|| Some([hill(&x)?, hill(&y)?])).flatten(),
    }
}

/// The largest distance between the cumulative distributions of two sorted samples.
fn two_sample_distance(a: &[f64], b: &[f64]) -> f64 {
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        let value = a[i].min(b[j]);
        while i < a.len() && a[i] <= value {
            i += 1;
        }
        while j < b.len() && b[j] <= value {
            j += 1;
        }
        largest = largest.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    largest
}

/// Hill's estimate of the index of a power-law tail, from the largest values of a sorted sample: `1 / mean ln(x_i / x_k)`.
pub fn hill(sorted: &[f64]) -> Option<f64> {
    let count = (sorted.len() as f64 * TAIL) as usize;
    let limit = *sorted.get(sorted.len().checked_sub(count + 1)?)?;
    if count < 5 || limit <= 0.0 {
        return None;
    }
    let mean = sorted[sorted.len() - count..].iter().map(|value| (value / limit).ln()).sum::<f64>() / count as f64;
    (mean > 0.0).then(|| 1.0 / mean)
}

/// How strongly two columns depend on one another, of the rows that have both.
fn association(a: &ScoredColumn, b: &ScoredColumn) -> f64 {
    let both: Vec<(f64, f64)> =
        a.values.iter().copied().zip(b.values.iter().copied()).filter(|(x, y)| !x.is_nan() && !y.is_nan()).collect();
    if both.len() < 3 {
        return 0.0;
    }
    let (x, y): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
    match (a.levels, b.levels) {
        (None, None) => correlation(&ranks(&x), &ranks(&y)),
        (Some(levels), None) => correlation_ratio(&x, &ranks(&y), levels),
        (None, Some(levels)) => correlation_ratio(&y, &ranks(&x), levels),
        (Some(rows), Some(columns)) => cramers_v(&x, &y, rows, columns),
    }
}

/// Ranks from 0; equal values share their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for group in order.chunk_by(|&a, &b| values[a] == values[b]).scan(0, |from, group| {
        let start = *from;
        *from += group.len();
        Some((start, group))
    }) {
        let (start, members) = group;
        let mean = start as f64 + (members.len() - 1) as f64 / 2.0;
        members.iter().for_each(|&row| ranks[row] = mean);
    }
    ranks
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mx, my) = (mean(x), mean(y));
    let sum = |of: &dyn Fn(f64, f64) -> f64| x.iter().zip(y).map(|(x, y)| of(x - mx, y - my)).sum::<f64>();
    let scale = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    if scale > 0.0 { sum(&|x, y| x * y) / scale } else { 0.0 }
}

/// The square root of the share of the variance that lies between levels.
fn correlation_ratio(level: &[f64], values: &[f64], levels: usize) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let (mut sums, mut counts) = (vec![0.0; levels], vec![0.0; levels]);
    for (level, value) in level.iter().zip(values) {
        sums[*level as usize] += value - mean;
        counts[*level as usize] += 1.0;
    }
    let between: f64 = sums.iter().zip(&counts).filter(|(_, n)| **n > 0.0).map(|(sum, n)| sum * sum / n).sum();
    let total: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if total > 0.0 { (between / total).sqrt() } else { 0.0 }
}

fn cramers_v(x: &[f64], y: &[f64], rows: usize, columns: usize) -> f64 {
    let mut counts = vec![0.0; rows * columns];
    x.iter().zip(y).for_each(|(x, y)| counts[*x as usize * columns + *y as usize] += 1.0);
    let row: Vec<f64> = counts.chunks_exact(columns).map(|row| row.iter().sum()).collect();
    let column: Vec<f64> = (0..columns).map(|at| counts.iter().skip(at).step_by(columns).sum()).collect();
    let n = x.len() as f64;
    let term = |(at, count): (usize, &f64)| {
        let expected = row[at / columns] * column[at % columns] / n;
        if expected > 0.0 { (count - expected).powi(2) / expected } else { 0.0 }
    };
    let chi_square: f64 = counts.iter().enumerate().map(term).sum();
    let used = |sums: &[f64]| sums.iter().filter(|sum| **sum > 0.0).count();
    let degrees = used(&row).min(used(&column)).saturating_sub(1) as f64;
    if degrees > 0.0 { (chi_square / (n * degrees)).sqrt() } else { 0.0 }
}

/// Rows of a table, evenly selected, `[count, columns]`.
fn spread_rows(table: &[ScoredColumn], count: usize) -> Vec<f64> {
    let rows = table[0].values.len();
    let row = |at: usize| table.iter().map(move |column| column.values[at * rows / count]);
    (0..count).flat_map(row).collect()
}

/// The area of a forest that tells rows apart, with its interval.
fn told_apart(a: &[f64], b: &[f64], dim: usize, seed: u64) -> (f64, [f64; 2]) {
    let count = a.len() / dim;
    // A missing value is smaller than every other one.
    let rows: Vec<f64> = a.iter().chain(b).map(|value| if value.is_nan() { f64::MIN } else { *value }).collect();
    let classes: Vec<bool> = (0..2 * count).map(|row| row >= count).collect();
    let scores = cross_validated_scores(&rows, &classes, dim, seed);
    let area = area_under_roc(&scores[..count], &scores[count..]);
    let error = area_standard_error(area, [count, count]);
    (area, [(area - NORMAL * error).max(0.0), (area + NORMAL * error).min(1.0)])
}

/// The standard error of an area under the ROC curve of two groups (Hanley and McNeil 1982).
pub fn area_standard_error(area: f64, [usual, unusual]: [usize; 2]) -> f64 {
    let (first, second) = (area / (2.0 - area), 2.0 * area * area / (1.0 + area));
    let (n, m) = (usual as f64, unusual as f64);
    let square = area * area;
    let variance = area * (1.0 - area) + (m - 1.0) * (first - square) + (n - 1.0) * (second - square);
    (variance.max(0.0) / (n * m)).sqrt()
}

/// Median distances to the nearest row of the reference, and shares of copies.
fn nearest(rows: &[f64], reference: &[f64], columns: &[ScoredColumn]) -> ([f64; 2], [f64; 2]) {
    let dim = columns.len();
    let scales: Vec<Option<f64>> = columns
        .iter()
        .map(|column| {
            let values = present(column);
            let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64;
            (column.levels.is_none() && variance > 0.0).then(|| variance.sqrt())
        })
        .collect();
    let distance = |a: &[f64], b: &[f64]| -> f64 {
        let of = |((x, y), scale): ((&f64, &f64), &Option<f64>)| match scale {
            _ if x.is_nan() && y.is_nan() => 0.0,
            Some(scale) if !x.is_nan() && !y.is_nan() => ((x - y) / scale).powi(2),
            _ => f64::from(u8::from(x != y)),
        };
        a.iter().zip(b).zip(&scales).map(of).sum()
    };
    let summary = |rows: &[f64], is_reference: bool| {
        let mut least: Vec<f64> = rows
            .chunks_exact(dim)
            .enumerate()
            .map(|(at, row)| {
                let others = reference.chunks_exact(dim).enumerate().filter(|(other, _)| !is_reference || *other != at);
                others.map(|(_, other)| distance(row, other)).fold(f64::INFINITY, f64::min).sqrt()
            })
            .collect();
        least.sort_by(f64::total_cmp);
        let copies = least.iter().filter(|distance| **distance == 0.0).count() as f64 / least.len() as f64;
        (least[least.len() / 2], copies)
    };
    let (own, of_reference) = (summary(rows, false), summary(reference, true));
    ([own.0, of_reference.0], [own.1, of_reference.1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, values: &[f64], levels: Option<usize>) -> ScoredColumn {
        ScoredColumn { name: name.into(), values: values.to_vec(), levels }
    }

    #[test]
    fn distances_and_associations_agree_with_closed_forms() {
        // scipy.stats.ks_2samp([1, 2, 3, 4], [3, 4, 5]).statistic
        assert!((two_sample_distance(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0]) - 0.5).abs() < 1e-12);
        assert_eq!(two_sample_distance(&[1.0, 1.0], &[1.0]), 0.0);
        // scipy.stats.spearmanr([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]).statistic = 0.82078...
        let found = correlation(&ranks(&[1.0, 2.0, 3.0, 4.0, 5.0]), &ranks(&[5.0, 6.0, 7.0, 8.0, 7.0]));
        assert!((found - 0.820_782_681_668_123_3).abs() < 1e-12, "{found}");
        // A 2x2 table of counts 30, 10, 10, 30: chi-square 20, V = sqrt(20 / 80).
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for (a, b, count) in [(0.0, 0.0, 30), (0.0, 1.0, 10), (1.0, 0.0, 10), (1.0, 1.0, 30)] {
            x.extend(vec![a; count]);
            y.extend(vec![b; count]);
        }
        assert!((cramers_v(&x, &y, 2, 2) - 0.5).abs() < 1e-12);
        assert!((correlation_ratio(&[0.0, 0.0, 1.0, 1.0], &[1.0, 1.0, 3.0, 3.0], 2) - 1.0).abs() < 1e-12);
        assert!(correlation_ratio(&[0.0, 1.0, 0.0, 1.0], &[1.0, 1.0, 3.0, 3.0], 2) < 1e-12);
    }

    #[test]
    fn the_tail_index_of_a_power_law_is_found() {
        // The quantiles of a Pareto distribution with index 3.
        let sorted: Vec<f64> = (0..20_000).map(|i| (1.0 - (f64::from(i) + 0.5) / 20_000.0).powf(-1.0 / 3.0)).collect();
        assert!((hill(&sorted).unwrap() - 3.0).abs() < 0.02, "{:?}", hill(&sorted));
        assert_eq!(hill(&[-1.0; 500]), None);
    }

    #[test]
    fn the_interval_of_an_area_is_that_of_its_paper() {
        // Hanley and McNeil 1982 print 0.032 for the area 0.893 of 58 and 51 cases; their formula gives 0.03252.
        assert!((area_standard_error(0.893, [58, 51]) - 0.032_52).abs() < 1e-5);
    }

    #[test]
    fn equal_tables_cannot_be_told_apart_and_others_can() {
        // Independent numbers: a regular sequence lies between the other one's points, which a forest sees.
        let noise = |from: u32, salt: u64| -> Vec<f64> {
            let mixed = |at: u32| {
                let bits = (u64::from(at) ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let bits = (bits ^ (bits >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                ((bits ^ (bits >> 29)) >> 11) as f64 / (1_u64 << 53) as f64
            };
            (from..from + 300).map(mixed).collect()
        };
        let level = |from: u32| -> Vec<f64> { noise(from, 77).iter().map(|value| value.round()).collect() };
        let table = |from: u32| {
            let mut age = noise(from, 5);
            age[5] = f64::NAN;
            vec![column("age", &age, None), column("sex", &level(from), Some(2))]
        };
        let same = compare_tables(&table(1000), &table(0), 0).unwrap();
        assert!(same.mean_distance() < 0.1 && same.association.unwrap() < 0.15, "{same:?}");
        assert!((same.classifier_area - 0.5).abs() < 0.1, "{same:?}");
        assert!(same.classifier_interval[0] < same.classifier_area && same.marginals[0].missing == [1.0 / 300.0; 2]);
        let copied = compare_tables(&table(0), &table(0), 0).unwrap();
        assert_eq!((copied.copies[0], copied.closest[0]), (1.0, 0.0));
        let mut other = table(1000);
        other[0].values.iter_mut().for_each(|value| *value += 5.0);
        let told = compare_tables(&other, &table(0), 0).unwrap();
        assert!(told.classifier_area > 0.99 && told.marginals[0].distance > 0.99 && told.closest[0] > 0.9, "{told:?}");
        assert!(compare_tables(&other[..1], &table(0), 0).is_err());
    }
}
