//! Linear operators: what a measurement sees of a row.

use super::MeasurementError;

/// A linear map `A` from rows to measurements, with its transpose: `<A y, v> = <y, A^T v>`.
pub trait LinearOperator: Send + Sync {
    /// The number of values of a row, N.
    fn inputs(&self) -> usize;

    /// The number of values of a measurement, M.
    fn outputs(&self) -> usize;

    /// Writes `A y` to `out`.
    ///
    /// # Shapes
    /// `y`: `[N]`, `out`: `[M]`
    fn apply(&self, y: &[f64], out: &mut [f64]);

    /// Writes `A^T v` to `out`.
    ///
    /// # Shapes
    /// `v`: `[M]`, `out`: `[N]`
    fn transpose(&self, v: &[f64], out: &mut [f64]);
}

/// A dense matrix, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    values: Vec<f64>,
    columns: usize,
}

impl Matrix {
    /// A matrix of rows of `columns` values.
    ///
    /// # Errors
    /// Returns an error if the values are no whole rows, or one of them is not finite.
    pub fn new(values: Vec<f64>, columns: usize) -> Result<Self, MeasurementError> {
        if columns == 0 || values.is_empty() || !values.len().is_multiple_of(columns) {
            return Err(MeasurementError::Ragged { values: values.len(), columns });
        }
        match values.iter().find(|value| !value.is_finite()) {
            Some(&value) => Err(MeasurementError::Number { what: "a value of the matrix", value, at_least: "" }),
            None => Ok(Self { values, columns }),
        }
    }
}

impl LinearOperator for Matrix {
    fn inputs(&self) -> usize {
        self.columns
    }

    fn outputs(&self) -> usize {
        self.values.len() / self.columns
    }

    fn apply(&self, y: &[f64], out: &mut [f64]) {
        let product = |row: &[f64]| row.iter().zip(y).map(|(a, y)| a * y).sum();
        self.values.chunks_exact(self.columns).zip(out).for_each(|(row, out)| *out = product(row));
    }

    fn transpose(&self, v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (row, v) in self.values.chunks_exact(self.columns).zip(v) {
            out.iter_mut().zip(row).for_each(|(out, a)| *out += a * v);
        }
    }
}

/// Some of the values of a row, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    kept: Vec<usize>,
    inputs: usize,
}

impl Mask {
    /// The values where `is_known` is true.
    ///
    /// # Errors
    /// Returns an error if none is.
    pub fn new(is_known: &[bool]) -> Result<Self, MeasurementError> {
        let kept: Vec<usize> = (0..is_known.len()).filter(|&at| is_known[at]).collect();
        if kept.is_empty() {
            return Err(MeasurementError::EmptyMask { inputs: is_known.len() });
        }
        Ok(Self { kept, inputs: is_known.len() })
    }
}

impl LinearOperator for Mask {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.kept.len()
    }

    fn apply(&self, y: &[f64], out: &mut [f64]) {
        out.iter_mut().zip(&self.kept).for_each(|(out, &at)| *out = y[at]);
    }

    fn transpose(&self, v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        v.iter().zip(&self.kept).for_each(|(v, &at)| out[at] = *v);
    }
}

/// An operator after a factor for each value of a row: `A diag(factors)`.
///
/// A model works on standardized rows; with the transform's scale as factors, an operator on rows in the data's units becomes one on the
/// model's.
pub struct Scaled<'a> {
    /// `A`.
    pub operator: &'a dyn LinearOperator,
    /// A factor for each value of a row, `[N]`.
    pub factors: Vec<f64>,
}

impl LinearOperator for Scaled<'_> {
    fn inputs(&self) -> usize {
        self.operator.inputs()
    }

    fn outputs(&self) -> usize {
        self.operator.outputs()
    }

    fn apply(&self, y: &[f64], out: &mut [f64]) {
        let scaled: Vec<f64> = y.iter().zip(&self.factors).map(|(y, factor)| y * factor).collect();
        self.operator.apply(&scaled, out);
    }

    fn transpose(&self, v: &[f64], out: &mut [f64]) {
        self.operator.transpose(v, out);
        out.iter_mut().zip(&self.factors).for_each(|(out, factor)| *out *= factor);
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn transposes_are_transposes() {
        let mut rng = stream(3, Purpose::Latent, 0, 0);
        let mut draw = |count: usize| -> Vec<f64> { (0..count).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let matrix = Matrix::new(draw(12), 4).unwrap();
        let mask = Mask::new(&[true, false, true, true]).unwrap();
        let scaled = Scaled { operator: &matrix, factors: draw(4) };
        let operators: [&dyn LinearOperator; 3] = [&matrix, &mask, &scaled];
        for operator in operators {
            let (y, v) = (draw(operator.inputs()), draw(operator.outputs()));
            let (mut image, mut back) = (vec![0.0; v.len()], vec![0.0; y.len()]);
            operator.apply(&y, &mut image);
            operator.transpose(&v, &mut back);
            let inner = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
            assert!((inner(&image, &v) - inner(&y, &back)).abs() < 1e-12);
        }
    }

    #[test]
    fn what_cannot_be_an_operator_is_refused() {
        assert!(matches!(Matrix::new(vec![1.0; 5], 2), Err(MeasurementError::Ragged { .. })));
        assert!(matches!(Matrix::new(vec![f64::NAN; 2], 2), Err(MeasurementError::Number { .. })));
        assert!(matches!(Mask::new(&[false; 3]), Err(MeasurementError::EmptyMask { .. })));
    }
}
