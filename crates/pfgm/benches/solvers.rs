//! Distance between the end of each solver and schedule and the exact end, by the number of evaluations, as in docs/results.md:
//! `cargo bench -p pfgm --bench solvers -- RUN`, or with a D for the exact field of a checkerboard.
#![allow(missing_docs)]

use std::{collections::HashMap, path::Path};

use pfgm::{
    checkpoint::{Checkpoint, Group, find},
    extra_dims::ExtraDims,
    field::ExactField,
    flow::{Counted, Denoiser, Flow},
    solver::{Grid, Method, ScheduleName, Search, Solver, SolverOverrides, Tolerance, euler, gits, rk45, sample},
    weights,
};

const BUDGETS: [usize; 7] = [5, 6, 8, 10, 15, 20, 50];
const ROWS: u64 = 128;

fn main() {
    let what = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).unwrap_or("inf".into());
    let Ok(d) = what.parse::<f64>() else {
        let checkpoint = Checkpoint::read(&find(Path::new(&what)).expect("a run")).expect("a whole checkpoint");
        let (spec, device) = (&checkpoint.spec, pfgm::device::open("cpu").expect("a processor"));
        let network = spec.network(&device).expect("a network");
        let network = weights::assign(network, checkpoint.group(Group::Average)).expect("its weights");
        let classes = spec.data.classes.len() as u32;
        let labels: Vec<Option<u32>> = (0..ROWS as u32).map(|row| (classes > 0).then(|| row % classes)).collect();
        return table(&spec.denoiser(&network, labels, 1.0, 64, &device), spec.extra_dims(), spec.range());
    };
    let extra_dims = if d.is_finite() { ExtraDims::Finite(d) } else { ExtraDims::Infinite };
    // Points of the black squares of a board of four by four; their noise at the end is as wide as they lie apart.
    let places = (0..64).flat_map(|i| (0..64).map(move |j| (i, j))).filter(|(i, j)| (i / 16 + j / 16) % 2 == 0);
    let side = |i: i32| (f64::from(i) + 0.5) / 16.0 - 2.0;
    let board = places.flat_map(|(i, j)| [side(i), side(j)]).collect();
    table(&ExactField::new(board, 2, extra_dims), extra_dims, (0.05, 80.0));
}

/// Prints one row per method, schedule and first step, and one column per number of evaluations.
fn table(denoiser: &dyn Denoiser, extra_dims: ExtraDims, range: (f64, f64)) {
    let counted = Counted::new(denoiser);
    let flow = Flow { denoiser: &counted, extra_dims };
    let start = flow.latents(range.1, 0, 0..ROWS);
    // Schedules are searched on other trajectories than they are tested on.
    let others = flow.latents(range.1, 0, 1000..1064);
    let mut exact = start.clone();
    rk45(&flow, range.1, range.0, Tolerance { rtol: 1e-6, atol: 1e-6 }, &mut exact).expect("RK45");
    // Heun's method ends with a step to zero, so it is compared with the exact end after such a step.
    let mut at_zero = exact.clone();
    euler(&flow, &[range.0, 0.0], &mut at_zero);
    println!("RK45 at 1e-6 and a step to zero: {:.1} evaluations", counted.rows() as f64 / ROWS as f64);
    println!("{:<34}{}", "", BUDGETS.map(|nfe| format!("{nfe:>8}")).concat());
    let mut found = HashMap::new();
    for (method, order, schedule, afs) in choices() {
        let name = format!("{} {order:?} {}{}", method.as_str(), schedule.as_str(), if afs { " afs" } else { "" });
        let name = name.replace("Some(", "").replace(')', "").replace("None ", "");
        let errors = BUDGETS.map(|nfe| {
            let Some(steps) = steps(method, nfe + usize::from(afs)) else { return " ".repeat(8) };
            let options = SolverOverrides {
                steps: Some(steps),
                order,
                schedule: Some(schedule),
                afs: Some(afs),
                ..SolverOverrides::default()
            };
            let mut config = options.apply(&Solver::of_method(method)).expect("options of the method");
            if let Some(grid @ Grid::Gits { .. }) = config.grid_mut() {
                let find = || gits(&flow, &Search { method, steps, grid: 60, range }, &others);
                let both_ends = matches!(method, Method::Heun | Method::ImprovedEuler);
                *grid = Grid::Levels(found.entry((both_ends, method.intervals(steps))).or_insert_with(find).clone());
            }
            let mut x = start.clone();
            sample(&flow, &config, range, &mut x).expect("finite samples");
            let end = if method == Method::Heun { &at_zero } else { &exact };
            let squares: f64 = x.iter().zip(end).map(|(x, end)| (x - end).powi(2)).sum();
            format!("{:8.4}", (squares / x.len() as f64).sqrt())
        });
        println!("{name:<34}{}", errors.concat());
    }
}

/// Every method on every schedule, with and without an analytical first step.
fn choices() -> Vec<(Method, Option<usize>, ScheduleName, bool)> {
    let mut choices = Vec::new();
    for method in Method::ALL.iter().copied().filter(|method| method.has_grid()) {
        for order in
            if matches!(method, Method::Ipndm | Method::Deis) { vec![Some(2), Some(3), Some(4)] } else { vec![None] }
        {
            for schedule in [ScheduleName::LogUniform, ScheduleName::Edm, ScheduleName::Gits] {
                choices.extend([false, true].map(|afs| (method, order, schedule, afs)));
            }
        }
    }
    choices
}

/// Returns the number of steps that takes exactly `nfe` evaluations.
fn steps(method: Method, nfe: usize) -> Option<usize> {
    match method {
        Method::Heun => (nfe % 2 == 1).then_some(nfe.div_ceil(2)),
        Method::ImprovedEuler => nfe.is_multiple_of(2).then_some(nfe / 2),
        _ => Some(nfe),
    }
}
