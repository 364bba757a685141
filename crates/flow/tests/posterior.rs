//! The field of reweighted charges: the posterior distribution of the data given a measurement.
#![allow(missing_docs)]

use pfgm_eval::chi_square;
use pfgm_flow::{
    extra_dims::ExtraDims::{self, Finite, Infinite},
    field::ExactField,
    flow::{Denoiser, Differentiable, Flow, Query},
    likelihood::{Density, Prior, Trace},
    prior,
    solver::{Solver, sample},
};

const ALL: [ExtraDims; 4] = [Finite(1.0), Finite(8.0), Finite(500.0), Infinite];
/// Points in the plane; the first coordinate is measured.
const POINTS: [[f64; 2]; 4] = [[1.0, 0.0], [0.8, 2.0], [-1.0, 0.5], [0.0, -1.5]];
const MEASURED: f64 = 0.7;
const NOISE: f64 = 0.5;

fn log_likelihood(y: &[f64]) -> f64 {
    -0.5 * ((y[0] - MEASURED) / NOISE).powi(2)
}

fn posterior(extra_dims: ExtraDims) -> ExactField {
    let weights = POINTS.map(|y| log_likelihood(&y) - 1000.0);
    ExactField::new(POINTS.concat(), 2, extra_dims).reweighted(&weights)
}

fn yhat(field: &ExactField, x: &[f64], sigma: f64) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    field.denoise(&Query { x, sigma: &[sigma], item: &[0] }, &mut out);
    out
}

#[test]
fn yhat_is_the_posterior_mean_by_brute_force() {
    for extra_dims in ALL {
        let field = posterior(extra_dims);
        for (x, sigma) in [([0.3, 0.4], 0.2), ([0.3, 0.4], 2.0), ([-4.0, 3.0], 1.0), ([200.0, -30.0], 100.0)] {
            // Bayes' rule with the densities of the noise and of the measurement.
            let joint = POINTS.map(|y| {
                let squared = (x[0] - y[0]).powi(2) + (x[1] - y[1]).powi(2);
                (prior::log_density(extra_dims, 2, sigma, squared) + log_likelihood(&y)).exp()
            });
            let total: f64 = joint.iter().sum();
            let found = yhat(&field, &x, sigma);
            for axis in 0..2 {
                let mean = joint.iter().zip(POINTS).map(|(weight, y)| weight * y[axis]).sum::<f64>() / total;
                assert!((found[axis] - mean).abs() < 1e-9, "D = {extra_dims}, {x:?} at {sigma}: {found:?}, not {mean}");
            }
            let likelihoods: f64 = POINTS.iter().map(|y| log_likelihood(y).exp()).sum();
            let density = field.log_density(&x, sigma);
            assert!((density - (total / likelihoods).ln()).abs() < 1e-9, "D = {extra_dims}, {x:?} at {sigma}");
        }
    }
}

#[test]
fn whole_weights_are_repeated_charges() {
    for extra_dims in ALL {
        let logs = [3.0_f64.ln(), 0.0, f64::NEG_INFINITY, 2.0_f64.ln()];
        let weighted = ExactField::new(POINTS.concat(), 2, extra_dims).reweighted(&logs);
        let repeated = [0, 0, 0, 1, 3, 3].map(|index: usize| POINTS[index]).concat();
        let repeated = ExactField::new(repeated, 2, extra_dims);
        let (x, sigma) = ([0.4, -0.3], 0.7);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-10 * (1.0 + b.abs()), "D = {extra_dims}: {a}, not {b}");
        yhat(&weighted, &x, sigma).into_iter().zip(yhat(&repeated, &x, sigma)).for_each(|(a, b)| close(a, b));
        close(weighted.log_density(&x, sigma), repeated.log_density(&x, sigma));
        let potential = |field: &ExactField| {
            let mut out = [0.0];
            field.log_potentials(&x, sigma, &mut out);
            out[0]
        };
        close(potential(&weighted), potential(&repeated));
        if extra_dims != Infinite {
            close(weighted.log_strength(&x, sigma), repeated.log_strength(&x, sigma));
        }
        let query = Query { x: &x, sigma: &[sigma], item: &[0] };
        let derivatives = |field: &ExactField| {
            let (mut out, mut pulled, mut divergence) = ([0.0; 2], [0.0; 2], [0.0]);
            field.vjp(&query, &[0.6, -1.1], &mut out, &mut pulled);
            field.divergence(&query, &mut out, &mut divergence);
            [pulled[0], pulled[1], divergence[0]]
        };
        derivatives(&weighted).into_iter().zip(derivatives(&repeated)).for_each(|(a, b)| close(a, b));
    }
}

#[test]
fn two_measurements_multiply() {
    let once = [0.1, -0.4, 0.3, 0.9];
    let twice = once.map(|weight| 2.0 * weight);
    let field = || ExactField::new(POINTS.concat(), 2, Finite(2.0));
    let (a, b) = (field().reweighted(&once).reweighted(&once), field().reweighted(&twice));
    let (a, b) = (yhat(&a, &[0.2, 0.3], 1.5), yhat(&b, &[0.2, 0.3], 1.5));
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn the_flow_samples_the_posterior() {
    let total: f64 = POINTS.iter().map(|y| log_likelihood(y).exp()).sum();
    for extra_dims in ALL {
        let field = posterior(extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        let count = 3000;
        let mut x = flow.latents(400.0, 0, 0..count);
        sample(&flow, &Solver::rk45(1e-4).into(), (0.01, 400.0), &mut x).unwrap();
        let near = |x: &[f64], y: &[f64]| (x[0] - y[0]).hypot(x[1] - y[1]);
        let nearest = |x: &[f64]| (0..4).min_by(|&a, &b| near(x, &POINTS[a]).total_cmp(&near(x, &POINTS[b]))).unwrap();
        let observed = [0, 1, 2, 3].map(|index| x.chunks_exact(2).filter(|x| nearest(x) == index).count());
        let expected = POINTS.map(|y| count as f64 * log_likelihood(&y).exp() / total);
        let test = chi_square(&observed, &expected);
        assert!(test.p_value > 1e-4, "D = {extra_dims}: {observed:?}, not {expected:?}: {test:?}");
    }
}

#[test]
fn the_posterior_has_a_density() {
    let field = posterior(Finite(4.0));
    let density = Density {
        denoiser: &field,
        extra_dims: Finite(4.0),
        range: (0.3, 3e4),
        solver: Solver::rk45(1e-7).atol(1e-9).into(),
        prior: Prior::Exact,
    };
    let x = [0.4, 0.1, -1.0, 0.7];
    for (found, x) in density.log(&x, Trace::Exact).unwrap().values.iter().zip(x.chunks_exact(2)) {
        assert!((found - field.log_density(x, 0.3)).abs() < 1e-3, "{found}");
    }
}

#[test]
#[should_panic(expected = "a finite weight above zero")]
fn a_measurement_that_no_charge_agrees_with_is_refused() {
    let _ = ExactField::new(POINTS.concat(), 2, Infinite).reweighted(&[f64::NEG_INFINITY; 4]);
}
