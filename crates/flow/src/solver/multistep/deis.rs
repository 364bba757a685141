//! DEIS tAB (arXiv 2204.13902, eq. 14): the noise `d = (x - yhat)/sigma` as a polynomial of the time, which here is sigma, integrated
//! exactly. Order k is the paper's tAB(k-1); its factor Psi is one in our coordinates.

use super::{Step, interpolation};

/// The step to noise level `to` from those of `levels`, the present one first; as many as the order.
pub fn step(to: f64, levels: &[f64]) -> Step {
    let length = to - levels[0];
    let nodes: Vec<f64> = levels.iter().map(|level| (level - levels[0]) / length).collect();
    let weights = interpolation::weights(&nodes, |k| length / (k + 1) as f64);
    Step { carry: 1.0, weights }
}
