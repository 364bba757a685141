//! Linear multistep methods: one evaluation a step, combined with those of earlier steps.
//!
//! A method is one file: the weights of a step as a function of the noise levels, with its source. Stepping and history stand here.

pub mod deis;
pub mod dpmpp;
mod interpolation;
pub mod ipndm;
pub mod unipc;

use std::collections::VecDeque;

use super::Method;
use crate::flow::Flow;

/// The coefficients of a step `x' = carry x + sum_j weights[j] values[j]`, the newest value first.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The factor of the state.
    pub carry: f64,
    /// The factors of the values: yhat, or the noise `(x - yhat)/sigma`.
    pub weights: Vec<f64>,
}

/// The families of multistep methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formula {
    /// iPNDM ([`ipndm`]).
    Ipndm,
    /// DEIS tAB ([`deis`]).
    Deis,
    /// DPM-Solver++ ([`dpmpp`]).
    DpmPp,
    /// UniPC: the step of [`dpmpp`] with the corrector of [`unipc`].
    UniPc,
}

/// A multistep method: a family and an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearMultistep {
    /// The family.
    pub formula: Formula,
    /// The number of evaluations that a step combines: 1 to 4 of iPNDM and DEIS, 1 to 3 of DPM-Solver++ and UniPC.
    pub order: usize,
    /// Whether the last steps have lower orders, the very last order 1.
    pub lower_order_final: bool,
}

impl LinearMultistep {
    /// The name of the method.
    pub fn name(self) -> Method {
        match (self.formula, self.order) {
            (Formula::Ipndm, _) => Method::Ipndm,
            (Formula::Deis, _) => Method::Deis,
            (Formula::DpmPp, 3..) => Method::DpmPp3m,
            (Formula::DpmPp, _) => Method::DpmPp2m,
            (Formula::UniPc, 3..) => Method::UniPc3,
            (Formula::UniPc, _) => Method::UniPc2,
        }
    }
}

impl Formula {
    /// Whether it combines yhat; the others combine the noise `(x - yhat)/sigma`.
    fn combines_yhat(self) -> bool {
        matches!(self, Self::DpmPp | Self::UniPc)
    }

    /// Whether the last steps have lower orders unless an option says otherwise.
    pub fn lowers_final_orders(self) -> bool {
        matches!(self, Self::DpmPp | Self::UniPc)
    }

    /// The coefficients of the step to noise level `to` from `levels`, the present one first.
    pub fn step(self, to: f64, levels: &[f64]) -> Step {
        match self {
            Self::Ipndm => ipndm::step(to, levels),
            Self::Deis => deis::step(to, levels),
            Self::DpmPp | Self::UniPc => dpmpp::step(to, levels),
        }
    }

    /// The coefficients of the corrected step, with the value at `to` first; None if the family has no corrector.
    pub fn corrector(self, to: f64, levels: &[f64]) -> Option<Step> {
        (self == Self::UniPc).then(|| unipc::corrector(to, levels))
    }
}

/// Earlier evaluations, the newest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    levels: VecDeque<f64>,
    values: VecDeque<Vec<f64>>,
}

impl History {
    /// The evaluations at points of a known path, oldest first: a method that starts with them has its full order at once.
    ///
    /// # Shapes
    /// each state: `[rows, dim]`
    pub fn of_path(flow: &Flow, formula: Formula, path: &[(f64, Vec<f64>)]) -> Self {
        let mut history = Self::default();
        for (sigma, x) in path {
            history.push(*sigma, evaluate(flow, formula, *sigma, x), path.len());
        }
        history
    }

    fn push(&mut self, level: f64, value: Vec<f64>, most: usize) {
        self.levels.push_front(level);
        self.values.push_front(value);
        self.levels.truncate(most);
        self.values.truncate(most);
    }

    fn levels(&self, count: usize) -> Vec<f64> {
        self.levels.iter().take(count).copied().collect()
    }

    /// `x' = carry x + sum_j weights[j] values[j]`
    fn apply(&self, step: &Step, x: &mut [f64]) {
        x.iter_mut().for_each(|x| *x *= step.carry);
        for (value, weight) in self.values.iter().zip(&step.weights) {
            x.iter_mut().zip(value).for_each(|(x, value)| *x += weight * value);
        }
    }
}

/// What a family combines, at one noise level: yhat or the noise.
fn evaluate(flow: &Flow, formula: Formula, sigma: f64, x: &[f64]) -> Vec<f64> {
    let mut value = vec![0.0; x.len()];
    flow.velocity_at(x, sigma, &mut value);
    if formula.combines_yhat() {
        value.iter_mut().zip(x).for_each(|(value, x)| *value = x - *value);
    } else {
        value.iter_mut().for_each(|value| *value /= sigma);
    }
    value
}

/// Carries every row of `x` along a grid, up or down, with one evaluation a step. Without a `history` the first steps have lower orders.
///
/// # Shapes
/// `x`: `[rows, dim]`, carried from the grid's first level to its last, which is above zero
pub fn multistep(flow: &Flow, method: LinearMultistep, grid: &[f64], mut history: History, x: &mut [f64]) {
    let LinearMultistep { formula, order, lower_order_final } = method;
    // The start of a step that is yet to be corrected, and its corrected coefficients.
    let mut pending: Option<(Vec<f64>, Step)> = None;
    for (index, pair) in grid.windows(2).enumerate() {
        let (sigma, to) = (pair[0], pair[1]);
        let value = evaluate(flow, formula, sigma, x);
        history.push(sigma, value, order + 1);
        if let Some((from, step)) = pending.take() {
            x.copy_from_slice(&from);
            history.apply(&step, x);
        }
        let left = if lower_order_final { grid.len() - 1 - index } else { order };
        let levels = history.levels(order.min(left));
        let before = x.to_vec();
        history.apply(&formula.step(to, &levels), x);
        pending = formula.corrector(to, &levels).map(|step| (before, step));
    }
}
