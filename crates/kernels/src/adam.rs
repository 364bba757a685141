//! One step of Adam (arXiv 1412.6980) with a moving average of the weights, on all weights at once.

use burn::{backend::Dispatch, tensor::Tensor};

use crate::backend::{OptimizerOps, is_fused};

/// The numbers of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// What the gradient is multiplied by, to keep its norm within bounds.
    pub clip: f64,
    /// The decay of the first and of the second moment.
    pub betas: [f64; 2],
    /// The learning rate, divided by the bias correction of the first moment.
    pub rate: f64,
    /// The bias correction of the second moment.
    pub correction: f64,
    /// What is added to the root of the second moment.
    pub epsilon: f64,
    /// The decay of the weights' average.
    pub decay: f64,
}

/// The weights of a network and what the optimiser knows of them, flat.
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
/// When the gradient, or a part of the state, has another length than the weights.
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

/// [`adam`] in Burn's own operations: what other backends run, and what tests compare with.
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

/// The Euclidean norm of a vector.
pub fn norm(x: &Tensor<1>) -> f64 {
    let squares = if is_fused(x) {
        Tensor::<1>::from_dispatch(Dispatch::fused_square_sum(x.clone().into_dispatch()))
    } else {
        x.clone().square().sum()
    };
    f64::from(squares.into_scalar::<f32>()).sqrt()
}
