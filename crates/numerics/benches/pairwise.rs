//! The field of a large batch: 128 points of N = 3072 against 4096 charges, the published CIFAR-10 setting.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use pfgm_numerics::{fastmath, pairwise::weighted_mean};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn field_target(c: &mut Criterion) {
    let (queries, charges, dim) = (128, 4096, 3072);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let y: Vec<f32> = (0..charges * dim).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut group = c.benchmark_group("field target, 128 x 4096 x 3072");
    group.sample_size(10);
    // Near the data one charge carries all the weight, far away all of them do: the two ends of the work.
    for (name, noise) in [("near", 0.1f32), ("far", 40.0)] {
        let x: Vec<f32> = y[..queries * dim].iter().map(|v| v + noise * rng.random_range(-1.0..1.0)).collect();
        let exponent = -0.5 * (dim as f64 + 1.0);
        let r2 = f64::from(noise * noise);
        let mut mean = vec![1.0f32; queries * dim];
        let before = peak();
        weighted_mean(&x, &y, dim, |_: usize, d2: f64| exponent * (d2 + r2).ln(), &mut mean);
        if let (Some(before), Some(after)) = (before, peak()) {
            println!("{name}: {:.1} MB beyond inputs and result", (after - before) as f64 / 1e6);
        }
        group.bench_function(name, |b| {
            b.iter(|| weighted_mean(&x, &y, dim, |_: usize, d2: f64| exponent * (d2 + r2).ln(), &mut mean));
        });
    }
    group.finish();
}

/// Particles in the plane: 1000 points against 2000 charges, as `pfgm field` asks for.
fn points_in_the_plane(c: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut draw = |count: usize| -> Vec<f64> { (0..count).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let (x, y) = (draw(2 * 1000), draw(2 * 2000));
    let mut mean = vec![0.0; x.len()];
    let logit = |_: usize, d2: f64| -1.5 * fastmath::ln_1p(4.0 * d2);
    c.bench_function("points in the plane, 1000 x 2000 x 2", |b| b.iter(|| weighted_mean(&x, &y, 2, logit, &mut mean)));
}

/// The most memory that this process has held, in bytes, where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| 1024 * kilobytes)
}

criterion_group!(benches, field_target, points_in_the_plane);
criterion_main!(benches);
