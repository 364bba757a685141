//! Muon: momentum whose matrices are orthogonalized (K. Jordan, 2024; the length of a step as in arXiv 2502.16982), Adam for the other weights.

use burn::tensor::Tensor;
use pfgm_burn_ops::AdamState;

use super::matrices::Part;

/// Coefficients of a step of Newton and Schulz. Singular values between 0.01 and 1 are between 0.68 and 1.14 after five steps.
const NEWTON_SCHULZ: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// Number of these steps.
const ITERATIONS: usize = 5;

/// Size of a step of a weight, in units of the learning rate: that of Adam's steps in trainings.
const USUAL_STEP: f64 = 0.2;

/// Constants of a step of a matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct MuonStep {
    /// Factor of the gradient.
    pub(super) clip: f64,
    pub(super) rate: f64,
    /// Decay of the momentum.
    pub(super) momentum: f64,
    /// Decay of the average of the weights.
    pub(super) decay: f64,
}

/// Takes a step of each part of the weights: a matrix by [`matrix_step`], anything else by `other`.
///
/// # Shapes
/// `gradient`, and each part of the state: `[weights]`
pub(super) fn step(
    state: &AdamState,
    gradient: &Tensor<1>,
    parts: &[Part],
    matrix: MuonStep,
    other: impl Fn(AdamState, Tensor<1>) -> AdamState,
) -> AdamState {
    let mut start = 0;
    let mut stepped: [Vec<Tensor<1>>; 4] = Default::default();
    for &Part { size, outputs } in parts {
        let part = |flat: &Tensor<1>| flat.clone().narrow(0, start, size);
        let own = AdamState {
            weights: part(&state.weights),
            first: part(&state.first),
            second: part(&state.second),
            average: part(&state.average),
        };
        let AdamState { weights, first, second, average } = match outputs {
            Some(outputs) => matrix_step(own, part(gradient), outputs, matrix),
            None => other(own, part(gradient)),
        };
        stepped.iter_mut().zip([weights, first, second, average]).for_each(|(all, part)| all.push(part));
        start += size;
    }
    let [weights, first, second, average] = stepped.map(|parts| Tensor::cat(parts, 0));
    AdamState { weights, first, second, average }
}

/// Takes a step of a matrix of n inputs and m outputs, with the momentum `M' = mu M + G`:
/// `W' = W - 0.2 rate sqrt(max(n, m)) O(G + mu M')`, where O makes all singular values about 1. The second moment stays as it is.
fn matrix_step(state: AdamState, gradient: Tensor<1>, outputs: usize, step: MuonStep) -> AdamState {
    let AdamState { weights, first, second, average } = state;
    let size = weights.dims()[0];
    let inputs = size / outputs;
    let gradient = gradient.mul_scalar(step.clip);
    let first = first.mul_scalar(step.momentum) + gradient.clone();
    let direction = (gradient + first.clone().mul_scalar(step.momentum)).reshape([inputs, outputs]);
    let length = USUAL_STEP * step.rate * (inputs.max(outputs) as f64).sqrt();
    let weights = weights - orthogonalized(direction).mul_scalar(length).reshape([size]);
    let average = average.mul_scalar(step.decay) + weights.clone().mul_scalar(1.0 - step.decay);
    AdamState { weights, first, second, average }
}

