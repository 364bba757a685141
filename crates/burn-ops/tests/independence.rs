//! What becomes of an item does not depend, to the bit, on the others of its batch: work can be dealt out by items.
#![allow(missing_docs)]

use burn::tensor::{Device, Tensor, TensorData, module};
use pfgm_burn_ops::{Conv2dOptions, conv2d};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const BATCH: usize = 37;

fn tensor<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// Compares an operation on a batch with the same on parts of it.
fn assert_independent<const D: usize, const E: usize>(
    what: &str,
    shape: [usize; D],
    operation: impl Fn(Tensor<D>) -> Tensor<E>,
) {
    let x = tensor(1, shape);
    let values = |y: Tensor<E>| y.into_data().try_to_vec::<f32>().unwrap();
    let whole = values(operation(x.clone()));
    let size = whole.len() / BATCH;
    for part in [1, 2, 7, 16, 18, 19] {
        for start in (0..BATCH).step_by(part) {
            let rows = part.min(BATCH - start);
            let alone = values(operation(x.clone().narrow(0, start, rows)));
            let together = &whole[start * size..(start + rows) * size];
            let differing = alone.iter().zip(together).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            assert_eq!(differing, 0, "{what}: items {start} to {} in a batch of {rows}", start + rows);
        }
    }
}

#[test]
fn winograd_convolution() {
    for (inputs, outputs) in [(16, 16), (8, 24), (40, 8)] {
        let (weight, bias) = (tensor(2, [3, 3, inputs, outputs]), tensor(3, [1, outputs]));
        let conv = |x| conv2d(x, weight.clone(), bias.clone(), None, Conv2dOptions::PLAIN);
        assert_independent(&format!("3x3 {inputs} to {outputs}"), [BATCH, 8, 8, inputs], conv);
    }
}

#[test]
fn other_convolutions() {
    for (kernel, inputs, outputs, stride) in
        [(3, 1, 8, 1), (3, 8, 1, 1), (1, 16, 48, 1), (3, 16, 16, 2), (1, 8, 16, 1), (5, 3, 8, 1)]
    {
        let (weight, bias) = (tensor(2, [kernel, kernel, inputs, outputs]), tensor(3, [1, outputs]));
        let how = Conv2dOptions { stride, scale: 0.7 };
        let conv = |x| conv2d(x, weight.clone(), bias.clone(), None, how);
        assert_independent(&format!("{kernel}x{kernel} {inputs} to {outputs}"), [BATCH, 8, 8, inputs], conv);
    }
}

#[test]
fn linear() {
    for (inputs, outputs) in [(8, 32), (32, 32), (64, 10), (2, 64), (100, 7)] {
        let (weight, bias) = (tensor(2, [inputs, outputs]), tensor(3, [outputs]));
        let linear = |x: Tensor<2>| module::linear(x, weight.clone(), Some(bias.clone()));
        assert_independent(&format!("linear {inputs} to {outputs}"), [BATCH, inputs], linear);
    }
}
