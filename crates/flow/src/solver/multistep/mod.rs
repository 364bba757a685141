//! Methods that look back: one evaluation a step, combined with those before it.

pub mod deis;
pub mod dpmpp;
mod interpolation;
pub mod ipndm;
pub mod unipc;

use std::collections::VecDeque;

use crate::flow::Flow;

/// A step as a combination: `x' = carry x + sum_j weights[j] values[j]`, the newest value first.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The factor of the state.
    pub carry: f64,
    /// The factors of the values.
    pub weights: Vec<f64>,
}

/// The families of formulas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formula {
    /// [`ipndm`]
    Ipndm,
    /// [`deis`]
    Deis,
    /// [`dpmpp`]
    DpmPp,
    /// [`dpmpp`] with the corrector of [`unipc`]
    UniPc,
}

/// A method: a family, and how far it looks back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multistep {
    /// The family.
    pub formula: Formula,
    /// Evaluations that a step is made of: 1 to 4 of the noise, 1 to 3 of the data.
    pub order: usize,
    /// Whether the last steps have lower orders, the very last order 1.
    pub lower_order_final: bool,
}

impl Formula {
    /// Whether it combines yhat; the others combine the noise `(x - yhat)/sigma`.
    fn of_data(self) -> bool {
        matches!(self, Self::DpmPp | Self::UniPc)
    }

    /// The step to noise level `to` from `levels`, the present one first.
    pub fn step(self, to: f64, levels: &[f64]) -> Step {
        match self {
            Self::Ipndm => ipndm::step(to, levels),
            Self::Deis => deis::step(to, levels),
            Self::DpmPp | Self::UniPc => dpmpp::step(to, levels),
        }
    }

    /// The same once more with the value at `to`, whose weight comes first, where the method corrects.
    pub fn corrector(self, to: f64, levels: &[f64]) -> Option<Step> {
        (self == Self::UniPc).then(|| unipc::corrector(to, levels))
    }
}

/// What was evaluated, the newest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    levels: VecDeque<f64>,
    values: VecDeque<Vec<f64>>,
}

impl History {
    /// The values of a formula at points of a known path, oldest first: a method that starts with them has its full order at once.
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

/// yhat, or the noise, at one noise level.
fn evaluate(flow: &Flow, formula: Formula, sigma: f64, x: &[f64]) -> Vec<f64> {
    let mut value = vec![0.0; x.len()];
    flow.velocity_at(x, sigma, &mut value);
    if formula.of_data() {
        value.iter_mut().zip(x).for_each(|(value, x)| *value = x - *value);
    } else {
        value.iter_mut().for_each(|value| *value /= sigma);
    }
    value
}

/// Carries every row of `x` along a grid, up or down, with one evaluation a step. The first steps have as many values as there are
/// in `history` and since.
///
/// # Shapes
/// `x`: `[rows, dim]`, carried from the grid's first level to its last, which is above zero
pub fn multistep(flow: &Flow, method: Multistep, grid: &[f64], mut history: History, x: &mut [f64]) {
    let Multistep { formula, order, lower_order_final } = method;
    // Where a step that is yet to be corrected started from, and how to repeat it.
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
