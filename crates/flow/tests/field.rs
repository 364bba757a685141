//! Compares the exact field with laws of electrostatics.
#![allow(missing_docs)]

use pfgm_flow::{
    extra_dims::ExtraDims::{self, Finite, Infinite},
    field::{ChargesView, ExactField},
    flow::{Denoiser, Flow, Query},
    solver::{Tolerance, rk45},
};
use proptest::prelude::*;

const ALL: [ExtraDims; 5] = [Finite(0.5), Finite(1.0), Finite(8.0), Finite(128.0), Infinite];

fn yhat(field: &ExactField, x: &[f64], sigma: f64) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    field.denoise(&Query { x, sigma: &[sigma], item: &[0] }, &mut out);
    out
}

#[test]
fn one_charge_attracts_everything() {
    for extra_dims in ALL {
        let charge = vec![0.5, -2.0, 1.25];
        let field = ExactField::new(charge.clone(), 3, extra_dims);
        assert_eq!(yhat(&field, &[70.0, -3.0, 1e-3], 4.0), charge);
        let mut x = vec![70.0, -3.0, 0.1];
        let flow = Flow { denoiser: &field, extra_dims };
        rk45(&flow, 40.0, 1e-6, Tolerance { rtol: 1e-10, atol: 1e-10 }, &mut x).unwrap();
        for (x, y) in x.iter().zip(&charge) {
            assert!((x - y).abs() < 1e-5, "{extra_dims}: {x} against {y}");
        }
    }
}

#[test]
fn the_field_is_the_sum_of_the_charges_fields() {
    // At D = 1 the unnormalized field of a charge is (x - y, r) / (|x-y|^2 + r^2)^((N+1)/2); directions must agree.
    let charges = [[0.0, 1.0], [0.5, -1.0], [-2.0, 0.25]];
    let field = ExactField::new(charges.concat(), 2, Finite(1.0));
    let (x, z) = ([0.75, -0.5], 0.6);
    let mut sum = [0.0; 3];
    for y in charges {
        let along = [x[0] - y[0], x[1] - y[1], z];
        let norm = along.iter().map(|v| v * v).sum::<f64>().sqrt();
        sum.iter_mut().zip(along).for_each(|(sum, v)| *sum += v / norm.powi(3));
    }
    let field = field.field(&x, z);
    for component in 0..3 {
        let ratio = sum[component] / sum[2] * field[2];
        assert!((field[component] - ratio).abs() < 1e-12, "component {component}");
    }
}

#[test]
fn the_flux_through_a_sphere_is_the_charge_within() {
    // N = 2, D = 1: ordinary space. A sphere around the origin contains two of three charges. The unnormalized field
    // is q = sum_i (x - y_i) / |x - y_i|^3, and its flux is 4 pi for each charge inside.
    let charges = vec![0.2, 0.1, -0.4, 0.3, 3.0, 0.0];
    let field = ExactField::new(charges.clone(), 2, Finite(1.0));
    let radius = 1.0;
    let (rings, steps) = (400, 400);
    let mut flux = 0.0;
    for ring in 0..rings {
        // Equal steps of height are equal areas; both halves carry the same flux.
        let z = (ring as f64 + 0.5) / rings as f64 * radius;
        let s = (radius * radius - z * z).sqrt();
        for step in 0..steps {
            let angle = 2.0 * std::f64::consts::PI * (step as f64 + 0.5) / steps as f64;
            let (x, y) = (s * angle.cos(), s * angle.sin());
            let e = field.field(&[x, y], z);
            // The normalization that makes the weights one: the sum of 1 / |x - y|^3.
            let scale: f64 =
                charges.chunks_exact(2).map(|c| ((x - c[0]).powi(2) + (y - c[1]).powi(2) + z * z).powf(-1.5)).sum();
            flux += (e[0] * x + e[1] * y + e[2] * z) / radius * scale;
        }
    }
    flux *= 2.0 * 2.0 * std::f64::consts::PI * radius * radius / (rings * steps) as f64;
    let expected = 2.0 * 4.0 * std::f64::consts::PI;
    assert!((flux - expected).abs() < 1e-3 * expected, "{flux} against {expected}");
}

