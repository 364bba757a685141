//! Compares posterior sampling with closed forms: Gaussian data, and reweighted charges.
#![allow(missing_docs)]

use pfgm_flow::{
    extra_dims::ExtraDims,
    field::ExactField,
    flow::{Denoiser, Differentiable, Flow, Query},
    posterior::{Conditioned, Guidance, LinearOperator, Matrix, Measurement, MeasurementError},
    solver::{self, Solver},
    testing::Mixture,
};

/// Gaussian data with mean (1, -0.5) and variances 2 and 0.5 along the diagonals, at D = infinity.
struct Gaussian;

const MEAN: [f64; 2] = [1.0, -0.5];
/// The covariance.
const C: [[f64; 2]; 2] = [[1.25, 0.75], [0.75, 1.25]];

fn inverse(m: [[f64; 2]; 2]) -> [[f64; 2]; 2] {
    let det = m[0][0] * m[1][1] - m[0][1] * m[1][0];
    [[m[1][1] / det, -m[0][1] / det], [-m[1][0] / det, m[0][0] / det]]
}

fn product(a: [[f64; 2]; 2], b: [[f64; 2]; 2]) -> [[f64; 2]; 2] {
    let at = |i: usize, j: usize| a[i][0] * b[0][j] + a[i][1] * b[1][j];
    [[at(0, 0), at(0, 1)], [at(1, 0), at(1, 1)]]
}

fn add(a: [[f64; 2]; 2], b: [[f64; 2]; 2]) -> [[f64; 2]; 2] {
    [[a[0][0] + b[0][0], a[0][1] + b[0][1]], [a[1][0] + b[1][0], a[1][1] + b[1][1]]]
}

fn times(m: [[f64; 2]; 2], v: [f64; 2]) -> [f64; 2] {
    [m[0][0] * v[0] + m[0][1] * v[1], m[1][0] * v[0] + m[1][1] * v[1]]
}

fn scaled(value: f64) -> [[f64; 2]; 2] {
    [[value, 0.0], [0.0, value]]
}

/// `C (C + sigma^2)^-1`, which is symmetric.
fn jacobian(sigma: f64) -> [[f64; 2]; 2] {
    product(C, inverse(add(C, scaled(sigma * sigma))))
}

impl Denoiser for Gaussian {
    fn dim(&self) -> usize {
        2
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        for ((x, out), &sigma) in query.x.chunks_exact(2).zip(out.chunks_exact_mut(2)).zip(query.sigma) {
            let moved = times(jacobian(sigma), [x[0] - MEAN[0], x[1] - MEAN[1]]);
            out.copy_from_slice(&[MEAN[0] + moved[0], MEAN[1] + moved[1]]);
        }
    }
}

impl Differentiable for Gaussian {
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]) {
        self.denoise(query, out);
        for ((probe, pulled), &sigma) in probes.chunks_exact(2).zip(pulled.chunks_exact_mut(2)).zip(query.sigma) {
            pulled.copy_from_slice(&times(jacobian(sigma), [probe[0], probe[1]]));
        }
    }
}

const A: [f64; 2] = [1.0, 2.0];
const NOISE: f64 = 0.3;
const MEASURED: f64 = 2.0;

