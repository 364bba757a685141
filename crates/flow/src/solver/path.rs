//! Paths of an adaptive solver.

/// The states that a solver accepted, with the slopes there, which define a smooth curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path {
    dim: usize,
    /// ln sigma of each state.
    pub t: Vec<f64>,
    /// The states, `[states, dim]`.
    pub x: Vec<f64>,
    /// `dx / d ln sigma` at each, `[states, dim]`.
    pub slope: Vec<f64>,
}

impl Path {
    pub(super) fn new(dim: usize) -> Self {
        Self { dim, ..Self::default() }
    }

    pub(super) fn push(&mut self, t: f64, state: &[f64], slope: &[f64]) {
        self.t.push(t);
        self.x.extend(state);
        self.slope.extend(slope);
    }

    /// N.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Interpolates between the states `step` and `step + 1` at the share `s` of the step in ln sigma, by the cubic Hermite polynomial.
    ///
    /// # Panics
    /// If there is no such step.
    pub fn between(&self, step: usize, s: f64) -> Vec<f64> {
        let length = self.t[step + 1] - self.t[step];
        let (a, b) = (step * self.dim, (step + 1) * self.dim);
        let from_b = s * s * (3.0 - 2.0 * s);
        let (slope_a, slope_b) = (length * s * (1.0 - s) * (1.0 - s), length * s * s * (s - 1.0));
        (0..self.dim)
            .map(|d| {
                (1.0 - from_b) * self.x[a + d]
                    + from_b * self.x[b + d]
                    + slope_a * self.slope[a + d]
                    + slope_b * self.slope[b + d]
            })
            .collect()
    }
}
