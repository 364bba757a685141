//! Motion with and without inertia, and why the height and not the time is the clock.

use anyhow::Result;
use pfgm::{
    coulomb::PointCharges,
    dynamics::{Particle, travel_times},
    extra_dims::ExtraDims,
    field::ExactField,
    field_lines::{self, Line},
    flow::Flow,
    solver::Tolerance,
};
use pfgm_plot::{
    Area, Axis, Canvas, Color, Entry, Mark, Panel,
    color::{BLUE, GRAY, GREEN, INK, RED, SERIES},
    header,
};

use crate::render::line;

const PRECISE: Tolerance = Tolerance { rtol: 1e-8, atol: 1e-8 };
/// Places and amounts of the charges on a line.
const PLACES: [f64; 3] = [-1.0, 0.2, 1.1];
const AMOUNTS: [f64; 3] = [1.0, 0.6, 2.0];
/// The media, with their drag in units of the mass and the charge of the particle.
const MEDIA: [(&str, f64, Color); 3] = [("vacuum", 0.0, RED), ("water", 0.6, GREEN), ("molasses", 8.0, BLUE)];
/// The height of the pictures.
const TOP: f64 = 2.6;

/// Charges on a line in the plane of the line and the height, and the flow along their field lines (N = 1, D = 1).
struct Line2 {
    charges: PointCharges,
    field: ExactField,
}

impl Line2 {
    fn new(places: &[f64], amounts: &[f64]) -> Self {
        let logs: Vec<f64> = amounts.iter().map(|amount| amount.ln()).collect();
        Self {
            charges: PointCharges::new(2, places.iter().flat_map(|&x| [x, 0.0]).collect(), amounts.to_vec()),
            field: ExactField::new(places.to_vec(), 1, ExtraDims::Finite(1.0)).reweighted(&logs),
        }
    }

    /// The field line through a point, from its height to another.
    fn line(&self, x: f64, from: f64, to: f64) -> Result<Line> {
        let flow = Flow { denoiser: &self.field, extra_dims: ExtraDims::Finite(1.0) };
        Ok(field_lines::trace(&flow, (from, to), PRECISE, &mut [x])?.remove(0))
    }

    /// The path of a particle that starts at rest, until it leaves the picture; `charge` is its sign.
    fn path(&self, start: [f64; 2], charge: f64, drag: f64) -> Result<Vec<[f64; 2]>> {
        // Below the line of the charges nothing pushes, so that a path can be cut there.
        let field = |x: &[f64], e: &mut [f64]| match x[1] > 1e-3 {
            true => e.copy_from_slice(&self.charges.field(x)),
            false => e.fill(0.0),
        };
        let motion =
            Particle { mass: 1.0, charge, drag }.motion(&field, (&start, &[0.0; 2]), 8.0 + 30.0 * drag, PRECISE)?;
        let points = motion.points(8).into_iter().map(|(_, x, _)| [x[0], x[1]]);
        Ok(points.take_while(|x| x[1] > 2e-3 && x[1] < 1.05 * TOP && x[0].abs() < 4.0).collect())
    }
}

/// Draws the same start in vacuum, water and molasses, away from the charges and towards them, and the distance from the field line.
pub fn inertia(scale: f64) -> Result<Canvas> {
    let charged = Line2::new(&PLACES, &AMOUNTS);
    let mut canvas = Canvas::new(1240.0, 330.0, scale)?;
    let cells = canvas.area().columns(&[1.15, 1.15, 0.9]);
    let (up, down) = ([0.05, 0.25], [-1.9, 2.3]);
    paths(&mut canvas, cells[0], &charged, ("pushed away from the charges", up, 1.0))?;
    paths(&mut canvas, cells[1], &charged, ("pulled down, as in sampling", down, -1.0))?;

    let drags: Vec<f64> = (0..=12).map(|step| 10_f64.powf(-1.0 + 0.2 * f64::from(step))).collect();
    let away = |drag: f64| distance(&charged, up, drag);
    let measured: Vec<f64> = drags.iter().map(|drag| away(*drag)).collect::<Result<_>>()?;
    let (x, y) = (
        Axis::logarithmic("drag c (mass and charge 1)", 0.08, 25.0),
        Axis::logarithmic("largest distance from the field line", 1e-5, 2.0),
    );
    let mut panel = Panel::new(&mut canvas, cells[2], "more drag, closer to the line", x, y);
    let last = drags.len() - 1;
    let guide = |drag: f64| measured[last] * (drags[last] / drag).powi(2);
    panel.curve([[0.5, guide(0.5)], [drags[last], guide(drags[last])]], 1.0, GRAY);
    panel.dots(drags.iter().zip(&measured).map(|(&drag, &away)| [drag, away]), 2.8, BLUE);
    panel.legend(&[("measured", Mark::Dot, BLUE), ("∝ drag⁻²", Mark::Line, GRAY)]);
    let slope = (measured[last] / measured[last - 3]).ln() / (drags[last] / drags[last - 3]).ln();
    for (name, drag, _) in MEDIA {
        line(format!("{name:<9} drag {drag:<4} largest distance from the field line {:.2e}", away(drag)?));
    }
    line(format!("the distance falls with the drag: slope {slope:.2}"));
    Ok(canvas)
}

