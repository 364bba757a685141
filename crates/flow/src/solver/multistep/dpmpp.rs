//! DPM-Solver++ (arXiv 2211.01095), multistep: yhat as a polynomial in lambda = -ln sigma, and the linear part of the flow exactly:
//! `x' = (sigma'/sigma) x + integral over lambda of e^-(lambda' - lambda) yhat`.
//!
//! At order 2 (algorithm 2) the weight of the slope is `(1 - e^-h)/2`, as in the paper; at order 3 the polynomial is integrated exactly
//! (eq. 10 and appendix B with divided differences for derivatives).

use super::{
    Step,
    interpolation::{self, exponential_moment},
};

/// The coefficients of the step from `levels[0]` to noise level `to`; `levels` has as many levels as the order, the newest first.
pub fn step(to: f64, levels: &[f64]) -> Step {
    let h = (levels[0] / to).ln();
    // The nodes in units of the step, relative to its start: 0 and negative numbers.
    let nodes: Vec<f64> = levels.iter().map(|level| (levels[0] / level).ln() / h).collect();
    let total = exponential_moment(h, 0);
    let weights = match nodes[..] {
        [_] => vec![total],
        [_, before] => vec![total * (1.0 - 0.5 / before), total * 0.5 / before],
        _ => interpolation::weights(&nodes, |k| exponential_moment(h, k)),
    };
    Step { carry: to / levels[0], weights }
}
