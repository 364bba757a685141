//! The 5(4) pair of Dormand and Prince, J. Comput. Appl. Math. 6 (1980) 19-26, with the step control of SciPy's RK45.

use super::{Path, SolverError};
use crate::flow::{Flow, Query};

/// Where the stages are, as shares of a step.
const NODES: [f64; 6] = [0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0];
/// What the stages are made of; the row after them is the result of order 5.
const STAGES: [[f64; 5]; 6] = [
    [0.0; 5],
    [1.0 / 5.0, 0.0, 0.0, 0.0, 0.0],
    [3.0 / 40.0, 9.0 / 40.0, 0.0, 0.0, 0.0],
    [44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0, 0.0, 0.0],
    [19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0, 0.0],
    [9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
];
const RESULT: [f64; 6] = [35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0];
/// Order 5 minus order 4, of the six stages and the slope at the result.
const ERROR: [f64; 7] =
    [-71.0 / 57600.0, 0.0, 71.0 / 16695.0, -71.0 / 1920.0, 17253.0 / 339200.0, -22.0 / 525.0, 1.0 / 40.0];

/// The order of the error estimate plus one.
const ERROR_ORDER: f64 = 5.0;
const SAFETY: f64 = 0.9;
const SLOWEST: f64 = 0.2;
const FASTEST: f64 = 10.0;

/// What a step may do wrong: the root mean square of `error / (atol + rtol max(|x|, |x'|))` stays below one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Relative to the state.
    pub rtol: f64,
    /// Absolute.
    pub atol: f64,
}

/// The variable in which steps are taken.
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

/// From where to where, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// The noise level at the start.
    pub from: f64,
    /// The noise level at the end.
    pub to: f64,
    /// The variable of the steps.
    pub variable: Variable,
    /// What a step may do wrong.
    pub tolerance: Tolerance,
}

/// Where one sample is.
struct Row {
    item: usize,
    t: f64,
    step: f64,
    rejected: bool,
}

/// Carries every row of `x` from one noise level to another, in place, in t = ln sigma.
///
/// Each row has steps of its own, so that no sample depends on the others of its batch; rows that still run share their
/// evaluations.
///
/// # Errors
/// When a row's step becomes too small to resolve, or its slope is not finite.
pub fn rk45(flow: &Flow, from: f64, to: f64, tolerance: Tolerance, x: &mut [f64]) -> Result<(), SolverError> {
    rk45_along(flow, &Course { from, to, variable: Variable::Log, tolerance }, x)
}

/// [`rk45`] along a course with a variable of its own.
///
/// # Errors
/// As [`rk45`].
pub fn rk45_along(flow: &Flow, course: &Course, x: &mut [f64]) -> Result<(), SolverError> {
    integrate(flow, course, x, &mut |_, _, _, _| {})
}

/// [`rk45`] that remembers where every row went: one path a row.
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

/// Hears of every accepted state: its item, t, the state, and the slope there.
type Visit<'a> = dyn FnMut(usize, f64, &[f64], &[f64]) + 'a;

/// The solver.
fn integrate(flow: &Flow, course: &Course, x: &mut [f64], visit: &mut Visit) -> Result<(), SolverError> {
    let Course { from, to, variable, tolerance } = *course;
    let dim = flow.denoiser.dim();
    let (start, end) = (variable.of(from), variable.of(to));
    let direction = (end - start).signum();
    let evaluate = |rows: &[Row], t: &[f64], x: &[f64], slope: &mut [f64]| {
        let sigma: Vec<f64> = t.iter().map(|t| variable.level(*t)).collect();
        let item: Vec<usize> = rows.iter().map(|row| row.item).collect();
        flow.velocity(&Query { x, sigma: &sigma, item: &item }, slope);
        for (slope, sigma) in slope.chunks_exact_mut(dim).zip(sigma) {
            slope.iter_mut().for_each(|slope| *slope *= variable.rate(sigma));
        }
    };
    let mut rows: Vec<Row> =
        (0..x.len() / dim).map(|item| Row { item, t: start, step: 0.0, rejected: false }).collect();
    // The state and the slope there, of the rows that still run, in the order of `rows`.
    let mut y = x.to_vec();
    let mut slope = vec![0.0; y.len()];
    evaluate(&rows, &vec![start; rows.len()], &y, &mut slope);
    first_steps(&mut rows, &y, &slope, end, tolerance, &evaluate);
    for (item, (state, slope)) in y.chunks_exact(dim).zip(slope.chunks_exact(dim)).enumerate() {
        visit(item, start, state, slope);
    }

    while !rows.is_empty() {
        for row in &mut rows {
            let smallest = 10.0 * (row.t.next_up() - row.t).abs();
            if !row.step.is_finite() {
                return Err(SolverError::NotFinite { sigma: variable.level(row.t), item: row.item });
            }
            if row.rejected && row.step < smallest {
                return Err(SolverError::StepUnderflow { sigma: variable.level(row.t), item: row.item });
            }
            row.step = row.step.max(smallest).min((end - row.t).abs());
        }
        let trial = Trial::new(&rows, direction, end, &y, &slope, &evaluate);
        let mut running = Vec::with_capacity(rows.len());
        let (mut kept_y, mut kept_slope) = (Vec::with_capacity(y.len()), Vec::with_capacity(y.len()));
        for (index, mut row) in rows.into_iter().enumerate() {
            let range = index * dim..(index + 1) * dim;
            let error = trial.error(index, &y, tolerance);
            let factor = SAFETY * error.powf(-1.0 / ERROR_ORDER);
            let (state, slope) = if error < 1.0 {
                // An error of zero makes the factor infinite, which the bound catches.
                row.step *= factor.min(if row.rejected { 1.0 } else { FASTEST });
                row.rejected = false;
                row.t = trial.t_next[index];
                visit(row.item, row.t, &trial.y_next[range.clone()], &trial.slopes[6][range.clone()]);
                (&trial.y_next[range.clone()], &trial.slopes[6][range])
            } else {
                // A NaN error leaves NaN here and is reported above.
                row.step *= if factor.is_nan() { f64::NAN } else { factor.max(SLOWEST) };
                row.rejected = true;
                (&y[range.clone()], &slope[range])
            };
            if row.t == end {
                x[row.item * dim..(row.item + 1) * dim].copy_from_slice(state);
            } else {
                kept_y.extend_from_slice(state);
                kept_slope.extend_from_slice(slope);
                running.push(row);
            }
        }
        (rows, y, slope) = (running, kept_y, kept_slope);
    }
    Ok(())
}

