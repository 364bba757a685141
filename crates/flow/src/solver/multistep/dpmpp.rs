//! DPM-Solver++ (arXiv 2211.01095), multistep: yhat as a polynomial of lambda = -ln sigma, with the linear part of the flow exact:
//! `x' = (sigma'/sigma) x + integral over lambda of e^-(lambda' - lambda) yhat`.
//!
//! Of order 2 (algorithm 2) the slope counts `(1 - e^-h)/2`, as in the paper; of order 3 the polynomial is integrated exactly (eq. 10
//! and appendix B with divided differences for derivatives).

use super::{
    Step,
    interpolation::{self, exponential_moment},
};

/// The step to noise level `to` from those of `levels`, the present one first; as many as the order.
pub fn step(to: f64, levels: &[f64]) -> Step {
    let h = (levels[0] / to).ln();
    // Where the evaluations were, in steps from here: 0, and negative numbers.
    let nodes: Vec<f64> = levels.iter().map(|level| (levels[0] / level).ln() / h).collect();
    let all = exponential_moment(h, 0);
    let weights = match nodes[..] {
        [_] => vec![all],
        [_, before] => vec![all * (1.0 - 0.5 / before), all * 0.5 / before],
        _ => interpolation::weights(&nodes, |k| exponential_moment(h, k)),
    };
    Step { carry: to / levels[0], weights }
}
