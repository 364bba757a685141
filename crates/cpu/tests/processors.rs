//! Compares every instruction set of this processor with double precision, on irregular sizes.
#![allow(missing_docs)]

use pfgm_cpu::{
    Arch, attention,
    conv2d::{self, Epilogue, Filters},
    group_norm::{self, Affine, Gradients, Operands},
    linear,
    resample::{self, Taps},
    simd,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The relative step of finite differences.
const STEP: f64 = 1e-4;

fn normal(rng: &mut impl Rng, count: usize) -> Vec<f32> {
    let mut pair = || {
        let (radius, angle) =
            ((-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt(), std::f64::consts::TAU * rng.random::<f64>());
        radius * angle.cos()
    };
    (0..count).map(|_| pair() as f32).collect()
}

fn double(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// The largest error, relative to the standard deviation of the reference.
fn error(found: &[f32], truth: &[f64]) -> f64 {
    assert_eq!(found.len(), truth.len());
    let deviation = (truth.iter().map(|x| x * x).sum::<f64>() / truth.len() as f64).sqrt();
    let largest = found.iter().zip(truth).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
    largest / deviation.max(1e-3)
}

/// Compares a gradient with central differences of `loss` at a few places.
fn check_gradient(rng: &mut impl Rng, x: &[f32], gradient: &[f32], loss: &dyn Fn(&[f64]) -> f64, what: &str) {
    let size = gradient.iter().fold(1e-3, |most: f64, g| most.max(f64::from(g.abs())));
    let mut x = double(x);
    for _ in 0..6 {
        let at = rng.random_range(0..x.len());
        let kept = x[at];
        x[at] = kept + STEP;
        let above = loss(&x);
        x[at] = kept - STEP;
        let below = loss(&x);
        x[at] = kept;
        let slope = (above - below) / (2.0 * STEP);
        let difference = (slope - f64::from(gradient[at])).abs();
        assert!(difference <= 1e-4 * size, "{what}: {} at {at}, differences say {slope}", gradient[at]);
    }
}

fn weighted(y: &[f64], mask: &[f32]) -> f64 {
    y.iter().zip(mask).map(|(y, &mask)| y * f64::from(mask)).sum()
}

/// The convolution by its definition.
fn conv2d_f64(geometry: conv2d::Geometry, x: &[f64], weight: &[f64]) -> Vec<f64> {
    let conv2d::Geometry { batch, height, width, inputs, outputs, kernel: [kh, kw], stride } = geometry;
    let [out_h, out_w] = geometry.out();
    let mut y = vec![0.0; batch * out_h * out_w * outputs];
    for (at, y) in y.chunks_exact_mut(outputs).enumerate() {
        let (image, row, column) = (at / out_w / out_h, at / out_w % out_h, at % out_w);
        for tap in 0..kh * kw {
            let source = (row * stride + tap / kw).checked_sub(kh / 2).filter(|&row| row < height);
            let source = source.zip((column * stride + tap % kw).checked_sub(kw / 2).filter(|&column| column < width));
            let Some((row, column)) = source else { continue };
            let x = &x[((image * height + row) * width + column) * inputs..][..inputs];
            for (x, weight) in x.iter().zip(weight[tap * inputs * outputs..].chunks_exact(outputs)) {
                y.iter_mut().zip(weight).for_each(|(y, weight)| *y += x * weight);
            }
        }
    }
    y
}

#[test]
fn convolutions() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // batch, height, width, inputs, outputs, kernel, stride; and the error allowed.
    for ((batch, height, width, inputs, outputs, kernel, stride), allowed) in [
        ((1, 1, 1, 1, 1, 3, 1), 2e-5),
        ((1, 3, 5, 3, 4, 3, 1), 2e-5),
        ((2, 4, 4, 4, 3, 3, 1), 2e-5),
        ((1, 1, 1, 9, 1, 3, 1), 2e-5),
        ((1, 3, 5, 17, 4, 3, 1), 2e-5),
        ((2, 5, 4, 12, 3, 3, 1), 2e-5),
        ((1, 9, 14, 17, 33, 3, 1), 2e-5),
        ((3, 13, 7, 50, 70, 3, 1), 2e-5),
        ((2, 12, 12, 64, 64, 3, 1), 2e-5),
        ((1, 8, 8, 256, 32, 3, 1), 2e-5),
        // Few tiles and many channels: threads share the tiles.
        ((2, 4, 3, 12, 100, 3, 1), 2e-5),
        ((1, 8, 9, 9, 70, 3, 1), 2e-5),
        ((1, 7, 9, 3, 5, 3, 2), 1e-5),
        ((2, 8, 8, 33, 17, 3, 2), 1e-5),
        ((2, 5, 6, 64, 65, 1, 1), 1e-5),
        ((1, 6, 7, 3, 4, 5, 1), 1e-5),
    ] {
        let kernel = [kernel; 2];
        let geometry = conv2d::Geometry { batch, height, width, inputs, outputs, kernel, stride };
        let x = normal(&mut rng, batch * height * width * inputs);
        let weight = normal(&mut rng, kernel[0] * kernel[1] * inputs * outputs);
        let truth = conv2d_f64(geometry, &double(&x), &double(&weight));
        let mask = normal(&mut rng, truth.len());
        for arch in simd::available() {
            let what = format!("{}, {geometry:?}", simd::name(arch));
            let mut y = vec![f32::NAN; truth.len()];
            conv2d::forward(geometry, &x, &Filters::new(arch, geometry, &weight), Epilogue::NONE, &mut y);
            let found = error(&y, &truth);
            assert!(found <= allowed, "{what}: {found:.1e} of a standard deviation");
            let (mut dx, mut dw) = (vec![f32::NAN; x.len()], vec![f32::NAN; weight.len()]);
            let mirrored = Filters::mirrored(arch, geometry, &weight);
            conv2d::input_gradient(geometry, &mask, &mirrored, &mut dx);
            conv2d::weight_gradient(arch, geometry, &x, &mask, &mut dw);
            let loss = |x: &[f64]| weighted(&conv2d_f64(geometry, x, &double(&weight)), &mask);
            check_gradient(&mut rng, &x, &dx, &loss, &format!("{what}: input"));
            let loss = |weight: &[f64]| weighted(&conv2d_f64(geometry, &double(&x), weight), &mask);
            check_gradient(&mut rng, &weight, &dw, &loss, &format!("{what}: weights"));
        }
    }
}

#[test]
fn epilogues() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (outputs, kernel) in [(5, 3), (40, 3), (5, 1)] {
        let (kernel, batch) = ([kernel; 2], 3);
        let geometry = conv2d::Geometry { batch, height: 5, width: 6, inputs: 4, outputs, kernel, stride: 1 };
        let (x, weight) = (normal(&mut rng, batch * 120), normal(&mut rng, kernel[0] * kernel[1] * 4 * outputs));
        let (bias, residual) = (normal(&mut rng, batch * outputs), normal(&mut rng, batch * 30 * outputs));
        for shared in [false, true] {
            let bias = if shared { &bias[..outputs] } else { &bias[..] };
            let mut truth = conv2d_f64(geometry, &double(&x), &double(&weight));
            for (at, y) in truth.iter_mut().enumerate() {
                let row = if shared { 0 } else { at / (30 * outputs) };
                *y = 0.5 * (*y + f64::from(bias[row * outputs + at % outputs]) + f64::from(residual[at]));
            }
            for arch in simd::available() {
                let epilogue = Epilogue { bias: Some(bias), residual: Some(&residual), scale: 0.5 };
                let mut y = vec![f32::NAN; truth.len()];
                conv2d::forward(geometry, &x, &Filters::new(arch, geometry, &weight), epilogue, &mut y);
                let found = error(&y, &truth);
                assert!(found <= 2e-5, "{}, {outputs} channels, kernel {kernel:?}: {found:.1e}", simd::name(arch));
            }
        }
    }
}

#[test]
fn linear_layers() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for (batch, inputs, outputs) in [(1, 1, 1), (1, 9, 4), (5, 33, 1), (3, 2, 5), (17, 100, 70), (2, 1100, 9)] {
        let (x, weight) = (normal(&mut rng, batch * inputs), normal(&mut rng, inputs * outputs));
        // A linear layer is a convolution of images of one pixel.
        let kernel = [1, 1];
        let geometry = conv2d::Geometry { batch, height: 1, width: 1, inputs, outputs, kernel, stride: 1 };
        let truth = conv2d_f64(geometry, &double(&x), &double(&weight));
        let mask = normal(&mut rng, truth.len());
        for arch in simd::available() {
            let what = format!("{}, {batch} rows of {inputs} to {outputs}", simd::name(arch));
            let (mut y, mut dx) = (vec![f32::NAN; truth.len()], vec![f32::NAN; x.len()]);
            linear::forward(arch, inputs, &x, &weight, &mut y);
            let found = error(&y, &truth);
            assert!(found <= 1e-5, "{what}: {found:.1e}");
            linear::input_gradient(arch, outputs, &mask, &weight, &mut dx);
            let loss = |x: &[f64]| weighted(&conv2d_f64(geometry, x, &double(&weight)), &mask);
            check_gradient(&mut rng, &x, &dx, &loss, &what);
        }
    }
}

