//! The CPU operations against the same operations composed of Burn's own, values and gradients, on awkward sizes.
#![allow(missing_docs)]

use burn::tensor::{Device, Tensor, TensorData};
use pfgm_kernels::{Normalisation, conv2d, group_norm};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

struct Source(ChaCha8Rng);

impl Source {
    fn tensor<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.0.random_range(-1.0..1.0)).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
    }
}

/// Compares two tensors relative to the largest value.
fn assert_close<const D: usize>(a: Tensor<D>, b: Tensor<D>, what: &str) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let (a, b): (Vec<f32>, Vec<f32>) = (a.into_data().try_to_vec().unwrap(), b.into_data().try_to_vec().unwrap());
    let size = b.iter().fold(1e-3_f32, |most, value| most.max(value.abs()));
    let error = a.iter().zip(&b).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(error <= 2e-5 * size, "{what}: {error} against {size}");
}

/// A loss in which every value counts differently.
fn loss(y: &Tensor<4>, mask: &Tensor<4>) -> Tensor<1> {
    (y.clone() * mask.clone()).sum()
}

#[test]
fn convolutions_and_their_gradients() {
    let mut source = Source(ChaCha8Rng::seed_from_u64(1));
    // batch, height, width, inputs, outputs, kernel: odd sizes, few channels, one pixel, one image, several blocks.
    for (b, h, w, i, o, k) in [
        (1, 1, 1, 1, 1, 3),
        (2, 3, 5, 1, 4, 3),
        (1, 7, 2, 3, 17, 3),
        (3, 8, 8, 32, 33, 3),
        (2, 9, 4, 4, 3, 5),
        (2, 6, 7, 5, 6, 1),
        (5, 28, 28, 6, 5, 3),
    ] {
        let what = format!("{b} images of {h}x{w}, {i} to {o} channels, kernel {k}");
        let (x, weight, bias) = (source.tensor([b, h, w, i]), source.tensor([k, k, i, o]), source.tensor([o]));
        let mask = source.tensor([b, h, w, o]);
        let fast = conv2d(x.clone(), weight.clone(), bias.clone());
        let slow = conv2d::reference(x.clone(), weight.clone(), bias.clone());
        assert_close(fast.clone(), slow.clone(), &what);
        let (fast, slow) = (loss(&fast, &mask).backward(), loss(&slow, &mask).backward());
        assert_close(x.grad(&fast).unwrap(), x.grad(&slow).unwrap(), &format!("{what}: input gradient"));
        assert_close(weight.grad(&fast).unwrap(), weight.grad(&slow).unwrap(), &format!("{what}: weight gradient"));
        assert_close(bias.grad(&fast).unwrap(), bias.grad(&slow).unwrap(), &format!("{what}: bias gradient"));
    }
}

#[test]
fn normalisations_and_their_gradients() {
    let mut source = Source(ChaCha8Rng::seed_from_u64(2));
    for (b, h, w, c, groups, activate) in [
        (1, 2, 2, 4, 1, true),
        (3, 5, 7, 12, 3, true),
        (2, 1, 1, 32, 1, false),
        (2, 8, 8, 24, 6, true),
        (4, 3, 3, 5, 5, false),
    ] {
        let what = format!("{b} images of {h}x{w}x{c} in {groups} groups");
        let how = Normalisation { groups, epsilon: 1e-6, activate };
        let (x, gamma, beta) = (source.tensor([b, h, w, c]), source.tensor([c]), source.tensor([c]));
        let mask = source.tensor([b, h, w, c]);
        let fast = group_norm(x.clone(), gamma.clone(), beta.clone(), how);
        let slow = group_norm::reference(x.clone(), gamma.clone(), beta.clone(), how);
        assert_close(fast.clone(), slow.clone(), &what);
        let (fast, slow) = (loss(&fast, &mask).backward(), loss(&slow, &mask).backward());
        assert_close(x.grad(&fast).unwrap(), x.grad(&slow).unwrap(), &format!("{what}: input gradient"));
        assert_close(gamma.grad(&fast).unwrap(), gamma.grad(&slow).unwrap(), &format!("{what}: gamma"));
        assert_close(beta.grad(&fast).unwrap(), beta.grad(&slow).unwrap(), &format!("{what}: beta"));
    }
}

#[test]
fn gradients_do_not_depend_on_the_number_of_threads() {
    let mut source = Source(ChaCha8Rng::seed_from_u64(3));
    let (x, weight, bias) = (source.tensor([7, 16, 16, 8]), source.tensor([3, 3, 8, 16]), source.tensor([16]));
    let gradient = |threads: usize| -> Vec<f32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let y = conv2d(x.clone(), weight.clone(), bias.clone());
            let gradients = y.clone().square().sum().backward();
            weight.grad(&gradients).unwrap().into_data().try_to_vec().unwrap()
        })
    };
    assert_eq!(gradient(1), gradient(4));
}
