//! The picture: charges, field lines in the augmented space, and the far hemisphere.

use std::f64::consts::PI;

use anyhow::Result;
use pfgm::{field_lines::Line, hemisphere};
use pfgm_eval::{KolmogorovSmirnov, kolmogorov_smirnov};
use pfgm_plot::{
    Area, Axis, Canvas, Color, Panel, Space, View,
    color::{BLUE, GRAY, INK, RED},
    heading,
};

use super::scene::Scene;
use crate::render::line;

/// Colors of a line between the charges and the hemisphere.
const SHADES: f64 = 24.0;

/// Numbers of lines and particles.
pub struct Counts {
    pub lines: usize,
    pub particles: usize,
}

/// Draws the picture, and prints the tests.
pub fn draw(scene: &Scene, counts: &Counts) -> Result<Canvas> {
    let particles = counts.particles.max(counts.lines);
    let (ends, lines) = scene.rise(particles)?;
    let foot = scene.foot();
    let drawn: Vec<Line> = (0..counts.lines)
        .map(|index| lines[index * particles / counts.lines].within(&foot, scene.dome()))
        .filter(|line| line.length() > 0.0)
        .collect();
    let angles = hemisphere::angles(scene.extra_dims, &scene.center, &ends, scene.far());
    let height = kolmogorov_smirnov(&angles.height, |share| share);
    let azimuth = (!angles.azimuth.is_empty()).then(|| kolmogorov_smirnov(&angles.azimuth, |turn| turn));

    let mut canvas = Canvas::new(1200.0, 370.0, scene.scale)?;
    if let Some(azimuth) = &azimuth {
        let cells = canvas.area().columns(&[0.95, 1.2, 0.85, 0.75]);
        charges(&mut canvas, cells[0], scene);
        in_space(&mut canvas, cells[1], scene, &drawn);
        from_above(&mut canvas, cells[2], &angles);
        let halves = cells[3].rows(2);
        histogram(&mut canvas, halves[0], ("height", &angles.height), &height);
        histogram(&mut canvas, halves[1], ("azimuth", &angles.azimuth), azimuth);
    } else {
        // Over a line, the hemisphere is an arc with one angle.
        let cells = canvas.area().columns(&[0.9, 1.3, 0.9]);
        charges(&mut canvas, cells[0], scene);
        in_space(&mut canvas, cells[1], scene, &drawn);
        histogram(&mut canvas, cells[2], ("angle", &angles.height), &height);
    }
    let others = match counts.lines - drawn.len() {
        0 => String::new(),
        1 => "; the other starts outside of it, at a charge farther from the center".to_owned(),
        outside => format!("; the other {outside} start outside of it, at charges farther from the center"),
    };
    line(format!(
        "{} of {} field lines reach a hemisphere of radius {:.3}{others}",
        drawn.len(),
        counts.lines,
        scene.dome()
    ));
    let far = format!("{particles} particles that rose from the charges to sigma = {:.4e}", scene.far());
    let tests = match azimuth {
        Some(azimuth) => format!("height {}, azimuth {}", statistic(&height), statistic(&azimuth)),
        None => format!("angle {}", statistic(&height)),
    };
    line(format!("{far}\nuniform on the hemisphere? Kolmogorov-Smirnov: {tests}"));
    Ok(canvas)
}

/// The result of a test.
pub fn statistic(test: &KolmogorovSmirnov) -> String {
    format!("{:.4} (p = {:.3})", test.statistic, test.p_value)
}

/// Draws the charges: as a histogram in one dimension, as points in two, from the side in three.
fn charges(canvas: &mut Canvas, cell: Area, scene: &Scene) {
    let title = format!("{} charges", scene.count());
    let reach = 1.12 * scene.near;
    match scene.dim {
        1 => {
            const BARS: usize = 40;
            let (low, high) = (scene.center[0] - reach, scene.center[0] + reach);
            let mut counts = vec![0.0; BARS];
            for y in &scene.charges {
                let bar = (y - low) / (high - low) * BARS as f64;
                if (0.0..BARS as f64).contains(&bar) {
                    counts[bar as usize] += 1.0;
                }
            }
            let most = counts.iter().copied().fold(1.0, f64::max);
            let (x, y) = (Axis::linear(&scene.columns[0], low, high), Axis::linear("charges", 0.0, 1.08 * most));
            Panel::new(canvas, cell, &title, x, y).bars(&counts, RED);
        }
        2 => {
            let middle = ([scene.center[0], scene.center[1]], reach);
            let mut panel = Panel::square(canvas, cell, &title, [&scene.columns[0], &scene.columns[1]], middle);
            panel.dots(scene.charges.chunks_exact(2).map(|y| [y[0], y[1]]), dot_size(scene.count()), RED.faded(0.75));
        }
        _ => {
            heading(canvas, cell, &title);
            let space = Space::new(cell.inset([24.0, 34.0, 24.0, 24.0]), view(scene, reach));
            space.dots(canvas, scene.charges_in_space().map(|y| (y, RED.faded(0.75))), dot_size(scene.count()));
        }
    }
}

