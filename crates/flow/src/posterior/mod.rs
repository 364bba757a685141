//! Posterior sampling: data from a linear measurement `a = A y + noise`, with an unconditional flow, for every D.
//!
//! The conditional flow is `dx / d ln sigma = x - yhat_a(x, sigma)` with `yhat_a = E[y | x, sigma, a]`
//! (docs/equations.md, section 9). [`Conditioned`] estimates `yhat_a` from an unconditional denoiser and its vector-Jacobian
//! product. It is a [`Denoiser`](crate::flow::Denoiser), so that every solver draws from the posterior. [`TwistedSampler`] corrects its error with
//! weighted particles.
//!
//! ```
//! use pfgm_flow::{
//!     extra_dims::ExtraDims,
//!     field::ExactField,
//!     flow::{Denoiser, Query},
//!     posterior::{Conditioned, Guidance, Matrix, Measurement},
//! };
//!
//! let field = ExactField::new(vec![-1.0, 0.0, 1.0, 0.0], 2, ExtraDims::Infinite);
//! // The first coordinate was measured as 0.9, with a standard deviation of 0.1.
//! let first = Matrix::new(vec![1.0, 0.0], 2).unwrap();
//! let measurement = Measurement::new(&first, vec![0.9], 0.1).unwrap();
//! let posterior = Conditioned::new(&field, ExtraDims::Infinite, &measurement, Guidance::default());
//! let mut yhat = [0.0; 2];
//! posterior.denoise(&Query { x: &[0.0, 0.0], sigma: &[1.0], item: &[0] }, &mut yhat);
//! assert!(yhat[0] > 0.8);
//! ```

mod blur;
mod conjugate_gradients;
mod downsampling;
mod fourier;
mod guidance;
mod mask;
mod matrix;
mod measurement;
mod operator;
mod radon;
mod twisted;

pub use blur::Blur;
pub use downsampling::Downsampling;
pub use fourier::Fourier;
pub use guidance::{Conditioned, Guidance};
pub use mask::Mask;
pub use matrix::Matrix;
pub use measurement::Measurement;
pub use operator::{Composition, Identity, LinearOperator, Scaled};
pub use radon::Radon;
pub use twisted::{Twisted, TwistedSampler};

/// Why a measurement cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MeasurementError {
    /// The matrix is not made of whole rows.
    #[error("a matrix of {values} values has no rows of {columns} columns")]
    Ragged {
        /// Values of the matrix.
        values: usize,
        /// Columns that were given.
        columns: usize,
    },
    /// A mask keeps no value.
    #[error("a mask keeps none of {inputs} values; keep at least one")]
    EmptyMask {
        /// Values of a row.
        inputs: usize,
    },
    /// The measurement has another length than the operator's output.
    #[error("a measurement has {values} values, but the operator returns {outputs}")]
    Length {
        /// Values of the measurement.
        values: usize,
        /// Values that the operator returns.
        outputs: usize,
    },
    /// An operator cannot be made of this.
    #[error("{what} {problem}")]
    Operator {
        /// What is wrong.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A number is not finite, or the noise is negative.
    #[error("{what} = {value}: give a finite number{at_least}")]
    Number {
        /// What the number is.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The lower limit, in words.
        at_least: &'static str,
    },
}
