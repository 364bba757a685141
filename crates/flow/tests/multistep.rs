//! Multistep methods on problems with known solutions.
#![allow(missing_docs)]

use pfgm_flow::{
    extra_dims::ExtraDims::{self, Finite, Infinite},
    flow::{Counted, Denoiser, Flow, Query},
    random::{Purpose, stream},
    solver::{
        Formula, History, LinearMultistep, Method, Schedule, Solver, SolverError, Tolerance, encode, multistep, rk45,
        sample, sample_seeded,
    },
    testing::{Gaussian, three_charges},
};

const GAUSSIAN: Gaussian = Gaussian { dim: 1, mean: 0.0, spread: 0.5 };

const METHODS: [(Formula, usize); 4] =
    [(Formula::Ipndm, 4), (Formula::Deis, 4), (Formula::DpmPp, 3), (Formula::UniPc, 3)];

#[test]
fn steps_are_those_of_an_independent_program() {
    // What `python3 goldens/multistep.py` prints: D, method, order, where the point (30, -4) at sigma = 40 ends at sigma = 0.01 after
    // twelve steps of the EDM grid.
    type Case = (f64, Formula, usize, [f64; 2]);
    #[rustfmt::skip]
    let cases: [Case; 28] = [
        (1.0, Formula::Ipndm, 1, [0.494614111807, 0.229953707755]),
        (1.0, Formula::Ipndm, 2, [0.499844671527, 0.237881791001]),
        (1.0, Formula::Ipndm, 3, [0.499536458678, 0.239211829564]),
        (1.0, Formula::Ipndm, 4, [0.510594050684, 0.262590804721]),
        (1.0, Formula::Deis, 1, [0.494614111807, 0.229953707755]),
        (1.0, Formula::Deis, 2, [0.498535222086, 0.236314403063]),
        (1.0, Formula::Deis, 3, [0.499036689187, 0.237018669137]),
        (1.0, Formula::Deis, 4, [0.499179732056, 0.237210849705]),
        (1.0, Formula::DpmPp, 1, [0.494614111807, 0.229953707755]),
        (1.0, Formula::DpmPp, 2, [0.506044570883, 0.249151337119]),
        (1.0, Formula::DpmPp, 3, [0.481270196755, 0.205454915824]),
        (1.0, Formula::UniPc, 1, [0.498588783778, 0.236348285341]),
        (1.0, Formula::UniPc, 2, [0.501676012044, 0.241949841809]),
        (1.0, Formula::UniPc, 3, [0.484391012565, 0.205542260487]),
        (f64::INFINITY, Formula::Ipndm, 1, [0.496122813034, 0.231330859572]),
        (f64::INFINITY, Formula::Ipndm, 2, [0.499012777423, 0.235501242115]),
        (f64::INFINITY, Formula::Ipndm, 3, [0.496139920178, 0.248456326415]),
        (f64::INFINITY, Formula::Ipndm, 4, [0.516044012594, 0.319228149936]),
        (f64::INFINITY, Formula::Deis, 1, [0.496122813034, 0.231330859572]),
        (f64::INFINITY, Formula::Deis, 2, [0.498810707559, 0.235494081368]),
        (f64::INFINITY, Formula::Deis, 3, [0.498944597795, 0.235582305974]),
        (f64::INFINITY, Formula::Deis, 4, [0.498922904684, 0.235666903625]),
        (f64::INFINITY, Formula::DpmPp, 1, [0.496122813034, 0.231330859572]),
        (f64::INFINITY, Formula::DpmPp, 2, [0.505396255095, 0.248714164362]),
        (f64::INFINITY, Formula::DpmPp, 3, [0.479528321021, 0.189866644665]),
        (f64::INFINITY, Formula::UniPc, 1, [0.499191636561, 0.236340202260]),
        (f64::INFINITY, Formula::UniPc, 2, [0.500710624139, 0.239213405761]),
        (f64::INFINITY, Formula::UniPc, 3, [0.483356936126, 0.188432095986]),
    ];
    for (d, formula, order, end) in cases {
        let extra_dims = if d.is_finite() { Finite(d) } else { Infinite };
        let field = three_charges(extra_dims);
        let grid = Schedule::Edm { rho: 7.0 }.grid(40.0, 0.01, 12);
        let mut x = [30.0, -4.0];
        let method = LinearMultistep { formula, order, lower_order_final: false };
        multistep(&Flow { denoiser: &field, extra_dims }, method, &grid, History::default(), &mut x);
        for (x, end) in x.iter().zip(end) {
            assert!((x - end).abs() < 1e-10, "D = {d}, {formula:?} of order {order}: {x} against {end}");
        }
    }
}

