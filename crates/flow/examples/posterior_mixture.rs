//! Draws given three values of a Gaussian mixture in eight dimensions, compared with its exact posterior distribution.
//! `bench/posterior_azula.py` does the same with azula, and compares all draws that this program writes.
//!
//! `cargo run --release -p pfgm-flow --example posterior_mixture -- FOLDER`

use pfgm_flow::{
    extra_dims::ExtraDims::Infinite,
    flow::Flow,
    posterior::{Conditioned, Guidance, LinearOperator, Matrix, Measurement, Twisted, TwistedSampler},
    random::{Purpose, Stream, stream},
    solver::{Schedule, ScheduleName, Solver, SolverOverrides, sample},
    testing::{Mixture, sliced_wasserstein},
};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

const DIM: usize = 8;
const COMPONENTS: usize = 5;
const OUTPUTS: usize = 3;
const SPREAD: f64 = 0.3;
const NOISE: f64 = 0.2;
const DRAWS: usize = 1024;
const RANGE: (f64, f64) = (1e-3, 1e3);

fn main() {
    let mean = |at: usize| 2.0 * (1.0 + 3.0 * (at / DIM) as f64 + 1.7 * ((at / DIM + 1) * (at % DIM)) as f64).sin();
    let mixture = Mixture { means: (0..COMPONENTS * DIM).map(mean).collect(), dim: DIM, spread: SPREAD };
    let entry = |at: usize| (0.5 + (at / DIM * (at % DIM)) as f64 + 0.3 * (at % DIM) as f64).cos() / 8.0_f64.sqrt();
    let matrix = Matrix::new((0..OUTPUTS * DIM).map(entry).collect(), DIM).expect("whole rows");
    // What is measured lies between the first two components.
    let middle: Vec<f64> = (0..DIM).map(|at| 0.5 * (mixture.means[at] + mixture.means[DIM + at])).collect();
    let measured = apply(&matrix, &middle);
    let [exact, other] = [0, 1].map(|seed| posterior(&mixture, &matrix, &measured, seed));
    let measurement = Measurement::new(&matrix, measured, NOISE).expect("as many values");
    println!("| method | evaluations | sliced Wasserstein distance |\n|---|---|---|");
    println!("| exact draws | | {:.4} |", sliced_wasserstein(&other, &exact, DIM));
    for (name, guidance) in [
        ("MMPS, 1 iteration", Guidance::Mmps { iterations: 1 }),
        ("MMPS, 3 iterations", Guidance::Mmps { iterations: 3 }),
        ("PiGDM", Guidance::PiGdm { spread: 1.5 }),
        ("DPS", Guidance::Dps { zeta: 1.0 }),
    ] {
        let conditioned = Conditioned::new(&mixture, Infinite, &measurement, guidance);
        let flow = Flow { denoiser: &conditioned, extra_dims: Infinite };
        let solver = Solver::heun(64);
        let log = SolverOverrides { schedule: Some(ScheduleName::LogUniform), ..Default::default() };
        let solver = log.apply(&solver.into()).expect("a schedule of Heun's method");
        let mut x = flow.latents(RANGE.1, 0, 0..DRAWS as u64);
        sample(&flow, &solver, RANGE, &mut x).expect("a finite flow");
        println!("| {name} | Heun, 64 steps | {:.4} |", sliced_wasserstein(&x, &exact, DIM));
        write(name, &x);
    }
    let levels = Schedule::LogUniform.grid(RANGE.1, RANGE.0, 128);
    let how = Twisted { particles: DRAWS, levels, spread: 1.5 };
    let x = TwistedSampler::new(&mixture, Infinite, &measurement, &how).draw(0, DRAWS, 0);
    println!("| TDS, {DRAWS} particles | 128 steps | {:.4} |", sliced_wasserstein(&x, &exact, DIM));
    write("TDS", &x);
}

/// Writes draws as plain numbers of double precision, if a folder was named.
fn write(name: &str, x: &[f64]) {
    if let Some(folder) = std::env::args().nth(1) {
        let bytes: Vec<u8> = x.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.f64")), bytes).expect("a folder to write to");
    }
}

fn apply(matrix: &Matrix, y: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; OUTPUTS];
    matrix.apply(y, &mut out);
    out
}

fn gauss(rng: &mut Stream) -> f64 {
    StandardNormal.sample(rng)
}

/// Exact draws: a component by its evidence, a point of it and a measurement of that point, moved by the gain times what is missing.
fn posterior(mixture: &Mixture, matrix: &Matrix, measured: &[f64], seed: u64) -> Vec<f64> {
    let unit = |at: usize| (0..OUTPUTS).map(|k| f64::from(u8::from(k == at))).collect::<Vec<f64>>();
    let back = |v: &[f64]| {
        let mut out = vec![0.0; DIM];
        matrix.transpose(v, &mut out);
        out
    };
    let covariance: Vec<Vec<f64>> = (0..OUTPUTS)
        .map(|at| {
            let column = apply(matrix, &back(&unit(at)));
            (0..OUTPUTS).map(|k| SPREAD * SPREAD * column[k] + if k == at { NOISE * NOISE } else { 0.0 }).collect()
        })
        .collect();
    let missing = |y: &[f64]| -> Vec<f64> { apply(matrix, y).iter().zip(measured).map(|(b, a)| a - b).collect() };
    let evidence = |mean: &[f64]| {
        let e = missing(mean);
        (-0.5 * solve(&covariance, &e).iter().zip(&e).map(|(u, e)| u * e).sum::<f64>()).exp()
    };
    let weights: Vec<f64> = mixture.means.chunks_exact(DIM).map(evidence).collect();
    let mut rng = stream(seed, Purpose::Measurement, 0, 0);
    let mut draw = || {
        let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
        let passed = |weight: &f64| {
            left -= weight;
            left <= 0.0
        };
        let component = weights.iter().position(passed).unwrap_or(COMPONENTS - 1);
        let mean = &mixture.means[component * DIM..(component + 1) * DIM];
        let mut y: Vec<f64> = mean.iter().map(|mean| mean + SPREAD * gauss(&mut rng)).collect();
        let e: Vec<f64> = missing(&y).iter().map(|e| e + NOISE * gauss(&mut rng)).collect();
        let gain = back(&solve(&covariance, &e));
        y.iter_mut().zip(gain).for_each(|(y, gain)| *y += SPREAD * SPREAD * gain);
        y
    };
    (0..DRAWS).flat_map(|_| draw()).collect()
}

/// Solves a small system by elimination.
fn solve(matrix: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let mut rows: Vec<Vec<f64>> = matrix.iter().zip(right).map(|(row, &b)| [&row[..], &[b]].concat()).collect();
    for pivot in 0..rows.len() {
        let first = rows[pivot].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(at, _)| *at != pivot) {
            let factor = row[pivot] / first[pivot];
            row.iter_mut().zip(&first).for_each(|(value, first)| *value -= factor * first);
        }
    }
    rows.iter().enumerate().map(|(at, row)| row[row.len() - 1] / row[at]).collect()
}
