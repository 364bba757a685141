//! Green's function, and the field as a sum of arrows.

use std::f64::consts::PI;

use anyhow::Result;
use pfgm::coulomb::PointCharges;
use pfgm_plot::{
    Area, Axis, Canvas, Entry, Mark, Panel,
    color::{BLUE, GRAY, INK, RED, SERIES},
    header,
};

use crate::render::line;

/// The height above the line of charges at which potentials are shown.
const HEIGHT: f64 = 0.3;
/// The place at which they are added.
const PROBE: f64 = 0.55;
/// The ends of the density.
const ENDS: (f64, f64) = (-1.5, 1.5);
/// Charges that stand for the integral.
const MANY: usize = 4000;

/// A density of total charge 1 on a line.
struct Density {
    name: &'static str,
    at: fn(f64) -> f64,
}

fn uniform(_: f64) -> f64 {
    1.0 / (ENDS.1 - ENDS.0)
}

fn unequal(x: f64) -> f64 {
    let bump = |middle: f64, width: f64| (-0.5 * ((x - middle) / width).powi(2)).exp() / (width * (2.0 * PI).sqrt());
    0.7 * bump(-0.65, 0.22) + 0.3 * bump(0.7, 0.16)
}

/// Draws the potential of a density on a line as a sum of Green's functions, of 4 charges, of 16, and in the limit.
pub fn greens_function(scale: f64) -> Result<Canvas> {
    let mut canvas = Canvas::new(1240.0, 600.0, scale)?;
    let rows = canvas.area().rows(2);
    let densities = [Density { name: "equal", at: uniform }, Density { name: "unequal", at: unequal }];
    for (row, density) in rows.into_iter().zip(densities) {
        let cells = row.columns(&[1.0, 1.0, 1.0, 0.9]);
        let limit = cut(&density, MANY).potential(&probe());
        for (cell, count) in cells[..3].iter().zip([4, 16, MANY]) {
            potentials(&mut canvas, *cell, &density, (count, limit));
        }
        convergence(&mut canvas, cells[3], &density, limit);
    }
    Ok(canvas)
}

/// The charges into which a density is cut.
fn cut(density: &Density, count: usize) -> PointCharges {
    PointCharges::of_density(3, density.at, ENDS, count)
}

fn probe() -> [f64; 3] {
    [PROBE, 0.0, HEIGHT]
}

/// Draws each potential, their sum, and its parts at the probe.
fn potentials(canvas: &mut Canvas, cell: Area, density: &Density, (count, limit): (usize, f64)) {
    let charges = cut(density, count);
    let sum = charges.potential(&probe());
    let is_limit = count == MANY;
    let title = if is_limit {
        format!("{} density: the integral, {sum:.4} at x′", density.name)
    } else {
        format!("{count} {} charges: {sum:.4} at x′", density.name)
    };
    let (x, y) = (Axis::linear("place x on the line", -2.0, 2.0), Axis::linear("potential φ at height 0.3", 0.0, 0.19));
    let entries: Vec<Entry> = if is_limit {
        vec![("density", Mark::Line, RED.faded(0.5)), ("φ = ∫ ρ(y) G(x − y) dy", Mark::Line, INK)]
    } else {
        vec![("charges", Mark::Dot, RED), ("of each", Mark::Line, BLUE), ("their sum", Mark::Line, INK)]
    };
    let cell = header(canvas, cell, &title, &entries);
    let mut panel = Panel::new(canvas, cell, "", x, y);
    let grid: Vec<f64> = (0..=160).map(|step| -2.0 + 4.0 * f64::from(step) / 160.0).collect();
    // The density, or the charges as columns, on a scale of their own at the bottom.
    let unit = 0.035;
    if is_limit {
        let mut outline: Vec<[f64; 2]> =
            grid.iter().map(|&x| [x, if x.abs() > ENDS.1 { 0.0 } else { unit * (density.at)(x) }]).collect();
        outline.extend([[2.0, 0.0], [-2.0, 0.0]]);
        panel.fill(&outline, RED.faded(0.35));
    } else {
        for (place, amount) in charges.places().chunks_exact(3).zip(charges.amounts()) {
            let mean = amount * count as f64 / (ENDS.1 - ENDS.0);
            panel.curve([[place[0], 0.0], [place[0], unit * mean]], 2.2, RED);
            panel.dots([[place[0], unit * mean]], 2.6, RED);
        }
        let parts: Vec<Vec<f64>> = grid.iter().map(|&x| charges.potentials(&[x, 0.0, HEIGHT])).collect();
        for charge in 0..count {
            panel.curve(grid.iter().zip(&parts).map(|(&x, parts)| [x, parts[charge]]), 0.8, BLUE.faded(0.6));
        }
        let at_probe = charges.potentials(&probe());
        panel.dots(at_probe.iter().map(|&part| [PROBE, part]), 2.4, BLUE);
    }
    panel.curve(grid.iter().map(|&x| [x, charges.potential(&[x, 0.0, HEIGHT])]), 2.0, INK);
    panel.curve([[PROBE, 0.0], [PROBE, 0.19]], 0.8, GRAY);
    panel.dots([[PROBE, sum]], 4.0, INK);
    panel.label([PROBE, 0.176], "x′", INK);
    if count == 4 {
        line(format!(
            "{} density: the potential at x' = {PROBE} is {sum:.5} for 4 charges, {limit:.5} in the limit",
            density.name
        ));
    }
}