/// The matrix with the same singular vectors and singular values of about 1.
fn orthogonalized(matrix: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    // The products are those of the shorter side.
    let wide = if rows > columns { matrix.transpose() } else { matrix };
    let norm = wide.clone().square().sum().sqrt().clamp_min(1e-20);
    let mut x = wide / norm.reshape([1, 1]);
    let [a, b, c] = NEWTON_SCHULZ;
    for _ in 0..ITERATIONS {
        let square = x.clone().matmul(x.clone().transpose());
        let polynomial = square.clone().mul_scalar(b) + square.clone().matmul(square).mul_scalar(c);
        x = x.clone().mul_scalar(a) + polynomial.matmul(x);
    }
    if rows > columns { x.transpose() } else { x }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn tensor(values: &[f32]) -> Tensor<1> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &Device::flex())
    }

    fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
        tensor.to_data().try_to_vec().unwrap()
    }

    /// `U diag(s) V^T` with rotations U and V by two angles, as a matrix of 3x2 whose third row is zero in the turned frame.
    fn matrix(s: [f32; 2]) -> Tensor<2> {
        let (a, b) = (0.7_f32, -0.4_f32);
        let (u, v) = ([[a.cos(), -a.sin()], [a.sin(), a.cos()], [0.0, 0.0]], [[b.cos(), -b.sin()], [b.sin(), b.cos()]]);
        let entries =
            u.iter().flat_map(|row| v.iter().map(move |other| row[0] * s[0] * other[0] + row[1] * s[1] * other[1]));
        tensor(&entries.collect::<Vec<_>>()).reshape([3, 2])
    }

    /// The polynomial of a singular value in all iterations.
    fn iterated(singular: f64) -> f64 {
        let [a, b, c] = NEWTON_SCHULZ;
        (0..ITERATIONS).fold(singular, |s, _| a * s + b * s.powi(3) + c * s.powi(5))
    }

    #[test]
    fn singular_values_become_about_one_and_vectors_stay() {
        let ends = (10..=1000).map(|thousandth| iterated(f64::from(thousandth) / 1000.0));
        let (low, high) = ends.fold((f64::MAX, 0.0_f64), |(low, high), s| (low.min(s), high.max(s)));
        assert!((0.68..0.69).contains(&low) && (1.13..1.14).contains(&high), "{low} to {high}");
        for s in [[5.0, 0.3], [0.02, 0.01], [1e-6, 1e-6]] {
            let norm = s.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>().sqrt();
            let expected = values(&matrix(s.map(|s| iterated(f64::from(s) / norm) as f32)));
            for turned in [false, true] {
                let given = if turned { matrix(s).transpose() } else { matrix(s) };
                let found = orthogonalized(given);
                let found = values(&if turned { found.transpose() } else { found });
                assert!(
                    found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 2e-4),
                    "{s:?}: {found:?}, {expected:?}"
                );
            }
        }
        assert_eq!(values(&orthogonalized(matrix([0.0, 0.0]))), [0.0; 6], "a gradient of zero moves nothing");
    }

    #[test]
    fn steps_of_matrices_have_the_size_of_adams() {
        // Two parts: a vector of 2 and a matrix of 3x2.
        let parts = [Part { size: 2, outputs: None }, Part { size: 6, outputs: Some(2) }];
        let gradient = Tensor::cat(vec![tensor(&[1.0, -1.0]), matrix([4.0, 1.0]).reshape([6])], 0);
        let zeros = tensor(&[0.0; 8]);
        let state = AdamState { weights: zeros.clone(), first: zeros.clone(), second: zeros.clone(), average: zeros };
        let constants = MuonStep { clip: 0.5, rate: 0.1, momentum: 0.9, decay: 0.75 };
        let vector = |state: AdamState, gradient: Tensor<1>| AdamState { weights: gradient, ..state };
        let once = step(&state, &gradient, &parts, constants, vector);
        let weights = values(&once.weights);
        assert_eq!(weights[..2], [1.0, -1.0], "vectors are left to the other optimizer");
        let size = (weights[2..].iter().map(|value| value * value).sum::<f32>() / 6.0).sqrt();
        assert!((0.7..1.2).contains(&(size / (0.1 * 0.2))), "a step of {size}");
        let slope: f32 = weights[2..].iter().zip(&values(&gradient)[2..]).map(|(a, b)| a * b).sum();
        assert!(slope < 0.0, "against the gradient");
        // The average follows, and the momentum adds up.
        let average = values(&once.average);
        assert!(average[2..].iter().zip(&weights[2..]).all(|(average, weight)| (average - 0.25 * weight).abs() < 1e-7));
        let twice = step(&once, &gradient, &parts, constants, vector);
        let momentum = values(&twice.first)[2..].to_vec();
        let expected: Vec<f32> = values(&gradient)[2..].iter().map(|value| 0.5 * 1.9 * value).collect();
        assert!(momentum.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{momentum:?}");
    }
}
