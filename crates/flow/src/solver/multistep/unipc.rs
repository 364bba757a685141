//! UniPC (arXiv 2302.04867) with data prediction and `B(h) = e^h - 1` of the paper, which for a prediction of data is `1 - e^-h`.
//!
//! Solving the paper's equations for the coefficients makes predictor and corrector the exact integral of the polynomial through their
//! points, whatever B is, except where there is one coefficient: the paper sets it to 1/2, and there B counts. So the predictor is
//! DPM-Solver++'s step ([`dpmpp`](super::dpmpp)), and this is the corrector, of one order more: no evaluation is spent on it, for yhat at
//! the predicted point serves the next step too.

use super::{
    Step,
    interpolation::{self, exponential_moment},
};

/// The step to noise level `to` once more, with yhat there: its weight comes first, then those of `levels`.
pub fn corrector(to: f64, levels: &[f64]) -> Step {
    let h = (levels[0] / to).ln();
    let weights = match levels {
        [_] => vec![0.5 * exponential_moment(h, 0); 2],
        _ => {
            let before = levels.iter().map(|level| (levels[0] / level).ln() / h);
            let nodes: Vec<f64> = [1.0].into_iter().chain(before).collect();
            interpolation::weights(&nodes, |k| exponential_moment(h, k))
        }
    };
    Step { carry: to / levels[0], weights }
}
