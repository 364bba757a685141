//! Compares the CPU operations with the reference of Burn's operations, values and gradients, on irregular sizes.
#![allow(missing_docs)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use pfgm_burn_ops::{
    Conv2dOptions, DropoutMask, Filter, GroupNormOptions, Heads, attention, concat, conv2d, downsample2x, dropout,
    group_norm, linear, resample::Resampling, upsample2x,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

struct Source(ChaCha8Rng);

impl Source {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn tensor<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.0.random_range(-1.0..1.0)).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Compares two tensors relative to the largest value.
fn assert_close<const D: usize>(a: Tensor<D>, b: Tensor<D>, what: &str) {
    assert_within(2e-5, a, b, what);
}

fn assert_within<const D: usize>(tolerance: f32, a: Tensor<D>, b: Tensor<D>, what: &str) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let (a, b) = (values(a), values(b));
    let size = b.iter().fold(1e-3_f32, |most, value| most.max(value.abs()));
    let error = a.iter().zip(&b).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(error <= tolerance * size, "{what}: {error} against {size}");
}

/// Compares results, and the gradients of a loss that weights every value of the result differently.
fn assert_same<const D: usize>(source: &mut Source, fast: Tensor<D>, slow: Tensor<D>, parents: &[&Parent], what: &str) {
    assert_same_within(2e-5, source, fast, slow, parents, what);
}

fn assert_same_within<const D: usize>(
    tolerance: f32,
    source: &mut Source,
    fast: Tensor<D>,
    slow: Tensor<D>,
    parents: &[&Parent],
    what: &str,
) {
    let mask = source.tensor(fast.dims());
    assert_within(tolerance, fast.clone(), slow.clone(), what);
    let (fast, slow) = ((fast * mask.clone()).sum().backward(), (slow * mask).sum().backward());
    for (index, parent) in parents.iter().enumerate() {
        let what = format!("{what}: gradient of operand {index}");
        match parent {
            Parent::Image(x) => assert_within(tolerance, x.grad(&fast).unwrap(), x.grad(&slow).unwrap(), &what),
            Parent::Rows(x) => assert_within(tolerance, x.grad(&fast).unwrap(), x.grad(&slow).unwrap(), &what),
            Parent::Sequence(x) => assert_within(tolerance, x.grad(&fast).unwrap(), x.grad(&slow).unwrap(), &what),
        }
    }
}

enum Parent {
    Image(Tensor<4>),
    Rows(Tensor<2>),
    Sequence(Tensor<3>),
}

#[test]
fn convolutions() {
    let mut source = Source::new(1);
    // batch, height, width, inputs, outputs, kernel, stride: odd sizes, few channels, one pixel, one image, several blocks.
    for (b, h, w, i, o, k, stride) in [
        (1, 1, 1, 1, 1, 3, 1),
        (2, 3, 5, 1, 4, 3, 1),
        (1, 7, 2, 3, 17, 3, 1),
        (3, 8, 8, 32, 33, 3, 1),
        (2, 9, 4, 4, 3, 5, 1),
        (2, 6, 7, 5, 6, 1, 1),
        (5, 28, 28, 6, 5, 3, 1),
        (1, 5, 9, 70, 50, 3, 1),
        (1, 1, 1, 9, 1, 3, 1),
        (2, 5, 6, 12, 3, 3, 1),
        (2, 8, 8, 5, 7, 3, 2),
        (3, 7, 5, 3, 4, 3, 2),
        (2, 6, 6, 4, 5, 1, 2),
        (2, 9, 10, 2, 3, 5, 3),
    ] {
        let how = Conv2dOptions { stride, scale: 0.7 };
        let (x, weight) = (source.tensor([b, h, w, i]), source.tensor([k, k, i, o]));
        let residual: Tensor<4> = source.tensor([b, h.div_ceil(stride), w.div_ceil(stride), o]);
        for rows in [1, b] {
            let bias = source.tensor([rows, o]);
            let mut parents = vec![Parent::Image(x.clone()), Parent::Image(weight.clone()), Parent::Rows(bias.clone())];
            let what =
                format!("{b} images of {h}x{w}, {i} to {o} channels, kernel {k}, stride {stride}, {rows} biases");
            let run = |residual: Option<Tensor<4>>, how| {
                let fast = conv2d(x.clone(), weight.clone(), bias.clone(), residual.clone(), how);
                (fast, conv2d::reference(x.clone(), weight.clone(), bias.clone(), residual, how))
            };
            let (fast, slow) = run(None, Conv2dOptions { stride, scale: 1.0 });
            assert_same(&mut source, fast, slow, &parents.iter().collect::<Vec<_>>(), &what);
            let (fast, slow) = run(Some(residual.clone()), how);
            parents.push(Parent::Image(residual.clone()));
            let parents: Vec<_> = parents.iter().collect();
            assert_same(&mut source, fast, slow, &parents, &format!("{what}, a residual"));
        }
    }
}

