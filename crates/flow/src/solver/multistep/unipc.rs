//! UniPC (arXiv 2302.04867) with data prediction and `B(h) = e^h - 1` of the paper, which for a prediction of data is `1 - e^-h`.
//!
//! The solution of the paper's equations for the coefficients makes predictor and corrector exact integrals of the polynomial through their
//! points for every B. Only if there is one coefficient, which the paper sets to 1/2, does B matter. So the predictor is the step of
//! DPM-Solver++ ([`dpmpp`](super::dpmpp)). The corrector here has one order more and needs no evaluation of its own, since the next step
//! uses yhat at the predicted point too.

use super::{
    Step,
    interpolation::{self, exponential_moment},
};

/// The coefficients of the corrected step from `levels[0]` to noise level `to`; the first weight is that of yhat at `to`.
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
