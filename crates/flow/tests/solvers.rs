//! Solvers on problems with known solutions.
#![allow(missing_docs)]

use pfgm_flow::{
    extra_dims::ExtraDims::{Finite, Infinite},
    flow::{Counted, Denoiser, Flow, Query},
    solver::{Method, Schedule, Solver, SolverError, Tolerance, euler, heun, rk45, sample},
    testing::{Gaussian, three_charges},
};

const HIGH: f64 = 10.0;
const LOW: f64 = 0.1;
const GAUSSIAN: Gaussian = Gaussian { dim: 1, mean: 0.0, spread: 0.5 };

fn error(solve: impl Fn(&Flow, &mut [f64])) -> f64 {
    let mut x = [7.0];
    solve(&Flow { denoiser: &GAUSSIAN, extra_dims: Infinite }, &mut x);
    (x[0] - GAUSSIAN.flow_line(7.0, HIGH, LOW)).abs()
}

/// The order that errors at `steps` and twice as many show.
fn order(steps: usize, solve: impl Fn(&Flow, &[f64], &mut [f64])) -> f64 {
    let at = |steps| error(|flow, x| solve(flow, &Schedule::LogUniform.grid(HIGH, LOW, steps), x));
    (at(steps) / at(2 * steps)).log2()
}

#[test]
fn fixed_steps_have_their_order() {
    let (first, second) = (order(800, euler), order(400, heun));
    assert!((first - 1.0).abs() < 0.03, "Euler: {first}");
    assert!((second - 2.0).abs() < 0.03, "Heun: {second}");
}

#[test]
fn rk45_has_order_five() {
    // With a controlled error per step the error falls in proportion to the tolerance and evaluations grow like
    // tolerance^(-1/5).
    let run = |tolerance: f64| {
        let counted = Counted::new(&GAUSSIAN);
        let flow = Flow { denoiser: &counted, extra_dims: Infinite };
        let mut x = [7.0];
        rk45(&flow, HIGH, LOW, Tolerance { rtol: tolerance, atol: tolerance }, &mut x).unwrap();
        counted.rows() as f64
    };
    let slope = (run(1e-12) / run(1e-7)).ln() / 1e5_f64.ln();
    assert!((slope - 0.2).abs() < 0.03, "evaluations grow like tolerance^-{slope}");
}

#[test]
fn rk45_takes_the_steps_of_scipy() {
    // What `python3 goldens/rk45.py` prints: D, tolerance, start at sigma = 40, evaluations, end at sigma = 0.01.
    type Case = (f64, f64, [f64; 2], u64, [f64; 2]);
    #[rustfmt::skip]
    let cases: [Case; 18] = [
        (1.0, 0.0001, [30.0, -4.0], 80, [0.500732316631189, 0.24053383783668408]),
        (1.0, 0.0001, [-2.0, 55.0], 80, [-0.9809156867495514, 0.753209589532362]),
        (1.0, 0.0001, [0.5, 0.125], 68, [0.4887438173461018, 0.23881691645375983]),
        (1.0, 1e-08, [30.0, -4.0], 392, [0.5007163376836681, 0.24054420156095796]),
        (1.0, 1e-08, [-2.0, 55.0], 404, [-0.9808800206622583, 0.7531645633270698]),
        (1.0, 1e-08, [0.5, 0.125], 320, [0.48875266673814133, 0.2388006842872945]),
        (128.0, 0.0001, [30.0, -4.0], 80, [0.5008063262287143, 0.23988085421230615]),
        (128.0, 0.0001, [-2.0, 55.0], 80, [-0.9892886839948558, 0.758012937526413]),
        (128.0, 0.0001, [0.5, 0.125], 80, [0.48994829408173385, 0.24123773435227197]),
        (128.0, 1e-08, [30.0, -4.0], 422, [0.5007970580581171, 0.2398844969872524]),
        (128.0, 1e-08, [-2.0, 55.0], 416, [-0.9892989730781611, 0.7579913295624381]),
        (128.0, 1e-08, [0.5, 0.125], 392, [0.4899654772317478, 0.2412730101498558]),
        (f64::INFINITY, 0.0001, [30.0, -4.0], 80, [0.5008073150465635, 0.23987841559951825]),
        (f64::INFINITY, 0.0001, [-2.0, 55.0], 80, [-0.989375579679673, 0.7580628021795784]),
        (f64::INFINITY, 0.0001, [0.5, 0.125], 80, [0.4899597200956712, 0.24126675567818234]),
        (f64::INFINITY, 1e-08, [30.0, -4.0], 428, [0.5007981546837957, 0.23988210798541457]),
        (f64::INFINITY, 1e-08, [-2.0, 55.0], 416, [-0.9893860133067304, 0.7580409279990655]),
        (f64::INFINITY, 1e-08, [0.5, 0.125], 386, [0.489977594880354, 0.24130477025158775]),
    ];
    for (d, tolerance, start, evaluations, end) in cases {
        let extra_dims = if d.is_finite() { Finite(d) } else { Infinite };
        let field = three_charges(extra_dims);
        let counted = Counted::new(&field);
        let mut x = start.to_vec();
        let tolerance = Tolerance { rtol: tolerance, atol: tolerance };
        rk45(&Flow { denoiser: &counted, extra_dims }, 40.0, 0.01, tolerance, &mut x).unwrap();
        assert_eq!(counted.rows(), evaluations, "D = {d}, {tolerance:?}, from {start:?}");
        for (x, end) in x.iter().zip(end) {
            assert!((x - end).abs() < 1e-9, "D = {d}, {tolerance:?}, from {start:?}: {x} against {end}");
        }
    }
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let field = three_charges(Finite(1.0));
    let flow = Flow { denoiser: &field, extra_dims: Finite(1.0) };
    let starts = [[30.0, -4.0], [-2.0, 55.0], [0.5, 0.125]];
    for method in [Method::Euler, Method::ImprovedEuler, Method::Heun, Method::Rk45] {
        let config = Solver::of_method(method);
        let mut together = starts.concat();
        sample(&flow, &config, (1e-3, 40.0), &mut together).unwrap();
        for (index, start) in starts.iter().enumerate() {
            let mut alone = start.to_vec();
            sample(&flow, &config, (1e-3, 40.0), &mut alone).unwrap();
            assert_eq!(alone, together[2 * index..2 * index + 2], "{method:?}");
        }
    }
}

