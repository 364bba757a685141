//! Particles with inertia and drag, and the time that a particle needs along a field line.
//!
//! A particle of mass m and charge q in a field E with drag c moves as `m x'' = q E(x) - c x'`. In vacuum (c = 0) it keeps its velocity and
//! leaves its field line. In the limit of large drag `x' = q E / c`: it follows the field line, as the flow does.

use crate::{
    extra_dims::ExtraDims,
    field_lines::Line,
    flow::{Denoiser, Flow, Query},
    solver::{Path, SolverError, Tolerance, rk45_paths},
};

/// A field: writes E at a point.
pub type Field<'a> = dyn Fn(&[f64], &mut [f64]) + 'a;

/// Mass, charge and drag of a particle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Particle {
    /// The mass m, above 0.
    pub mass: f64,
    /// The charge q.
    pub charge: f64,
    /// The drag c, at least 0: the force is `-c x'`.
    pub drag: f64,
}

/// A motion: positions and velocities over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Motion {
    path: Path,
    duration: f64,
}

impl Particle {
    /// Integrates the motion from a position and a velocity for a time, with RK45.
    ///
    /// # Errors
    /// As [`rk45_paths`].
    pub fn motion(
        &self,
        field: &Field,
        (position, velocity): (&[f64], &[f64]),
        duration: f64,
        tolerance: Tolerance,
    ) -> Result<Motion, SolverError> {
        let equation = Equation { particle: *self, field, dim: position.len(), duration };
        // Along this flow, ln sigma from 0 to 1 is the share of the time.
        let flow = Flow { denoiser: &equation, extra_dims: ExtraDims::Infinite };
        let mut state = [position, velocity].concat();
        let path = rk45_paths(&flow, 1.0, 1.0_f64.exp(), tolerance, &mut state)?.remove(0);
        Ok(Motion { path, duration })
    }
}

impl Motion {
    /// Time, position and velocity, with this many points in each step of the solver.
    pub fn points(&self, points_in_step: usize) -> Vec<(f64, Vec<f64>, Vec<f64>)> {
        let dim = self.path.dim() / 2;
        let steps = self.path.t.len().saturating_sub(1);
        let shares = (0..steps).flat_map(|step| (0..points_in_step).map(move |part| (step, part as f64)));
        let last = steps.checked_sub(1).map(|step| (step, points_in_step as f64));
        shares
            .chain(last)
            .map(|(step, part)| {
                let share = part / points_in_step as f64;
                let state = self.path.between(step, share);
                let time = self.path.t[step] + share * (self.path.t[step + 1] - self.path.t[step]);
                (time * self.duration, state[..dim].to_vec(), state[dim..].to_vec())
            })
            .collect()
    }
}

/// The equation of motion of position and velocity as a flow.
struct Equation<'a> {
    particle: Particle,
    field: &'a Field<'a>,
    dim: usize,
    duration: f64,
}

impl Denoiser for Equation<'_> {
    fn dim(&self) -> usize {
        2 * self.dim
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let Particle { mass, charge, drag } = self.particle;
        for (state, out) in query.x.chunks_exact(2 * self.dim).zip(out.chunks_exact_mut(2 * self.dim)) {
            let (position, velocity) = state.split_at(self.dim);
            let (moved, pushed) = out.split_at_mut(self.dim);
            (self.field)(position, pushed);
            // The flow's velocity is x - yhat.
            moved.iter_mut().zip(position).zip(velocity).for_each(|((out, x), v)| *out = x - self.duration * v);
            pushed.iter_mut().zip(velocity).for_each(|(out, v)| {
                *out = v - self.duration * (charge * *out - drag * v) / mass;
            });
        }
    }
}

/// The time at each point of a line for a particle that moves along it with the speed `speed(point)`: the integral of `ds / speed`, by the
/// trapezoidal rule.
pub fn travel_times(line: &Line, speed: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut times = Vec::new();
    let mut before: Option<(Vec<f64>, f64, f64)> = None;
    for point in line.points() {
        let slowness = 1.0 / speed(point);
        let time = before.map_or(0.0, |(last, last_slowness, time)| {
            let step = last.iter().zip(point).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
            time + 0.5 * step * (last_slowness + slowness)
        });
        times.push(time);
        before = Some((point.to_vec(), slowness, time));
    }
    times
}