/// Radius with which `count` dots do not hide each other.
pub fn dot_size(count: usize) -> f64 {
    (40.0 / (count as f64).sqrt()).clamp(1.0, 3.5)
}

/// The view of a scene.
pub fn view(scene: &Scene, radius: f64) -> View {
    match scene.dim {
        1 => View { azimuth: 0.0, elevation: 0.0, center: [scene.center[0], 0.0, 0.0], radius },
        2 => View { azimuth: -0.25, elevation: 0.55, center: [scene.center[0], scene.center[1], 0.0], radius },
        // The lower half of the ball needs room too.
        _ => {
            let center = [scene.center[0], scene.center[1], scene.center[2] - 0.5 * radius];
            View { azimuth: -0.5, elevation: 0.35, center, radius: 1.5 * radius }
        }
    }
}

/// Draws the ground of a picture of space.
pub fn stage(canvas: &mut Canvas, space: &Space, scene: &Scene) {
    match scene.dim {
        1 => {
            let (center, radius) = (scene.center[0], scene.dome());
            let at = |angle: f64| [center + radius * angle.cos(), 0.0, radius * angle.sin()];
            let arc: Vec<_> = (0..=96).map(|step| at(PI * f64::from(step) / 96.0)).collect();
            space.curve(canvas, &arc, 1.0, GRAY);
            space.curve(canvas, &[at(0.0), at(PI)], 1.0, GRAY);
        }
        2 => {
            space.plane(canvas);
            space.dome(canvas, false);
        }
        _ => {}
    }
}

/// The color of a point of a line by its height.
pub fn shade(height: f64, top: f64) -> Color {
    Color::rise(((height / top).clamp(0.0, 1.0).sqrt() * SHADES).round() / SHADES)
}

fn in_space(canvas: &mut Canvas, cell: Area, scene: &Scene, lines: &[Line]) {
    let name = scene.height_name();
    let title = match scene.dim {
        3 => format!("field lines, colored by {name}, D = {}", scene.extra_dims),
        _ => format!("field lines in the augmented space, D = {}", scene.extra_dims),
    };
    heading(canvas, cell, &title);
    let space = Space::new(cell.inset([16.0, 36.0, 16.0, 22.0]), view(scene, scene.dome()));
    stage(canvas, &space, scene);
    space.dots(canvas, scene.charges_in_space().map(|y| (y, RED.faded(0.55))), 0.7 * dot_size(scene.count()));
    for line in lines {
        let points: Vec<([f64; 3], Color)> = line
            .points()
            .map(|point| (scene.in_space(point), shade(point[scene.dim], scene.dome()).faded(0.7)))
            .collect();
        space.shaded_curve(canvas, &points, 0.9);
    }
    let ends = lines.iter().filter_map(|line| line.points().last().map(|end| (scene.in_space(end), BLUE)));
    space.dots(canvas, ends, 1.9);
    if scene.dim == 2 {
        space.dome(canvas, true);
    }
}

/// Draws the hemisphere from its pole in Lambert's equal-area projection: uniform points fill it evenly.
fn from_above(canvas: &mut Canvas, cell: Area, angles: &hemisphere::Angles) {
    let middle = ([0.0, 0.0], 1.08);
    let mut panel = Panel::square(canvas, cell, "the far hemisphere, equal areas equal", [""; 2], middle);
    let circle = |radius: f64| {
        (0..=120).map(move |step| {
            let angle = 2.0 * PI * f64::from(step) / 120.0;
            [radius * angle.cos(), radius * angle.sin()]
        })
    };
    panel.curve(circle(1.0), 1.0, GRAY);
    for height in [0.25, 0.5, 0.75_f64] {
        panel.curve(circle((1.0 - height).sqrt()), 0.6, GRAY.faded(0.6));
    }
    let points = angles.height.iter().zip(&angles.azimuth).map(|(height, turn)| {
        let (radius, angle) = ((1.0 - height).sqrt(), 2.0 * PI * (turn - 0.5));
        [radius * angle.cos(), radius * angle.sin()]
    });
    panel.dots(points, 1.7, BLUE.faded(0.7));
}

/// Draws the distribution of numbers that should be uniform on [0, 1].
fn histogram(canvas: &mut Canvas, cell: Area, (name, values): (&str, &[f64]), test: &KolmogorovSmirnov) {
    const BARS: usize = 20;
    let mut density = vec![0.0; BARS];
    for &value in values {
        density[((value * BARS as f64) as usize).min(BARS - 1)] += BARS as f64 / values.len() as f64;
    }
    let (x, y) =
        (Axis::linear(&format!("share of the hemisphere by {name}"), 0.0, 1.0), Axis::linear("density", 0.0, 1.9));
    let mut panel = Panel::new(canvas, cell, name, x, y);
    panel.bars(&density, BLUE.faded(0.45));
    panel.curve([[0.0, 1.0], [1.0, 1.0]], 1.2, INK);
    let text = format!("KS {:.3}, p = {:.2}", test.statistic, test.p_value);
    panel.legend(&[(&text, pfgm_plot::Mark::Line, INK)]);
}
