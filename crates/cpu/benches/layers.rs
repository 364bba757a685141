//! Throughput of the other operations of a network, in bytes per second.
#![allow(missing_docs, clippy::too_many_lines)]

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pfgm_cpu::{
    Arch, adam, attention, concat,
    group_norm::{self, Affine, Gradients, Operands},
    resample::{self, Taps},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const BATCH: usize = 32;

fn layers(criterion: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draw = |len: usize| -> Vec<f32> { (0..len).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let arch = Arch::new();
    let mut group = criterion.benchmark_group("layers");
    group.sample_size(10).measurement_time(Duration::from_millis(700)).warm_up_time(Duration::from_millis(200));
    for (side, channels) in [(32, 64), (32, 128), (16, 128), (8, 32)] {
        let shape = format!("{side}x{side}x{channels}");
        let values = BATCH * side * side * channels;
        let geometry =
            group_norm::Geometry { pixels: side * side, channels, groups: 16, epsilon: 1e-6, activate: true };
        let (x, dy, gamma, beta) = (draw(values), draw(values), draw(channels), draw(channels));
        let affine = Affine { gamma: &gamma, beta: &beta };
        let (mut y, mut d_gamma, mut d_beta) =
            (vec![0.0; values], vec![0.0; BATCH * channels], vec![0.0; BATCH * channels]);
        group.throughput(Throughput::Bytes(8 * values as u64));
        group.bench_function(BenchmarkId::new("group norm", &shape), |bench| {
            bench.iter(|| group_norm::forward(arch, geometry, black_box(&x), affine, &mut y));
        });
        group.throughput(Throughput::Bytes(12 * values as u64));
        group.bench_function(BenchmarkId::new("group norm gradient", &shape), |bench| {
            bench.iter(|| {
                let operands = Operands { x: black_box(&x), affine, dy: &dy };
                let gradients = Gradients { dx: &mut y, d_gamma: &mut d_gamma, d_beta: &mut d_beta };
                group_norm::gradient(arch, geometry, operands, gradients);
            });
        });
        let geometry = resample::Geometry { batch: BATCH, height: side, width: side, channels };
        let mut large = vec![0.0; 4 * values];
        for taps in [&[0.5, 0.5][..], &[0.125, 0.375, 0.375, 0.125]] {
            let name = format!("{shape} by {} taps", taps.len());
            group.throughput(Throughput::Bytes(20 * values as u64));
            group.bench_function(BenchmarkId::new("upsample", &name), |bench| {
                bench.iter(|| {
                    resample::upsample2x(arch, geometry, Taps { taps, scale: 4.0 }, black_box(&x), &mut large)
                });
            });
            group.bench_function(BenchmarkId::new("downsample", &name), |bench| {
                bench.iter(|| {
                    resample::downsample2x(arch, geometry, Taps { taps, scale: 1.0 }, black_box(&large), &mut y)
                });
            });
        }
        let mut joined = vec![0.0; 2 * values];
        group.throughput(Throughput::Bytes(16 * values as u64));
        group.bench_function(BenchmarkId::new("concat", &shape), |bench| {
            bench.iter(|| concat::concat([channels; 2], black_box(&x), &dy, &mut joined));
        });
    }
    for (pixels, channels) in [(256, 128), (49, 64)] {
        let geometry = attention::Geometry { batch: BATCH, pixels, channels, heads: 1 };
        let (qkv, dout) = (draw(BATCH * pixels * 3 * channels), draw(BATCH * pixels * channels));
        let (mut out, mut dqkv) = (vec![0.0; dout.len()], vec![0.0; qkv.len()]);
        let shape = format!("{pixels} pixels, {channels} channels");
        group.throughput(Throughput::Elements((4 * BATCH * pixels * pixels * channels) as u64));
        group.bench_function(BenchmarkId::new("attention", &shape), |bench| {
            bench.iter(|| attention::forward(arch, geometry, black_box(&qkv), &mut out));
        });
        group.bench_function(BenchmarkId::new("attention gradient", &shape), |bench| {
            bench.iter(|| attention::gradient(arch, geometry, black_box(&qkv), &dout, &mut dqkv));
        });
    }
    let count = 1_200_000;
    let (weights, gradient) = (draw(count), draw(count));
    let (mut first, mut second, mut average, mut stepped) =
        (vec![0.0; count], vec![0.0; count], vec![0.0; count], vec![0.0; count]);
    let step =
        adam::AdamStep { clip: 1.0, betas: [0.9, 0.999], rate: 1e-3, correction: 0.5, epsilon: 1e-8, decay: 0.999 };
    group.throughput(Throughput::Bytes(36 * count as u64));
    group.bench_function("adam/1200000", |bench| {
        bench.iter(|| {
            let state = adam::AdamState { first: &mut first, second: &mut second, average: &mut average };
            adam::adam(arch, step, [black_box(&weights), &gradient], state, &mut stepped);
        });
    });
    group.finish();
}

criterion_group!(benches, layers);
criterion_main!(benches);
