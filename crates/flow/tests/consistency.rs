//! The exact consistency function, and sampling with it.
#![allow(missing_docs)]

use pfgm_flow::{
    consistency::flow_line_ends,
    extra_dims::ExtraDims::{Finite, Infinite},
    field::ExactField,
    flow::{Denoiser, Flow, Query},
    solver::{Solver, SolverError, Tolerance, encode, sample, sample_seeded},
    testing::{Gaussian, three_charges},
};

const TOLERANCE: Tolerance = Tolerance { rtol: 1e-8, atol: 1e-8 };

/// The exact consistency function in the place of a network.
struct Exact<'a>(&'a Flow<'a>);

impl Denoiser for Exact<'_> {
    fn dim(&self) -> usize {
        self.0.denoiser.dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        out.copy_from_slice(query.x);
        flow_line_ends(self.0, query.sigma, 1e-3, TOLERANCE, out).unwrap();
    }
}

#[test]
fn one_charge_attracts_every_line() {
    for extra_dims in [Finite(1.0), Finite(64.0), Infinite] {
        let field = ExactField::new(vec![0.5, -0.25], 2, extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        let mut x = [40.0, 3.0, 0.1, 0.2, 7.0, 7.0];
        flow_line_ends(&flow, &[30.0, 1e-4, 0.0], 1e-3, TOLERANCE, &mut x).unwrap();
        for (x, expected) in x.iter().zip([0.5, -0.25, 0.5, -0.25, 7.0, 7.0]) {
            assert!((x - expected).abs() < 1e-9, "D = {extra_dims}: {x}, expected {expected}");
        }
    }
}

#[test]
fn it_is_constant_along_a_flow_line() {
    for extra_dims in [Finite(1.0), Finite(8.0), Infinite] {
        let field = three_charges(extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        let start = flow.latents(20.0, 0, 0..8);
        let mut between = start.clone();
        pfgm_flow::solver::rk45(&flow, 20.0, 0.7, TOLERANCE, &mut between).unwrap();
        let (mut from_start, mut from_between) = (start, between);
        flow_line_ends(&flow, &[20.0; 8], 1e-3, TOLERANCE, &mut from_start).unwrap();
        flow_line_ends(&flow, &[0.7; 8], 1e-3, TOLERANCE, &mut from_between).unwrap();
        for (a, b) in from_start.iter().zip(&from_between) {
            assert!((a - b).abs() < 1e-6, "D = {extra_dims}: {a} and {b}");
        }
    }
}

#[test]
fn rows_at_different_levels_do_not_disturb_each_other() {
    let data = Gaussian { dim: 2, mean: 0.3, spread: 0.7 };
    let flow = Flow { denoiser: &data, extra_dims: Infinite };
    let (start, levels) = ([9.0, -3.0, 2.0, 1.0, -5.0, 4.0], [12.0, 0.5, 12.0]);
    let mut x = start;
    flow_line_ends(&flow, &levels, 1e-4, TOLERANCE, &mut x).unwrap();
    for (at, x) in x.iter().enumerate() {
        let expected = data.flow_line(start[at], levels[at / 2], 0.0);
        assert!((x - expected).abs() < 1e-6, "{x}, expected {expected}");
    }
}

#[test]
fn one_exact_jump_is_rk45_and_more_jumps_keep_the_distribution() {
    for extra_dims in [Finite(1.0), Finite(8.0), Infinite] {
        let field = three_charges(extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        let exact = Exact(&flow);
        let jumps = Flow { denoiser: &exact, extra_dims };
        let latents = flow.latents(40.0, 0, 0..600);
        let (mut solved, mut once, mut often) = (latents.clone(), latents.clone(), latents);
        let range = (1e-3, 40.0);
        sample(&flow, &Solver::rk45(1e-8).denoise(true).into(), range, &mut solved).unwrap();
        sample(&jumps, &Solver::consistency(1).into(), range, &mut once).unwrap();
        let apart = solved.iter().zip(&once).filter(|(a, b)| (*a - *b).abs() > 1e-6).count();
        assert_eq!(apart, 0, "D = {extra_dims}");
        // A later jump starts where the kernel's noise at a middle level brings the data, so each charge keeps its third.
        sample(&jumps, &Solver::consistency(3).levels(vec![40.0, 2.0, 0.5, 1e-3]).into(), range, &mut often).unwrap();
        assert!(once != often);
        for charge in [[0.5, 0.25], [-1.0, 0.75], [0.25, -0.5]] {
            let near = |x: &&[f64]| (x[0] - charge[0]).hypot(x[1] - charge[1]) < 1e-3;
            let share = often.chunks_exact(2).filter(near).count() as f64 / 600.0;
            assert!((share - 1.0 / 3.0).abs() < 0.08, "D = {extra_dims}: {share}");
        }
    }
}

#[test]
fn noise_depends_on_the_seed_and_nothing_leads_up() {
    let field = three_charges(Finite(8.0));
    let flow = Flow { denoiser: &field, extra_dims: Finite(8.0) };
    let run = |steps: usize, seeds: &[u64]| {
        let mut x = [3.0, 4.0].repeat(seeds.len());
        sample_seeded(&flow, &Solver::consistency(steps).into(), (0.5, 5.0), seeds, &mut x).unwrap();
        x
    };
    assert_eq!(run(1, &[1]), run(1, &[2]));
    assert!(run(2, &[1]) != run(2, &[2]));
    assert_eq!(run(2, &[1, 2]), [run(2, &[1]), run(2, &[2])].concat());
    let error = encode(&flow, &Solver::consistency(2).into(), (0.5, 5.0), &mut [0.0, 0.0]).unwrap_err();
    assert!(matches!(error, SolverError::NotReversible(_)), "{error}");
}
