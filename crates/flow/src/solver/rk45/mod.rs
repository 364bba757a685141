//! RK45: Dormand and Prince's pair ([`tableau`]) with adaptive steps ([`step_control`]) for each sample by itself.

mod step_control;
mod tableau;
mod trial;

use trial::Trial;

use super::{Path, SolverError};
use crate::flow::{Flow, Query};

/// The error that a step may have: the root mean square of `error / (atol + rtol max(|x|, |x'|))` stays below one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// The tolerance relative to the state.
    pub rtol: f64,
    /// The absolute tolerance.
    pub atol: f64,
}

/// The variable of integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// t = ln sigma: at D = 1 PFGM's t' = ln z.
    Log,
    /// t = sigma itself: at D = 1 PFGM's z, before the change of variable.
    Level,
}

impl Variable {
    fn of(self, sigma: f64) -> f64 {
        match self {
            Self::Log => sigma.ln(),
            Self::Level => sigma,
        }
    }

    fn level(self, t: f64) -> f64 {
        match self {
            Self::Log => t.exp(),
            Self::Level => t,
        }
    }

    /// `d ln sigma / dt`, by which the flow's velocity becomes a slope in t.
    fn rate(self, sigma: f64) -> f64 {
        match self {
            Self::Log => 1.0,
            Self::Level => 1.0 / sigma,
        }
    }
}

/// An interval of noise levels, and how it is integrated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// The noise level at the start.
    pub from: f64,
    /// The noise level at the end.
    pub to: f64,
    /// The variable of integration.
    pub variable: Variable,
    /// The error that a step may have.
    pub tolerance: Tolerance,
}

/// The state of one row: the sample that it belongs to, t, and the next step.
struct Row {
    item: usize,
    t: f64,
    step: f64,
    is_rejected: bool,
}

/// The differential equation in the variable of integration.
struct System<'a> {
    flow: &'a Flow<'a>,
    variable: Variable,
    tolerance: Tolerance,
    /// t at the end.
    end: f64,
}

impl System<'_> {
    fn dim(&self) -> usize {
        self.flow.denoiser.dim()
    }

    /// dx/dt of each row at its t.
    ///
    /// # Shapes
    /// `t`: `[rows]`, `x` and the result: `[rows, dim]`
    fn slope(&self, rows: &[Row], t: &[f64], x: &[f64]) -> Vec<f64> {
        let sigma: Vec<f64> = t.iter().map(|t| self.variable.level(*t)).collect();
        let item: Vec<usize> = rows.iter().map(|row| row.item).collect();
        let mut slope = vec![0.0; x.len()];
        self.flow.velocity(&Query { x, sigma: &sigma, item: &item }, &mut slope);
        for (slope, sigma) in slope.chunks_exact_mut(self.dim()).zip(sigma) {
            slope.iter_mut().for_each(|slope| *slope *= self.variable.rate(sigma));
        }
        slope
    }

    /// Bounds the step of a row by what arithmetic can resolve and by the way that is left.
    ///
    /// # Errors
    /// If the step is not finite, or a rejected step is too small.
    fn bound_step(&self, row: &mut Row) -> Result<(), SolverError> {
        let smallest = 10.0 * (row.t.next_up() - row.t).abs();
        if !row.step.is_finite() {
            return Err(SolverError::NotFinite { sigma: self.variable.level(row.t), item: row.item });
        }
        if row.is_rejected && row.step < smallest {
            return Err(SolverError::StepUnderflow { sigma: self.variable.level(row.t), item: row.item });
        }
        row.step = row.step.max(smallest).min((self.end - row.t).abs());
        Ok(())
    }
}

/// Carries every row of `x` from one noise level to another, in place, in t = ln sigma.
///
/// Each row has its own steps, so that no sample depends on the others of its batch. Rows that still run share their evaluations.
///
/// # Errors
/// If a step becomes too small to resolve, or a slope is not finite.
pub fn rk45(flow: &Flow, from: f64, to: f64, tolerance: Tolerance, x: &mut [f64]) -> Result<(), SolverError> {
    rk45_along(flow, &Course { from, to, variable: Variable::Log, tolerance }, x)
}

/// [`rk45`] in another variable of integration.
///
/// # Errors
/// As [`rk45`].
pub fn rk45_along(flow: &Flow, course: &Course, x: &mut [f64]) -> Result<(), SolverError> {
    integrate(flow, course, x, &mut |_, _, _, _| {})
}

/// [`rk45`] that also returns the path of each row.
///
/// # Errors
/// As [`rk45`].
pub fn rk45_paths(
    flow: &Flow,
    from: f64,
    to: f64,
    tolerance: Tolerance,
    x: &mut [f64],
) -> Result<Vec<Path>, SolverError> {
    let dim = flow.denoiser.dim();
    let mut paths = vec![Path::new(dim); x.len() / dim];
    let course = Course { from, to, variable: Variable::Log, tolerance };
    integrate(flow, &course, x, &mut |item, t, state, slope| paths[item].push(t, state, slope))?;
    Ok(paths)
}

/// Is called with every accepted state: its item, t, the state, and the slope there.
type Visit<'a> = dyn FnMut(usize, f64, &[f64], &[f64]) + 'a;

fn integrate(flow: &Flow, course: &Course, x: &mut [f64], visit: &mut Visit) -> Result<(), SolverError> {
    let Course { from, to, variable, tolerance } = *course;
    let dim = flow.denoiser.dim();
    let (start, end) = (variable.of(from), variable.of(to));
    let system = System { flow, variable, tolerance, end };
    let mut rows: Vec<Row> =
        (0..x.len() / dim).map(|item| Row { item, t: start, step: 0.0, is_rejected: false }).collect();
    // The state and the slope there, of the rows that still run, in the order of `rows`.
    let mut state = x.to_vec();
    let mut slope = system.slope(&rows, &vec![start; rows.len()], &state);
    step_control::first_steps(&system, &mut rows, &state, &slope);
    for (item, (state, slope)) in state.chunks_exact(dim).zip(slope.chunks_exact(dim)).enumerate() {
        visit(item, start, state, slope);
    }
    while !rows.is_empty() {
        rows.iter_mut().try_for_each(|row| system.bound_step(row))?;
        let trial = Trial::new(&system, &rows, (end - start).signum(), &state, &slope);
        let mut running = Vec::with_capacity(rows.len());
        let (mut next_state, mut next_slope) = (Vec::with_capacity(state.len()), Vec::with_capacity(slope.len()));
        for (index, mut row) in rows.into_iter().enumerate() {
            let range = index * dim..(index + 1) * dim;
            let (state, slope) = if row.judge(trial.error(index, &state, tolerance)) {
                row.t = trial.t_next[index];
                let (state, slope) = (&trial.x_next[range.clone()], &trial.slopes[6][range]);
                visit(row.item, row.t, state, slope);
                (state, slope)
            } else {
                (&state[range.clone()], &slope[range])
            };
            if row.t == end {
                x[row.item * dim..(row.item + 1) * dim].copy_from_slice(state);
            } else {
                next_state.extend_from_slice(state);
                next_slope.extend_from_slice(slope);
                running.push(row);
            }
        }
        (rows, state, slope) = (running, next_state, next_slope);
    }
    Ok(())
}
