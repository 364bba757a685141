//! The Frechet distance between Gaussians.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use faer::{Mat, MatRef, Par, Side};
use rayon::prelude::*;

use super::{
    Moments,
    matrix::{columns, mean, multiply, rows},
    moments::LeaveOneOut,
};
use crate::MetricError;

/// Groups of the jackknife.
const GROUPS: usize = 10;

/// The Gaussian of a reference.
pub struct FrechetReference<'a> {
    moments: &'a Moments,
    /// `C^(1/2)`, computed when it is first needed.
    root: OnceLock<Mat<f64>>,
}

/// A Frechet distance with its standard error and bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frechet {
    /// The squared distance, as usually reported.
    pub distance: f64,
    /// Its standard error: the standard deviation over samples of this size.
    pub standard_error: f64,
    /// The bias of a finite sample: samples of the reference distribution would have about this distance instead of 0. It is inversely
    /// proportional to the number of samples. A reference that is a finite sample adds another bias.
    pub bias: f64,
}

impl<'a> FrechetReference<'a> {
    /// Creates a reference with these moments.
    ///
    /// # Errors
    /// Returns an error if they are not finite, or the matrix is not a covariance.
    pub fn new(moments: &'a Moments) -> Result<Self, MetricError> {
        check(moments)?;
        if matrix(moments).diagonal().column_vector().iter().any(|&variance| variance < 0.0) {
            return Err(MetricError::NotACovariance);
        }
        Ok(Self { moments, root: OnceLock::new() })
    }

    /// `C^(1/2)`, by one eigendecomposition.
    fn root(&self) -> Result<&Mat<f64>, MetricError> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        let eigen = matrix(self.moments).self_adjoint_eigen(Side::Lower).map_err(|_| MetricError::NotFinite)?;
        let roots = roots(&eigen.S().column_vector().iter().copied().collect::<Vec<f64>>())?;
        // C^(1/2) = (U s^(1/4)) (U s^(1/4))^T
        let (dim, vectors) = (self.moments.dim(), eigen.U());
        let half = Mat::from_fn(dim, dim, |row, column| vectors[(row, column)] * roots[column].sqrt());
        let mut root = Mat::zeros(dim, dim);
        multiply(root.as_mut(), half.as_ref(), half.transpose(), Par::rayon(0));
        Ok(self.root.get_or_init(|| root))
    }

    /// `|m - m'|^2 + tr(C + C' - 2 (C^(1/2) C' C^(1/2))^(1/2))` (Dowson and Landau 1982; as a score of images Heusel et al.,
    /// arXiv 1706.08500). The trace of the root is the sum of the roots of the eigenvalues.
    ///
    /// # Errors
    /// Returns an error if the moments are not finite, or of other dimension, or the reference's matrix is not a covariance.
    pub fn distance(&self, moments: &Moments) -> Result<f64, MetricError> {
        self.distance_on(moments, Par::rayon(0))
    }

    fn distance_on(&self, moments: &Moments, par: Par) -> Result<f64, MetricError> {
        let dim = self.moments.dim();
        if moments.dim() != dim {
            return Err(MetricError::Dimensions { reference: dim, found: moments.dim() });
        }
        check(moments)?;
        let (root, covariance) = (self.root()?, matrix(moments));
        let (mut half, mut product) = (Mat::zeros(dim, dim), Mat::zeros(dim, dim));
        multiply(half.as_mut(), root.as_ref(), covariance, par);
        multiply(product.as_mut(), half.as_ref(), root.as_ref(), par);
        self.distance_from(&moments.mean, trace(covariance), &product)
    }

    /// The distance of a Gaussian of this mean and this trace of its covariance `C'`; `product` is a matrix of the eigenvalues of
    /// `C C'`.
    fn distance_from(&self, mean: &[f64], own: f64, product: &Mat<f64>) -> Result<f64, MetricError> {
        let shift = self.moments.mean.iter().zip(mean).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let values = product.self_adjoint_eigenvalues(Side::Lower).map_err(|_| MetricError::NotFinite)?;
        Ok(shift + trace(matrix(self.moments)) + own - 2.0 * roots(&values)?.iter().sum::<f64>())
    }

    /// Returns the distance of rows, with its standard error and bias by the jackknife (Efron 1982), which omits a tenth of the rows ten
    /// times. To first order the bias is inversely proportional to the number of rows (Chong and Forsyth, arXiv 1911.07023), as
    /// the jackknife assumes. If there are fewer rows than features, a smaller matrix is used. `progress` is called with the number of
    /// finished distances of `1 + 10`.
    ///
    /// # Shapes
    /// `values`: `[rows, dim]`, in an order that does not depend on their values: every tenth row makes a group
    ///
    /// # Errors
    /// Returns an error as [`FrechetReference::distance`].
    ///
    /// # Panics
    /// Panics if there are fewer than 20 rows, or the last is cut short.
    pub fn estimate(
        &self,
        values: &[f32],
        dim: usize,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Frechet, MetricError> {
        assert!(rows(values, dim) >= 2 * GROUPS, "frechet: at least {} rows", 2 * GROUPS);
        if dim != self.moments.dim() {
            return Err(MetricError::Dimensions { reference: self.moments.dim(), found: dim });
        }
        let (distance, others) = if rows(values, dim) < dim {
            let rows = FewRows::new(self, values)?;
            leave_one_out(progress, &|left_out, _| rows.distance(left_out))?
        } else {
            let parts = LeaveOneOut::new(values, dim, GROUPS);
            leave_one_out(progress, &|left_out, par| {
                self.distance_on(&left_out.map_or_else(|| parts.all(), |group| parts.without(group)), par)
            })?
        };
        let groups = GROUPS as f64;
        let mean = others.iter().sum::<f64>() / groups;
        let squares: f64 = others.iter().map(|other| (other - mean).powi(2)).sum();
        Ok(Frechet {
            distance,
            standard_error: ((groups - 1.0) / groups * squares).sqrt(),
            bias: (groups - 1.0) * (mean - distance),
        })
    }
}