/// Mean and covariance of the posterior of N(mean, covariance) given the measurement.
fn posterior(mean: [f64; 2], covariance: [[f64; 2]; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
    let gain = times(covariance, A);
    let variance = A[0] * gain[0] + A[1] * gain[1] + NOISE * NOISE;
    let residual = MEASURED - A[0] * mean[0] - A[1] * mean[1];
    let of = |i: usize, j: usize| covariance[i][j] - gain[i] * gain[j] / variance;
    let mean = [mean[0] + gain[0] * residual / variance, mean[1] + gain[1] * residual / variance];
    (mean, [[of(0, 0), of(0, 1)], [of(1, 0), of(1, 1)]])
}

#[test]
fn mmps_is_exact_for_gaussian_data() {
    let matrix = Matrix::new(A.to_vec(), 2).unwrap();
    let measurement = Measurement::new(&matrix, vec![MEASURED], NOISE).unwrap();
    let conditioned = Conditioned::new(&Gaussian, ExtraDims::Infinite, &measurement, Guidance::Mmps { iterations: 1 });
    for sigma in [0.1, 1.0, 7.0] {
        let x = [0.4, -2.0];
        let mut yhat = [0.0; 2];
        conditioned.denoise(&Query { x: &x, sigma: &[sigma], item: &[0] }, &mut yhat);
        // Given x the data are Gaussian with mean yhat and covariance sigma^2 J.
        let mut mean = [0.0; 2];
        Gaussian.denoise(&Query { x: &x, sigma: &[sigma], item: &[0] }, &mut mean);
        let (expected, _) = posterior(mean, product(scaled(sigma * sigma), jacobian(sigma)));
        assert!(yhat.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-10), "{yhat:?} {expected:?}");
    }
}

#[test]
fn draws_have_the_mean_and_covariance_of_the_posterior() {
    let matrix = Matrix::new(A.to_vec(), 2).unwrap();
    let measurement = Measurement::new(&matrix, vec![MEASURED], NOISE).unwrap();
    let conditioned = Conditioned::new(&Gaussian, ExtraDims::Infinite, &measurement, Guidance::Mmps { iterations: 1 });
    let flow = Flow { denoiser: &conditioned, extra_dims: ExtraDims::Infinite };
    let (range, count) = ((1e-3, 200.0), 20_000);
    let mut x = flow.latents(range.1, 0, 0..count);
    solver::sample(&flow, &Solver::heun(60).into(), range, &mut x).unwrap();
    let (mean, covariance) = posterior(MEAN, C);
    let n = count as f64;
    let found: [f64; 2] = [0, 1].map(|k| x.iter().skip(k).step_by(2).sum::<f64>() / n);
    let of = |i: usize, j: usize| {
        x.chunks_exact(2).map(|row| (row[i] - found[i]) * (row[j] - found[j])).sum::<f64>() / (n - 1.0)
    };
    for i in 0..2 {
        // Five standard errors.
        assert!((found[i] - mean[i]).abs() < 5.0 * (covariance[i][i] / n).sqrt(), "{found:?} {mean:?}");
        for j in 0..2 {
            let error = 5.0 * (2.0 * covariance[0][0].max(covariance[1][1]).powi(2) / n).sqrt();
            assert!((of(i, j) - covariance[i][j]).abs() < error, "{i} {j}: {} {}", of(i, j), covariance[i][j]);
        }
    }
}

#[test]
fn the_flow_of_gaussian_data_has_the_closed_form_to_three_digits() {
    // The flow is an affine map, so that its images of three points have the mean and the covariance, without random numbers.
    let matrix = Matrix::new(A.to_vec(), 2).unwrap();
    let measurement = Measurement::new(&matrix, vec![MEASURED], NOISE).unwrap();
    let conditioned = Conditioned::new(&Gaussian, ExtraDims::Infinite, &measurement, Guidance::Mmps { iterations: 1 });
    let flow = Flow { denoiser: &conditioned, extra_dims: ExtraDims::Infinite };
    let highest = 3000.0;
    let mut x = vec![0.0, 0.0, highest, 0.0, 0.0, highest];
    solver::sample(&flow, &Solver::rk45(1e-8).into(), (1e-4, highest), &mut x).unwrap();
    let (mean, covariance) = posterior(MEAN, C);
    let column = |k: usize| [x[2 * k] - x[0], x[2 * k + 1] - x[1]];
    let (a, b) = (column(1), column(2));
    for i in 0..2 {
        assert!((x[i] - mean[i]).abs() < 1e-3, "{x:?} {mean:?}");
        for (j, expected) in covariance[i].iter().enumerate() {
            let found = a[i] * a[j] + b[i] * b[j];
            assert!((found - expected).abs() < 1e-3, "{i} {j}: {found}, not {expected}");
        }
    }
}