/// The order that a method shows between `steps` steps and twice as many on Gaussian data: from a history on the exact path, for the
/// first steps of a method that has none are of lower order.
fn order(formula: Formula, order: usize, steps: usize, schedule: Schedule, (from, to): (f64, f64)) -> f64 {
    let error = |steps: usize| {
        let flow = Flow { denoiser: &GAUSSIAN, extra_dims: Infinite };
        let grid = schedule.grid(from, to, steps);
        let path: Vec<_> =
            grid[..order - 1].iter().map(|&sigma| (sigma, vec![GAUSSIAN.flow_line(7.0, from, sigma)])).collect();
        let history = History::of_path(&flow, formula, &path);
        let mut x = [GAUSSIAN.flow_line(7.0, from, grid[order - 1])];
        let method = LinearMultistep { formula, order, lower_order_final: false };
        multistep(&flow, method, &grid[order - 1..], history, &mut x);
        (x[0] - GAUSSIAN.flow_line(7.0, from, to)).abs()
    };
    (error(steps) / error(2 * steps)).log2()
}

#[test]
fn orders_are_those_of_the_papers() {
    let edm = Schedule::Edm { rho: 3.0 };
    for (formula, most) in METHODS {
        for k in 1..=most {
            // iPNDM's coefficients are those of equal steps.
            let schedule = if formula == Formula::Ipndm { Schedule::Edm { rho: 1.0 } } else { edm };
            let found = order(formula, k, 400, schedule, (2.0, 0.1));
            // The corrector of UniPC gains an order.
            let expected = if formula == Formula::UniPc { k + 1 } else { k };
            assert!((found - expected as f64).abs() < 0.1, "{formula:?} of order {k}: {found}");
            // Upwards too.
            let found = order(formula, k, 400, schedule, (0.1, 2.0));
            assert!((found - expected as f64).abs() < 0.15, "{formula:?} of order {k}, upwards: {found}");
        }
    }
    // On other grids iPNDM has order 2 at most.
    let found = order(Formula::Ipndm, 3, 800, edm, (2.0, 0.1));
    assert!((found - 2.0).abs() < 0.1, "iPNDM of order 3 on the EDM grid: {found}");
}

#[test]
fn orders_hold_for_finite_dimensions() {
    let extra_dims = Finite(3.0);
    let field = three_charges(extra_dims);
    let flow = Flow { denoiser: &field, extra_dims };
    let tight = Tolerance { rtol: 1e-13, atol: 1e-13 };
    let (from, to, start) = (2.0, 0.5, [1.5, -0.4]);
    let exact = |sigma: f64| {
        let mut x = start.to_vec();
        if sigma != from {
            rk45(&flow, from, sigma, tight, &mut x).unwrap();
        }
        x
    };
    for (formula, most) in METHODS {
        for k in 1..=most {
            let schedule = if formula == Formula::Ipndm { Schedule::Edm { rho: 1.0 } } else { Schedule::LogUniform };
            let error = |steps: usize| {
                let grid = schedule.grid(from, to, steps);
                let path: Vec<_> = grid[..k - 1].iter().map(|&sigma| (sigma, exact(sigma))).collect();
                let history = History::of_path(&flow, formula, &path);
                let mut x = exact(grid[k - 1]);
                multistep(
                    &flow,
                    LinearMultistep { formula, order: k, lower_order_final: false },
                    &grid[k - 1..],
                    history,
                    &mut x,
                );
                x.iter().zip(exact(to)).map(|(x, end)| (x - end).powi(2)).sum::<f64>().sqrt()
            };
            let found = (error(60) / error(120)).log2();
            let expected = if formula == Formula::UniPc { k + 1 } else { k };
            assert!((found - expected as f64).abs() < 0.35, "{formula:?} of order {k}: {found}");
        }
    }
}

