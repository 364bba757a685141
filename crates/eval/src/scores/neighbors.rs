//! Scores from nearest neighbors.

use rayon::prelude::*;

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

/// Returns the nearest row of `points` to a row, and its squared distance; row `skip` is ignored.
fn nearest(row: &[f32], points: &[f32], skip: Option<usize>) -> (usize, f64) {
    let candidates = points.chunks_exact(row.len()).enumerate().filter(|(index, _)| Some(*index) != skip);
    candidates
        .map(|(index, point)| (index, squared_distance(row, point)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((0, f64::INFINITY))
}

/// Accuracy of the nearest-neighbor two-sample test (Lopez-Paz and Oquab, arXiv 1610.06545): the share of rows of
/// both samples whose nearest other row is in the same sample. It is 1/2 if they have the same distribution, 1 if they are separated,
/// and below 1/2 if one repeats the other.
///
/// # Panics
/// Panics if a sample is empty or its rows are ragged, or the samples differ in size (the score would not be 1/2 then).
pub fn two_sample_accuracy(a: &[f32], b: &[f32], dim: usize) -> f64 {
    assert!(!a.is_empty() && a.len() == b.len() && a.len().is_multiple_of(dim), "two samples of one size");
    let rows = a.len() / dim;
    let all = [a, b].concat();
    let right = all
        .par_chunks_exact(dim)
        .enumerate()
        .filter(|(index, row)| (nearest(row, &all, Some(*index)).0 < rows) == (*index < rows))
        .count();
    right as f64 / (2 * rows) as f64
}

/// The class of each row's nearest neighbor.
///
/// # Panics
/// Panics if there is no point, or not one class for each.
pub fn classify(rows: &[f32], points: &[f32], classes: &[u32], dim: usize) -> Vec<u32> {
    assert!(!classes.is_empty() && points.len() == classes.len() * dim, "one class for each point");
    rows.par_chunks_exact(dim).map(|row| classes[nearest(row, points, None).0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points that fill the unit interval evenly, shifted.
    fn spread(count: usize, shift: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.618_034 + shift).fract()).collect()
    }

    #[test]
    fn samples_of_two_distributions_are_separated() {
        let a = spread(500, 0.0);
        let apart: Vec<f32> = a.iter().map(|x| x + 5.0).collect();
        assert_eq!(two_sample_accuracy(&a, &apart, 1), 1.0);
        // A copy is nearer than any other row, and of the other sample.
        assert_eq!(two_sample_accuracy(&a, &a, 1), 0.0);
    }

    #[test]
    fn the_nearest_point_decides_the_class() {
        assert_eq!(classify(&[0.1, 0.0, 4.0, 4.0], &[0.0, 0.0, 5.0, 5.0], &[3, 7], 2), [3, 7]);
    }
}