/// Group normalization by its definition.
fn group_norm_f64(geometry: group_norm::Geometry, x: &[f64], gamma: &[f64], beta: &[f64]) -> Vec<f64> {
    let group_norm::Geometry { pixels, channels, groups, epsilon, activate } = geometry;
    let size = channels / groups;
    let mut y = vec![0.0; x.len()];
    for (x, y) in x.chunks_exact(pixels * channels).zip(y.chunks_exact_mut(pixels * channels)) {
        for group in 0..groups {
            let places = (0..pixels).flat_map(|pixel| (0..size).map(move |c| pixel * channels + group * size + c));
            let count = (pixels * size) as f64;
            let mean = places.clone().map(|at| x[at]).sum::<f64>() / count;
            let variance = places.clone().map(|at| (x[at] - mean).powi(2)).sum::<f64>() / count;
            for at in places {
                let channel = at % channels;
                let z = (x[at] - mean) / (variance + f64::from(epsilon)).sqrt() * gamma[channel] + beta[channel];
                y[at] = if activate { z / (1.0 + (-z).exp()) } else { z };
            }
        }
    }
    y
}

#[test]
fn normalizations() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for (batch, pixels, channels, groups, activate) in
        [(1, 1, 4, 1, true), (2, 35, 12, 3, true), (3, 9, 33, 11, false), (1, 64, 64, 16, true), (2, 5, 3, 3, true)]
    {
        let geometry = group_norm::Geometry { pixels, channels, groups, epsilon: 1e-5, activate };
        let x = normal(&mut rng, batch * pixels * channels);
        let (gamma, beta) = (normal(&mut rng, channels), normal(&mut rng, channels));
        let truth = group_norm_f64(geometry, &double(&x), &double(&gamma), &double(&beta));
        let mask = normal(&mut rng, x.len());
        for arch in simd::available() {
            let what = format!("{}, {batch} images, {geometry:?}", simd::name(arch));
            let mut y = vec![f32::NAN; x.len()];
            let affine = Affine { gamma: &gamma, beta: &beta };
            group_norm::forward(arch, geometry, &x, affine, &mut y);
            let found = error(&y, &truth);
            assert!(found <= 1e-5, "{what}: {found:.1e}");
            let mut dx = vec![f32::NAN; x.len()];
            let (mut d_gamma, mut d_beta) = (vec![f32::NAN; batch * channels], vec![f32::NAN; batch * channels]);
            let gradients = Gradients { dx: &mut dx, d_gamma: &mut d_gamma, d_beta: &mut d_beta };
            group_norm::gradient(arch, geometry, Operands { x: &x, affine, dy: &mask }, gradients);
            let sum = |rows: &[f32]| -> Vec<f32> {
                (0..channels).map(|c| rows.iter().skip(c).step_by(channels).sum()).collect()
            };
            let (g, b) = (double(&gamma), double(&beta));
            let loss = |x: &[f64]| weighted(&group_norm_f64(geometry, x, &g, &b), &mask);
            check_gradient(&mut rng, &x, &dx, &loss, &format!("{what}: input"));
            let loss = |gamma: &[f64]| weighted(&group_norm_f64(geometry, &double(&x), gamma, &b), &mask);
            check_gradient(&mut rng, &gamma, &sum(&d_gamma), &loss, &format!("{what}: gamma"));
            let loss = |beta: &[f64]| weighted(&group_norm_f64(geometry, &double(&x), &g, beta), &mask);
            check_gradient(&mut rng, &beta, &sum(&d_beta), &loss, &format!("{what}: beta"));
        }
    }
}