#[test]
fn linear_layers() {
    let mut source = Source::new(9);
    for (batch, inputs, outputs) in [(1, 1, 1), (1, 5, 4), (7, 3, 1), (3, 2, 9), (20, 65, 33), (2, 1030, 5)] {
        let (x, weight, bias) =
            (source.tensor([batch, inputs]), source.tensor([inputs, outputs]), source.tensor([1, outputs]));
        let what = format!("{batch} rows, {inputs} to {outputs}");
        let row = |bias: &Tensor<2>| Some(bias.clone().reshape([outputs]));
        let fast = linear(x.clone(), weight.clone(), row(&bias));
        let slow = pfgm_burn_ops::linear::reference(x.clone(), weight.clone(), row(&bias));
        let parents = [Parent::Rows(x), Parent::Rows(weight), Parent::Rows(bias)];
        assert_same(&mut source, fast, slow, &parents.iter().collect::<Vec<_>>(), &what);
    }
}

#[test]
fn normalizations() {
    let mut source = Source::new(2);
    for (b, h, w, c, groups, activate) in [
        (1, 2, 2, 4, 1, true),
        (3, 5, 7, 12, 3, true),
        (2, 1, 1, 32, 1, false),
        (2, 8, 8, 24, 6, true),
        (4, 3, 3, 5, 5, false),
    ] {
        for rows in [1, b] {
            let what = format!("{b} images of {h}x{w}x{c} in {groups} groups, {rows} rows");
            let how = GroupNormOptions { groups, epsilon: 1e-6, activate };
            let (x, gamma, beta) = (source.tensor([b, h, w, c]), source.tensor([rows, c]), source.tensor([rows, c]));
            let fast = group_norm(x.clone(), gamma.clone(), beta.clone(), how);
            let slow = group_norm::reference(x.clone(), gamma.clone(), beta.clone(), how);
            let parents = [Parent::Image(x), Parent::Rows(gamma), Parent::Rows(beta)];
            assert_same(&mut source, fast, slow, &parents.iter().collect::<Vec<_>>(), &what);
        }
    }
}

#[test]
fn attentions() {
    let mut source = Source::new(3);
    for (b, pixels, channels, heads) in [(1, 1, 4, 1), (2, 9, 6, 2), (3, 49, 32, 1), (1, 130, 12, 4), (2, 64, 3, 3)] {
        let qkv = source.tensor([b, pixels, 3 * channels]).mul_scalar(2.0).detach().require_grad();
        let fast = attention(qkv.clone(), Heads(heads));
        let slow = attention::reference(qkv.clone(), Heads(heads));
        let what = format!("{b} images of {pixels} pixels, {channels} channels, {heads} heads");
        assert_same(&mut source, fast, slow, &[&Parent::Sequence(qkv)], &what);
    }
}

