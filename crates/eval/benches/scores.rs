//! Scores of 10 000 rows of 2048 features, the size of Inception-v3's.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use pfgm_eval::{Draw, FrechetReference, Moments, kid, neighborhoods};

const DIM: usize = 2048;

/// Rows whose columns are not independent.
fn features(seed: u32, rows: usize) -> Vec<f32> {
    let noise = |at: u32| {
        let mut x = at.wrapping_add(seed.wrapping_mul(0x9e37_79b9));
        x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
        x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
        (x ^ (x >> 16)) as f32 / u32::MAX as f32
    };
    (0..rows as u32 * DIM as u32).map(|at| noise(at) + noise(at + 1)).collect()
}

fn scores(criterion: &mut Criterion) {
    let (real, generated) = (features(0, 10_000), features(1, 10_000));
    let mut group = criterion.benchmark_group("scores");
    group.sample_size(10);
    group.bench_function("moments of 10000 rows", |bench| bench.iter(|| Moments::of(&real, DIM)));
    let (of_real, of_generated) = (Moments::of(&real, DIM), Moments::of(&generated, DIM));
    group.bench_function("Frechet distance", |bench| {
        bench.iter(|| FrechetReference::new(&of_real).unwrap().distance(&of_generated).unwrap());
    });
    let reference = FrechetReference::new(&of_real).unwrap();
    group.bench_function("Frechet distance with its interval", |bench| {
        bench.iter(|| reference.estimate(&generated, DIM, &|_| ()).unwrap());
    });
    group.bench_function("Frechet distance of 500 rows with its interval", |bench| {
        bench.iter(|| reference.estimate(&generated[..500 * DIM], DIM, &|_| ()).unwrap());
    });
    let draw = |i: usize| Draw { real: (i..i + 1000).collect(), generated: (i..i + 1000).collect() };
    let draws: Vec<Draw> = (0..10).map(|i| draw(900 * i)).collect();
    group.bench_function("kernel distance, 10 subsets", |bench| {
        bench.iter(|| kid(&real, &generated, DIM, &draws, &mut |_| ()));
    });
    group.bench_function("neighborhoods of 2 x 10000 rows", |bench| {
        bench.iter(|| neighborhoods(&real, &generated, DIM, 5, &|_| ()));
    });
    group.finish();
}

criterion_group!(benches, scores);
criterion_main!(benches);
