//! Errors of convolutions compared with double precision: `cargo run --release -p pfgm-cpu --example accuracy`
//!
//! Standard normal images and weights; the largest error of all values, relative to the standard deviation of the result.
#![allow(missing_docs)]

use pfgm_cpu::{
    conv2d::{Epilogue, Filters, Geometry, forward, input_gradient, weight_gradient},
    simd,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// A result in double precision.
struct Truth(Vec<f64>);

impl Truth {
    fn error(&self, found: &[f32]) -> f64 {
        let deviation = (self.0.iter().map(|x| x * x).sum::<f64>() / self.0.len() as f64).sqrt();
        found.iter().zip(&self.0).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max) / deviation
    }
}

/// Calls `visit(pixel of the output, tap, pixel of the input)` for every product of an image.
fn taps(geometry: Geometry, mut visit: impl FnMut(usize, usize, usize)) {
    let Geometry { height, width, kernel: [kh, kw], stride, .. } = geometry;
    let [out_h, out_w] = geometry.out();
    for at in 0..out_h * out_w {
        for tap in 0..kh * kw {
            let row = (at / out_w * stride + tap / kw).wrapping_sub(kh / 2);
            let column = (at % out_w * stride + tap % kw).wrapping_sub(kw / 2);
            if row < height && column < width {
                visit(at, tap, row * width + column);
            }
        }
    }
}

fn truths(geometry: Geometry, x: &[f32], weight: &[f32], dy: &[f32]) -> [Truth; 3] {
    let Geometry { inputs, outputs, height, width, .. } = geometry;
    let ([out_h, out_w], pixels) = (geometry.out(), height * width);
    let mut y = vec![0.0; dy.len()];
    let mut dx = vec![0.0; x.len()];
    let images = x.par_chunks(pixels * inputs).zip(dy.par_chunks(out_h * out_w * outputs));
    let outs = y.par_chunks_mut(out_h * out_w * outputs).zip(dx.par_chunks_mut(pixels * inputs));
    let parts: Vec<Vec<f64>> = images
        .zip(outs)
        .map(|((x, dy), (y, dx))| {
            let mut dw = vec![0.0; weight.len()];
            taps(geometry, |at, tap, source| {
                for i in 0..inputs {
                    let start = (tap * inputs + i) * outputs;
                    let value = f64::from(x[source * inputs + i]);
                    let mut sum = 0.0;
                    for o in 0..outputs {
                        let (w, g) = (f64::from(weight[start + o]), f64::from(dy[at * outputs + o]));
                        y[at * outputs + o] += value * w;
                        dw[start + o] += value * g;
                        sum += w * g;
                    }
                    dx[source * inputs + i] += sum;
                }
            });
            dw
        })
        .collect();
    let mut dw = vec![0.0; weight.len()];
    parts.iter().for_each(|part| dw.iter_mut().zip(part).for_each(|(sum, value)| *sum += value));
    [Truth(y), Truth(dx), Truth(dw)]
}

fn main() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut normal = |count: usize| -> Vec<f32> {
        use rand::RngExt;
        let mut draw = || {
            let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
            (radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()) as f32
        };
        (0..count).map(|_| draw()).collect()
    };
    println!("{:34} {:>10} {:>10} {:>12} {:>12}", "shape, batch 8", "vectors", "forward", "d input", "d weights");
    for (side, inputs, outputs, kernel, stride) in [
        (32, 64, 64, 3, 1),
        (32, 128, 64, 3, 1),
        (16, 128, 128, 3, 1),
        (16, 256, 128, 3, 1),
        (8, 256, 256, 3, 1),
        (28, 64, 64, 3, 1),
        (14, 128, 128, 3, 1),
        (32, 64, 128, 3, 2),
        (16, 128, 384, 1, 1),
    ] {
        let geometry = Geometry { batch: 8, height: side, width: side, inputs, outputs, kernel: [kernel; 2], stride };
        let [out_h, out_w] = geometry.out();
        let x = normal(8 * side * side * inputs);
        let weight = normal(kernel * kernel * inputs * outputs);
        let dy = normal(8 * out_h * out_w * outputs);
        let [y_truth, dx_truth, dw_truth] = truths(geometry, &x, &weight, &dy);
        for arch in simd::available() {
            let (mut y, mut dx, mut dw) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; weight.len()]);
            forward(geometry, &x, &Filters::new(arch, geometry, &weight), Epilogue::NONE, &mut y);
            input_gradient(geometry, &dy, &Filters::mirrored(arch, geometry, &weight), &mut dx);
            weight_gradient(arch, geometry, &x, &dy, &mut dw);
            println!(
                "{:34} {:>10} {:>10.1e} {:>12.1e} {:>12.1e}",
                format!("{side}x{side}, {inputs} to {outputs}, {kernel}x{kernel}, stride {stride}"),
                simd::name(arch),
                y_truth.error(&y),
                dx_truth.error(&dx),
                dw_truth.error(&dw)
            );
        }
    }
}