#[test]
fn resamplings() {
    let mut source = Source::new(4);
    for filter in [Filter::Box, Filter::Binomial] {
        for (b, h, w, c) in [(1, 2, 2, 1), (2, 4, 6, 3), (3, 8, 8, 17), (1, 2, 10, 4)] {
            let x = source.tensor([b, h, w, c]);
            let slow = pfgm_burn_ops::resample::reference(x.clone(), Resampling { up: false, filter });
            let what = format!("{b} images of {h}x{w}x{c}, {filter:?}");
            let parent = Parent::Image(x.clone());
            assert_same(&mut source, downsample2x(x.clone(), filter), slow, &[&parent], &format!("{what}, halved"));
            let slow = pfgm_burn_ops::resample::reference(x.clone(), Resampling { up: true, filter });
            assert_same(&mut source, upsample2x(x, filter), slow, &[&parent], &format!("{what}, doubled"));
        }
    }
}

#[test]
fn boxes_are_means_and_copies() {
    let x = Tensor::<4>::from_data([[[[1.0], [2.0]], [[3.0], [6.0]]]], &Device::flex());
    assert_eq!(values(downsample2x(x.clone(), Filter::Box)), [3.0]);
    let doubled = [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 6.0, 6.0, 3.0, 3.0, 6.0, 6.0];
    assert_eq!(values(upsample2x(x, Filter::Box)), doubled);
}

#[test]
fn hooks_get_gradients_of_weights_as_they_are_computed() {
    use std::{cell::RefCell, rc::Rc};
    let mut source = Source::new(20);
    let weights = [source.tensor([3, 3, 16, 16]), source.tensor([1, 1, 16, 4])];
    let (x, bias) = (source.tensor([2, 8, 8, 16]), [source.tensor([1, 16]), source.tensor([1, 4])]);
    let y = conv2d(x, weights[0].clone(), bias[0].clone(), None, Conv2dOptions::PLAIN);
    let y = conv2d(y, weights[1].clone(), bias[1].clone(), None, Conv2dOptions::PLAIN);
    let heard = Rc::new(RefCell::new(Vec::new()));
    let ears = Rc::clone(&heard);
    let loss = y.square().sum();
    let grads = pfgm_burn_ops::gradient_hooks::with_hook(
        move |node: u64, grad: &[f32]| ears.borrow_mut().push((node, grad.to_vec())),
        || loss.backward(),
    );
    let wanted: Vec<_> = weights
        .iter()
        .rev()
        .map(|weight| {
            let node = pfgm_burn_ops::gradient_hooks::weight_id(weight).unwrap();
            (node, values(weight.grad(&grads).unwrap()))
        })
        .collect();
    assert_eq!(*heard.borrow(), wanted, "the last layer's come first");
    assert_eq!(pfgm_burn_ops::gradient_hooks::weight_id(&weights[0].clone().inner()), None);
}

#[test]
fn concatenations() {
    let mut source = Source::new(5);
    for (b, h, w, left, right) in [(1, 1, 1, 1, 1), (2, 3, 5, 4, 3), (3, 16, 16, 20, 7)] {
        let (x, y) = (source.tensor([b, h, w, left]), source.tensor([b, h, w, right]));
        let (fast, slow) = (concat(x.clone(), y.clone()), concat::reference(x.clone(), y.clone()));
        let what = format!("{left} and {right} channels");
        assert_same(&mut source, fast, slow, &[&Parent::Image(x), &Parent::Image(y)], &what);
    }
}

#[test]
fn dropouts() {
    let mut source = Source::new(8);
    let x = source.tensor([3, 2, 2, 5]);
    let dropped = DropoutMask::new(vec![vec![0, 7, 19], vec![], (0..20).collect()], 1.25);
    let (fast, slow) = (dropout(x.clone(), dropped.clone()), pfgm_burn_ops::dropout::reference(x.clone(), &dropped));
    assert_same(&mut source, fast, slow, &[&Parent::Image(x)], "dropout");
}