/// Returns the distance of all rows, and the distances without each of the groups. `distance` receives the omitted group.
fn leave_one_out(
    progress: &(dyn Fn(usize) + Sync),
    distance: &(dyn Fn(Option<usize>, Par) -> Result<f64, MetricError> + Sync),
) -> Result<(f64, Vec<f64>), MetricError> {
    let of_all = distance(None, Par::rayon(0))?;
    progress(1);
    // One distance per thread is faster than all threads on one distance.
    let done = AtomicUsize::new(1);
    let others = (0..GROUPS).into_par_iter().map(|group| {
        let distance = distance(Some(group), Par::Seq)?;
        progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(distance)
    });
    Ok((of_all, others.collect::<Result<_, _>>()?))
}

/// Distances for fewer rows than features. With the rows `Y` around their mean, their covariance is `Y^T Y / (n - 1)`, and
/// `C Y^T Y` has the nonzero eigenvalues of `Y C Y^T`: a matrix of the size of the number of rows, which needs no root of `C`.
struct FewRows<'a> {
    reference: &'a FrechetReference<'a>,
    /// The rows around the mean of all, as columns.
    rows: Mat<f64>,
    mean: Vec<f64>,
    /// `Y C Y^T`
    product: Mat<f64>,
}

impl<'a> FewRows<'a> {
    fn new(reference: &'a FrechetReference<'a>, values: &[f32]) -> Result<Self, MetricError> {
        let (dim, par) = (reference.moments.dim(), Par::rayon(0));
        if !values.iter().all(|value| value.is_finite()) {
            return Err(MetricError::NotFinite);
        }
        let mean = mean(values, dim);
        let rows = columns(values.chunks_exact(dim), &mean);
        let count = rows.ncols();
        let (mut half, mut product) = (Mat::zeros(dim, count), Mat::zeros(count, count));
        multiply(half.as_mut(), matrix(reference.moments), rows.as_ref(), par);
        multiply(product.as_mut(), rows.transpose(), half.as_ref(), par);
        Ok(Self { reference, rows, mean, product })
    }

