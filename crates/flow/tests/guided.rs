//! Guidance of closed-form estimates.
#![allow(missing_docs)]

use pfgm_flow::{
    extra_dims::ExtraDims,
    flow::{Denoiser, Differentiable, Flow, Query},
    guided::Guided,
    solver::{Solver, sample},
    testing::Gaussian,
};

const SPREADS: [f64; 2] = [0.5, 2.0];
const SCALE: f64 = 1.7;

fn guided(levels: std::ops::RangeInclusive<f64>, scale: f64) -> Guided<Gaussian, Gaussian> {
    let [estimate, weaker] = SPREADS.map(|spread| Gaussian { dim: 2, mean: 0.0, spread });
    Guided { estimate, weaker, scale, levels }
}

/// The factor by which the guided flow scales a point between two levels that are guided. From `dx / d ln sigma = x - yhat` with
/// `x - yhat = x ((1 - w) sigma^2 / (u^2 + sigma^2) + w sigma^2 / (c^2 + sigma^2))`, whose integral is a product of powers.
fn factor(from: f64, to: f64, scale: f64) -> f64 {
    let part = |spread: f64| spread.hypot(to) / spread.hypot(from);
    part(SPREADS[0]).powf(scale) * part(SPREADS[1]).powf(1.0 - scale)
}

#[test]
fn the_guided_flow_has_its_closed_form() {
    for (levels, parts) in [
        (0.0..=f64::INFINITY, vec![(20.0, 0.1, SCALE)]),
        (0.5..=3.0, vec![(20.0, 3.0, 1.0), (3.0, 0.5, SCALE), (0.5, 0.1, 1.0)]),
    ] {
        let guided = guided(levels, SCALE);
        let flow = Flow { denoiser: &guided, extra_dims: ExtraDims::Infinite };
        let mut x = [7.0, -3.0];
        sample(&flow, &Solver::rk45(1e-9).into(), (0.1, 20.0), &mut x).unwrap();
        let wanted: f64 = parts.into_iter().map(|(from, to, scale)| factor(from, to, scale)).product();
        for (x, start) in x.into_iter().zip([7.0, -3.0]) {
            assert!((x - start * wanted).abs() < 1e-6 * start.abs(), "{x} for {}", start * wanted);
        }
    }
}

#[test]
fn rows_outside_the_interval_are_not_guided_and_derivatives_are_guided_alike() {
    let guided = guided(0.5..=3.0, SCALE);
    let (x, sigma, item) = ([1.0, 2.0, -1.0, 0.5, 0.3, 0.7], [0.4, 1.0, 3.1], [0, 1, 2]);
    let query = Query { x: &x, sigma: &sigma, item: &item };
    let slope = |sigma: f64| {
        let [with, without] = SPREADS.map(|spread| spread * spread / (spread * spread + sigma * sigma));
        if (0.5..=3.0).contains(&sigma) { without + SCALE * (with - without) } else { with }
    };
    let (mut yhat, mut again, mut pulled) = ([0.0; 6], [0.0; 6], [0.0; 6]);
    let probes = [1.0, -2.0, 0.5, 3.0, -1.0, 4.0];
    guided.denoise(&query, &mut yhat);
    guided.vjp(&query, &probes, &mut again, &mut pulled);
    let mut divergence = [0.0; 3];
    guided.divergence(&query, &mut [0.0; 6], &mut divergence);
    for at in 0..6 {
        let slope = slope(sigma[at / 2]);
        assert!((yhat[at] - slope * x[at]).abs() < 1e-14 && yhat[at] == again[at], "value {at}");
        assert!((pulled[at] - slope * probes[at]).abs() < 1e-14, "probe {at}");
        assert!((divergence[at / 2] - 2.0 * slope).abs() < 1e-14, "divergence of row {}", at / 2);
    }
}

/// An estimate that must not be asked.
struct Unused;

impl Denoiser for Unused {
    fn dim(&self) -> usize {
        2
    }

    fn denoise(&self, _: &Query, _: &mut [f64]) {
        panic!("asked for nothing");
    }
}

#[test]
fn a_scale_of_one_costs_nothing() {
    let estimate = Gaussian { dim: 2, mean: 0.0, spread: 1.0 };
    let guided = Guided { estimate, weaker: Unused, scale: 1.0, levels: 0.0..=f64::INFINITY };
    let mut yhat = [0.0; 2];
    guided.denoise(&Query { x: &[1.0, 2.0], sigma: &[1.0], item: &[0] }, &mut yhat);
    assert_eq!(yhat, [0.5, 1.0]);
}
