//! Stochastic samplers on data with samples in closed form.
#![allow(missing_docs)]

use pfgm_eval::kolmogorov_smirnov;
use pfgm_flow::{
    extra_dims::ExtraDims::{self, Finite, Infinite},
    field::ExactField,
    flow::Flow,
    process::Process,
    solver::{
        Churn, InvalidOption, Langevin, Predictor, ReverseSde, Schedule, Solver, SolverError, SolverOverrides, encode,
        heun_with_churn, reverse_sde, sample, sample_seeded,
    },
    testing::Gaussian,
};
use statrs::function::erf::erfc;

/// Data N(1, 0.25) in each of some coordinates.
const fn gaussian(dim: usize) -> Gaussian {
    Gaussian { dim, mean: MEAN, spread: 0.5 }
}

const MEAN: f64 = 1.0;
const VARIANCE: f64 = 0.25;

/// The range of the published models.
fn range(process: Process) -> (f64, f64) {
    match process {
        Process::Ve => (0.01, 50.0),
        // Times of VP and sub-VP depend on no range.
        Process::Vp { .. } | Process::SubVp { .. } => (process.sigma(1e-3, (0.0, 0.0)), process.sigma(1.0, (0.0, 0.0))),
    }
}

/// Mean and variance of all coordinates of `rows` samples.
fn moments(sampler: &ReverseSde, dim: usize, rows: u64) -> (f64, f64) {
    let (denoiser, range) = (gaussian(dim), range(sampler.process.unwrap()));
    let flow = Flow { denoiser: &denoiser, extra_dims: Infinite };
    let seeds: Vec<u64> = (0..rows).collect();
    let mut x: Vec<f64> = flow.latents(range.1, 0, seeds.iter().copied());
    reverse_sde(&denoiser, sampler, range, &seeds, &mut x);
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    (mean, x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count)
}

#[test]
fn predictors_move_mean_and_variance_as_an_independent_program_says() {
    // What `python3 goldens/reverse_sde.py` prints: process, predictor, steps, mean and variance of the samples. The data have 1 and
    // 0.25, which many steps come near to.
    #[rustfmt::skip]
    let cases = [
        (Process::Ve, Predictor::EulerMaruyama, 60, 0.999976, 0.255499),
        (Process::Ve, Predictor::EulerMaruyama, 1000, 0.999907, 0.250352),
        (Process::Ve, Predictor::ReverseDiffusion, 60, 0.999900, 0.289721),
        (Process::Ve, Predictor::ReverseDiffusion, 1000, 0.999900, 0.252043),
        (Process::Ve, Predictor::Ancestral, 60, 0.999900, 0.217072),
        (Process::Ve, Predictor::Ancestral, 1000, 0.999900, 0.247782),
        (Process::VP, Predictor::EulerMaruyama, 60, 1.007215, 0.255326),
        (Process::VP, Predictor::EulerMaruyama, 1000, 1.000590, 0.250233),
        (Process::VP, Predictor::ReverseDiffusion, 60, 1.011761, 0.257593),
        (Process::VP, Predictor::ReverseDiffusion, 1000, 1.000852, 0.250364),
        (Process::VP, Predictor::Ancestral, 60, 1.020826, 0.247141),
        (Process::VP, Predictor::Ancestral, 1000, 1.001376, 0.249738),
        (Process::SUB_VP, Predictor::EulerMaruyama, 60, 1.008779, 0.258654),
        (Process::SUB_VP, Predictor::EulerMaruyama, 1000, 1.000784, 0.250398),
        (Process::SUB_VP, Predictor::ReverseDiffusion, 60, 1.008779, 0.258654),
        (Process::SUB_VP, Predictor::ReverseDiffusion, 1000, 1.000784, 0.250398),
    ];
    for (process, predictor, steps, mean, variance) in cases {
        let sampler = ReverseSde { process: Some(process), predictor, corrector: None, steps };
        // Four standard errors of as many coordinates.
        let (dim, rows) = if steps > 100 { (64, 40) } else { (64, 400) };
        let count = (dim as u64 * rows) as f64;
        let (found_mean, found_variance) = moments(&sampler, dim, rows);
        let (mean_bound, variance_bound) = (4.0 * (variance / count).sqrt(), 4.0 * variance * (2.0 / count).sqrt());
        assert!((found_mean - mean).abs() < mean_bound, "{sampler:?}: mean {found_mean}, not {mean}");
        assert!(
            (found_variance - variance).abs() < variance_bound,
            "{sampler:?}: variance {found_variance}, not {variance}"
        );
        if steps > 100 {
            assert!((mean - MEAN).abs() < 2e-3 && (variance - VARIANCE).abs() < 3e-3, "{sampler:?}");
        }
    }
}

