//! Tubes of field lines from patches of the far hemisphere down to patches of the data.

use std::f64::consts::PI;

use anyhow::Result;
use pfgm::{field_lines, region, solver::rk45};
use pfgm_plot::{
    Axis, Canvas, Color, Mark, Panel, Space,
    color::{BLUE, INK, RED, SERIES},
    heading,
};

use super::{
    overview::{dot_size, stage, view},
    scene::{Scene, TOLERANCE},
};
use crate::render::line;

/// The share of the hemisphere that each drawn patch covers.
const SHARE: f64 = 0.04;
/// Field lines around a tube.
const AROUND: usize = 72;
/// Patches that are counted but not drawn.
const COUNTED: usize = 48;

/// A patch of the hemisphere: a cap around a direction.
#[derive(Clone, Copy)]
struct Cap {
    /// The height of its middle as a share of the radius, and the angle around the vertical.
    height: f64,
    turn: f64,
    /// The share of the hemisphere that it covers.
    share: f64,
}

impl Cap {
    /// Directions around its edge.
    fn edge(&self, count: usize) -> Vec<[f64; 3]> {
        let flat = (1.0 - self.height * self.height).sqrt();
        let middle = [flat * self.turn.cos(), flat * self.turn.sin(), self.height];
        let up = [-self.height * self.turn.cos(), -self.height * self.turn.sin(), flat];
        let side = [-self.turn.sin(), self.turn.cos(), 0.0];
        // A cap of angular radius a covers 1 - cos a of a hemisphere.
        let (cos, sin) = (1.0 - self.share, (1.0 - (1.0 - self.share).powi(2)).sqrt());
        (0..count)
            .map(|corner| {
                let angle = 2.0 * PI * corner as f64 / count as f64;
                [0, 1, 2].map(|axis| cos * middle[axis] + sin * (angle.cos() * side[axis] + angle.sin() * up[axis]))
            })
            .collect()
    }

    /// The points of its edge on the plane at the highest level.
    fn far(&self, scene: &Scene, count: usize) -> Vec<f64> {
        let of = |[x, y, z]: [f64; 3]| [scene.center[0] + scene.far() * x / z, scene.center[1] + scene.far() * y / z];
        self.edge(count).into_iter().flat_map(of).collect()
    }
}

/// The share of the charges inside an outline.
fn charge_within(scene: &Scene, outline: &[f64]) -> f64 {
    let outline: Vec<[f64; 2]> = outline.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
    let inside = scene.charges.chunks_exact(2).filter(|y| region::contains(&outline, [y[0], y[1]])).count();
    inside as f64 / scene.count() as f64
}

