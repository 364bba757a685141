//! PFGM's training points, and its prior.

use std::f64::consts::PI;

use anyhow::Result;
use pfgm::{
    extra_dims::ExtraDims,
    hemisphere,
    objective::{Calibration, Charges, FieldObjective, Noise, Objective},
    process::Process,
    random::{Purpose, Stream, stream},
};
use pfgm_data::Shape;
use pfgm_eval::kolmogorov_smirnov;
use pfgm_plot::{
    Area, Axis, Canvas, Color, Mark, Panel,
    color::{BLUE, GRAY, INK, RED},
    header,
};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{
    overview::{dot_size, statistic},
    scene::Scene,
};
use crate::render::line;

const POINTS: usize = 6000;

/// PFGM's training points of a scene.
struct TrainingPoints {
    calibration: Calibration,
    /// The unit of standardized data.
    unit: f64,
    x: Vec<[f64; 2]>,
    z: Vec<f64>,
    /// The distance of x from its charge.
    away: Vec<f64>,
}

fn draw_points(scene: &Scene) -> TrainingPoints {
    // In units of standardized data, where s = 0.01 was published.
    let unit = scene.spread / 2.0_f64.sqrt();
    let norm = scene.spread / unit;
    let mut objective = FieldObjective::default();
    let calibration = objective.calibrate(2, norm);
    objective.m = Some(calibration.m);
    let standard = |index: usize| ((scene.charges[index] - scene.center[index % 2]) / unit) as f32;
    let charges: Vec<f32> = (0..scene.charges.len()).map(standard).collect();
    let batch: Vec<f32> = (0..POINTS).flat_map(|item| charges[item % scene.count() * 2..][..2].to_vec()).collect();
    let mut streams: Vec<Stream> =
        (0..POINTS as u64).map(|item| stream(scene.seed, Purpose::Perturbation, 0, item)).collect();
    let labels = vec![None; POINTS];
    let noise = Noise { extra_dims: ExtraDims::Finite(1.0), process: Process::Ve, range: (0.0, calibration.z_max) };
    let drawn = Objective::Field(objective).draw(
        noise,
        Charges {
            shape: Shape::Vector { len: 2 },
            batch: &batch,
            field: &charges,
            labels: &labels,
            field_labels: &labels[..scene.count().min(POINTS)],
            augmentations: &[],
        },
        &mut streams,
    );
    let x: Vec<[f64; 2]> =
        drawn.x.chunks_exact(2).map(|p| [0, 1].map(|axis| f64::from(p[axis]) * unit + scene.center[axis])).collect();
    let z: Vec<f64> = drawn.sigma.iter().map(|sigma| sigma * unit).collect();
    let away: Vec<f64> = x
        .iter()
        .zip(batch.chunks_exact(2))
        .map(|(x, y)| {
            let from = |axis: usize| x[axis] - (f64::from(y[axis]) * unit + scene.center[axis]);
            from(0).hypot(from(1))
        })
        .collect();
    TrainingPoints { calibration, unit, x, z, away }
}

/// Draws PFGM's training points: about the same number at every scale up to that of the data, so they are dense near the data.
pub fn training_points(scene: &Scene) -> Result<Canvas> {
    let TrainingPoints { calibration, unit, x, z, away } = draw_points(scene);
    let distance: Vec<f64> = away.iter().zip(&z).map(|(away, z)| away.hypot(*z)).collect();
    let mut canvas = Canvas::new(1200.0, 400.0, scene.scale)?;
    let cells = canvas.area().columns(&[1.0; 3]);
    let middle = ([scene.center[0], scene.center[1]], 2.2 * scene.near);
    let labels = [scene.columns[0].as_str(), scene.columns[1].as_str()];
    let (low, high) = (1e-3 * unit, 2.0 * calibration.z_max * unit);
    let shade = |z: f64| Color::rise((z / low).ln() / (high / low).ln());
    let mut panel = Panel::square(&mut canvas, cells[0], "training points from above", labels, middle);
    panel.colored_dots(x.iter().zip(&z).map(|(x, z)| (*x, shade(*z).faded(0.6))), 1.3);
    let (across, up) = (
        Axis::logarithmic("distance |x − y| from the charge", low, 4.0 * high),
        Axis::logarithmic("height z", low, high),
    );
    let entries = [("the spread of the data", Mark::Line, GRAY)];
    let cell = header(&mut canvas, cells[1], "how far out and how high", &entries);
    let mut panel = Panel::new(&mut canvas, cell, "", across, up);
    panel.colored_dots(away.iter().zip(&z).map(|(away, z)| ([*away, *z], shade(*z).faded(0.6))), 1.3);
    panel.curve([[low, scene.spread], [10.0 * high, scene.spread]], 0.9, GRAY);
    panel.curve([[scene.spread, low], [scene.spread, 10.0 * high]], 0.9, GRAY);
    by_scale(&mut canvas, cells[2], scene, &distance);
    let near = |limit: f64| distance.iter().filter(|d| **d < limit * scene.spread).count() as f64 / POINTS as f64;
    line(format!(
        "M = {}, z_max = {:.3}; of {POINTS} points {:.1} % lie within 0.1 standard deviations of the data from their charge, {:.1} % within 1, {:.1} % beyond 10",
        calibration.m,
        calibration.z_max * unit,
        100.0 * near(0.1),
        100.0 * near(1.0),
        100.0 * (1.0 - near(10.0))
    ));
    Ok(canvas)
}