#[test]
fn the_corrector_keeps_the_distribution_and_mends_it() {
    let langevin = Some(Langevin { steps: 1, snr: 0.16 });
    for process in [Process::Ve, Process::VP, Process::SUB_VP] {
        let sampler = ReverseSde {
            process: Some(process),
            predictor: Predictor::ReverseDiffusion,
            corrector: langevin,
            steps: 1000,
        };
        // Steps that depend on the norms of a sample make its variance larger by a share of about 4/N, and steps of finite length
        // by 2.6 %.
        let (mean, variance) = moments(&sampler, 1024, 16);
        assert!((mean - MEAN).abs() < 0.02, "{process:?}: mean {mean}");
        assert!((variance / VARIANCE - 1.03).abs() < 0.045, "{process:?}: variance {variance}");
    }
    // Sixty steps of the VE predictor alone leave a variance of 0.29: the corrector brings it nearer.
    let sampler = |corrector| ReverseSde {
        process: Some(Process::Ve),
        predictor: Predictor::ReverseDiffusion,
        corrector,
        steps: 60,
    };
    let (_, alone) = moments(&sampler(None), 1024, 25);
    let (_, mended) = moments(&sampler(Some(Langevin { steps: 2, snr: 0.16 })), 1024, 25);
    assert!((mended - VARIANCE).abs() < 0.6 * (alone - VARIANCE).abs(), "{mended} after {alone}");
}

#[test]
fn times_and_levels_are_inverse() {
    for process in [Process::Ve, Process::VP, Process::SUB_VP] {
        let range = range(process);
        for t in [0.01, 0.3, 0.99] {
            let sigma = process.sigma(t, range);
            assert!((process.time(sigma, range) - t).abs() < 1e-9, "{process:?} at {t}");
            // g^2 is what makes the variance grow: d(mean sigma)^2/dt + beta (mean sigma)^2, by differences.
            let variance = |t: f64| (process.mean_at(process.sigma(t, range)) * process.sigma(t, range)).powi(2);
            let slope = (variance(t + 1e-5) - variance(t - 1e-5)) / 2e-5;
            let square = slope + process.beta(t) * variance(t);
            assert!((process.diffusion(t, range) / square - 1.0).abs() < 1e-5, "{process:?} at {t}");
        }
    }
}

/// The chance that the first coordinates of samples that end at noise level 0.5 follow the distribution there, whose distribution
/// function is known: a mean of Gauss's or Cauchy's, one for each charge.
fn chance(extra_dims: ExtraDims, amount: f64, noise: f64) -> f64 {
    let charges = vec![0.5, 0.25, -1.0, 0.75, 2.25, -0.5];
    let field = ExactField::new(charges.clone(), 2, extra_dims);
    let flow = Flow { denoiser: &field, extra_dims };
    let (low, high) = (0.5, 2000.0);
    let seeds: Vec<u64> = (0..4000).collect();
    let mut x: Vec<f64> = flow.latents(high, 0, seeds.iter().copied());
    let churn = Churn { amount, levels: (0.0, f64::INFINITY), noise };
    heun_with_churn(&flow, &churn, &Schedule::LogUniform.grid(high, low, 80), &seeds, &mut x).unwrap();
    let first: Vec<f64> = x.chunks_exact(2).map(|x| x[0]).collect();
    let one = |distance: f64| match extra_dims {
        Infinite => 0.5 * erfc(-distance / 2_f64.sqrt()),
        Finite(_) => 0.5 + distance.atan() / std::f64::consts::PI,
    };
    let cdf = |x: f64| charges.chunks_exact(2).map(|y| one((x - y[0]) / low)).sum::<f64>() / 3.0;
    kolmogorov_smirnov(&first, cdf).p_value
}

#[test]
fn churn_keeps_the_distribution() {
    for extra_dims in [Infinite, Finite(1.0)] {
        assert!(chance(extra_dims, 0.0, 1.0) > 0.01, "D = {extra_dims}: the ODE itself");
        assert!(chance(extra_dims, 30.0, 1.0) > 0.01, "D = {extra_dims}");
        // Noise that is 1.5 times as large is detected.
        assert!(chance(extra_dims, 30.0, 1.5) < 1e-4, "D = {extra_dims}: too much noise");
    }
}

fn option(error: SolverError) -> InvalidOption {
    let SolverError::Option(option) = error else { panic!("{error}") };
    option
}

#[test]
fn churn_is_refused_where_no_noise_is_right() {
    let solver: Solver = Solver::heun(18).churn(10.0).into();
    for d in [0.5, 2.0, 128.0] {
        let field = ExactField::new(vec![0.0], 1, Finite(d));
        let flow = Flow { denoiser: &field, extra_dims: Finite(d) };
        let refused = option(sample(&flow, &solver, (0.1, 10.0), &mut [1.0]).unwrap_err());
        assert_eq!((refused.option, refused.value.as_str()), ("churn", "10"));
        assert!(refused.problem.contains(&format!("D = {d}")), "{refused}");
        assert_eq!(solver.check(Finite(d)), Err(refused));
        let below = heun_with_churn(&flow, &Churn::new(10.0), &[10.0, 0.1], &[0], &mut [1.0]).unwrap_err();
        assert_eq!(option(below).option, "churn");
    }
    assert!(solver.check(Finite(1.0)).is_ok() && solver.check(Infinite).is_ok());
}