/// Draws tubes between equal patches of the hemisphere and the patches of the data that they come from.
pub fn flux_tube(scene: &Scene) -> Result<Canvas> {
    // Half the distance between neighbors: lower down, a line turns to one charge.
    let low = 0.5 * scene.near * (PI / scene.count() as f64).sqrt();
    let caps =
        [(0.92, 2.4), (0.72, -0.6), (0.62, 1.0), (0.5, 3.9)].map(|(height, turn)| Cap { height, turn, share: SHARE });
    let mut canvas = Canvas::new(1240.0, 420.0, scene.scale)?;
    let cells = canvas.area().columns(&[1.25, 1.0, 0.95]);

    heading(&mut canvas, cells[0], "tubes of field lines: dA on the data, dΩ far away");
    let space = Space::new(cells[0].inset([16.0, 40.0, 16.0, 26.0]), view(scene, scene.dome()));
    stage(&mut canvas, &space, scene);
    space.dots(&mut canvas, scene.charges_in_space().map(|y| (y, RED.faded(0.4))), 0.7 * dot_size(scene.count()));
    let foot = scene.foot();
    let mut feet = Vec::new();
    for (cap, color) in caps.iter().zip(SERIES) {
        let mut x = cap.far(scene, AROUND);
        let lines = field_lines::trace(&scene.flow(), (scene.far(), low), scene.scaled(TOLERANCE), &mut x)?;
        let mut rim = Vec::new();
        for line in &lines {
            let line = line.reversed().within(&foot, scene.dome());
            let points: Vec<[f64; 3]> = line.points().map(|p| scene.in_space(p)).collect();
            space.curve(&mut canvas, &points, 0.8, color.faded(0.55));
            rim.extend(points.last().copied());
        }
        let corners: Vec<_> = rim.iter().map(|point| space.place(*point).0).collect();
        canvas.fill(corners, color.faded(0.45));
        feet.push(x);
    }
    space.dome(&mut canvas, true);

    let middle = ([scene.center[0], scene.center[1]], 1.25 * scene.near);
    let title = format!("equal dΩ ({:.0} % each), equal charge", 100.0 * SHARE);
    let mut panel = Panel::square(&mut canvas, cells[1], &title, [&scene.columns[0], &scene.columns[1]], middle);
    for (outline, color) in feet.iter().zip(SERIES) {
        let corners: Vec<[f64; 2]> = outline.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
        panel.fill(&corners, color.faded(0.35));
        panel.curve(corners.iter().copied().chain(corners.first().copied()), 1.5, color);
    }
    panel.dots(scene.charges.chunks_exact(2).map(|y| [y[0], y[1]]), 0.8 * dot_size(scene.count()), RED.faded(0.6));
    let found: Vec<(String, Color)> = feet
        .iter()
        .zip(SERIES)
        .map(|(outline, color)| (format!("{:.1} % of the charge", 100.0 * charge_within(scene, outline)), color))
        .collect();
    panel.legend(&found.iter().map(|(text, color)| (text.as_str(), Mark::Line, *color)).collect::<Vec<_>>());
    let shown: Vec<&str> = found.iter().map(|(text, _)| text.trim_end_matches(" of the charge")).collect();
    line(format!("four patches of {:.0} % of the hemisphere carry {} of the charge", 100.0 * SHARE, shown.join(", ")));
    counts(&mut canvas, cells[2], scene, low)?;
    Ok(canvas)
}

/// Draws the charge of many tubes of different sizes against their share of the hemisphere.
fn counts(canvas: &mut Canvas, cell: pfgm_plot::Area, scene: &Scene, low: f64) -> Result<()> {
    let caps = (0..COUNTED).map(|index| {
        // Equal steps of height and the golden angle cover the hemisphere evenly.
        let share = 0.01 * 20_f64.powf(index as f64 / (COUNTED - 1) as f64);
        // A cap must not reach below the horizon.
        let lowest = (2.0 * share).sqrt() + 0.06;
        let height = lowest + (0.98 - lowest) * ((7 * index % COUNTED) as f64 / COUNTED as f64);
        Cap { height, turn: index as f64 * PI * (3.0 - 5.0_f64.sqrt()), share }
    });
    let caps: Vec<Cap> = caps.collect();
    let mut x: Vec<f64> = caps.iter().flat_map(|cap| cap.far(scene, AROUND)).collect();
    rk45(&scene.flow(), scene.far(), low, scene.scaled(TOLERANCE), &mut x)?;
    let charge: Vec<f64> = x.chunks_exact(2 * AROUND).map(|outline| charge_within(scene, outline)).collect();
    let (across, up) = (
        Axis::logarithmic("share of the hemisphere dΩ / 2π", 0.008, 0.3),
        Axis::logarithmic("share of the charge in the tube", 0.008, 0.3),
    );
    let mut panel = Panel::new(canvas, cell, "the far flux is uniform", across, up);
    panel.curve([[1e-3, 1e-3], [1.0, 1.0]], 1.2, INK);
    panel.dots(caps.iter().zip(&charge).map(|(cap, charge)| [cap.share, *charge]), 3.0, BLUE);
    panel.legend(&[("tubes", Mark::Dot, BLUE), ("equal shares", Mark::Line, INK)]);
    let missed = caps.iter().zip(&charge).map(|(cap, charge)| (charge - cap.share).powi(2)).sum::<f64>();
    line(format!(
        "{COUNTED} tubes of 1 % to 20 % of the hemisphere: their charge differs from that share by {:.2} % of all (root mean square)",
        100.0 * (missed / COUNTED as f64).sqrt()
    ));
    Ok(())
}
