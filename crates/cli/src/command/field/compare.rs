//! The field with and without the extra dimension, and steps in z and in ln z.

use std::f64::consts::PI;

use anyhow::Result;
use pfgm::{
    extra_dims::ExtraDims,
    field::ExactField,
    field_lines::{self, Line},
    flow::{Counted, Flow},
    random::{Purpose, stream},
    solver::{Course, Schedule, Tolerance, Variable, euler, rk45, rk45_along},
};
use pfgm_plot::{
    Area, Axis, Canvas, Mark, Panel, Space,
    color::{BLUE, GRAY, PURPLE, RED},
    header, heading,
};

use super::{
    overview::{dot_size, shade, stage, view},
    scene::{Scene, TOLERANCE},
};
use crate::render::line;

/// Number of particles whose end points are measured, and of particles whose lines are drawn.
const ENDS: usize = 600;
const DRAWN: usize = 90;

/// Draws particles without the extra dimension, which end at the center, and with it, which return to the data.
pub fn extra_dimension(scene: &Scene) -> Result<Canvas> {
    // Twice the distance between neighbors: the charges become a smooth distribution.
    let softening = 2.0 * scene.near * (PI / scene.count() as f64).sqrt();
    let (flat_ends, flat_lines) = without(scene, softening)?;
    let (point_ends, _) = without(scene, 1e-3 * softening)?;
    let (low, far) = (scene.low(), scene.far());
    let mut ends: Vec<f64> = (0..ENDS as u64)
        .flat_map(|item| {
            let mut point = scene.flow().latent(far, &mut stream(scene.seed, Purpose::Latent, 0, item));
            point.iter_mut().zip(&scene.center).for_each(|(x, center)| *x += center);
            point
        })
        .collect();
    let falling = field_lines::trace(&scene.flow(), (far, low), scene.scaled(TOLERANCE), &mut ends)?;

    let mut canvas = Canvas::new(1200.0, 420.0, scene.scale)?;
    let cells = canvas.area().columns(&[1.0, 1.25, 1.0]);
    let labels = [scene.columns[0].as_str(), scene.columns[1].as_str()];
    let middle = [scene.center[0], scene.center[1]];
    let mut panel =
        Panel::square(&mut canvas, cells[0], "without: field lines in the plane", labels, (middle, 2.3 * scene.near));
    let charges = || scene.charges.chunks_exact(2).map(|y| [y[0], y[1]]);
    panel.dots(charges(), dot_size(scene.count()), RED.faded(0.3));
    let drawn = flat_lines.iter().step_by(ENDS / DRAWN);
    panel.curves(drawn.map(|line| (line.points().map(|p| [p[0], p[1]]).collect(), BLUE.faded(0.65))), 0.9);
    from_the_dome(&mut canvas, cells[1], scene, &falling);
    let entries = [("charges", Mark::Dot, RED.faded(0.5)), ("with", Mark::Dot, BLUE), ("without", Mark::Dot, PURPLE)];
    let cell = header(&mut canvas, cells[2], "where they end", &entries);
    let mut panel = Panel::square(&mut canvas, cell, "", labels, (middle, 1.25 * scene.near));
    panel.dots(charges(), dot_size(scene.count()), RED.faded(0.3));
    panel.dots(ends.chunks_exact(2).map(|p| [p[0], p[1]]), 1.9, BLUE.faded(0.9));
    panel.dots(flat_ends.chunks_exact(2).map(|p| [p[0], p[1]]), 3.2, PURPLE);
    let relative = |ends: &[f64]| spread(ends, 2) / scene.spread;
    line(format!("standard deviation of {ENDS} end points divided by that of the {} charges:", scene.count()));
    line(format!(
        "without the extra dimension      {:.4}  (charges smoothed over {softening:.3})",
        relative(&flat_ends)
    ));
    line(format!("with it                          {:.4}", relative(&ends)));
    line(format!(
        "without it, charges not smoothed {:.4}  (lines pass between isolated charges; a network does not learn this field)",
        relative(&point_ends)
    ));
    Ok(canvas)
}

