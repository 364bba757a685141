//! A schedule found on a few trajectories of the model itself, by dynamic programming (GITS, arXiv 2405.11326, section 4).
//!
//! All trajectories of a flow have nearly one shape, so the levels that serve a few of them serve all. On a fine grid the exact path is
//! known; what one step between any two of its levels does wrong, starting on the path, is the price of that step, and the
//! schedule is the cheapest way of a given number of steps.
//!
//! Where this differs from the paper: an error is priced by what is left of it at the end. The flow of data of standard deviation s
//! shrinks it by `sqrt((s^2 + sigma_min^2) / (s^2 + sigma^2))`, where the paper has a constant a step; and a step of a multistep
//! method is judged with the evaluation before it, so the cheapest way is one through pairs of levels.

use super::{Formula, Schedule, SolverConfig, velocity};
use crate::flow::Flow;

/// How a step is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judge {
    /// By Euler's.
    Euler,
    /// By the mean of the slopes at both ends.
    Trapezoid,
    /// By a two-step formula of the noise.
    NoiseHistory,
    /// By a two-step formula of yhat.
    DataHistory,
}

/// What the search is to find, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The solver that the schedule is for; its `steps` say how many.
    pub solver: SolverConfig,
    /// Levels that the schedule's are chosen from, on an EDM grid.
    pub grid: usize,
    /// The lowest and the highest.
    pub range: (f64, f64),
}

/// Levels for the solver from those of a fine grid, found on the trajectories that start at the rows of `x`. Twice `grid`
/// evaluations each.
///
/// # Panics
/// When the grid has fewer levels than the schedule.
pub fn gits(flow: &Flow, search: &Search, x: &[f64]) -> Vec<f64> {
    let (low, high) = search.range;
    let levels = Schedule::Edm { rho: search.solver.rho }.grid(high, low, search.grid - 1);
    let path = Path::follow(flow, levels, x);
    let judge = search.solver.judge();
    let price = |before: Option<usize>, from: usize, to: usize| path.price(judge, before, from, to);
    let intervals = search.solver.method.intervals(search.solver.steps);
    cheapest(search.grid, intervals, price).into_iter().map(|index| path.levels[index]).collect()
}

/// States and slopes `x - yhat` along a fine grid.
struct Path {
    levels: Vec<f64>,
    states: Vec<Vec<f64>>,
    slopes: Vec<Vec<f64>>,
    /// The standard deviation of the states at the end.
    spread: f64,
}

impl Path {
    /// By Heun's method, whose slopes are those at the levels.
    fn follow(flow: &Flow, levels: Vec<f64>, x: &[f64]) -> Self {
        let mut states = vec![x.to_vec()];
        let mut slopes = Vec::new();
        for pair in levels.windows(2) {
            let x = states.last().expect("a first state");
            let mut slope = vec![0.0; x.len()];
            velocity(flow, x, pair[0], &mut slope);
            let ahead = moved(x, (pair[1] - pair[0]) / pair[0], &slope);
            let mut next = vec![0.0; x.len()];
            velocity(flow, &ahead, pair[1], &mut next);
            let state = x.iter().zip(&slope).zip(&next);
            let step = 0.5 * (pair[1] - pair[0]);
            states.push(state.map(|((x, slope), next)| x + step * (slope / pair[0] + next / pair[1])).collect());
            slopes.push(slope);
        }
        let end = states.last().expect("a last state");
        let mut slope = vec![0.0; end.len()];
        velocity(flow, end, levels[levels.len() - 1], &mut slope);
        slopes.push(slope);
        let spread = spread(end, flow.denoiser.dim());
        Self { levels, states, slopes, spread }
    }