#[test]
fn order_one_is_euler() {
    // x' = yhat + (sigma'/sigma) (x - yhat), for all of them.
    let field = three_charges(Finite(2.0));
    let flow = Flow { denoiser: &field, extra_dims: Finite(2.0) };
    let (sigma, to, x) = (3.0, 1.25, [1.0, -2.0]);
    let mut yhat = [0.0; 2];
    field.denoise(&Query { x: &x, sigma: &[sigma], item: &[0] }, &mut yhat);
    for (formula, _) in METHODS {
        let mut found = x;
        let method = LinearMultistep { formula, order: 1, lower_order_final: false };
        multistep(&flow, method, &[sigma, to], History::default(), &mut found);
        for at in 0..2 {
            let expected = yhat[at] + to / sigma * (x[at] - yhat[at]);
            assert!((found[at] - expected).abs() < 1e-14, "{formula:?}");
        }
    }
}

#[test]
fn lower_orders_at_the_end_are_lower_orders() {
    // Of two steps the second is of order 1 instead of 2: Euler's from where the first ends.
    let field = three_charges(Finite(2.0));
    let flow = Flow { denoiser: &field, extra_dims: Finite(2.0) };
    let run = |formula, order, lower_order_final, grid: &[f64], x: &mut [f64]| {
        multistep(&flow, LinearMultistep { formula, order, lower_order_final }, grid, History::default(), x);
    };
    for (formula, order) in [(Formula::Deis, 4), (Formula::DpmPp, 3), (Formula::Ipndm, 4)] {
        let (mut lowered, mut euler) = ([3.0, -20.0], [3.0, -20.0]);
        run(formula, order, true, &[20.0, 2.0, 0.3], &mut lowered);
        run(formula, 1, false, &[20.0, 2.0], &mut euler);
        run(formula, 1, false, &[2.0, 0.3], &mut euler);
        assert_eq!(lowered, euler, "{formula:?}");
        let mut full = [3.0, -20.0];
        run(formula, order, false, &[20.0, 2.0, 0.3], &mut full);
        assert_ne!(lowered, full, "{formula:?}");
    }
}

fn count(solver: impl Into<Solver>, extra_dims: ExtraDims) -> u64 {
    let field = three_charges(extra_dims);
    let counted = Counted::new(&field);
    let flow = Flow { denoiser: &counted, extra_dims };
    let solver = solver.into();
    sample(&flow, &solver, (1e-3, 40.0), &mut [1.0, 2.0]).unwrap();
    assert!(solver.evaluations().is_none_or(|promised| promised as u64 == counted.rows()), "{solver:?}");
    counted.rows()
}

#[test]
fn evaluations_are_those_of_the_table() {
    for steps in [1, 2, 3, 7, 20] {
        let expected = steps as u64;
        for schedule in [Schedule::LogUniform, Schedule::EDM] {
            // An analytical first step saves exactly one; a step to zero costs one, which Heun has already.
            for (solver, each) in [(Solver::euler(steps), expected), (Solver::improved_euler(steps), 2 * expected)] {
                let solver = solver.schedule(schedule);
                assert_eq!(count(solver.clone(), Finite(4.0)), each, "{solver:?}");
                assert_eq!(count(solver.clone().afs(true), Finite(4.0)), each - 1, "{solver:?}");
                assert_eq!(count(solver.clone().denoise(true), Finite(4.0)), each + 1, "{solver:?}");
            }
            let heun = Solver::heun(steps).schedule(schedule);
            assert_eq!(count(heun.clone(), Finite(4.0)), 2 * expected - 1, "{heun:?}");
            assert_eq!(count(heun.afs(true), Finite(4.0)), 2 * expected - 2);
            for solver in [
                Solver::ipndm(steps),
                Solver::deis(steps).order(4),
                Solver::dpmpp(2, steps),
                Solver::dpmpp(3, steps),
                Solver::unipc(2, steps),
                Solver::unipc(3, steps),
            ] {
                let solver = solver.schedule(schedule);
                assert_eq!(count(solver.clone(), Finite(4.0)), expected, "{solver:?}");
                assert_eq!(count(solver.clone().afs(true), Finite(4.0)), expected - 1, "{solver:?}");
                assert_eq!(count(solver.clone().denoise(true), Finite(4.0)), expected + 1, "{solver:?}");
            }
        }
    }
    for sde in [Solver::reverse_sde(9), Solver::reverse_diffusion(9), Solver::ancestral(9)] {
        assert_eq!(count(sde, Infinite), 9, "{sde:?}");
        assert_eq!(count(sde.langevin(3, 0.16), Infinite), 36, "{sde:?}");
    }
    // Given levels, the first not quite the flow's.
    let levels = vec![40.0 * (1.0 + 1e-9), 1.0, 1e-3];
    assert_eq!(count(Solver::euler(9).levels(levels).afs(true), Infinite), 1);
    assert_eq!(count(Solver::heun(10).churn(20.0), Infinite), 19);
}