    /// The distance of the rows that are not in group `left_out`.
    fn distance(&self, left_out: Option<usize>) -> Result<f64, MetricError> {
        let kept: Vec<usize> = (0..self.rows.ncols()).filter(|row| left_out != Some(row % GROUPS)).collect();
        let count = kept.len() as f64;
        // Relative to the mean of all rows, the mean of the kept rows is not zero.
        let (mut shift, mut squares) = (vec![0.0; self.mean.len()], 0.0);
        for &row in &kept {
            shift.iter_mut().zip(self.rows.col(row).iter()).for_each(|(sum, value)| *sum += value / count);
            squares += self.rows.col(row).squared_norm_l2();
        }
        let scatter = squares - count * shift.iter().map(|value| value * value).sum::<f64>();
        let mean: Vec<f64> = self.mean.iter().zip(&shift).map(|(mean, shift)| mean + shift).collect();
        // Centers Y C Y^T at the mean of the kept rows: subtracts the means of its columns and of its rows, which are equal.
        let mean_of = |&column: &usize| kept.iter().map(|&row| self.product[(row, column)]).sum::<f64>() / count;
        let means: Vec<f64> = kept.iter().map(mean_of).collect();
        let overall = means.iter().sum::<f64>() / count;
        let product = Mat::from_fn(kept.len(), kept.len(), |row, column| {
            (self.product[(kept[row], kept[column])] - means[row] - means[column] + overall) / (count - 1.0)
        });
        self.reference.distance_from(&mean, scatter / (count - 1.0), &product)
    }
}

/// Returns the square roots of eigenvalues, which may be negative only by rounding.
fn roots(values: &[f64]) -> Result<Vec<f64>, MetricError> {
    let largest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    if values.iter().any(|&value| value < -1e-3 * largest) {
        return Err(MetricError::NotACovariance);
    }
    Ok(values.iter().map(|value| value.max(0.0).sqrt()).collect())
}

fn matrix(moments: &Moments) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(&moments.covariance, moments.dim(), moments.dim())
}

fn trace(matrix: MatRef<f64>) -> f64 {
    matrix.diagonal().column_vector().iter().sum()
}

