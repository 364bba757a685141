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

/// Every value of a row as it is: a measurement that differs from the row by its noise only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// N.
    pub dim: usize,
}

impl LinearOperator for Identity {
    fn inputs(&self) -> usize {
        self.dim
    }

    fn outputs(&self) -> usize {
        self.dim
    }

    fn apply(&self, y: &[f64], out: &mut [f64]) {
        out.copy_from_slice(y);
    }

    fn transpose(&self, v: &[f64], out: &mut [f64]) {
        out.copy_from_slice(v);
    }
}

/// One operator after another: `second (first y)`.
///
/// ```
/// use pfgm_flow::posterior::{Blur, Composition, Downsampling, LinearOperator};
///
/// // An image of 8x8 pixels, blurred and then measured by a coarser camera.
/// let blur = Blur::gaussian([8, 8, 1], 1.0).unwrap();
/// let camera = Downsampling::new([8, 8, 1], 4).unwrap();
/// let both = Composition::new(Box::new(blur), Box::new(camera)).unwrap();
/// assert_eq!((both.inputs(), both.outputs()), (64, 4));
/// ```
pub struct Composition {
    first: Box<dyn LinearOperator>,
    second: Box<dyn LinearOperator>,
}

impl Composition {
    /// `second` after `first`.
    ///
    /// # Errors
    /// Returns an error if `second` does not take as many values as `first` returns.
    pub fn new(first: Box<dyn LinearOperator>, second: Box<dyn LinearOperator>) -> Result<Self, MeasurementError> {
        if first.outputs() != second.inputs() {
            let problem = format!("takes {} values, but the first returns {}", second.inputs(), first.outputs());
            return Err(MeasurementError::Operator { what: "the second operator", problem });
        }
        Ok(Self { first, second })
    }
}

impl LinearOperator for Composition {
    fn inputs(&self) -> usize {
        self.first.inputs()
    }

    fn outputs(&self) -> usize {
        self.second.outputs()
    }

    fn apply(&self, y: &[f64], out: &mut [f64]) {
        let mut between = vec![0.0; self.first.outputs()];
        self.first.apply(y, &mut between);
        self.second.apply(&between, out);
    }

    fn transpose(&self, v: &[f64], out: &mut [f64]) {
        let mut between = vec![0.0; self.first.outputs()];
        self.second.transpose(v, &mut between);
        self.first.transpose(&between, out);
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
