//! What a step of MMPS costs: the time of one evaluation of a network, of a vector-Jacobian product, and of a conditional mean with 8 steps of
//! conjugate gradients. The shortest of several runs, in turn.
//!
//! `cargo run --release -p pfgm --example posterior_speed`

use std::time::Instant;

use pfgm::{
    flow::{Denoiser, Differentiable, Query},
    posterior::{Conditioned, Downsampling, Guidance, LinearOperator, Measurement},
    prelude::*,
};

const ROWS: usize = 25;
const ITERATIONS: usize = 8;

fn main() -> Result<(), Error> {
    let model = Model::load("fashion-mnist")?;
    let (dim, extra_dims) = (model.spec().dim(), model.spec().extra_dims());
    let denoiser = model.denoiser(vec![None; ROWS], 1.0);
    let x = model.latents(0..ROWS as u64).scaled(0.01).x;
    let (sigma, item) = (vec![0.8; ROWS], (0..ROWS).collect::<Vec<_>>());
    let query = Query { x: &x, sigma: &sigma, item: &item };
    let operator = Downsampling::new([28, 28, 1], 4).expect("a divisor");
    let measurement = Measurement::new(&operator, vec![0.1; operator.outputs()], 0.05).expect("as many values");
    let guidance = Guidance::Mmps { iterations: ITERATIONS };
    let conditioned = Conditioned::new(&denoiser, extra_dims, &measurement, guidance);
    let (mut yhat, mut product, probes) = (vec![0.0; ROWS * dim], vec![0.0; ROWS * dim], vec![0.1; ROWS * dim]);
    let mut shortest = [f64::INFINITY; 3];
    for _ in 0..12 {
        let mut time = |number: usize, run: &mut dyn FnMut()| {
            let started = Instant::now();
            run();
            shortest[number] = shortest[number].min(started.elapsed().as_secs_f64());
        };
        time(0, &mut || denoiser.denoise(&query, &mut yhat));
        time(1, &mut || denoiser.vjp(&query, &probes, &mut yhat, &mut product));
        time(2, &mut || conditioned.denoise(&query, &mut yhat));
    }
    let [evaluation, vjp, mmps] = shortest;
    println!(
        "{:.2} ms a row and evaluation, {:.2} evaluations a product",
        1e3 * evaluation / ROWS as f64,
        vjp / evaluation
    );
    println!(
        "{:.2} evaluations an iteration of MMPS with {ITERATIONS} iterations",
        mmps / evaluation / ITERATIONS as f64
    );
    Ok(())
}
