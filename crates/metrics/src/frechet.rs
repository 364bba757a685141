//! The Frechet distance between Gaussians.

use faer::{Mat, MatRef, Par, Side};
use rayon::prelude::*;

use crate::{
    MetricError, Moments,
    matrix::{multiply, rows},
    moments::LeaveOneOut,
};

/// Groups of the jackknife.
const GROUPS: usize = 10;

/// The Gaussian that others are compared with, made ready: its covariance has a square root.
pub struct FrechetReference {
    mean: Vec<f64>,
    /// `C^(1/2)`
    root: Mat<f64>,
    trace: f64,
}

/// A Frechet distance, and what is known of how far to trust it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frechet {
    /// The distance (squared, as everyone reports it).
    pub distance: f64,
    /// Its standard error: what another sample of this size would change.
    pub standard_error: f64,
    /// How much of it there is only because the sample is finite: samples of a known reference's own distribution would
    /// have about this distance instead of none. A distance falls with the number of samples; that of a reference which is
    /// a sample itself adds as much again.
    pub bias: f64,
}

impl FrechetReference {
    /// Makes moments ready, by one eigendecomposition.
    ///
    /// # Errors
    /// When they hold what is not finite, or the matrix is no covariance.
    pub fn new(moments: &Moments) -> Result<Self, MetricError> {
        check(moments)?;
        let (dim, covariance) = (moments.dim(), matrix(moments));
        let eigen = covariance.self_adjoint_eigen(Side::Lower).map_err(|_| MetricError::NotFinite)?;
        let (values, vectors) = (eigen.S().column_vector(), eigen.U());
        let largest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        if values.iter().any(|&value| value < -1e-3 * largest) {
            return Err(MetricError::NotACovariance);
        }
        // C^(1/2) = (U s^(1/4)) (U s^(1/4))^T; what is below zero is rounding.
        let half = Mat::from_fn(dim, dim, |row, column| vectors[(row, column)] * values[column].max(0.0).sqrt().sqrt());
        let mut root = Mat::zeros(dim, dim);
        multiply(root.as_mut(), half.as_ref(), half.transpose(), Par::rayon(0));
        Ok(Self { mean: moments.mean.clone(), root, trace: trace(covariance) })
    }

    /// `|m - m'|^2 + tr(C + C' - 2 (C^(1/2) C' C^(1/2))^(1/2))` (Dowson and Landau 1982; as a score of images Heusel et al.,
    /// arXiv 1706.08500). The trace of the root is the sum of the roots of the eigenvalues.
    ///
    /// # Errors
    /// When the moments are not finite, or of other dimension.
    pub fn distance(&self, moments: &Moments) -> Result<f64, MetricError> {
        self.distance_on(moments, Par::rayon(0))
    }

    fn distance_on(&self, moments: &Moments, par: Par) -> Result<f64, MetricError> {
        let dim = self.mean.len();
        if moments.dim() != dim {
            return Err(MetricError::Dimensions { reference: dim, found: moments.dim() });
        }
        check(moments)?;
        let covariance = matrix(moments);
        let (mut half, mut product) = (Mat::zeros(dim, dim), Mat::zeros(dim, dim));
        multiply(half.as_mut(), self.root.as_ref(), covariance, par);
        multiply(product.as_mut(), half.as_ref(), self.root.as_ref(), par);
        let values = product.self_adjoint_eigenvalues(Side::Lower).map_err(|_| MetricError::NotFinite)?;
        let root: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
        let shift: f64 = self.mean.iter().zip(&moments.mean).map(|(a, b)| (a - b).powi(2)).sum();
        Ok(shift + self.trace + trace(covariance) - 2.0 * root)
    }

