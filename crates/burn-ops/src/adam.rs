//! Adam (arXiv 1412.6980) with a moving average of the weights, on all weights as one vector.

use burn::{backend::Dispatch, tensor::Tensor};

pub use pfgm_cpu::adam::AdamStep;

use crate::backend::{OptimizerOps, is_fused};

/// The weights of a network and the state of their optimizer, as vectors.
#[derive(Clone, Debug)]
pub struct AdamState {
    /// The weights.
    pub weights: Tensor<1>,
    /// The first moments of their gradients.
    pub first: Tensor<1>,
    /// The second moments.
    pub second: Tensor<1>,
    /// The moving average of the weights.
    pub average: Tensor<1>,
}

/// Takes one step against `gradient`.
///
/// # Panics
/// If the gradient, or a part of the state, has another length than the weights.
pub fn adam(state: AdamState, gradient: Tensor<1>, step: AdamStep) -> AdamState {
    let count = state.weights.dims();
    for other in [&gradient, &state.first, &state.second, &state.average] {
        assert_eq!(other.dims(), count, "adam: weights against gradient and moments");
    }
    if is_fused(&state.weights) {
        let AdamState { weights, first, second, average } = state;
        let (weights, first, second, average) = Dispatch::fused_adam(
            weights.into_dispatch(),
            first.into_dispatch(),
            second.into_dispatch(),
            average.into_dispatch(),
            gradient.into_dispatch(),
            step,
        );
        return AdamState {
            weights: Tensor::from_dispatch(weights),
            first: Tensor::from_dispatch(first),
            second: Tensor::from_dispatch(second),
            average: Tensor::from_dispatch(average),
        };
    }
    reference(state, gradient, step)
}

/// [`adam()`] composed of Burn's operations, for other devices and for tests.
pub fn reference(state: AdamState, gradient: Tensor<1>, step: AdamStep) -> AdamState {
    let AdamState { weights, first, second, average } = state;
    let [beta1, beta2] = step.betas;
    let gradient = gradient.mul_scalar(step.clip);
    let first = first.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
    let second = second.mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2);
    let spread = second.clone().div_scalar(step.correction).sqrt().add_scalar(step.epsilon);
    let weights = weights - first.clone().mul_scalar(step.rate) / spread;
    let average = average.mul_scalar(step.decay) + weights.clone().mul_scalar(1.0 - step.decay);
    AdamState { weights, first, second, average }
}

/// Computes the Euclidean norm of a vector.
pub fn norm(x: &Tensor<1>) -> f64 {
    let squares = if is_fused(x) {
        Tensor::<1>::from_dispatch(Dispatch::fused_square_sum(x.clone().into_dispatch()))
    } else {
        x.clone().square().sum()
    };
    f64::from(squares.into_scalar::<f32>()).sqrt()
}
