//! Some of the values of a row.

use super::{LinearOperator, MeasurementError};

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
