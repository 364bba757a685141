//! Trajectories for several D, and charges without compact support.

use anyhow::{Context, Result};
use pfgm::{
    extra_dims::ExtraDims,
    field_lines,
    flow::{Counted, Flow},
    random::{Purpose, stream},
    solver::rk45,
};
use pfgm_data::generate;
use pfgm_eval::kolmogorov_smirnov;
use pfgm_plot::{
    Axis, Canvas, Mark, Panel,
    color::{BLUE, INK, RED},
    header,
};

use super::{
    overview::{dot_size, shade, statistic},
    scene::{Scene, TOLERANCE},
};
use crate::render::line;

/// The values of D that are compared, and the paths drawn for each.
const DIMENSIONS: [ExtraDims; 4] =
    [ExtraDims::Finite(1.0), ExtraDims::Finite(8.0), ExtraDims::Finite(64.0), ExtraDims::Infinite];
const PATHS: usize = 120;

/// Draws trajectories for several D, from heavy tails to a Gaussian.
pub fn dimensions(scene: &Scene) -> Result<Canvas> {
    let mut canvas = Canvas::new(1200.0, 400.0, scene.scale)?;
    let cells = canvas.area().columns(&[1.0; 4]);
    let (low, high) = (1e-2 * scene.spread, 40.0 * scene.spread);
    // The typical distance at level sigma combines sigma and the data's spread.
    let coordinate = scene.spread / 2.0_f64.sqrt();
    let scaled = |x: f64, sigma: f64| (x - scene.center[0]) / sigma.hypot(coordinate);
    for (cell, extra_dims) in cells.into_iter().zip(DIMENSIONS) {
        let of_d = scene.with(extra_dims);
        let counted = Counted::new(&of_d.field);
        let flow = Flow { denoiser: &counted, extra_dims };
        let mut x: Vec<f64> = (0..PATHS as u64)
            .flat_map(|item| flow.latent(high, &mut stream(scene.seed, Purpose::Latent, 0, item)))
            .collect();
        let far_out = x.chunks_exact(2).filter(|p| p[0].hypot(p[1]) > 4.0 * high).count();
        let lines = field_lines::trace(&flow, (high, low), scene.scaled(TOLERANCE), &mut x)?;
        let (across, up) = (Axis::linear("x / √(σ² + spread²)", -4.0, 4.0), Axis::logarithmic("σ = r/√D", low, high));
        let d = if extra_dims == ExtraDims::Infinite { "∞".into() } else { extra_dims.to_string() };
        let evaluations = counted.rows() as f64 / PATHS as f64;
        let title = format!("D = {d}: {evaluations:.0} evaluations");
        let mut panel = Panel::new(&mut canvas, cell, &title, across, up);
        let per_height = field_lines::height(extra_dims, 1.0);
        for path in &lines {
            let points: Vec<_> = path
                .points()
                .map(|p| {
                    let sigma = p[2] / per_height;
                    let share = (sigma / low).ln() / (high / low).ln();
                    ([scaled(p[0], sigma), sigma], shade(share * share, 1.0).faded(0.55))
                })
                .collect();
            panel.shaded_curve(&points, 0.9);
        }
        line(format!(
            "D = {extra_dims:<4} {evaluations:.1} evaluations each (RK45, 1e-5), {far_out} of {PATHS} particles start farther out than 4 sigma"
        ));
    }
    Ok(canvas)
}

/// Particles that return to charges without compact support.
const SAMPLES: usize = 1500;

/// A set of charges, and the survival function of its radius.
struct Law {
    set: &'static str,
    title: &'static str,
    beyond: fn(f64) -> f64,
}

/// The probability of the set `gaussian` beyond a radius: its scale is 1/2.
fn gaussian_beyond(radius: f64) -> f64 {
    (-2.0 * radius * radius).exp()
}

/// The probability of the set `student-t` beyond a radius.
fn student_t_beyond(radius: f64) -> f64 {
    (1.0 + 4.0 * radius * radius / generate::DEGREES).powf(-0.5 * generate::DEGREES)
}