#[test]
fn the_reverse_sde_is_refused_for_finite_dimensions() {
    let field = ExactField::new(vec![0.0], 1, Finite(128.0));
    let flow = Flow { denoiser: &field, extra_dims: Finite(128.0) };
    for sde in [Solver::reverse_sde(30), Solver::reverse_diffusion(30), Solver::ancestral(30)] {
        let solver: Solver = sde.langevin(1, 0.16).into();
        let refused = option(sample(&flow, &solver, (0.1, 10.0), &mut [1.0]).unwrap_err());
        assert_eq!((refused.option, refused.value.as_str()), ("method", solver.method().as_str()));
        assert!(refused.problem.contains("D = 128"), "{refused}");
        assert_eq!(solver.check(Finite(128.0)), Err(refused));
        assert!(solver.check(Infinite).is_ok());
    }
    let wrong = |sde: ReverseSde| Solver::from(sde).check(Infinite).unwrap_err().option;
    assert_eq!(wrong(Solver::ancestral(1000).process(Process::SUB_VP)), "process");
    // A chain of few steps would take more than all of the data in one.
    assert_eq!(wrong(Solver::reverse_sde(20).process(Process::SUB_VP)), "steps");
    assert_eq!(wrong(Solver::reverse_sde(20).process(Process::Vp { beta_min: -1.0, beta_max: 20.0 })), "process");
    assert_eq!(wrong(Solver::reverse_sde(30).langevin(0, 0.16)), "corrector_steps");
    assert_eq!(wrong(Solver::reverse_sde(30).langevin(1, 0.0)), "snr");
}

#[test]
fn noise_on_the_way_widens_by_as_much_as_it_should() {
    let (dim, range, steps, share) = (40, (0.01, 20.0), 12, 0.3);
    let denoiser = gaussian(dim);
    let flow = Flow { denoiser: &denoiser, extra_dims: Infinite };
    let seeds: Vec<u64> = (0..1500).collect();
    let solver: Solver = Solver::euler(steps).perturbation(share).into();
    solver.check(Finite(3.0)).unwrap();
    let latents: Vec<f64> = flow.latents(range.1, 0, seeds.iter().copied());
    let mut x = latents.clone();
    sample_seeded(&flow, &solver, range, &seeds, &mut x).unwrap();
    // Each step adds its noise, then maps what is left of the mean by a factor of its own.
    let (mut mean, mut variance) = (-MEAN, range.1 * range.1);
    for pair in Schedule::LogUniform.grid(range.1, range.0, steps).windows(2) {
        let kept = VARIANCE / (VARIANCE + pair[0] * pair[0]);
        let factor = kept + pair[1] / pair[0] * (1.0 - kept);
        mean *= factor;
        variance = factor * factor * (variance + (share * pair[0]).powi(2));
    }
    let count = x.len() as f64;
    let found = x.iter().sum::<f64>() / count;
    let spread = x.iter().map(|x| (x - found).powi(2)).sum::<f64>() / count;
    assert!((found - MEAN - mean).abs() < 5.0 * (variance / count).sqrt(), "{found} {mean}");
    assert!((spread / variance - 1.0).abs() < 5.0 * (2.0 / count).sqrt(), "{spread} {variance}");
    // A sample depends on its seed; without noise it is that of the deterministic method.
    let mut one = latents[7 * dim..8 * dim].to_vec();
    sample_seeded(&flow, &solver, range, &seeds[7..8], &mut one).unwrap();
    assert_eq!(one, x[7 * dim..8 * dim]);
    for base in [Solver::heun(steps).into(), Solver::improved_euler(steps).into(), Solver::euler(steps).into()] {
        let base: Solver = base;
        let at = |noise: f64| {
            let mut x = latents[..3 * dim].to_vec();
            let overrides = SolverOverrides { noise: Some(noise), ..SolverOverrides::default() };
            sample_seeded(&flow, &overrides.apply(&base).unwrap(), range, &seeds[..3], &mut x).unwrap();
            x
        };
        let far = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far(&at(0.0), &at(1e-9)) < 1e-6 && far(&at(0.0), &at(0.1)) > 1e-3, "{base:?}");
    }
    let noise = SolverOverrides { noise: Some(0.1), ..SolverOverrides::default() };
    for other in [Solver::unipc(2, 10).into(), Solver::rk45(1e-4).into(), Solver::heun(10).churn(4.0).into()] {
        let other: Solver = other;
        assert_eq!(noise.apply(&other).unwrap_err().option, "noise", "{other:?}");
    }
    assert_eq!(Solver::from(Solver::euler(3).perturbation(-0.1)).check(Infinite).unwrap_err().option, "noise");
    assert!(!solver.is_reversible());
    let error = encode(&flow, &solver, range, &mut latents.clone()).unwrap_err();
    assert_eq!(error, SolverError::NotReversible(solver.method()));
}