    /// The distance of rows, with its standard error and bias by the jackknife (Efron 1982): ten times a tenth of the rows
    /// is left out. To first order the bias falls as one over the number of rows (Chong and Forsyth, arXiv 1911.07023), which
    /// is what the jackknife finds. `progress` hears how many of `1 + 10` distances are known.
    ///
    /// # Shapes
    /// `values`: `[rows, dim]`, in an order that has nothing to do with what they show: every tenth row makes a group
    ///
    /// # Errors
    /// As [`FrechetReference::distance`].
    ///
    /// # Panics
    /// When there are fewer than 20 rows, or the last is cut short.
    pub fn estimate(
        &self,
        values: &[f32],
        dim: usize,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Frechet, MetricError> {
        assert!(rows(values, dim) >= 2 * GROUPS, "frechet: at least {} rows", 2 * GROUPS);
        let parts = LeaveOneOut::new(values, dim, GROUPS);
        let distance = self.distance(&parts.all())?;
        progress(1);
        // As many at once as there are threads, each on one: that is faster than all threads on one.
        let done = std::sync::atomic::AtomicUsize::new(1);
        let others: Vec<f64> = (0..GROUPS)
            .into_par_iter()
            .map(|group| {
                let distance = self.distance_on(&parts.without(group), Par::Seq)?;
                progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1);
                Ok(distance)
            })
            .collect::<Result<_, _>>()?;
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
    use super::*;
    use crate::testing::{close, features};

    #[test]
    fn agrees_with_pytorch_fid() {
        // goldens/metrics.py
        let (real, generated) = (features(0, 300, 16), features(1, 200, 16));
        let expected = 11.691143856536662;
        let reference = FrechetReference::new(&Moments::of(&real, 16)).unwrap();
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
    fn fewer_rows_than_features_are_no_trouble() {
        // The rows of `a` lie in a space of 9 dimensions: their covariance has no inverse.
        let (a, b) = (features(0, 10, 40), features(1, 200, 40));
        let (of_a, of_b) = (Moments::of(&a, 40), Moments::of(&b, 40));
        let distance = |a, b| FrechetReference::new(a).unwrap().distance(b).unwrap();
        assert!(distance(&of_a, &of_a).abs() < 1e-6);
        assert!((distance(&of_a, &of_b) - distance(&of_b, &of_a)).abs() < 1e-6 * distance(&of_a, &of_b));
    }

    #[test]
    fn the_jackknife_knows_spread_and_bias() {
        // 400 samples of the reference's own distribution, again and again: all of their distance is bias.
        let reference = FrechetReference::new(&Moments::of(&features(0, 100_000, 4), 4)).unwrap();
        let estimates: Vec<Frechet> =
            (1..101).map(|seed| reference.estimate(&features(2 * seed, 400, 4), 4, &|_| ()).unwrap()).collect();
        let mean = |of: &dyn Fn(&Frechet) -> f64| estimates.iter().map(of).sum::<f64>() / 100.0;
        let (distance, bias) = (mean(&|e| e.distance), mean(&|e| e.bias));
        assert!((bias / distance - 1.0).abs() < 0.2, "{bias} of {distance}");
        // Of another distribution: the standard error is the spread.
        let estimates: Vec<Frechet> =
            (1..201).map(|seed| reference.estimate(&features(2 * seed + 1, 400, 4), 4, &|_| ()).unwrap()).collect();
        let mean = |of: &dyn Fn(&Frechet) -> f64| estimates.iter().map(of).sum::<f64>() / 200.0;
        let distance = mean(&|e| e.distance);
        let spread = mean(&|e| (e.distance - distance).powi(2)).sqrt();
        let error = mean(&|e| e.standard_error);
        assert!((error / spread - 1.0).abs() < 0.2, "{error} and {spread}");
    }

    #[test]
    fn what_is_no_covariance_is_refused() {
        let with = |covariance: Vec<f64>| Moments { mean: vec![0.0; 2], covariance };
        let refused = |moments: &Moments| FrechetReference::new(moments).err().unwrap();
        assert_eq!(refused(&with(vec![1.0, f64::NAN, 0.0, 1.0])), MetricError::NotFinite);
        assert_eq!(refused(&with(vec![1.0, 0.0, 0.0, -1.0])), MetricError::NotACovariance);
        assert_eq!(refused(&with(vec![1.0])), MetricError::NotACovariance);
        let unit = FrechetReference::new(&with(vec![1.0, 0.0, 0.0, 1.0])).unwrap();
        let wrong = unit.distance(&Moments { mean: vec![0.0], covariance: vec![1.0] });
        assert_eq!(wrong, Err(MetricError::Dimensions { reference: 2, found: 1 }));
    }
}