/// The largest distance of the path upwards from the field line.
fn distance(charged: &Line2, start: [f64; 2], drag: f64) -> Result<f64> {
    let line = charged.line(start[0], start[1], 1.5 * TOP)?;
    let line: Vec<Vec<f64>> = (0..=6000).map(|part| line.at(f64::from(part) / 6000.0)).collect();
    // Half of a part of the line is the resolution, which the square root of the sum of squares hardly feels at larger distances.
    let from_line =
        |x: &[f64; 2]| line.windows(2).map(|pair| from_segment(*x, &pair[0], &pair[1])).fold(f64::INFINITY, f64::min);
    Ok(charged.path(start, 1.0, drag)?.iter().filter(|x| x[1] < TOP).map(from_line).fold(0.0, f64::max))
}

/// The distance of a point from a segment.
fn from_segment(x: [f64; 2], a: &[f64], b: &[f64]) -> f64 {
    let along = [b[0] - a[0], b[1] - a[1]];
    let square = along[0] * along[0] + along[1] * along[1];
    let share = (((x[0] - a[0]) * along[0] + (x[1] - a[1]) * along[1]) / square).clamp(0.0, 1.0);
    (x[0] - a[0] - share * along[0]).hypot(x[1] - a[1] - share * along[1])
}

/// Draws field lines, and the paths of a particle that starts at rest.
fn paths(
    canvas: &mut Canvas,
    cell: Area,
    charged: &Line2,
    (title, start, charge): (&str, [f64; 2], f64),
) -> Result<()> {
    let media = MEDIA.iter().map(|(name, _, color)| (*name, Mark::Line, *color));
    let entries: Vec<Entry> = media.chain([("its field line", Mark::Line, INK.faded(0.55))]).collect();
    let cell = header(canvas, cell, title, &entries);
    let mut panel = Panel::section(canvas, cell, "", ["x", "z"], (0.0, 2.3, TOP));
    for x in (-12..=12).map(|step| 0.7 * f64::from(step)) {
        let line = charged.line(x, 2.0 * TOP, 2e-3)?;
        panel.curve(line.points().map(|p| [p[0], p[1]]), 0.7, GRAY.faded(0.5));
    }
    let (from, to) = if charge > 0.0 { (start[1], 2.0 * TOP) } else { (start[1], 2e-3) };
    let own = charged.line(start[0], from, to)?;
    panel.curve(own.points().map(|p| [p[0], p[1]]), 3.4, INK.faded(0.55));
    for (_, drag, color) in MEDIA {
        let path = charged.path(start, charge, drag)?;
        panel.curve(path.iter().copied(), 1.9, color);
        // In the air the picture ends; at the charges the particle does.
        if charge < 0.0 {
            panel.dots(path.last().copied(), 4.0, color);
        }
    }
    panel.dots(PLACES.iter().map(|&x| [x, 0.0]), 5.0, RED);
    panel.dots([start], 3.5, INK);
    Ok(())
}

/// The height at which particles start together, and that at which their arrival counts.
const START: f64 = 2.0;
const END: f64 = 0.02;
/// The particles that are drawn.
const FALLING: usize = 11;