fn check(moments: &Moments) -> Result<(), MetricError> {
    let dim = moments.dim();
    if dim == 0 || moments.covariance.len() != dim * dim {
        return Err(MetricError::NotACovariance);
    }
    if !moments.mean.iter().chain(&moments.covariance).all(|value| value.is_finite()) {
        return Err(MetricError::NotFinite);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, features};
    use super::*;

    #[test]
    fn agrees_with_pytorch_fid() {
        // goldens/metrics.py
        let (real, generated) = (features(0, 300, 16), features(1, 200, 16));
        let expected = 11.691143856536662;
        let of_real = Moments::of(&real, 16);
        let reference = FrechetReference::new(&of_real).unwrap();
        close(reference.distance(&Moments::of(&generated, 16)).unwrap(), expected);
        close(reference.estimate(&generated, 16, &|_| ()).unwrap().distance, expected);
    }

    #[test]
    fn is_what_the_formula_gives_for_diagonal_covariances() {
        let diagonal =
            |values: [f64; 3]| -> Vec<f64> { (0..9).map(|i| if i % 4 == 0 { values[i / 4] } else { 0.0 }).collect() };
        // Without spread in one direction, too.
        let a = Moments { mean: vec![0.0, 1.0, 2.0], covariance: diagonal([4.0, 0.0, 9.0]) };
        let b = Moments { mean: vec![3.0, 1.0, 2.0], covariance: diagonal([1.0, 25.0, 4.0]) };
        let distance = |a, b| FrechetReference::new(a).unwrap().distance(b).unwrap();
        // 3^2 + (2-1)^2 + 5^2 + (3-2)^2
        assert!((distance(&a, &b) - 36.0).abs() < 1e-12 && (distance(&b, &a) - 36.0).abs() < 1e-12);
        assert!(distance(&a, &a).abs() < 1e-12);
    }

    #[test]
    fn fewer_rows_than_features_have_a_distance() {
        // The rows of `a` lie in a space of 9 dimensions: their covariance has no inverse.
        let (a, b) = (features(0, 10, 40), features(1, 200, 40));
        let (of_a, of_b) = (Moments::of(&a, 40), Moments::of(&b, 40));
        let distance = |a, b| FrechetReference::new(a).unwrap().distance(b).unwrap();
        assert!(distance(&of_a, &of_a).abs() < 1e-6);
        assert!((distance(&of_a, &of_b) - distance(&of_b, &of_a)).abs() < 1e-6 * distance(&of_a, &of_b));
    }

    #[test]
    fn the_smaller_matrix_of_few_rows_gives_the_same() {
        let (reference, few) = (Moments::of(&features(0, 300, 40), 40), features(1, 33, 40));
        let reference = FrechetReference::new(&reference).unwrap();
        let (rows, parts) = (FewRows::new(&reference, &few).unwrap(), LeaveOneOut::new(&few, 40, GROUPS));
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6 * b, "{a} {b}");
        close(rows.distance(None).unwrap(), reference.distance(&parts.all()).unwrap());
        for group in 0..GROUPS {
            close(rows.distance(Some(group)).unwrap(), reference.distance(&parts.without(group)).unwrap());
        }
        assert_eq!(reference.estimate(&few, 40, &|_| ()).unwrap().distance, rows.distance(None).unwrap());
        let wrong = FewRows::new(&reference, &[f32::NAN; 40 * 33]);
        assert_eq!(wrong.err(), Some(MetricError::NotFinite));
    }

    #[test]
    fn the_jackknife_estimates_spread_and_bias() {
        // Repeated 400 samples of the reference distribution: their whole distance is bias.
        let of_many = Moments::of(&features(0, 100_000, 4), 4);
        let reference = FrechetReference::new(&of_many).unwrap();
        let estimates: Vec<Frechet> =
            (1..101).map(|seed| reference.estimate(&features(2 * seed, 400, 4), 4, &|_| ()).unwrap()).collect();
        let mean = |of: &dyn Fn(&Frechet) -> f64| estimates.iter().map(of).sum::<f64>() / 100.0;
        let (distance, bias) = (mean(&|e| e.distance), mean(&|e| e.bias));
        assert!((bias / distance - 1.0).abs() < 0.2, "{bias} of {distance}");
        // Samples of another distribution: the standard error equals the standard deviation.
        let estimates: Vec<Frechet> =
            (1..201).map(|seed| reference.estimate(&features(2 * seed + 1, 400, 4), 4, &|_| ()).unwrap()).collect();
        let mean = |of: &dyn Fn(&Frechet) -> f64| estimates.iter().map(of).sum::<f64>() / 200.0;
        let distance = mean(&|e| e.distance);
        let spread = mean(&|e| (e.distance - distance).powi(2)).sqrt();
        let error = mean(&|e| e.standard_error);
        assert!((error / spread - 1.0).abs() < 0.2, "{error} and {spread}");
    }

    #[test]
    fn a_matrix_that_is_not_a_covariance_is_refused() {
        let with = |covariance: Vec<f64>| Moments { mean: vec![0.0; 2], covariance };
        let refused = |moments: &Moments| FrechetReference::new(moments).err().unwrap();
        assert_eq!(refused(&with(vec![1.0, f64::NAN, 0.0, 1.0])), MetricError::NotFinite);
        assert_eq!(refused(&with(vec![1.0, 0.0, 0.0, -1.0])), MetricError::NotACovariance);
        assert_eq!(refused(&with(vec![1.0])), MetricError::NotACovariance);
        // Its diagonal alone does not show it.
        let indefinite = with(vec![1.0, 2.0, 2.0, 1.0]);
        let found = FrechetReference::new(&indefinite).unwrap().distance(&with(vec![1.0, 0.0, 0.0, 1.0]));
        assert_eq!(found, Err(MetricError::NotACovariance));
        let unit = with(vec![1.0, 0.0, 0.0, 1.0]);
        let unit = FrechetReference::new(&unit).unwrap();
        let wrong = unit.distance(&Moments { mean: vec![0.0], covariance: vec![1.0] });
        assert_eq!(wrong, Err(MetricError::Dimensions { reference: 2, found: 1 }));
    }
}