#[test]
fn the_analytical_first_step_starts_on_one_charge_at_the_origin() {
    // One Euler step with yhat = 0 is x' = (sigma'/sigma) x.
    let field = three_charges(Finite(4.0));
    let flow = Flow { denoiser: &field, extra_dims: Finite(4.0) };
    let mut x = [10.0, -30.0];
    sample(&flow, &Solver::euler(1).afs(true).into(), (1.0, 40.0), &mut x).unwrap();
    assert_eq!(x, [0.25, -0.75]);
    // Far out it is nearly what the field says: the first of many steps hardly matters.
    let run = |afs| {
        let mut x = [10.0, -30.0];
        sample(&flow, &Solver::deis(40).afs(afs).into(), (0.01, 40.0), &mut x).unwrap();
        x
    };
    let (exact, afs) = (run(false), run(true));
    assert!(exact != afs && exact.iter().zip(afs).all(|(a, b)| (a - b).abs() < 0.01), "{exact:?} and {afs:?}");
}

#[test]
fn every_grid_leads_up_and_back_down() {
    for extra_dims in [Finite(1.0), Finite(64.0), Infinite] {
        let field = three_charges(extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        for &method in Method::ALL {
            let steps = if matches!(method, Method::Euler | Method::Ipndm) { 20_000 } else { 2000 };
            let solver = match method {
                Method::Rk45 => Solver::rk45(1e-8).into(),
                _ => Solver::of_method(method).with_steps(steps),
            };
            let start = [0.4, 0.2, -0.9, 0.7];
            let mut x = start.to_vec();
            if !solver.is_reversible() {
                assert!(method.is_sde() || method == Method::Consistency);
                let error = encode(&flow, &solver, (0.3, 50.0), &mut x).unwrap_err();
                assert_eq!(error, SolverError::NotReversible(method));
                continue;
            }
            encode(&flow, &solver, (0.3, 50.0), &mut x).unwrap();
            // Even one step leads all the way.
            let mut once = start.to_vec();
            encode(&flow, &solver.with_steps(1), (0.3, 50.0), &mut once).unwrap();
            assert!(once.iter().any(|x| x.abs() > 1.0), "{method:?}: {once:?}");
            assert!(x.iter().any(|x| x.abs() > 1.0), "{method:?}: {x:?}");
            sample(&flow, &Solver::rk45(1e-10).into(), (0.3, 50.0), &mut x).unwrap();
            for (x, start) in x.iter().zip(start) {
                assert!((x - start).abs() < 3e-3, "D = {extra_dims}, {method:?}: {x} against {start}");
            }
        }
    }
}

#[test]
fn a_sample_depends_on_its_seed_alone() {
    let solvers = Method::ALL.iter().map(|&method| match Solver::of_method(method) {
        Solver::ReverseSde(sde) => sde.langevin(1, 0.16).into(),
        other => other,
    });
    for solver in solvers.chain([Solver::heun(18).churn(30.0).into(), Solver::euler(18).perturbation(0.1).into()]) {
        let field = three_charges(Infinite);
        let flow = Flow { denoiser: &field, extra_dims: Infinite };
        let seeds = [3, 14, 15];
        let start = |seed| flow.latent(40.0, &mut stream(seed, Purpose::Latent, 0, 0));
        let mut together = seeds.map(start).concat();
        sample_seeded(&flow, &solver, (0.5, 40.0), &seeds, &mut together).unwrap();
        for (index, &seed) in seeds.iter().enumerate() {
            let mut alone = start(seed);
            sample_seeded(&flow, &solver, (0.5, 40.0), &[seed], &mut alone).unwrap();
            assert_eq!(alone, together[2 * index..2 * index + 2], "{solver:?}");
        }
        let mut other = start(3);
        sample_seeded(&flow, &solver, (0.5, 40.0), &[4], &mut other).unwrap();
        assert_eq!(other == together[..2], solver.is_reversible(), "{solver:?}: the noise follows the seed");
    }
}
