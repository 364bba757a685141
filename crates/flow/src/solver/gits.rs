//! A schedule found on a few trajectories of the model itself, by dynamic programming (GITS, arXiv 2405.11326, section 4).
//!
//! All trajectories of a flow have nearly one shape, so the levels that suit a few of them suit all. On a fine grid the exact path is
//! known. The price of a step between two of its levels is its error if it starts on the path; the schedule is the cheapest way of a
//! given number of steps.
//!
//! One thing differs from the paper: an error is priced by what is left of it at the end. The flow of data of standard deviation s
//! shrinks it by `sqrt((s^2 + sigma_min^2) / (s^2 + sigma^2))`, where the paper has a constant factor a step.

use super::{Method, Schedule};
use crate::flow::Flow;

/// A search for a schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// The method that the schedule is for, which follows a grid.
    pub method: Method,
    /// The number of its steps.
    pub steps: usize,
    /// The number of levels of the EDM grid from which the schedule is chosen.
    pub grid: usize,
    /// The lowest and the highest noise level.
    pub range: (f64, f64),
}

/// Finds the noise levels of a schedule on the trajectories that start at the rows of `x`, with `2 grid - 1` evaluations of each.
///
/// # Panics
/// If the grid has fewer levels than the schedule.
pub fn gits(flow: &Flow, search: &Search, x: &[f64]) -> Vec<f64> {
    let (low, high) = search.range;
    let levels = Schedule::EDM.grid(high, low, search.grid - 1);
    let path = Path::follow(flow, levels, x);
    // The steps of methods that evaluate both ends are priced as such, all others as Euler's: a price of what a multistep method does
    // with its history was no better (docs/results.md).
    let both_ends = matches!(search.method, Method::ImprovedEuler | Method::Heun);
    let intervals = search.method.intervals(search.steps);
    let price = |from: usize, to: usize| path.price(both_ends, from, to);
    cheapest(search.grid, intervals, price).into_iter().map(|index| path.levels[index]).collect()
}

/// The exact path: states and slopes `x - yhat` on a fine grid.
struct Path {
    levels: Vec<f64>,
    states: Vec<Vec<f64>>,
    slopes: Vec<Vec<f64>>,
    /// The standard deviation of the states at the end.
    spread: f64,
}

impl Path {
    /// Integrates by Heun's method, whose slopes are those at the levels.
    fn follow(flow: &Flow, levels: Vec<f64>, x: &[f64]) -> Self {
        let mut states = vec![x.to_vec()];
        let mut slopes = Vec::new();
        for pair in levels.windows(2) {
            let x = states.last().expect("a first state");
            let mut slope = vec![0.0; x.len()];
            flow.velocity_at(x, pair[0], &mut slope);
            let ahead = moved(x, (pair[1] - pair[0]) / pair[0], &slope);
            let mut next = vec![0.0; x.len()];
            flow.velocity_at(&ahead, pair[1], &mut next);
            let state = x.iter().zip(&slope).zip(&next);
            let step = 0.5 * (pair[1] - pair[0]);
            states.push(state.map(|((x, slope), next)| x + step * (slope / pair[0] + next / pair[1])).collect());
            slopes.push(slope);
        }
        let end = states.last().expect("a last state");
        let mut slope = vec![0.0; end.len()];
        flow.velocity_at(end, levels[levels.len() - 1], &mut slope);
        slopes.push(slope);
        let spread = spread(end, flow.denoiser.dim());
        Self { levels, states, slopes, spread }
    }

    /// The error of a step from a level to a lower one that is left at the end: of Euler's step, or of a step with the mean of the slopes at
    /// both ends.
    fn price(&self, both_ends: bool, from: usize, to: usize) -> f64 {
        let (sigma, next) = (self.levels[from], self.levels[to]);
        let step = if both_ends { 0.5 * (next - sigma) } else { next - sigma };
        let mut reached = moved(&self.states[from], step / sigma, &self.slopes[from]);
        if both_ends {
            reached = moved(&reached, step / next, &self.slopes[to]);
        }
        let squares: f64 = reached.iter().zip(&self.states[to]).map(|(found, exact)| (found - exact).powi(2)).sum();
        let size = (squares / reached.len() as f64).sqrt();
        let end = self.levels[self.levels.len() - 1];
        size * (self.spread.hypot(end) / self.spread.hypot(next))
    }
}

/// Returns `x + step slope`.
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

/// The cheapest way from place 0 to the last of `places` in exactly `steps` forward steps, where `price(a, b)` is the price of a step from
/// a to b.
///
/// # Panics
/// If the way needs more places than there are.
pub fn cheapest(places: usize, steps: usize, price: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    assert!(steps >= 1 && steps < places, "a way of {steps} steps needs more than {places} places");
    let prices: Vec<Vec<f64>> = (0..places)
        .map(|from| (0..places).map(|to| if to > from { price(from, to) } else { f64::INFINITY }).collect())
        .collect();
    // For each number of steps, the price of the cheapest way to each place and the place before it.
    let mut paid = vec![f64::INFINITY; places];
    paid[0] = 0.0;
    let mut came = Vec::with_capacity(steps);
    for _ in 0..steps {
        let last_step = |to: usize| {
            (0..places)
                .map(|from| (paid[from] + prices[from][to], from))
                .min_by(|a, b| a.0.total_cmp(&b.0))
                .expect("a place")
        };
        let (next, from): (Vec<f64>, Vec<usize>) = (0..places).map(last_step).unzip();
        paid = next;
        came.push(from);
    }
    let mut way = vec![places - 1];
    for from in came.iter().rev() {
        way.push(from[way[way.len() - 1]]);
    }
    way.reverse();
    way
}
