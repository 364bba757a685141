//! How far draws of MMPS, PiGDM, DPS and TDS lie from the exact posterior distribution: 600 digits of 64 pixels are the charges, and 16
//! means of 2x2 pixels are measured. A Markdown table.
//!
//! `cargo run --release -p pfgm-flow --example posterior_bias`

use pfgm_flow::{
    extra_dims::ExtraDims::{self, Finite, Infinite},
    field::ExactField,
    flow::Flow,
    posterior::{Conditioned, Downsampling, Guidance, LinearOperator, Measurement, Twisted, TwistedSampler},
    random::{Purpose, stream},
    solver::{Schedule, Solver, sample_seeded},
    testing::sliced_wasserstein,
};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

const DIM: usize = 64;
const CHARGES: usize = 600;
const MEASUREMENTS: usize = 8;
const DRAWS: usize = 64;
const NOISE: f64 = 0.3;
/// The standard deviation of a pixel.
const SPREAD: f64 = 0.75;
const RANGE: (f64, f64) = (2e-3, 80.0);

fn main() {
    let digits = pfgm_data::open("digits", &Default::default()).expect("embedded");
    let pixels = digits.some(CHARGES).expect("embedded");
    let charges: Vec<f64> = pixels.iter().map(|&value| f64::from(value) / 8.0 - 1.0).collect();
    let operator = Downsampling::new([8, 8, 1], 2).expect("a divisor");
    let methods = [
        ("MMPS, s^2", Some(Guidance::Mmps { iterations: 4 }), false),
        ("MMPS, sigma^2", Some(Guidance::Mmps { iterations: 4 }), true),
        ("PiGDM, s^2", Some(Guidance::PiGdm { spread: SPREAD }), false),
        ("PiGDM, sigma^2", Some(Guidance::PiGdm { spread: SPREAD }), true),
        ("DPS", Some(Guidance::Dps { zeta: 1.0 }), false),
        ("TDS, 64 particles", None, false),
    ];
    let floor = (0..MEASUREMENTS).map(|number| {
        let [a, b] = [0, 1].map(|seed| problem(&operator, &charges, number, seed).1);
        [sliced_wasserstein(&a, &b, DIM), rms(&mean(&a), &mean(&b))]
    });
    let floor =
        floor.fold([0.0; 2], |sum, part| [sum[0] + part[0], sum[1] + part[1]]).map(|sum| sum / MEASUREMENTS as f64);
    println!("| D | method | sliced Wasserstein distance | error of the mean |\n|---|---|---|---|");
    println!("| | two sets of exact draws | {:.3} | {:.3} |", floor[0], floor[1]);
    for extra_dims in [Finite(1.0), Finite(8.0), Finite(128.0), Infinite] {
        let field = ExactField::new(charges.clone(), DIM, extra_dims);
        for (name, guidance, with_sigma) in methods {
            let (mut distance, mut error) = (0.0, 0.0);
            for number in 0..MEASUREMENTS {
                let (measured, exact) = problem(&operator, &charges, number, 0);
                let measurement = Measurement::new(&operator, measured, NOISE).expect("as many values");
                let s = if with_sigma { Infinite } else { extra_dims };
                let drawn = draw(&field, extra_dims, s, &measurement, guidance);
                distance += sliced_wasserstein(&drawn, &exact, DIM) / MEASUREMENTS as f64;
                error += rms(&mean(&drawn), &mean(&exact)) / MEASUREMENTS as f64;
            }
            println!("| {extra_dims} | {name} | {distance:.3} | {error:.3} |");
        }
    }
}

/// A measurement of a charge, and exact draws of the posterior distribution.
fn problem(operator: &Downsampling, charges: &[f64], number: usize, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let mut rng = stream(number as u64, Purpose::Measurement, 0, 0);
    let apply = |y: &[f64]| {
        let mut out = vec![0.0; operator.outputs()];
        operator.apply(y, &mut out);
        out
    };
    let charge = number * CHARGES / MEASUREMENTS;
    let mut measured = apply(&charges[charge * DIM..(charge + 1) * DIM]);
    measured
        .iter_mut()
        .for_each(|a| *a += NOISE * <StandardNormal as Distribution<f64>>::sample(&StandardNormal, &mut rng));
    let square = |y: &[f64]| apply(y).iter().zip(&measured).map(|(b, a)| (a - b) * (a - b)).sum::<f64>();
    let weights: Vec<f64> = charges.chunks_exact(DIM).map(|y| (-0.5 * square(y) / (NOISE * NOISE)).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut rng = stream(seed, Purpose::Measurement, 1, number as u64);
    let mut pick = || {
        let (at, mut sum) = (rng.random::<f64>() * total, 0.0);
        weights
            .iter()
            .position(|weight| {
                sum += weight;
                sum >= at
            })
            .unwrap_or(CHARGES - 1)
    };
    let exact = (0..DRAWS)
        .flat_map(|_| {
            let at = pick();
            charges[at * DIM..(at + 1) * DIM].to_vec()
        })
        .collect();
    (measured, exact)
}

fn draw(
    field: &ExactField,
    extra_dims: ExtraDims,
    of_variance: ExtraDims,
    measurement: &Measurement,
    guidance: Option<Guidance>,
) -> Vec<f64> {
    let Some(guidance) = guidance else {
        let levels = Schedule::LogUniform.grid(RANGE.1, RANGE.0, 40);
        let how = Twisted { particles: 64, levels, spread: SPREAD };
        return TwistedSampler::new(field, extra_dims, measurement, &how).draw(0, DRAWS, 0);
    };
    // With D = infinity in place of D the variance is sigma^2.
    let conditioned = Conditioned::new(field, of_variance, measurement, guidance);
    let flow = Flow { denoiser: &conditioned, extra_dims };
    let seeds: Vec<u64> = (0..DRAWS as u64).collect();
    let mut x = flow.latents(RANGE.1, 0, seeds.iter().copied());
    sample_seeded(&flow, &Solver::heun(18).into(), RANGE, &seeds, &mut x).expect("a finite flow");
    x
}

fn mean(x: &[f64]) -> Vec<f64> {
    (0..DIM).map(|at| x.iter().skip(at).step_by(DIM).sum::<f64>() / DRAWS as f64).collect()
}

fn rms(a: &[f64], b: &[f64]) -> f64 {
    (a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / DIM as f64).sqrt()
}