/// One attempted step of every row that runs.
struct Trial {
    dim: usize,
    steps: Vec<f64>,
    t_next: Vec<f64>,
    y_next: Vec<f64>,
    slopes: [Vec<f64>; 7],
}

impl Trial {
    fn new(
        rows: &[Row],
        direction: f64,
        end: f64,
        y: &[f64],
        slope: &[f64],
        evaluate: &impl Fn(&[Row], &[f64], &[f64], &mut [f64]),
    ) -> Self {
        let dim = y.len() / rows.len();
        let t_next: Vec<f64> = rows
            .iter()
            .map(|row| if (end - row.t).abs() <= row.step { end } else { row.t + direction * row.step })
            .collect();
        let steps: Vec<f64> = rows.iter().zip(&t_next).map(|(row, next)| next - row.t).collect();
        let mut slopes: [Vec<f64>; 7] = std::array::from_fn(|_| Vec::new());
        slopes[0] = slope.to_vec();
        let combine = |slopes: &[Vec<f64>], weights: &[f64]| {
            let mut state = y.to_vec();
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
            let mut slope = vec![0.0; y.len()];
            evaluate(rows, &t, &state, &mut slope);
            slopes[stage] = slope;
        }
        let y_next = combine(&slopes[..6], &RESULT);
        let mut slope = vec![0.0; y.len()];
        evaluate(rows, &t_next, &y_next, &mut slope);
        slopes[6] = slope;
        Self { dim, steps, t_next, y_next, slopes }
    }

    /// The norm of a row's estimated error in units of what is tolerated.
    fn error(&self, index: usize, y: &[f64], tolerance: Tolerance) -> f64 {
        let range = index * self.dim..(index + 1) * self.dim;
        root_mean_square(range.map(|at| {
            let error: f64 = self.slopes.iter().zip(ERROR).map(|(slope, weight)| weight * slope[at]).sum();
            let size = y[at].abs().max(self.y_next[at].abs());
            self.steps[index] * error / (tolerance.atol + tolerance.rtol * size)
        }))
    }
}

/// The first step of each row by the algorithm of Hairer, Norsett and Wanner, *Solving Ordinary Differential Equations
/// I*, section II.4.
fn first_steps(
    rows: &mut [Row],
    y: &[f64],
    slope: &[f64],
    end: f64,
    tolerance: Tolerance,
    evaluate: &impl Fn(&[Row], &[f64], &[f64], &mut [f64]),
) {
    if rows.is_empty() {
        return;
    }
    let dim = y.len() / rows.len();
    let length = (end - rows[0].t).abs();
    let direction = (end - rows[0].t).signum();
    let norm = |values: &[f64], index: usize| {
        let range = index * dim..(index + 1) * dim;
        root_mean_square(range.map(|at| values[at] / (tolerance.atol + tolerance.rtol * y[at].abs())))
    };
    let guesses: Vec<f64> = (0..rows.len())
        .map(|index| {
            let (d0, d1) = (norm(y, index), norm(slope, index));
            let guess = if d0 < 1e-5 || d1 < 1e-5 { 1e-6 } else { 0.01 * d0 / d1 };
            guess.min(length)
        })
        .collect();
    let mut ahead = y.to_vec();
    for (index, guess) in guesses.iter().enumerate() {
        for at in index * dim..(index + 1) * dim {
            ahead[at] += direction * guess * slope[at];
        }
    }
    let t: Vec<f64> = rows.iter().zip(&guesses).map(|(row, guess)| row.t + direction * guess).collect();
    let mut slope_ahead = vec![0.0; y.len()];
    evaluate(rows, &t, &ahead, &mut slope_ahead);
    let change: Vec<f64> = slope_ahead.iter().zip(slope).map(|(ahead, here)| ahead - here).collect();
    for (index, row) in rows.iter_mut().enumerate() {
        let guess = guesses[index];
        let (d1, d2) = (norm(slope, index), norm(&change, index) / guess);
        let better = if d1 <= 1e-15 && d2 <= 1e-15 {
            (guess * 1e-3).max(1e-6)
        } else {
            (0.01 / d1.max(d2)).powf(1.0 / ERROR_ORDER)
        };
        row.step = (100.0 * guess).min(better).min(length);
    }
}

fn root_mean_square(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    (values.map(|value| value * value).sum::<f64>() / count).sqrt()
}
