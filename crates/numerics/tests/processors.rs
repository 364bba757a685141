//! Every kind of vector instructions of this processor against double precision.
#![allow(missing_docs)]

use pfgm_numerics::{
    pairwise::{Points, weighted_mean_on},
    simd,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

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

/// Returns the largest difference, relative to the standard deviation of the truth.
fn error(found: &[f32], truth: &[f64]) -> f64 {
    assert_eq!(found.len(), truth.len());
    let deviation = (truth.iter().map(|x| x * x).sum::<f64>() / truth.len() as f64).sqrt();
    let largest = found.iter().zip(truth).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
    largest / deviation.max(1e-3)
}

/// The softmax-weighted mean of charges by its definition.
fn weighted_mean_f64(query: &[f64], charges: &[f64], exponent: f64) -> Vec<f64> {
    let dim = query.len();
    let distance = |charge: &[f64]| charge.iter().zip(query).map(|(y, x)| (x - y).powi(2)).sum::<f64>();
    let logits: Vec<f64> = charges.chunks_exact(dim).map(|charge| -exponent * (distance(charge) + 0.5).ln()).collect();
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let total: f64 = weights.iter().sum();
    let value =
        |d: usize| charges.chunks_exact(dim).zip(&weights).map(|(y, weight)| weight * y[d]).sum::<f64>() / total;
    (0..dim).map(value).collect()
}

#[test]
fn weighted_means_of_charges() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for (queries, charges, dim) in [(1, 1, 1), (5, 3, 2), (3, 17, 33), (20, 40, 129), (33, 7, 300)] {
        let (x, y) = (normal(&mut rng, queries * dim), normal(&mut rng, charges * dim));
        let exponent = 0.5 * (dim as f64 + 1.0);
        let truth: Vec<f64> =
            double(&x).chunks_exact(dim).flat_map(|query| weighted_mean_f64(query, &double(&y), exponent)).collect();
        for arch in simd::available() {
            let what = format!("{}, {queries} queries, {charges} charges of {dim}", simd::name(arch));
            let logit = |_: usize, d2: f64| -exponent * (d2 + 0.5).ln();
            let mut mean = vec![f32::NAN; x.len()];
            weighted_mean_on(arch, Points { queries: &x[..], charges: &y[..], dim }, logit, &mut mean);
            assert!(error(&mean, &truth) <= 2e-5, "{what}: {:.1e}", error(&mean, &truth));
            let mut exact = vec![f64::NAN; x.len()];
            let points = Points { queries: &double(&x)[..], charges: &double(&y)[..], dim };
            weighted_mean_on(arch, points, logit, &mut exact);
            let largest = exact.iter().zip(&truth).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(largest <= 1e-12, "{what} in double precision: {largest:.1e}");
        }
    }
}
