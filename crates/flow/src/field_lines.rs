//! Field lines: the paths of particles in the augmented space.
//!
//! A particle on a field line of `E` moves as `dx / d ln sigma = x - yhat`: the flow's paths are the field lines. Here they
//! become curves of points `(x, h)`, with the height h = r for finite D and sigma for infinite D.

pub use crate::particles::{height, on_charges};

use crate::{
    extra_dims::ExtraDims,
    flow::Flow,
    solver::{Path, SolverError, Tolerance, rk45_paths},
};

/// A field line: a curve in the augmented space.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// The number of coordinates of a point, N + 1.
    width: usize,
    /// The points, `[points, N + 1]`.
    points: Vec<f64>,
    /// The length of the curve up to each point.
    lengths: Vec<f64>,
}

impl Line {
    /// Makes the line of a solver's path, with this many points in each of its steps.
    pub fn of_path(path: &Path, extra_dims: ExtraDims, points_in_step: usize) -> Self {
        let mut line = Self { width: path.dim() + 1, ..Self::default() };
        for step in 0..path.t.len().saturating_sub(1) {
            for part in 0..points_in_step {
                let share = part as f64 / points_in_step as f64;
                let t = path.t[step] + share * (path.t[step + 1] - path.t[step]);
                let mut point = path.between(step, share);
                point.push(height(extra_dims, t.exp()));
                line.push(&point);
            }
        }
        if let Some(t) = path.t.last() {
            let mut point = path.x[path.x.len() - path.dim()..].to_vec();
            point.push(height(extra_dims, t.exp()));
            line.push(&point);
        }
        line
    }

    fn push(&mut self, point: &[f64]) {
        let step = self.points().last().map_or(0.0, |last| distance(last, point));
        self.lengths.push(self.length() + step);
        self.points.extend(point);
    }

    /// The line from its end to its beginning.
    pub fn reversed(&self) -> Self {
        let mut line = Self { width: self.width, ..Self::default() };
        self.points().rev().for_each(|point| line.push(point));
        line
    }

    /// The points, each with N coordinates and the height.
    pub fn points(&self) -> std::slice::ChunksExact<'_, f64> {
        self.points.chunks_exact(self.width.max(1))
    }

    /// The length.
    pub fn length(&self) -> f64 {
        self.lengths.last().copied().unwrap_or(0.0)
    }

    /// The point at a share of the length, from 0 to 1.
    ///
    /// # Panics
    /// If the line has no point.
    pub fn at(&self, share: f64) -> Vec<f64> {
        let wanted = share.clamp(0.0, 1.0) * self.length();
        let next = self.lengths.partition_point(|length| *length < wanted).min(self.lengths.len() - 1);
        let before = next.saturating_sub(1);
        let step = self.lengths[next] - self.lengths[before];
        let part = if step > 0.0 { (wanted - self.lengths[before]) / step } else { 0.0 };
        let (a, b) = (&self.points[before * self.width..], &self.points[next * self.width..]);
        (0..self.width).map(|d| a[d] + part * (b[d] - a[d])).collect()
    }

    /// The line up to the point where it last leaves the ball of this radius around `center`; empty if it is never inside.
    ///
    /// # Shapes
    /// `center`: `[N + 1]`
    pub fn within(&self, center: &[f64], radius: f64) -> Self {
        let mut line = Self { width: self.width, ..Self::default() };
        let points: Vec<&[f64]> = self.points().collect();
        let Some(last) = points.iter().rposition(|point| distance(point, center) <= radius) else { return line };
        points[..=last].iter().for_each(|point| line.push(point));
        if let Some(outside) = points.get(last + 1) {
            // Bisection finds where the line crosses the sphere between two points.
            let inside = points[last];
            let between = |s: f64| -> Vec<f64> { inside.iter().zip(*outside).map(|(a, b)| a + s * (b - a)).collect() };
            let (mut low, mut high) = (0.0, 1.0);
            for _ in 0..50 {
                let middle = 0.5 * (low + high);
                if distance(&between(middle), center) <= radius { low = middle } else { high = middle }
            }
            line.push(&between(high));
        }
        line
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

/// Carries particles from one noise level to another, in place, and returns their field lines.
///
/// # Errors
/// As [`rk45`](crate::solver::rk45).
pub fn trace(
    flow: &Flow,
    (from, to): (f64, f64),
    tolerance: Tolerance,
    x: &mut [f64],
) -> Result<Vec<Line>, SolverError> {
    const POINTS_IN_STEP: usize = 12;
    let paths = rk45_paths(flow, from, to, tolerance, x)?;
    Ok(paths.iter().map(|path| Line::of_path(path, flow.extra_dims, POINTS_IN_STEP)).collect())
}
