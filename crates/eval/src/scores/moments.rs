//! Mean and covariance of features, for the Frechet distance.

use faer::{Mat, Par};

use super::matrix::{BLOCK, add_scatter, columns, mean, mirror, rows};

/// A mean and a covariance.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// `[dim]`
    pub mean: Vec<f64>,
    /// `[dim, dim]`, the sum of squares divided by one less than the number of rows, as `numpy.cov` has it.
    pub covariance: Vec<f64>,
}

impl Moments {
    /// The moments of rows.
    ///
    /// # Shapes
    /// `values`: `[rows, dim]`
    ///
    /// # Panics
    /// Panics if there are fewer than two rows, or the last is cut short.
    pub fn of(values: &[f32], dim: usize) -> Self {
        assert!(rows(values, dim) >= 2, "moments: at least two rows");
        let mean = mean(values, dim);
        let scatter = scatter(values, &mean, Par::rayon(0));
        Self::from_scatter(mean, scatter, rows(values, dim))
    }

    /// Number of features of a row.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Moments from sums of squares around the mean, in the lower triangle.
    fn from_scatter(mean: Vec<f64>, mut scatter: Mat<f64>, rows: usize) -> Self {
        mirror(&mut scatter);
        let factor = 1.0 / (rows - 1) as f64;
        let covariance =
            scatter.col_iter().flat_map(|column| column.iter().map(|sum| sum * factor).collect::<Vec<_>>());
        Self { covariance: covariance.collect(), mean }
    }
}

/// The sum of `(x - center) (x - center)^T` over rows, in the lower triangle.
fn scatter(values: &[f32], center: &[f64], par: Par) -> Mat<f64> {
    let dim = center.len();
    let mut sum = Mat::zeros(dim, dim);
    for block in values.chunks(BLOCK * dim) {
        add_scatter(sum.as_mut(), columns(block.chunks_exact(dim), center).as_ref(), par);
    }
    sum
}

/// Rows assigned to groups in turn, and the moments of all groups except one.
pub struct LeaveOneOut<'a> {
    values: &'a [f32],
    mean: Vec<f64>,
    scatter: Mat<f64>,
    groups: usize,
}

impl<'a> LeaveOneOut<'a> {
    /// Assigns rows `[rows, dim]` to groups.
    ///
    /// # Panics
    /// Panics if a group would be empty, or fewer than two rows are left without one.
    pub fn new(values: &'a [f32], dim: usize, groups: usize) -> Self {
        let rows = rows(values, dim);
        assert!(groups >= 2 && rows >= groups && rows >= 4, "{rows} rows in {groups} groups");
        let mean = mean(values, dim);
        Self { scatter: scatter(values, &mean, Par::rayon(0)), values, mean, groups }
    }

    /// The moments of all rows.
    pub fn all(&self) -> Moments {
        Moments::from_scatter(self.mean.clone(), self.scatter.clone(), self.values.len() / self.mean.len())
    }

    /// The moments of the rows that are not in group `left_out`, on one thread.
    pub fn without(&self, left_out: usize) -> Moments {
        let dim = self.mean.len();
        let group: Vec<f32> =
            self.values.chunks_exact(dim).skip(left_out).step_by(self.groups).flatten().copied().collect();
        let kept = (self.values.len() - group.len()) / dim;
        // Relative to the mean of all rows, the sum of the kept rows is minus the sum of the omitted ones.
        let mut shift = vec![0.0; dim];
        for row in group.chunks_exact(dim) {
            let sums = shift.iter_mut().zip(row.iter().zip(&self.mean));
            sums.for_each(|(sum, (&value, mean))| *sum -= (f64::from(value) - mean) / kept as f64);
        }
        let mut scatter = &self.scatter - scatter(&group, &self.mean, Par::Seq);
        for column in 0..dim {
            for row in column..dim {
                scatter[(row, column)] -= kept as f64 * shift[row] * shift[column];
            }
        }
        let mean = self.mean.iter().zip(&shift).map(|(mean, shift)| mean + shift).collect();
        Moments::from_scatter(mean, scatter, kept)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::features;
    use super::*;

    #[test]
    fn leaving_a_group_out_gives_the_moments_of_the_others() {
        let values = features(0, 1111, 7);
        let parts = LeaveOneOut::new(&values, 7, 4);
        let kept: Vec<f32> = values
            .chunks_exact(7)
            .enumerate()
            .filter(|(row, _)| row % 4 != 2)
            .flat_map(|(_, row)| row.to_vec())
            .collect();
        let (found, expected) = (parts.without(2), Moments::of(&kept, 7));
        for (a, b) in found.mean.iter().zip(&expected.mean).chain(found.covariance.iter().zip(&expected.covariance)) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
        assert_eq!(parts.all(), Moments::of(&values, 7));
    }
}