/// Attention by its definition.
fn attention_f64(geometry: attention::Geometry, qkv: &[f64]) -> Vec<f64> {
    let attention::Geometry { batch, pixels, channels, heads } = geometry;
    let width = channels / heads;
    let mut out = vec![0.0; batch * pixels * channels];
    for image in 0..batch {
        for head in 0..heads {
            let part = |which: usize, pixel: usize, c: usize| {
                qkv[(image * pixels + pixel) * 3 * channels + which * channels + head * width + c]
            };
            for query in 0..pixels {
                let logit = |key: usize| {
                    (0..width).map(|c| part(0, query, c) * part(1, key, c)).sum::<f64>() / (width as f64).sqrt()
                };
                let weights: Vec<f64> = (0..pixels).map(|key| logit(key).exp()).collect();
                let total: f64 = weights.iter().sum();
                for c in 0..width {
                    let mixed: f64 = (0..pixels).map(|key| weights[key] * part(2, key, c)).sum();
                    out[(image * pixels + query) * channels + head * width + c] = mixed / total;
                }
            }
        }
    }
    out
}

#[test]
fn attentions() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for (batch, pixels, channels, heads) in [(1, 1, 1, 1), (2, 9, 6, 2), (1, 70, 20, 1), (2, 33, 12, 4)] {
        let geometry = attention::Geometry { batch, pixels, channels, heads };
        let qkv = normal(&mut rng, 3 * batch * pixels * channels);
        let truth = attention_f64(geometry, &double(&qkv));
        let mask = normal(&mut rng, truth.len());
        for arch in simd::available() {
            let what = format!("{}, {geometry:?}", simd::name(arch));
            let mut out = vec![f32::NAN; truth.len()];
            attention::forward(arch, geometry, &qkv, &mut out);
            let found = error(&out, &truth);
            assert!(found <= 1e-5, "{what}: {found:.1e}");
            let mut dqkv = vec![f32::NAN; qkv.len()];
            attention::gradient(arch, geometry, &qkv, &mask, &mut dqkv);
            let loss = |qkv: &[f64]| weighted(&attention_f64(geometry, qkv), &mask);
            check_gradient(&mut rng, &qkv, &dqkv, &loss, &what);
        }
    }
}

