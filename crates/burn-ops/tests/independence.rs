//! The result of an item does not depend on the rest of the batch, to the bit, so ranks can divide a batch by items.
#![allow(missing_docs)]

use burn::tensor::{Device, Tensor, TensorData};
use pfgm_burn_ops::{Conv2dOptions, conv2d, linear};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const BATCH: usize = 130;

fn tensor<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

/// Compares the first items of batches of every size up to [`BATCH`] with the items alone: results, and gradients for the
/// input of a sum that weights every value differently.
fn assert_independent<const D: usize, const E: usize>(
    what: &str,
    shape: [usize; D],
    operation: impl Fn(Tensor<D>) -> Tensor<E>,
) {
    let x = tensor(1, shape);
    let run = |start: usize, rows: usize| -> [Vec<f32>; 2] {
        let device = Device::flex().autodiff();
        let part = Tensor::from_data(x.clone().narrow(0, start, rows).into_data(), &device).require_grad();
        let y = operation(part.clone());
        let mask: Tensor<E> = Tensor::from_data(tensor(2, y.dims()).into_data(), &device);
        // The mask of an item must not depend on the batch.
        let mask = mask.narrow(0, 0, 1).expand(y.dims());
        let grads = (y.clone() * mask).sum().backward();
        [values(y.inner()), values(part.grad(&grads).unwrap())]
    };
    let alone: Vec<[Vec<f32>; 2]> = (0..BATCH).map(|item| run(item, 1)).collect();
    for rows in 1..=BATCH {
        let together = run(0, rows);
        for (kind, name) in ["result", "gradient"].into_iter().enumerate() {
            let size = together[kind].len() / rows;
            let items = together[kind].chunks_exact(size).zip(&alone);
            for (item, (found, alone)) in items.enumerate() {
                let same = found.iter().zip(&alone[kind]).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{what}: {name} of item {item} in a batch of {rows}");
            }
        }
    }
}

#[test]
fn winograd_convolution() {
    for (inputs, outputs) in [(16, 16), (9, 24), (40, 8)] {
        let (weight, bias) = (tensor(2, [3, 3, inputs, outputs]), tensor(3, [1, outputs]));
        let conv = |x: Tensor<4>| {
            let device = x.device();
            let on = |t: TensorData| Tensor::from_data(t, &device);
            let bias = Tensor::from_data(bias.clone().into_data(), &device);
            conv2d(x.clone(), on(weight.clone().into_data()), bias, None, Conv2dOptions::PLAIN)
        };
        assert_independent(&format!("3x3 {inputs} to {outputs}"), [BATCH, 4, 6, inputs], conv);
    }
}

#[test]
fn other_convolutions() {
    // Blocks of pixels end anywhere in a batch: 8 channels of 3x3 make blocks of 455 pixels, of which one is left over in a
    // batch of 64 images of 8x8; 96 channels make blocks of 341, of which one is left over in a batch of 16.
    for (kernel, inputs, outputs, stride, side) in [
        (3, 1, 8, 1, 8),
        (3, 8, 32, 1, 8),
        (3, 8, 1, 1, 8),
        (1, 96, 40, 1, 8),
        (1, 72, 8, 1, 1),
        (3, 16, 16, 2, 8),
        (1, 600, 16, 1, 2),
        (5, 3, 8, 1, 5),
        (3, 70, 6, 2, 6),
    ] {
        let (weight, bias) = (tensor(2, [kernel, kernel, inputs, outputs]), tensor(3, [1, outputs]));
        let options = Conv2dOptions { stride, scale: 0.7 };
        let conv = |x: Tensor<4>| {
            let device = x.device();
            let (weight, bias) = (weight.clone().into_data(), bias.clone().into_data());
            let (weight, bias) = (Tensor::from_data(weight, &device), Tensor::from_data(bias, &device));
            conv2d(x, weight, bias, None, options)
        };
        let what = format!("{kernel}x{kernel} {inputs} to {outputs}, stride {stride}, {side}x{side}");
        assert_independent(&what, [BATCH, side, side, inputs], conv);
    }
}

#[test]
fn linear_layers() {
    for (inputs, outputs) in [(8, 32), (32, 32), (64, 10), (2, 64), (100, 7), (7, 1), (1, 5), (700, 3), (1100, 90)] {
        let (weight, bias) = (tensor(2, [inputs, outputs]), tensor(3, [outputs]));
        let layer = |x: Tensor<2>| {
            let device = x.device();
            let (weight, bias) = (weight.clone().into_data(), bias.clone().into_data());
            linear(x, Tensor::from_data(weight, &device), Some(Tensor::from_data(bias, &device)))
        };
        assert_independent(&format!("linear {inputs} to {outputs}"), [BATCH, inputs], layer);
    }
}
