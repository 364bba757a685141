//! The twisted diffusion sampler tends to the exact posterior distribution of charges.
#![allow(missing_docs)]

use pfgm_flow::{
    extra_dims::ExtraDims::{self, Finite, Infinite},
    field::ExactField,
    flow::Flow,
    posterior::{Conditioned, Guidance, Matrix, Measurement, Twisted, TwistedSampler},
    solver::{Schedule, Solver, sample},
};

const CHARGES: [[f64; 2]; 6] = [[-2.0, 0.0], [-1.0, 0.5], [0.2, 2.0], [0.5, -2.0], [1.0, 1.0], [2.0, -1.0]];
const MEASURED: f64 = 0.4;
const NOISE: f64 = 0.5;

/// The exact shares of the charges given their first coordinate.
fn exact_shares() -> [f64; 6] {
    let weights = CHARGES.map(|y| (-0.5 * ((y[0] - MEASURED) / NOISE).powi(2)).exp());
    let total: f64 = weights.iter().sum();
    weights.map(|weight| weight / total)
}

/// The shares of draws that end at each charge.
fn shares(x: &[f64]) -> [f64; 6] {
    let distance = |x: &[f64], y: &[f64; 2]| (x[0] - y[0]).hypot(x[1] - y[1]);
    let mut found = [0.0; 6];
    for x in x.chunks_exact(2) {
        let nearest = (0..6).min_by(|&a, &b| distance(x, &CHARGES[a]).total_cmp(&distance(x, &CHARGES[b]))).unwrap();
        found[nearest] += 1.0;
    }
    found.map(|share| 2.0 * share / x.len() as f64)
}

/// Half of the sum of the differences.
fn distance(a: &[f64; 6], b: &[f64; 6]) -> f64 {
    a.iter().zip(b).map(|(a, b)| 0.5 * (a - b).abs()).sum()
}

fn twisted(extra_dims: ExtraDims, particles: usize, draws: usize, seed: u64) -> Vec<f64> {
    let field = ExactField::new(CHARGES.concat(), 2, extra_dims);
    let first = Matrix::new(vec![1.0, 0.0], 2).unwrap();
    let measurement = Measurement::new(&first, vec![MEASURED], NOISE).unwrap();
    let how = Twisted { particles, levels: Schedule::LogUniform.grid(60.0, 1e-2, 120), spread: 1.4 };
    TwistedSampler::new(&field, extra_dims, &measurement, &how).draw(0, draws, seed)
}

/// The error of the shares when every draw is moved by the flow alone.
fn guided_error(extra_dims: ExtraDims, guidance: Guidance) -> f64 {
    let field = ExactField::new(CHARGES.concat(), 2, extra_dims);
    let first = Matrix::new(vec![1.0, 0.0], 2).unwrap();
    let measurement = Measurement::new(&first, vec![MEASURED], NOISE).unwrap();
    let conditioned = Conditioned::new(&field, extra_dims, &measurement, guidance);
    let flow = Flow { denoiser: &conditioned, extra_dims };
    let mut x = flow.latents(60.0, 0, 0..2000);
    sample(&flow, &Solver::heun(40).into(), (1e-2, 60.0), &mut x).unwrap();
    distance(&shares(&x), &exact_shares())
}

#[test]
fn shares_tend_to_the_exact_ones_as_particles_grow() {
    // The kernel itself is an approximation, which shows at D = 1 in the plane.
    for (extra_dims, limit) in [(Finite(1.0), 0.1), (Finite(8.0), 0.045), (Finite(128.0), 0.045), (Infinite, 0.045)] {
        // The mean error of single runs.
        let error = |particles: usize, runs: u64| {
            let of_run = |seed| distance(&shares(&twisted(extra_dims, particles, particles, seed)), &exact_shares());
            (0..runs).map(of_run).sum::<f64>() / runs as f64
        };
        let errors = [error(8, 30), error(100, 8), error(3000, 1)];
        assert!(errors[0] > 1.3 * errors[1] && errors[1] > 1.3 * errors[2], "D = {extra_dims}: {errors:?}");
        assert!(errors[2] < limit, "D = {extra_dims}: {errors:?}");
        // Every local approximation is biased on separate charges, however many draws there are.
        for guidance in [Guidance::default(), Guidance::PiGdm { spread: 1.4 }, Guidance::Dps { zeta: 1.0 }] {
            let biased = guided_error(extra_dims, guidance);
            assert!(biased > 1.3 * errors[2], "D = {extra_dims}, {guidance:?}: {biased} and {errors:?}");
        }
    }
}

#[test]
fn draws_depend_on_the_seed_alone() {
    let of = |seed| twisted(Finite(8.0), 20, 5, seed);
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    assert_eq!(of(1).len(), 10);
}
