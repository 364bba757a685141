//! One attempted step of every row that runs.

use super::{
    Row, System, Tolerance,
    tableau::{ERROR, NODES, RESULT, STAGES},
};

/// The stages of a step and its result.
pub(super) struct Trial {
    dim: usize,
    steps: Vec<f64>,
    /// t after the step, `[rows]`.
    pub t_next: Vec<f64>,
    /// The state after the step, `[rows, dim]`.
    pub x_next: Vec<f64>,
    /// The slopes of the stages, the last at the result, `[rows, dim]` each.
    pub slopes: [Vec<f64>; 7],
}

impl Trial {
    /// Evaluates the stages of a step of every row in `direction`.
    pub fn new(system: &System, rows: &[Row], direction: f64, x: &[f64], slope: &[f64]) -> Self {
        let (dim, end) = (system.dim(), system.end);
        let next = |row: &Row| if (end - row.t).abs() <= row.step { end } else { row.t + direction * row.step };
        let t_next: Vec<f64> = rows.iter().map(next).collect();
        let steps: Vec<f64> = rows.iter().zip(&t_next).map(|(row, next)| next - row.t).collect();
        let mut slopes: [Vec<f64>; 7] = std::array::from_fn(|_| Vec::new());
        slopes[0] = slope.to_vec();
        let combine = |slopes: &[Vec<f64>], weights: &[f64]| {
            let mut state = x.to_vec();
            for (slope, &weight) in slopes.iter().zip(weights).filter(|(_, weight)| **weight != 0.0) {
                for ((state, slope), step) in state.chunks_exact_mut(dim).zip(slope.chunks_exact(dim)).zip(&steps) {
                    state.iter_mut().zip(slope).for_each(|(state, slope)| *state += step * weight * slope);
                }
            }
            state
        };
        for stage in 1..6 {
            let state = combine(&slopes[..stage], &STAGES[stage][..stage]);
            let t: Vec<f64> = rows.iter().zip(&steps).map(|(row, step)| row.t + NODES[stage] * step).collect();
            slopes[stage] = system.slope(rows, &t, &state);
        }
        let x_next = combine(&slopes[..6], &RESULT);
        slopes[6] = system.slope(rows, &t_next, &x_next);
        Self { dim, steps, t_next, x_next, slopes }
    }

    /// The norm of the estimated error of a row in units of what is tolerated.
    pub fn error(&self, index: usize, x: &[f64], tolerance: Tolerance) -> f64 {
        let range = index * self.dim..(index + 1) * self.dim;
        tolerance.norm(range.map(|at| {
            let error: f64 = self.slopes.iter().zip(ERROR).map(|(slope, weight)| weight * slope[at]).sum();
            (self.steps[index] * error, x[at].abs().max(self.x_next[at].abs()))
        }))
    }
}