#[test]
fn evaluations_are_what_methods_promise() {
    let field = three_charges(Finite(4.0));
    let count = |solver: Solver| {
        let counted = Counted::new(&field);
        let flow = Flow { denoiser: &counted, extra_dims: Finite(4.0) };
        sample(&flow, &solver, (1e-3, 40.0), &mut [1.0, 2.0]).unwrap();
        counted.rows()
    };
    assert_eq!(count(Solver::euler(10).into()), 10);
    assert_eq!(count(Solver::euler(10).denoise(true).into()), 11);
    assert_eq!(count(Solver::improved_euler(10).into()), 20);
    assert_eq!(count(Solver::heun(10).into()), 19);
}

#[test]
fn the_way_up_leads_back_down() {
    for extra_dims in [Finite(1.0), Finite(16.0), Infinite] {
        let field = three_charges(extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        let tolerance = Tolerance { rtol: 1e-11, atol: 1e-11 };
        let start = [0.4, 0.2, -0.9, 0.7, 0.1, 0.1];
        let mut x = start.to_vec();
        rk45(&flow, 0.3, 50.0, tolerance, &mut x).unwrap();
        rk45(&flow, 50.0, 0.3, tolerance, &mut x).unwrap();
        for (x, start) in x.iter().zip(start) {
            assert!((x - start).abs() < 1e-7, "{extra_dims}: {x} against {start}");
        }
    }
}

#[test]
fn a_diverged_denoiser_is_reported() {
    struct Broken;
    impl Denoiser for Broken {
        fn dim(&self) -> usize {
            1
        }
        fn denoise(&self, query: &Query, out: &mut [f64]) {
            out.iter_mut().zip(query.sigma).for_each(|(out, sigma)| *out = if *sigma < 1.0 { f64::NAN } else { 0.0 });
        }
    }
    let flow = Flow { denoiser: &Broken, extra_dims: Infinite };
    for method in [Method::Euler, Method::Heun, Method::Rk45] {
        let mut x = [1.0, 2.0];
        let error = sample(&flow, &Solver::of_method(method), (1e-3, 40.0), &mut x).unwrap_err();
        let SolverError::NotFinite { sigma, item } = error else { panic!("{method}: {error}") };
        // RK45 reports the level from which it could not go on, the others the end.
        let reached = if method == Method::Rk45 { 1.0..3.0 } else { 0.0..2e-3 };
        assert!(reached.contains(&sigma) && item == 0, "{method}: {error}");
        let SolverError::NotFinite { item, .. } = error.after(7) else { panic!("{method}") };
        assert_eq!(item, 7);
    }
}

#[test]
fn a_tolerance_that_cannot_be_met_is_reported() {
    struct Jump;
    impl Denoiser for Jump {
        fn dim(&self) -> usize {
            1
        }
        fn denoise(&self, query: &Query, out: &mut [f64]) {
            // A slope that grows without bound towards sigma = 1.
            out.iter_mut()
                .zip(query.x)
                .zip(query.sigma)
                .for_each(|((out, x), sigma)| *out = x - 1.0 / ((sigma - 1.0).powi(2) + 1e-60));
        }
    }
    let flow = Flow { denoiser: &Jump, extra_dims: Infinite };
    let error = sample(&flow, &Solver::rk45(1e-10).into(), (1e-3, 40.0), &mut [1.0]).unwrap_err();
    assert!(matches!(error, SolverError::StepUnderflow { item: 0, sigma } if (sigma - 1.0).abs() < 1e-3), "{error}");
    assert!(error.to_string().contains("raise rtol and atol"), "{error}");
}