/// MMPS of azula 0.11.1 on the mixture of `bench/posterior_azula.py`, at x = linspace(-3, 3, 8): iterations, noise level, conditional mean.
#[rustfmt::skip]
const AZULA: [(usize, f64, [f64; 8]); 4] = [
    (1, 0.5011872336272721, [-0.5144423427419691, -1.4618882706624234, -1.8477176485914049, -1.3386230364367742, -0.3932734099766942, 0.38365983136018733, 0.6139386701587597, 0.9747423345113313]),
    (1, 3.981071705534971, [0.5744770538878884, 0.34287806961175216, -1.9579413589778552, 0.2801349069745034, 0.5191386133672407, 0.32218689067577266, -0.23557328200133348, -0.14207079406752465]),
    (3, 0.5011872336272721, [-0.6144185349891969, -1.278111305809181, -1.7657196636562256, -1.3469237215571561, -0.36830691740323696, 0.18913749495459525, 0.6131437482084451, 1.0577264578839165]),
    (3, 3.981071705534971, [0.41847760024840075, 0.8520854468619049, -1.9334924488659002, 0.7598169506574135, 0.24486404929782934, -0.026689611404531688, -0.2145235752422771, 0.11006177175919951]),
];

#[test]
fn mmps_agrees_with_azula() {
    let mean = |at: usize| 2.0 * (1.0 + 3.0 * (at / 8) as f64 + 1.7 * ((at / 8 + 1) * (at % 8)) as f64).sin();
    let mixture = Mixture { means: (0..40).map(mean).collect(), dim: 8, spread: 0.3 };
    let entry = |at: usize| (0.5 + (at / 8 * (at % 8)) as f64 + 0.3 * (at % 8) as f64).cos() / 8.0_f64.sqrt();
    let matrix = Matrix::new((0..24).map(entry).collect(), 8).unwrap();
    let middle: Vec<f64> = (0..8).map(|at| 0.5 * (mixture.means[at] + mixture.means[8 + at])).collect();
    let mut measured = vec![0.0; 3];
    matrix.apply(&middle, &mut measured);
    let measurement = Measurement::new(&matrix, measured, 0.2).unwrap();
    let x: Vec<f64> = (0..8).map(|at| -3.0 + 6.0 * f64::from(at) / 7.0).collect();
    for (iterations, sigma, expected) in AZULA {
        let guidance = Guidance::Mmps { iterations };
        let conditioned = Conditioned::new(&mixture, ExtraDims::Infinite, &measurement, guidance);
        let mut found = [0.0; 8];
        conditioned.denoise(&Query { x: &x, sigma: &[sigma], item: &[0] }, &mut found);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{iterations} at {sigma}: {found}, not {expected}");
        }
    }
}