/// Draws particles that fall at the speed |E|: at one time at different heights, at one height at different times.
pub fn anchoring(scale: f64) -> Result<Canvas> {
    let places: Vec<f64> = (0..40)
        .map(|index| {
            let share = (f64::from(index % 20) + 0.5) / 20.0 - 0.5;
            if index < 20 { -0.8 + 0.7 * share } else { 0.9 + 0.3 * share }
        })
        .collect();
    let charged = Line2::new(&places, &[1.0 / 40.0; 40]);
    let speed = |x: &[f64]| {
        let e = charged.charges.field(x);
        e[0].hypot(e[1])
    };
    let starts = (0..FALLING).map(|index| 5.0 * (index as f64 / (FALLING - 1) as f64 - 0.5));
    let lines: Vec<Line> = starts.map(|x| charged.line(x, START, END)).collect::<Result<_>>()?;
    let times: Vec<Vec<f64>> = lines.iter().map(|line| travel_times(line, speed)).collect();
    let arrivals: Vec<f64> = times.iter().filter_map(|times| times.last().copied()).collect();
    let (first, last) = arrivals.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), &t| (low.min(t), high.max(t)));

    let mut canvas = Canvas::new(1240.0, 330.0, scale)?;
    let cells = canvas.area().columns(&[1.1, 1.1, 0.9]);
    let moments = [0.5, 0.8, 0.95].map(|share| share * first);
    let at_times = |moment: f64| -> Vec<[f64; 2]> {
        lines.iter().zip(&times).map(|(line, times)| where_at(line, times, moment)).collect()
    };
    let names = moments.map(|moment| format!("t = {moment:.1}"));
    falling(
        &mut canvas,
        cells[0],
        ("at one time t: different heights", &places),
        &lines,
        &moments.map(at_times),
        &names,
    );
    let levels = [1.5, 0.9, 0.3];
    let at_levels = |level: f64| -> Vec<[f64; 2]> { lines.iter().map(|line| where_above(line, level)).collect() };
    let names = levels.map(|level| format!("z = {level}"));
    falling(&mut canvas, cells[1], ("at one height z: all together", &places), &lines, &levels.map(at_levels), &names);

    let (x, y) =
        (Axis::linear("time t of a particle with speed |E|", 0.0, 1.03 * last), Axis::linear("height z", 0.0, START));
    let mut panel = Panel::new(&mut canvas, cells[2], "every particle has its own t(z)", x, y);
    for (index, (path, times)) in lines.iter().zip(&times).enumerate() {
        panel.curve(times.iter().zip(path.points()).map(|(&t, p)| [t, p[1]]), 1.3, SERIES[index % SERIES.len()]);
    }
    line(format!(
        "{FALLING} particles fall from z = {START}: the first arrives at t = {first:.2}, the last at t = {last:.2}"
    ));
    let heights: Vec<f64> = at_times(moments[2]).iter().map(|x| x[1]).collect();
    let (low, high) = heights.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), &z| (low.min(z), high.max(z)));
    line(format!("at t = {:.2} they are at heights from {low:.3} to {high:.3}", moments[2]));
    Ok(canvas)
}

/// The place of a particle on its line at a time.
fn where_at(line: &Line, times: &[f64], moment: f64) -> [f64; 2] {
    let points: Vec<&[f64]> = line.points().collect();
    let next = times.partition_point(|time| *time < moment).clamp(1, times.len() - 1);
    let share = ((moment - times[next - 1]) / (times[next] - times[next - 1])).clamp(0.0, 1.0);
    [0, 1].map(|axis| points[next - 1][axis] + share * (points[next][axis] - points[next - 1][axis]))
}

/// The place of a particle on its line at a height.
fn where_above(line: &Line, level: f64) -> [f64; 2] {
    let depths: Vec<f64> = line.points().map(|p| -p[1]).collect();
    where_at(line, &depths, -level)
}

fn falling(
    canvas: &mut Canvas,
    cell: Area,
    (title, places): (&str, &[f64]),
    lines: &[Line],
    moments: &[Vec<[f64; 2]>],
    names: &[String],
) {
    let entries: Vec<Entry> =
        names.iter().zip([BLUE, GREEN, INK]).map(|(name, color)| (name.as_str(), Mark::Dot, color)).collect();
    let cell = header(canvas, cell, title, &entries);
    let mut panel = Panel::section(canvas, cell, "", ["x", "z"], (0.0, 2.7, 2.8));
    for path in lines {
        panel.curve(path.points().map(|p| [p[0], p[1]]), 0.8, GRAY.faded(0.8));
    }
    panel.dots(places.iter().map(|&x| [x, 0.0]), 2.4, RED);
    for (moment, color) in moments.iter().zip([BLUE, GREEN, INK]) {
        panel.curve(moment.iter().copied(), 1.2, color.faded(0.5));
        panel.dots(moment.iter().copied(), 3.2, color);
    }
}