/// Draws the error of the sum at the probe against the number of charges.
fn convergence(canvas: &mut Canvas, cell: Area, density: &Density, limit: f64) {
    let counts = [2, 4, 8, 16, 32, 64, 128, 256];
    let errors = counts.map(|count| (cut(density, count).potential(&probe()) / limit - 1.0).abs());
    let (x, y) = (
        Axis::logarithmic("number of charges", 1.6, 320.0),
        Axis::logarithmic("relative error of the sum at x′", 1e-7, 10.0),
    );
    let mut panel = Panel::new(canvas, cell, "more charges, the same potential", x, y);
    let last = counts.len() - 1;
    let guide = |count: f64| errors[last] * (counts[last] as f64 / count).powi(2);
    panel.curve([[2.0, guide(2.0)], [256.0, guide(256.0)]], 1.0, GRAY);
    panel.dots(counts.iter().zip(errors).map(|(&count, error)| [count as f64, error]), 3.0, BLUE);
    panel.legend(&[("sum of charges", Mark::Dot, BLUE), ("∝ number⁻²", Mark::Line, GRAY)]);
    line(format!(
        "{} density: relative error {:.1e} with 16 charges, {:.1e} with 256",
        density.name, errors[3], errors[last]
    ));
}

/// Where the arrows are added.
const POINT: [f64; 2] = [0.45, 0.75];
/// Length of the net arrow in units of the axes.
const NET: f64 = 1.5;

/// Draws the field at one point as a sum of arrows: from five charges one by one, head to tail, and from many charges.
pub fn superposition(scale: f64) -> Result<Canvas> {
    let mut canvas = Canvas::new(1240.0, 350.0, scale)?;
    let cells = canvas.area().columns(&[1.0, 1.0, 1.0]);
    let places = [-1.3, -0.75, 0.05, 0.8, 1.35];
    let amounts = [1.0, 2.0, 1.0, 0.6, 1.4];
    let few = PointCharges::new(2, places.iter().flat_map(|&x| [x, 0.0]).collect(), amounts.to_vec());
    let axes = ["x", "z"];
    // Arrows are on a scale of their own.
    let net = few.field(&POINT);
    let unit = NET / net[0].hypot(net[1]);
    let single: Vec<[f64; 2]> = few.fields(&POINT).chunks_exact(2).map(|e| [unit * e[0], unit * e[1]]).collect();

    let mut panel = Panel::section(&mut canvas, cells[0], "each charge pushes away from itself", axes, (0.0, 1.8, 2.5));
    for (index, (arrow, (&x, amount))) in single.iter().zip(places.iter().zip(amounts)).enumerate() {
        let color = SERIES[index];
        panel.curve([[x, 0.0], POINT], 0.7, color.faded(0.45));
        panel.vector(POINT, [POINT[0] + arrow[0], POINT[1] + arrow[1]], 2.0, color);
        panel.dots([[x, 0.0]], 4.5 * f64::sqrt(amount), color);
    }
    panel.dots([POINT], 3.0, INK);

    let mut panel = Panel::section(&mut canvas, cells[1], "head to tail: the net arrow", axes, (0.0, 1.8, 2.5));
    panel.dots(places.iter().map(|&x| [x, 0.0]), 3.5, RED);
    let mut tip = POINT;
    for (index, arrow) in single.iter().enumerate() {
        let next = [tip[0] + arrow[0], tip[1] + arrow[1]];
        panel.vector(tip, next, 2.0, SERIES[index]);
        tip = next;
    }
    panel.vector(POINT, tip, 3.0, INK);
    panel.dots([POINT], 3.0, INK);
    let sum = few.field(&POINT);
    let missed = (tip[0] - POINT[0] - unit * sum[0]).hypot(tip[1] - POINT[1] - unit * sum[1]) / unit;
    line(format!(
        "five charges: E = ({:.4}, {:.4}); the arrows head to tail end within {missed:.0e} of it",
        sum[0], sum[1]
    ));

    let mut panel = Panel::section(&mut canvas, cells[2], "60 charges: a smooth chain", axes, (0.0, 1.8, 2.5));
    let many = PointCharges::of_density(2, |x| uniform(x) + 0.5 * (3.0 * x).sin() * uniform(x), ENDS, 60);
    let net = many.field(&POINT);
    let unit = NET / net[0].hypot(net[1]);
    panel.dots(many.places().chunks_exact(2).map(|y| [y[0], y[1]]), 2.4, RED);
    let mut tip = POINT;
    for (index, e) in many.fields(&POINT).chunks_exact(2).enumerate() {
        let next = [tip[0] + unit * e[0], tip[1] + unit * e[1]];
        panel.curve([tip, next], 2.4, if index % 2 == 0 { BLUE } else { BLUE.faded(0.45) });
        tip = next;
    }
    panel.vector(POINT, tip, 3.0, INK);
    panel.dots([POINT], 3.0, INK);
    panel.legend(&[
        ("contributions in turn", Mark::Line, BLUE),
        ("net field", Mark::Line, INK),
        ("charges", Mark::Dot, RED),
    ]);
    Ok(canvas)
}
