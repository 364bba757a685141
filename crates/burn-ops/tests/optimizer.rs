//! Compares the fused step of Adam with the same step composed of Burn's operations.
#![allow(missing_docs)]

use burn::tensor::{Device, Tensor, TensorData};
use pfgm_burn_ops::{AdamState, AdamStep, adam};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[test]
fn steps_follow_the_reference() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for count in [1, 5, 17, 40_000] {
        let mut draw = |low: f32, high: f32| -> Tensor<1> {
            let values: Vec<f32> = (0..count).map(|_| rng.random_range(low..high)).collect();
            Tensor::from_data(TensorData::new(values, [count]), &Device::flex())
        };
        let weights = draw(-1.0, 1.0);
        let zeros = weights.zeros_like();
        let start = AdamState { average: weights.clone(), first: zeros.clone(), second: zeros, weights };
        let (mut fast, mut slow) = (start.clone(), start);
        for step in 1..=4 {
            let gradient = draw(-1.0, 1.0);
            let expected = gradient.clone().square().sum().sqrt().into_scalar::<f32>();
            let norm = adam::norm(&gradient);
            assert!((norm - f64::from(expected)).abs() <= 1e-4 * norm, "the norm of {count} values");
            let step = AdamStep {
                clip: 0.5,
                betas: [0.9, 0.99],
                rate: 1e-2 / (1.0 - 0.9_f64.powi(step)),
                correction: 1.0 - 0.99_f64.powi(step),
                epsilon: 1e-8,
                decay: 0.9,
            };
            fast = adam(fast, gradient.clone(), step);
            slow = adam::reference(slow, gradient, step);
        }
        let pairs = [
            (fast.weights, slow.weights),
            (fast.first, slow.first),
            (fast.second, slow.second),
            (fast.average, slow.average),
        ];
        for (a, b) in pairs {
            let error = (a - b).abs().max().into_scalar::<f32>();
            assert!(error <= 1e-6, "{count} values: {error}");
        }
    }
}

#[test]
fn parts_of_longer_vectors_are_stepped_alone() {
    let whole = |value: f32| Tensor::<1>::from_data(TensorData::new(vec![value; 12], [12]), &Device::flex());
    let vectors = [whole(1.0), whole(0.1), whole(0.2), whole(0.9)];
    let step = AdamStep { clip: 1.0, betas: [0.9, 0.99], rate: 0.1, correction: 0.5, epsilon: 1e-8, decay: 0.9 };
    let of = |vectors: &[Tensor<1>; 4], start: usize, count: usize| {
        let [weights, first, second, average] = vectors.clone().map(|vector| vector.narrow(0, start, count));
        adam(AdamState { weights, first, second, average }, whole(0.3).narrow(0, start, count), step)
    };
    let (all, part) = (of(&vectors, 0, 12), of(&vectors, 5, 3));
    let values = |tensor: Tensor<1>| tensor.into_data().try_into_vec::<f32>().unwrap();
    let pairs =
        [(all.weights, part.weights), (all.first, part.first), (all.second, part.second), (all.average, part.average)];
    for (all, part) in pairs {
        assert_eq!(values(all)[5..8], values(part));
    }
    assert_eq!(values(vectors[1].clone()), [0.1; 12], "the longer vector is unchanged");
}
