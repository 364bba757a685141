//! Throughput of convolutions on the CPU. The operations are those of the direct sum.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pfgm_cpu::{
    Arch,
    conv2d::{Epilogue, Filters, Geometry, forward, input_gradient, weight_gradient},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn convolutions(criterion: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draw = |len: usize| -> Vec<f32> { (0..len).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let arch = Arch::new();
    // Side, inputs, outputs, kernel, stride; a batch of 32.
    for (side, inputs, outputs, kernel, stride) in [
        (32, 64, 64, 3, 1),
        (32, 128, 64, 3, 1),
        (16, 128, 128, 3, 1),
        (16, 256, 128, 3, 1),
        (8, 256, 256, 3, 1),
        (4, 256, 256, 3, 1),
        (28, 64, 64, 3, 1),
        (14, 128, 128, 3, 1),
        (28, 32, 32, 3, 1),
        (28, 96, 32, 3, 1),
        (14, 64, 64, 3, 1),
        (7, 64, 64, 3, 1),
        (32, 3, 64, 3, 1),
        (32, 64, 3, 3, 1),
        (32, 64, 128, 3, 2),
        (32, 128, 64, 1, 1),
        (16, 128, 384, 1, 1),
    ] {
        let geometry =
            Geometry { batch: 32, height: side, width: side, inputs, outputs, kernel: [kernel, kernel], stride };
        let [out, _] = geometry.out();
        let flops = 2 * 32 * out * out * kernel * kernel * inputs * outputs;
        let x = draw(32 * side * side * inputs);
        let dy = draw(32 * out * out * outputs);
        let weight = draw(kernel * kernel * inputs * outputs);
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        let mut dw = vec![0.0; weight.len()];
        let filters = Filters::new(arch, geometry, &weight);
        let mirrored = Filters::mirrored(arch, geometry, &weight);
        let shape = format!("{side}x{side} {inputs}-{outputs} k{kernel} s{stride}");
        let mut group = criterion.benchmark_group("conv2d");
        group.throughput(Throughput::Elements(flops as u64));
        group.sample_size(10).measurement_time(std::time::Duration::from_millis(700));
        group.warm_up_time(std::time::Duration::from_millis(200));
        group.bench_function(BenchmarkId::new("forward", &shape), |bench| {
            bench.iter(|| forward(geometry, black_box(&x), &filters, Epilogue::NONE, &mut y));
        });
        group.bench_function(BenchmarkId::new("input gradient", &shape), |bench| {
            bench.iter(|| input_gradient(geometry, black_box(&dy), &mirrored, &mut dx));
        });
        group.bench_function(BenchmarkId::new("weight gradient", &shape), |bench| {
            bench.iter(|| weight_gradient(arch, geometry, black_box(&x), &dy, &mut dw));
        });
        group.bench_function(BenchmarkId::new("filters", &shape), |bench| {
            bench.iter(|| Filters::new(arch, geometry, black_box(&weight)));
        });
        group.bench_function(BenchmarkId::new("mirrored filters", &shape), |bench| {
            bench.iter(|| Filters::mirrored(arch, geometry, black_box(&weight)));
        });
        group.finish();
    }
}

/// Convolutions one after another, each with weights of its own, as in a network: the weights are not in the cache.
fn in_turn(criterion: &mut Criterion) {
    const LAYERS: usize = 12;
    let arch = Arch::new();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draw = |len: usize| -> Vec<f32> { (0..len).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let mut group = criterion.benchmark_group("conv2d in turn");
    group.sample_size(10).measurement_time(std::time::Duration::from_millis(700));
    for (batch, side, inputs, outputs) in
        [(8, 4, 256, 256), (16, 4, 256, 256), (8, 8, 256, 256), (16, 8, 256, 256), (8, 16, 256, 256), (8, 32, 128, 128)]
    {
        let geometry = Geometry { batch, height: side, width: side, inputs, outputs, kernel: [3, 3], stride: 1 };
        let x = draw(batch * side * side * inputs);
        let weight = draw(9 * inputs * outputs);
        let mut y = vec![0.0; batch * side * side * outputs];
        let layers: Vec<Filters> = (0..LAYERS).map(|_| Filters::new(arch, geometry, &weight)).collect();
        group.throughput(Throughput::Elements((2 * LAYERS * 9 * y.len() * inputs) as u64));
        group.bench_function(format!("batch {batch}, {side}x{side} {inputs}-{outputs}"), |bench| {
            bench.iter(|| {
                layers.iter().for_each(|layer| forward(geometry, black_box(&x), layer, Epilogue::NONE, &mut y))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, convolutions, in_turn);
criterion_main!(benches);