#[test]
fn resamplings_agree_with_the_portable_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (batch, height, width, channels) in [(1, 1, 1, 1), (2, 3, 5, 3), (1, 4, 4, 33)] {
        let geometry = resample::Geometry { batch, height, width, channels };
        let count = batch * height * width * channels;
        let (small, large) = (normal(&mut rng, count), normal(&mut rng, 4 * count));
        for taps in [&[0.5, 0.5][..], &[0.125, 0.375, 0.375, 0.125], &[0.1, 0.1, 0.3, 0.3, 0.1, 0.1]] {
            let run = |arch: Arch| {
                let (mut halved, mut doubled) = (vec![f32::NAN; count], vec![f32::NAN; 4 * count]);
                resample::downsample2x(arch, geometry, Taps { taps, scale: 1.0 }, &large, &mut halved);
                resample::upsample2x(arch, geometry, Taps { taps, scale: 4.0 }, &small, &mut doubled);
                (halved, doubled)
            };
            let (halved, doubled) = run(Arch::Scalar);
            // Upsampling is four times the transpose of downsampling.
            let inner = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
            let (one, other) = (4.0 * inner(&small, &halved), inner(&large, &doubled));
            assert!((one - other).abs() <= 1e-5 * one.abs().max(1.0), "{geometry:?}: {one} and {other}");
            for arch in simd::available() {
                let found = run(arch);
                let what = simd::name(arch);
                assert!(error(&found.0, &double(&halved)) <= 1e-5, "{what}, {geometry:?}, halved by {taps:?}");
                assert!(error(&found.1, &double(&doubled)) <= 1e-5, "{what}, {geometry:?}, doubled by {taps:?}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "conv2d: the input against Geometry")]
fn shapes_that_do_not_fit_are_refused() {
    let geometry = conv2d::Geometry { batch: 1, height: 4, width: 4, inputs: 2, outputs: 3, kernel: [3, 3], stride: 1 };
    let filters = Filters::new(pfgm_cpu::arch(), geometry, &[0.0; 54]);
    conv2d::forward(geometry, &[0.0; 31], &filters, Epilogue::NONE, &mut [0.0; 48]);
}
