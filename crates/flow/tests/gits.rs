//! Schedules from dynamic programming.
#![allow(missing_docs)]

use pfgm_flow::{
    extra_dims::ExtraDims::{self, Finite, Infinite},
    field::ExactField,
    flow::{Counted, Flow},
    random::{Purpose, stream},
    solver::{Grid, GridError, Method, Schedule, Search, Solver, SolverError, Tolerance, cheapest, gits, rk45, sample},
};

/// A price with no pattern.
fn price(from: usize, to: usize) -> f64 {
    let number = from * 101 + to * 13;
    ((number * number) % 997) as f64 + 1.0
}

#[test]
fn the_cheapest_way_is_that_of_brute_force() {
    for (places, steps) in [(2, 1), (5, 1), (5, 4), (9, 2), (9, 3), (10, 5)] {
        let cost = |way: &[usize]| -> f64 { way.windows(2).map(|pair| price(pair[0], pair[1])).sum() };
        // Every choice of places between the first and the last.
        let best = (0..1_u32 << (places - 2))
            .filter(|chosen| chosen.count_ones() as usize == steps - 1)
            .map(|chosen| {
                let between = (1..places - 1).filter(|place| chosen >> (place - 1) & 1 == 1);
                let way: Vec<usize> = [0].into_iter().chain(between).chain([places - 1]).collect();
                cost(&way)
            })
            .fold(f64::INFINITY, f64::min);
        let way = cheapest(places, steps, price);
        assert!(way.len() == steps + 1 && way[0] == 0 && way[steps] == places - 1, "{way:?}");
        assert!(way.windows(2).all(|pair| pair[0] < pair[1]), "{way:?}");
        assert_eq!(cost(&way), best, "{places} places, {steps} steps");
    }
}

/// Charges on an eight-pointed pattern of two rings.
fn rings(extra_dims: ExtraDims) -> ExactField {
    let ring = |radius: f64, turn: f64| {
        (0..8).flat_map(move |i| {
            let angle = (f64::from(i) + turn) * std::f64::consts::FRAC_PI_4;
            [radius * angle.cos(), radius * angle.sin()]
        })
    };
    ExactField::new(ring(1.0, 0.0).chain(ring(2.0, 0.5)).collect(), 2, extra_dims)
}

#[test]
fn six_steps_of_a_found_schedule_are_nearer_than_of_others() {
    let range = (0.1, 80.0);
    for extra_dims in [Infinite, Finite(128.0), Finite(2.0)] {
        let field = rings(extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        let latents = |first: u64, count: u64| -> Vec<f64> {
            (first..first + count)
                .flat_map(|seed| flow.latent(range.1, &mut stream(seed, Purpose::Latent, 0, 0)))
                .collect()
        };
        let start = latents(0, 200);
        let mut exact = start.clone();
        rk45(&flow, range.1, range.0, Tolerance { rtol: 1e-9, atol: 1e-9 }, &mut exact).unwrap();
        for method in [Method::Euler, Method::Ipndm, Method::DpmPp2m, Method::UniPc2, Method::Deis] {
            let error = |grid: Grid| {
                let mut solver = Solver::of_method(method);
                *solver.grid_mut().unwrap() = grid;
                let mut x = start.clone();
                sample(&flow, &solver, range, &mut x).unwrap();
                let squares: f64 = x.iter().zip(&exact).map(|(x, exact)| (x - exact).powi(2)).sum();
                (squares / x.len() as f64).sqrt()
            };
            let with = |schedule| error(Grid::Spread { steps: 6, schedule });
            let (log, edm) = (with(Schedule::LogUniform), with(Schedule::EDM));
            // Searched on other latents than it is tested on.
            let levels = gits(&flow, &Search { method, steps: 6, grid: 60, range }, &latents(1000, 64));
            let found = error(Grid::Levels(levels));
            println!("D = {extra_dims}, {}: log-uniform {log:.4}, edm {edm:.4}, gits {found:.4}", method.as_str());
            assert!(found < log && found < edm, "D = {extra_dims}, {method:?}: {found}, not {log} or {edm}");
        }
    }
}

#[test]
fn a_search_costs_two_evaluations_a_level() {
    let field = rings(Infinite);
    let counted = Counted::new(&field);
    let flow = Flow { denoiser: &counted, extra_dims: Infinite };
    let search = Search { method: Method::Heun, steps: 5, grid: 30, range: (0.1, 10.0) };
    let levels = gits(&flow, &search, &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(counted.rows(), 2 * (2 * 29 + 1));
    // Heun's last step leads to zero and has no level of its own.
    assert!(levels.len() == 5 && levels[0] == 10.0 && levels[4] == 0.1, "{levels:?}");
}

#[test]
fn levels_that_do_not_fit_are_refused() {
    let field = rings(Infinite);
    let flow = Flow { denoiser: &field, extra_dims: Infinite };
    let run = |grid: Grid| {
        let solver = Solver::Euler(pfgm_flow::solver::Euler { grid, ..Solver::euler(2) });
        sample(&flow, &solver, (0.1, 10.0), &mut [1.0, 2.0]).unwrap_err()
    };
    assert_eq!(run(Grid::Gits { steps: 2 }), SolverError::Grid(GridError::NotFound { intervals: 2 }));
    let range = GridError::Range { first: 20.0, last: 0.1, low: 0.1, high: 10.0 };
    assert_eq!(run(Grid::Levels(vec![20.0, 1.0, 0.1])), SolverError::Grid(range));
    for levels in [vec![10.0], vec![10.0, 1.0, 2.0], vec![10.0, 1.0, 0.0], vec![f64::INFINITY, 1.0], vec![]] {
        let SolverError::Option(wrong) = run(Grid::Levels(levels)) else { panic!("not an option") };
        assert!(wrong.option == "levels" || wrong.option == "steps", "{wrong:?}");
    }
}
