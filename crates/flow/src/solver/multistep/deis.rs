//! DEIS tAB (arXiv 2204.13902, eq. 14): the integral of a polynomial in sigma through the last values of the noise `d = (x - yhat)/sigma`.
//! Order k is the paper's tAB(k-1); the paper's factor Psi is 1 in the coordinates of the flow.

use super::{Step, interpolation};

/// The coefficients of the step from `levels[0]` to noise level `to`; `levels` has as many levels as the order, the newest first.
pub fn step(to: f64, levels: &[f64]) -> Step {
    let length = to - levels[0];
    let nodes: Vec<f64> = levels.iter().map(|level| (level - levels[0]) / length).collect();
    let weights = interpolation::weights(&nodes, |k| length / (k + 1) as f64);
    Step { carry: 1.0, weights }
}