#[test]
fn each_item_has_its_own_measurement() {
    let matrix = Matrix::new(A.to_vec(), 2).unwrap();
    let alone = |value: f64, noise: f64| {
        let measurement = Measurement::new(&matrix, vec![value], noise).unwrap();
        let conditioned = Conditioned::new(&Gaussian, ExtraDims::Infinite, &measurement, Guidance::default());
        let mut yhat = [0.0; 2];
        conditioned.denoise(&Query { x: &[0.4, -2.0], sigma: &[1.0], item: &[0] }, &mut yhat);
        yhat
    };
    let both = Measurement::many(&matrix, vec![2.0, -9.0], &[0.3, 0.7]).unwrap();
    for guidance in [Guidance::default(), Guidance::PiGdm { spread: 1.0 }, Guidance::Dps { zeta: 1.0 }] {
        let conditioned = Conditioned::new(&Gaussian, ExtraDims::Infinite, &both, guidance).for_items(vec![1, 0, 1]);
        let mut yhat = [0.0; 6];
        let x = [0.4, -2.0].repeat(3);
        conditioned.denoise(&Query { x: &x, sigma: &[1.0; 3], item: &[0, 1, 2] }, &mut yhat);
        assert_eq!(yhat[..2], yhat[4..], "{guidance:?}");
        assert!((yhat[0] - yhat[2]).abs() > 0.1, "{guidance:?}");
        if guidance == Guidance::default() {
            let expected = [alone(-9.0, 0.7), alone(2.0, 0.3)].concat();
            assert!(yhat.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{yhat:?}");
        }
    }
}

#[test]
fn dps_does_not_depend_on_the_units_of_the_measurement() {
    let yhat = |factor: f64| {
        let matrix = Matrix::new(A.map(|a| factor * a).to_vec(), 2).unwrap();
        let measurement = Measurement::new(&matrix, vec![factor * MEASURED], 0.0).unwrap();
        let conditioned = Conditioned::new(&Gaussian, ExtraDims::Infinite, &measurement, Guidance::Dps { zeta: 0.5 });
        let mut yhat = [0.0; 2];
        conditioned.denoise(&Query { x: &[0.4, -2.0], sigma: &[1.0], item: &[0] }, &mut yhat);
        yhat
    };
    let (one, thousand) = (yhat(1.0), yhat(1000.0));
    assert!(one.iter().zip(thousand).all(|(a, b)| (a - b).abs() < 1e-10), "{one:?} {thousand:?}");
}

#[test]
fn charges_that_contradict_the_measurement_are_not_drawn() {
    // Six charges; the measurement leaves two of them. At small sigma each local approximation finds the nearest that agrees.
    let charges = vec![-2.0, 0.0, -1.0, 0.5, 0.0, 2.0, 0.1, -2.0, 1.0, 1.0, 2.0, -1.0];
    let matrix = Matrix::new(vec![1.0, 0.0], 2).unwrap();
    let measurement = Measurement::new(&matrix, vec![0.05], 0.1).unwrap();
    for extra_dims in [ExtraDims::Finite(8.0), ExtraDims::Finite(128.0), ExtraDims::Infinite] {
        let field = ExactField::new(charges.clone(), 2, extra_dims);
        for guidance in [Guidance::default(), Guidance::PiGdm { spread: 1.5 }, Guidance::Dps { zeta: 1.0 }] {
            let conditioned = Conditioned::new(&field, extra_dims, &measurement, guidance);
            let flow = Flow { denoiser: &conditioned, extra_dims };
            let share = |x: &[f64]| x.chunks_exact(2).filter(|row| row[0].abs() < 0.3).count() as f64 / 400.0;
            let mut x = flow.latents(40.0, 0, 0..400);
            solver::sample(&flow, &Solver::heun(40).into(), (1e-2, 40.0), &mut x).unwrap();
            let plain = Flow { denoiser: &field, extra_dims };
            let mut without = plain.latents(40.0, 0, 0..400);
            solver::sample(&plain, &Solver::heun(40).into(), (1e-2, 40.0), &mut without).unwrap();
            assert!(share(&without) < 0.5, "{}", share(&without));
            // On isolated charges both are biased.
            let least = 0.6;
            assert!(share(&x) > least, "D = {extra_dims}, {guidance:?}: {}", share(&x));
        }
    }
}

#[test]
fn measurements_that_do_not_fit_are_refused() {
    let matrix = Matrix::new(A.to_vec(), 2).unwrap();
    assert!(matches!(Measurement::new(&matrix, vec![1.0, 2.0], 0.1), Err(MeasurementError::Length { .. })));
    assert!(matches!(Measurement::new(&matrix, vec![f64::NAN], 0.1), Err(MeasurementError::Number { .. })));
    assert!(matches!(Measurement::new(&matrix, vec![1.0], -0.1), Err(MeasurementError::Number { .. })));
}