/// Draws Gaussian and Student-t charges: the flow needs no compact support, only a prior at a sufficient distance.
pub fn non_compact(scene: &Scene) -> Result<Canvas> {
    let mut canvas = Canvas::new(1300.0, 360.0, scene.scale)?;
    let cells = canvas.area().columns(&[1.0; 4]);
    let laws = [
        Law { set: "gaussian", title: "Gaussian charges", beyond: gaussian_beyond },
        Law { set: "student-t", title: "Student-t charges (3 degrees)", beyond: student_t_beyond },
    ];
    for (pair, Law { set: name, title, beyond: law }) in cells.chunks_exact(2).zip(laws) {
        let set = generate::table(name, scene.count(), 0).context("a built-in set")?;
        let charges = Scene::new(&set, scene.count(), ExtraDims::Finite(1.0), (scene.seed, scene.scale))?;
        let far = charges.far();
        let mut x: Vec<f64> = (0..SAMPLES as u64)
            .flat_map(|item| charges.flow().latent(far, &mut stream(scene.seed, Purpose::Latent, 0, item)))
            .collect();
        rk45(&charges.flow(), far, charges.low(), charges.scaled(TOLERANCE), &mut x)?;
        let entries = [("charges", Mark::Dot, RED), ("came back", Mark::Dot, BLUE)];
        let cell = header(&mut canvas, pair[0], title, &entries);
        let mut panel = Panel::square(&mut canvas, cell, "", ["x", "y"], ([0.0; 2], 3.0));
        panel.dots(charges.charges.chunks_exact(2).map(|y| [y[0], y[1]]), dot_size(charges.count()), RED.faded(0.5));
        panel.dots(x.chunks_exact(2).map(|p| [p[0], p[1]]), dot_size(charges.count()), BLUE.faded(0.7));

        let (across, up) = (Axis::logarithmic("|x|", 0.05, 30.0), Axis::logarithmic("share farther out", 4e-4, 1.3));
        let entries =
            [("exact distribution", Mark::Line, INK), ("charges", Mark::Dot, RED), ("came back", Mark::Dot, BLUE)];
        let cell = header(&mut canvas, pair[1], "how far out", &entries);
        let mut panel = Panel::new(&mut canvas, cell, "", across, up);
        let grid = (0..=100).map(|step| 0.05 * 600_f64.powf(f64::from(step) / 100.0));
        panel.curve(grid.map(|radius| [radius, law(radius)]), 1.6, INK);
        let radii = |points: &[f64]| -> Vec<f64> { points.chunks_exact(2).map(|p| p[0].hypot(p[1])).collect() };
        for (points, color) in [(&charges.charges, RED), (&x, BLUE)] {
            let mut sorted = radii(points);
            sorted.sort_by(f64::total_cmp);
            let count = sorted.len();
            let dots =
                sorted.iter().enumerate().map(|(index, &radius)| [radius, (count - index) as f64 / count as f64]);
            // All points of the tail, and every thirtieth of the rest.
            panel.dots(
                dots.filter(|[_, share]| *share < 0.02 || ((share * count as f64) as usize).is_multiple_of(30)),
                1.8,
                color,
            );
        }
        // Particles return to the charges, not to the distribution that the charges were drawn from.
        let mut sorted = radii(&charges.charges);
        sorted.sort_by(f64::total_cmp);
        let test = kolmogorov_smirnov(&radii(&x), |radius| {
            sorted.partition_point(|other| *other <= radius) as f64 / sorted.len() as f64
        });
        let farthest = radii(&x).into_iter().fold(0.0, f64::max);
        line(format!(
            "{name:<10} {SAMPLES} particles from z = {far:.3e}: |x| compared with the charges, Kolmogorov-Smirnov {}; \
             farthest {farthest:.2} of {:.2}",
            statistic(&test),
            sorted[sorted.len() - 1]
        ));
    }
    Ok(canvas)
}