    /// What a step from a level to a lower one does wrong, as far as it is left at the end.
    fn price(&self, judge: Judge, before: Option<usize>, from: usize, to: usize) -> f64 {
        let (sigma, next) = (self.levels[from], self.levels[to]);
        let (x, slope) = (&self.states[from], &self.slopes[from]);
        let reached = match (judge, before) {
            (Judge::Euler, _) | (Judge::NoiseHistory | Judge::DataHistory, None) => {
                moved(x, (next - sigma) / sigma, slope)
            }
            (Judge::Trapezoid, _) => {
                let half = 0.5 * (next - sigma);
                moved(&moved(x, half / sigma, slope), half / next, &self.slopes[to])
            }
            (judge, Some(before)) => {
                let formula = if judge == Judge::DataHistory { Formula::DpmPp } else { Formula::Deis };
                self.two_steps(formula, before, from, next)
            }
        };
        let wrong = reached.iter().zip(&self.states[to]).map(|(found, true_)| (found - true_).powi(2));
        let size = (wrong.sum::<f64>() / x.len() as f64).sqrt();
        let end = self.levels[self.levels.len() - 1];
        size * ((self.spread.powi(2) + end * end) / (self.spread.powi(2) + next * next)).sqrt()
    }

    /// A step to `to` with the evaluations at two levels of the path.
    fn two_steps(&self, formula: Formula, before: usize, from: usize, to: f64) -> Vec<f64> {
        let step = formula.step(to, &[self.levels[from], self.levels[before]]);
        let value = |index: usize, at: usize| match formula {
            Formula::DpmPp | Formula::UniPc => self.states[index][at] - self.slopes[index][at],
            Formula::Deis | Formula::Ipndm => self.slopes[index][at] / self.levels[index],
        };
        let x = self.states[from].iter().enumerate();
        x.map(|(at, x)| step.carry * x + step.weights[0] * value(from, at) + step.weights[1] * value(before, at))
            .collect()
    }
}

/// `x + step slope`
fn moved(x: &[f64], step: f64, slope: &[f64]) -> Vec<f64> {
    x.iter().zip(slope).map(|(x, slope)| x + step * slope).collect()
}

/// The standard deviation of rows around their mean.
fn spread(x: &[f64], dim: usize) -> f64 {
    let rows = (x.len() / dim) as f64;
    let mut mean = vec![0.0; dim];
    x.chunks_exact(dim).for_each(|row| mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / rows));
    let squares = x.chunks_exact(dim).flat_map(|row| row.iter().zip(&mean)).map(|(x, mean)| (x - mean).powi(2));
    (squares.sum::<f64>() / x.len() as f64).sqrt()
}

/// The cheapest way from place 0 to the last of `places` in exactly `steps` forward steps, where the price of a step depends on its two
/// ends and on where the way was before.
///
/// # Panics
/// When there are fewer places than the way has.
pub fn cheapest(places: usize, steps: usize, price: impl Fn(Option<usize>, usize, usize) -> f64) -> Vec<usize> {
    assert!(steps >= 1 && steps < places, "a way of {steps} steps needs more than {places} places");
    let last = places - 1;
    // best[from][to]: the cheapest way whose last step is this one; where[..] what came before it, of each number of steps.
    let mut best: Vec<Vec<f64>> = vec![vec![f64::INFINITY; places]; places];
    for to in 1..places {
        best[0][to] = price(None, 0, to);
    }
    let mut came: Vec<Vec<Vec<usize>>> = Vec::new();
    // Prices of a step do not depend on how many came before.
    let mut known = std::collections::HashMap::new();
    for _ in 1..steps {
        let mut next = vec![vec![f64::INFINITY; places]; places];
        let mut before_of = vec![vec![0; places]; places];
        for (before, row) in best.iter().enumerate() {
            for (from, paid) in row.iter().enumerate().filter(|(_, paid)| paid.is_finite()) {
                for to in from + 1..places {
                    let step = *known.entry((before, from, to)).or_insert_with(|| price(Some(before), from, to));
                    if paid + step < next[from][to] {
                        next[from][to] = paid + step;
                        before_of[from][to] = before;
                    }
                }
            }
        }
        best = next;
        came.push(before_of);
    }
    let mut from = (0..last).min_by(|&a, &b| best[a][last].total_cmp(&best[b][last])).expect("a place before the last");
    let mut way = vec![last, from];
    let mut to = last;
    for before_of in came.iter().rev() {
        (to, from) = (from, before_of[from][to]);
        way.push(from);
    }
    way.reverse();
    way
}