/// On images in bf16, results and gradients equal the rounded results in single precision: on the CPU, and for the reference of
/// Burn's operations in bf16 that other devices use.
#[test]
fn images_in_bf16() {
    let mut source = Source::new(10);
    // Tolerances: eight bits for a value; more for Burn's sums of many rounded values.
    let (rounding, sums) = (1.0 / 128.0, 1.0 / 32.0);
    let narrow = |x: &Tensor<4>| x.clone().cast(DType::BF16);
    let wide = |x: &Tensor<4>| narrow(x).cast(DType::F32);
    let mut check =
        |fast: Tensor<4>, plain: Tensor<4>, slow: &dyn Fn() -> Tensor<4>, parents: &[&Parent], what: &str| {
            assert_eq!([fast.dtype(), plain.dtype(), slow().dtype()], [DType::BF16, DType::BF16, DType::F32], "{what}");
            let [fast, plain] = [fast, plain].map(|y| y.cast(DType::F32));
            assert_same_within(rounding, &mut source, fast, slow(), parents, &format!("{what}, on the CPU"));
            assert_same_within(sums, &mut source, plain, slow(), parents, &format!("{what}, composed"));
        };
    let mut drawn = Source::new(11);
    let (x, other) = (drawn.tensor([3, 6, 10, 8]), drawn.tensor([3, 6, 10, 8]));
    let images = [&Parent::Image(x.clone()), &Parent::Image(other.clone())];
    for (kernel, rows) in [(3, 1), (1, 3)] {
        let (weight, bias) = (drawn.tensor([kernel, kernel, 8, 8]), drawn.tensor([rows, 8]));
        let how = Conv2dOptions { stride: 1, scale: 0.7 };
        let fast = conv2d(narrow(&x), weight.clone(), bias.clone(), Some(narrow(&other)), how);
        let run = |x, other| conv2d::reference(x, weight.clone(), bias.clone(), Some(other), how);
        let parents = [images[0], images[1], &Parent::Image(weight.clone()), &Parent::Rows(bias.clone())];
        let slow = || run(wide(&x), wide(&other));
        check(fast, run(narrow(&x), narrow(&other)), &slow, &parents, "a convolution");
    }
    let (gamma, beta) = (drawn.tensor([3, 8]), drawn.tensor([1, 8]));
    let how = GroupNormOptions { groups: 2, epsilon: 1e-5, activate: true };
    let fast = group_norm(narrow(&x), gamma.clone(), beta.clone(), how);
    let run = |x| group_norm::reference(x, gamma.clone(), beta.clone(), how);
    let parents = [images[0], &Parent::Rows(gamma.clone()), &Parent::Rows(beta.clone())];
    check(fast, run(narrow(&x)), &|| run(wide(&x)), &parents, "a normalization");
    for up in [true, false] {
        let how = Resampling { up, filter: Filter::Binomial };
        let fast = if up { upsample2x } else { downsample2x }(narrow(&x), how.filter);
        let run = |x| pfgm_burn_ops::resample::reference(x, how);
        check(fast, run(narrow(&x)), &|| run(wide(&x)), &images[..1], "a resampling");
    }
    let dropped = DropoutMask::new(vec![vec![0, 7, 479], vec![], (0..300).collect()], 1.25);
    let run = |x| pfgm_burn_ops::dropout::reference(x, &dropped);
    check(dropout(narrow(&x), dropped.clone()), run(narrow(&x)), &|| run(wide(&x)), &images[..1], "dropout");
    let fast = concat(narrow(&x), narrow(&other));
    let slow = || concat::reference(wide(&x), wide(&other));
    check(fast, concat::reference(narrow(&x), narrow(&other)), &slow, &images, "a join");
    // Images as sequences of 20 pixels with queries, keys and values of 8 channels.
    let heads = Heads(2);
    let sequence = |x: Tensor<4>| x.reshape([3, 20, 24]);
    let image = |y: Tensor<3>| y.reshape([3, 2, 10, 8]);
    let fast = image(attention(sequence(narrow(&x)), heads));
    let run = |x| image(attention::reference(sequence(x), heads));
    check(fast, run(narrow(&x)), &|| run(wide(&x)), &images[..1], "attention");
}