#[test]
fn many_dimensions_tend_to_the_gaussian_limit() {
    let charges = vec![0.0, 1.0, 0.5, -1.0, -2.0, 0.25];
    let x = [0.3, 0.4];
    let limit = yhat(&ExactField::new(charges.clone(), 2, Infinite), &x, 0.7);
    let distance = |d: f64| {
        let near = yhat(&ExactField::new(charges.clone(), 2, Finite(d)), &x, 0.7);
        near.iter().zip(&limit).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    // The difference falls like 1/D.
    let (coarse, fine) = (distance(1e3), distance(1e5));
    assert!(fine < 1e-4 && (coarse / fine - 100.0).abs() < 5.0, "{coarse} {fine}");
}

#[test]
fn far_away_all_charges_weigh_the_same() {
    let charges = vec![0.0, 1.0, 0.5, -1.0, -2.0, 0.25];
    for extra_dims in ALL {
        let mean = yhat(&ExactField::new(charges.clone(), 2, extra_dims), &[1.0, 2.0], 1e7);
        assert!((mean[0] + 0.5).abs() < 1e-6 && (mean[1] - 0.25 / 3.0).abs() < 1e-6, "{extra_dims}: {mean:?}");
    }
}

#[test]
fn single_precision_keeps_the_nearest_charge() {
    // 3072 coordinates, as in CIFAR-10, near one of 50 charges: the weights are decided by distances of 0.5 between
    // points of norm 50.
    let (dim, count) = (3072, 50);
    let value = |i: usize| ((i * 7919 + 13) % 1009) as f64 / 504.5 - 1.0;
    let charges: Vec<f64> = (0..count * dim).map(value).collect();
    let x: Vec<f64> = (0..dim).map(|i| charges[7 * dim + i] + 0.01 * value(i + 17)).collect();
    let exact = yhat(&ExactField::new(charges.clone(), dim, Finite(1.0)), &x, 0.5);
    let single = |values: &[f64]| -> Vec<f32> { values.iter().map(|&value| value as f32).collect() };
    let mut mean = vec![0.0_f32; dim];
    let charges = single(&charges);
    ChargesView { values: &charges, dim, extra_dims: Finite(1.0) }.weighted_mean(&single(&x), &[0.5], &mut mean);
    for (a, b) in mean.iter().zip(&exact) {
        assert!((f64::from(*a) - b).abs() < 1e-6, "{a} against {b}");
    }
}

proptest! {
    /// yhat is a mean of the charges: it lies in their bounding box for every point, level and D.
    #[test]
    fn yhat_lies_among_the_charges(
        charges in prop::collection::vec(-5.0..5.0_f64, 3..30),
        x in prop::collection::vec(-1e4..1e4_f64, 3),
        log_sigma in -8.0..12.0_f64,
        which in 0..ALL.len(),
    ) {
        let charges: Vec<f64> = charges[..charges.len() / 3 * 3].to_vec();
        let mean = yhat(&ExactField::new(charges.clone(), 3, ALL[which]), &x, log_sigma.exp());
        for (axis, mean) in mean.iter().enumerate() {
            let column = charges.iter().skip(axis).step_by(3).copied();
            let (low, high) = (column.clone().fold(f64::INFINITY, f64::min), column.fold(f64::NEG_INFINITY, f64::max));
            prop_assert!((low - 1e-9..=high + 1e-9).contains(mean), "{mean} not in {low}..{high}");
        }
    }

    /// Translating all points translates yhat.
    #[test]
    fn yhat_moves_with_the_charges(shift in -3.0..3.0_f64, sigma in 0.01..10.0_f64, which in 0..ALL.len()) {
        let charges = vec![0.0, 1.0, 0.5, -1.0, -2.0, 0.25];
        let moved: Vec<f64> = charges.iter().map(|c| c + shift).collect();
        let here = yhat(&ExactField::new(charges, 2, ALL[which]), &[0.4, -0.2], sigma);
        let there = yhat(&ExactField::new(moved, 2, ALL[which]), &[0.4 + shift, -0.2 + shift], sigma);
        for (here, there) in here.iter().zip(&there) {
            prop_assert!((here + shift - there).abs() < 1e-9);
        }
    }
}