/// Draws the number of points at every scale of distance.
fn by_scale(canvas: &mut Canvas, cell: Area, scene: &Scene, distance: &[f64]) {
    const BARS: usize = 28;
    let (low, high) = (-3.0, 2.0);
    let mut counts = vec![0.0; BARS];
    for distance in distance {
        let bar = ((distance / scene.spread).log10() - low) / (high - low) * BARS as f64;
        if (0.0..BARS as f64).contains(&bar) {
            counts[bar as usize] += 100.0 / POINTS as f64;
        }
    }
    let most = counts.iter().copied().fold(0.0, f64::max);
    let x = Axis::linear("log₁₀ (distance / spread of the data)", low, high);
    let mut panel =
        Panel::new(canvas, cell, "points at every scale", x, Axis::linear("% of the points", 0.0, 1.2 * most));
    panel.bars(&counts, BLUE.faded(0.5));
    panel.curve([[0.0, 0.0], [0.0, 2.0 * most]], 1.0, GRAY);
}

/// Directions drawn in the section, and points in the plane.
const RAYS: usize = 21;
const PROJECTED: usize = 4000;

/// Draws the uniform hemisphere, whose projection from its center onto z = z_max is the prior.
pub fn projection(scene: &Scene) -> Result<Canvas> {
    let z_max = scene.dome();
    let projected: Vec<f64> = (0..PROJECTED as u64)
        .flat_map(|item| on_hemisphere(&mut stream(scene.seed, Purpose::Latent, 1, item)))
        .map(|slope| slope * z_max)
        .collect();
    let prior: Vec<f64> = (0..PROJECTED as u64)
        .flat_map(|item| scene.flow().latent(z_max, &mut stream(scene.seed, Purpose::Latent, 0, item)))
        .collect();
    let mut canvas = Canvas::new(1200.0, 400.0, scene.scale)?;
    let cells = canvas.area().columns(&[1.25, 1.0, 1.0]);
    rays(&mut canvas, cells[0]);
    let mut panel = Panel::square(
        &mut canvas,
        cells[1],
        "the plane z = z_max, from above",
        ["x / z_max", "y / z_max"],
        ([0.0; 2], 4.2),
    );
    panel.dots(projected.chunks_exact(2).map(|p| [p[0] / z_max, p[1] / z_max]), dot_size(PROJECTED), BLUE.faded(0.7));
    panel.dots([[0.0, 0.0]], 3.0, RED);

    let (x, y) = (Axis::logarithmic("|x| / z_max", 0.03, 300.0), Axis::logarithmic("share farther out", 1e-3, 1.3));
    let mut panel = Panel::new(&mut canvas, cells[2], "one distribution", x, y);
    let law = (0..=100).map(|step| 0.03 * 1e4_f64.powf(f64::from(step) / 100.0));
    panel.curve(law.map(|ratio| [ratio, 1.0 / (1.0 + ratio * ratio).sqrt()]), 1.6, INK);
    for (points, color) in [(&projected, BLUE), (&prior, RED)] {
        panel.dots(farther_out(points, z_max), 2.4, color);
    }
    panel.legend(&[
        ("1/√(1 + |x|²/z_max²)", Mark::Line, INK),
        ("projected hemisphere", Mark::Dot, BLUE),
        ("draws of the prior", Mark::Dot, RED),
    ]);
    for (name, points) in [("projected hemisphere", &projected), ("draws of the prior", &prior)] {
        let angles = hemisphere::angles(scene.extra_dims, &[0.0; 2], points, z_max);
        let test = |values: &[f64]| statistic(&kolmogorov_smirnov(values, |share| share));
        line(format!(
            "{name:<22} Kolmogorov-Smirnov: height {}, azimuth {}",
            test(&angles.height),
            test(&angles.azimuth)
        ));
    }
    Ok(canvas)
}

/// A uniform direction of the upper half-space, as the point where it meets the plane z = 1.
fn on_hemisphere(rng: &mut impl Rng) -> [f64; 2] {
    let mut gauss = || -> f64 { StandardNormal.sample(rng) };
    let (x, y, z) = (gauss(), gauss(), gauss().abs());
    [x / z, y / z]
}

/// Points of an empirical survival function.
fn farther_out(points: &[f64], unit: f64) -> Vec<[f64; 2]> {
    let mut radii: Vec<f64> = points.chunks_exact(2).map(|p| p[0].hypot(p[1]) / unit).collect();
    radii.sort_by(f64::total_cmp);
    let count = radii.len();
    let at = |step: usize| count - ((count as f64) * 10_f64.powf(-2.7 * step as f64 / 24.0)).ceil() as usize;
    (1..=24).map(at).map(|index| [radii[index], (count - index) as f64 / count as f64]).collect()
}

/// Draws the section through the hemisphere: rays at equal angles, and where they meet the plane.
fn rays(canvas: &mut Canvas, cell: Area) {
    let reach = 2.6;
    let mut panel = Panel::section(
        canvas,
        cell,
        "rays through the hemisphere onto the plane",
        ["x / z_max", "z / z_max"],
        (0.0, reach, 1.7),
    );
    panel.curve(
        (0..=90).map(|step| {
            let angle = PI * f64::from(step) / 90.0;
            [angle.cos(), angle.sin()]
        }),
        1.4,
        GRAY,
    );
    panel.curve([[-reach, 1.0], [reach, 1.0]], 1.4, INK);
    for ray in 0..RAYS {
        let angle = PI * (ray as f64 + 0.5) / RAYS as f64;
        let (x, z) = (angle.cos(), angle.sin());
        panel.curve([[0.0, 0.0], [x / z, 1.0]], 0.8, BLUE.faded(0.6));
        panel.dots([[x, z]], 2.6, GRAY);
        panel.dots([[x / z, 1.0]], 2.6, BLUE);
    }
    panel.dots([[0.0, 0.0]], 4.0, RED);
}