#[test]
fn views_in_another_order_are_read_as_they_are_seen() {
    let mut source = Source::new(6);
    let x = source.tensor([2, 3, 8, 5]).permute([0, 2, 3, 1]);
    let (weight, bias) = (source.tensor([3, 3, 3, 4]), source.tensor([1, 4]));
    let fast = conv2d(x.clone(), weight.clone(), bias.clone(), None, Conv2dOptions::PLAIN);
    assert_close(fast, conv2d::reference(x, weight, bias, None, Conv2dOptions::PLAIN), "a permuted image");
}

#[test]
fn changed_weights_are_not_taken_for_the_old_ones() {
    // Filters are cached with the weights' memory: writing to it in place must invalidate them.
    let device = Device::flex();
    let x = Tensor::<4>::ones([1, 4, 4, 1], &device);
    let mut weight = Tensor::<4>::ones([3, 3, 1, 1], &device);
    let bias = Tensor::<2>::zeros([1, 1], &device);
    for times in 1..4 {
        let center = |weight: Tensor<4>| values(conv2d(x.clone(), weight, bias.clone(), None, Conv2dOptions::PLAIN))[5];
        let expected = 9.0 * 2.0_f32.powi(times - 1);
        assert!((center(weight.clone()) - expected).abs() < 1e-4 * expected, "{times}");
        weight = weight.mul_scalar(2.0);
    }
}

#[test]
fn gradients_do_not_depend_on_the_number_of_threads() {
    let mut source = Source::new(7);
    let (x, weight, bias) = (source.tensor([7, 16, 16, 12]), source.tensor([3, 3, 12, 16]), source.tensor([1, 16]));
    let gradient = |threads: usize| -> Vec<f32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let y = conv2d(x.clone(), weight.clone(), bias.clone(), None, Conv2dOptions::PLAIN);
            let gradients = y.square().sum().backward();
            values(weight.grad(&gradients).unwrap())
        })
    };
    assert_eq!(gradient(1), gradient(4));
}

#[test]
fn what_is_computed_again_is_what_was_kept() {
    let run = |device: Device| {
        let mut source = Source::new(9);
        let mut tensor =
            |shape: [usize; 4]| Tensor::from_data(source.tensor::<4>(shape).into_data(), &device).require_grad();
        let (x, other, small) = (tensor([2, 6, 4, 8]), tensor([2, 3, 2, 4]), tensor([2, 6, 4, 12]));
        let (first, second) = (tensor([3, 3, 8, 8]), tensor([1, 1, 12, 12]));
        let bias = |channels| Tensor::<2>::ones([1, channels], &device).require_grad();
        let rows = [bias(8), bias(8), bias(8), bias(12), bias(12), bias(12)];
        let [g0, b0, c0, g1, b1, c1] = rows.clone();
        let how = |groups| GroupNormOptions { groups, epsilon: 1e-5, activate: true };
        let plain = Conv2dOptions { stride: 1, scale: 1.0 };
        // Every recomputed operation is followed by another one, and by one that needs its input.
        let h = group_norm(x.clone(), g0, b0, how(2));
        let h = dropout(h, DropoutMask::new(vec![vec![3, 17, 40], vec![0, 99]], 1.1));
        let h = conv2d(downsample2x(h, Filter::Binomial), first.clone(), c0, None, plain);
        let h = upsample2x(concat(h, other.clone()), Filter::Box);
        let h = group_norm(h, g1, b1, how(3));
        let h = conv2d(h, second.clone(), c1, Some(small.clone()), Conv2dOptions { stride: 1, scale: 0.7 });
        let h = attention(h.reshape([2, 24, 12]), Heads(2));
        let mut gradients = (h.clone() * h).sum().backward();
        let images = [x, other, small, first, second].map(|of| values(of.grad_remove(&mut gradients).unwrap()));
        let rows = rows.map(|of| values(of.grad_remove(&mut gradients).unwrap()));
        (images, rows)
    };
    let device = Device::flex().autodiff();
    assert!(run(device.clone()) == run(device.gradient_checkpointing()));
}