/// Moves particles from a distant circle along the field in the plane, without an extra dimension.
fn without(scene: &Scene, softening: f64) -> Result<(Vec<f64>, Vec<Line>)> {
    let denoiser = ExactField::without_extra_dims(scene.charges.clone(), 2, softening);
    // Without an extra dimension, ln sigma is only a time, in which distances shrink by a factor of e.
    let flow = Flow { denoiser: &denoiser, extra_dims: ExtraDims::Infinite };
    let radius = 4.0 * scene.near;
    let mut x: Vec<f64> = (0..ENDS)
        .flat_map(|index| {
            let angle = 2.0 * PI * (index as f64 + 0.5) / ENDS as f64;
            [scene.center[0] + radius * angle.cos(), scene.center[1] + radius * angle.sin()]
        })
        .collect();
    let lines = field_lines::trace(&flow, (1e12, 1.0), scene.scaled(TOLERANCE), &mut x)?;
    Ok((x, lines))
}

/// The root mean square distance of points from their mean.
fn spread(points: &[f64], dim: usize) -> f64 {
    let count = (points.len() / dim) as f64;
    let variance = |axis: usize| {
        let column = || points.iter().skip(axis).step_by(dim);
        let mean = column().sum::<f64>() / count;
        column().map(|value| (value - mean).powi(2)).sum::<f64>() / count
    };
    (0..dim).map(variance).sum::<f64>().sqrt()
}

fn from_the_dome(canvas: &mut Canvas, cell: Area, scene: &Scene, falling: &[Line]) {
    heading(canvas, cell, "with: field lines from the hemisphere down to the data");
    let space = Space::new(cell.inset([16.0, 40.0, 16.0, 26.0]), view(scene, scene.dome()));
    stage(canvas, &space, scene);
    space.dots(canvas, scene.charges_in_space().map(|y| (y, RED.faded(0.3))), 0.7 * dot_size(scene.count()));
    let foot = scene.foot();
    for line in falling.iter().step_by(ENDS / DRAWN) {
        let line = line.reversed().within(&foot, scene.dome());
        let points: Vec<_> =
            line.points().map(|p| (scene.in_space(p), shade(p[2], scene.dome()).faded(0.75))).collect();
        space.shaded_curve(canvas, &points, 0.9);
        space.dots(canvas, line.points().last().map(|end| (scene.in_space(end), BLUE)), 1.9);
    }
    space.dome(canvas, true);
}

/// Charges and particles in the comparison of z and ln z.
const FEW: usize = 500;
const PARTICLES: usize = 100;
/// The error, in units of the charges' spread, at which evaluations are compared.
const TARGET: f64 = 1e-2;

/// Evaluations per sample, and the error.
type Cost = [f64; 2];

/// Compares steps in z with steps in ln z.
pub fn change_of_variable(scene: &Scene) -> Result<Canvas> {
    let count = scene.count();
    let few: Vec<f64> = (0..count.min(FEW))
        .flat_map(|index| {
            let charge = index * count / count.min(FEW);
            scene.charges[2 * charge..2 * charge + 2].to_vec()
        })
        .collect();
    let field = ExactField::new(few, 2, scene.extra_dims);
    let (high, low) = (40.0 * scene.spread, 1e-3 * scene.spread);
    let start: Vec<f64> = (0..PARTICLES as u64)
        .flat_map(|item| {
            let flow = Flow { denoiser: &field, extra_dims: scene.extra_dims };
            flow.latent(high, &mut stream(scene.seed, Purpose::Latent, 0, item))
        })
        .collect();
    let mut truth = start.clone();
    let flow = Flow { denoiser: &field, extra_dims: scene.extra_dims };
    rk45(&flow, high, low, Tolerance { rtol: 1e-11, atol: 1e-11 * scene.spread }, &mut truth)?;
    let cost = |run: &dyn Fn(&Flow, &mut [f64]) -> Result<()>| -> Result<Cost> {
        let counted = Counted::new(&field);
        let mut x = start.clone();
        run(&Flow { denoiser: &counted, extra_dims: scene.extra_dims }, &mut x)?;
        let missed = x.chunks_exact(2).zip(truth.chunks_exact(2)).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]));
        Ok([counted.rows() as f64 / PARTICLES as f64, missed.sum::<f64>() / (PARTICLES as f64 * scene.spread)])
    };
    let mut adaptive = [Vec::new(), Vec::new()];
    let mut fixed = [Vec::new(), Vec::new()];
    for step in 0..=12 {
        let tolerance = 10_f64.powf(-1.0 - 0.5 * f64::from(step));
        for (costs, variable) in adaptive.iter_mut().zip([Variable::Level, Variable::Log]) {
            let tolerance = Tolerance { rtol: tolerance, atol: tolerance * scene.spread };
            let course = Course { from: high, to: low, variable, tolerance };
            costs.push(cost(&|flow, x| Ok(rk45_along(flow, &course, x)?))?);
        }
    }
    for steps in [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240] {
        for (costs, schedule) in fixed.iter_mut().zip([Schedule::Edm { rho: 1.0 }, Schedule::LogUniform]) {
            let grid = schedule.grid(high, low, steps);
            costs.push(cost(&|flow, x| {
                euler(flow, &grid, x);
                Ok(())
            })?);
        }
    }
    let mut canvas = Canvas::new(1000.0, 380.0, scene.scale)?;
    let cells = canvas.area().columns(&[1.0, 1.0]);
    line(format!(
        "{PARTICLES} particles from z = {high:.3} to {low:.1e}, {} charges; evaluations of the field for each:",
        count.min(FEW)
    ));
    costs_panel(&mut canvas, cells[0], ("RK45 (adaptive steps)", 1e-6), &adaptive);
    costs_panel(&mut canvas, cells[1], ("Euler (fixed steps)", 1e-3), &fixed);
    Ok(canvas)
}

fn costs_panel(canvas: &mut Canvas, cell: Area, (title, lowest): (&str, f64), [level, log]: &[Vec<Cost>; 2]) {
    let most = level.iter().chain(log).map(|cost| cost[0]).fold(0.0, f64::max);
    let least = level.iter().chain(log).map(|cost| cost[0]).fold(f64::INFINITY, f64::min);
    let x = Axis::logarithmic("evaluations of the field", 0.8 * least, 1.3 * most);
    let y = Axis::logarithmic("mean error / spread of the data", lowest, 3.0);
    let mut panel = Panel::new(canvas, cell, title, x, y);
    panel.curve([[0.5 * least, TARGET], [2.0 * most, TARGET]], 0.9, GRAY);
    for (costs, color) in [(level, RED), (log, BLUE)] {
        panel.curve(costs.iter().copied(), 1.6, color);
        panel.dots(costs.iter().copied(), 2.8, color);
    }
    let (in_level, in_log) = (evaluations_to(level, TARGET), evaluations_to(log, TARGET));
    let shown = |found: Option<f64>| found.map_or_else(|| format!("more than {most:.0}"), |n| format!("{n:.0}"));
    let times = match (in_level, in_log) {
        (Some(level), Some(log)) => format!(", {:.1} times as many", level / log),
        _ => String::new(),
    };
    let text = format!("to {TARGET}: {} in z, {} in ln z{times}", shown(in_level), shown(in_log));
    panel.legend(&[("steps in z", Mark::Line, RED), ("steps in t' = ln z", Mark::Line, BLUE)]);
    panel.note(&[&text]);
    line(format!("{title:<22} {text}"));
}

/// Number of evaluations from which on the error stays below a target, interpolated in logarithms.
fn evaluations_to(costs: &[Cost], target: f64) -> Option<f64> {
    let last_above = costs.iter().rposition(|cost| cost[1] > target)?;
    let ([n, error], [next_n, next_error]) = (costs[last_above], *costs.get(last_above + 1)?);
    let share = (error / target).ln() / (error / next_error).ln();
    Some((n.ln() + share * (next_n / n).ln()).exp())
}
