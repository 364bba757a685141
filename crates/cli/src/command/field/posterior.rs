//! Prior, measurement and posterior in the plane.

use anyhow::Result;
use pfgm::{
    field_lines,
    flow::{Denoiser, Flow},
    posterior::{Conditioned, Guidance, Matrix, Measurement},
    solver::{Schedule, heun},
};
use pfgm_eval::kolmogorov_smirnov;
use pfgm_plot::{
    Axis, Canvas, Mark, Panel,
    color::{BLUE, GRAY, INK, RED},
    header,
};

use super::{
    overview::{dot_size, statistic},
    scene::{Scene, TOLERANCE},
};
use crate::render::line;

/// Draws of the posterior, and trajectories that are shown.
const DRAWS: usize = 500;
const STEPS: usize = 60;
const PATHS: usize = 60;
const CELLS: usize = 120;

/// A measurement of the first coordinate.
struct Known {
    value: f64,
    noise: f64,
}

impl Known {
    fn log_likelihood(&self, y: &[f64]) -> f64 {
        -0.5 * ((y[0] - self.value) / self.noise).powi(2)
    }
}

/// Draws the flow of the data, a measurement, and the flow of the data given the measurement: exact, and approximated by MMPS.
pub fn posterior(scene: &Scene) -> Result<Canvas> {
    let coordinate = scene.spread / 2.0_f64.sqrt();
    let known = Known { value: scene.center[0] + 0.5 * coordinate, noise: 0.2 * coordinate };
    let log_weights: Vec<f64> = scene.charges.chunks_exact(2).map(|y| known.log_likelihood(y)).collect();
    let exact = scene.field.clone().reweighted(&log_weights);
    let first = Matrix::new(vec![1.0, 0.0], 2)?;
    let measurement = Measurement::new(&first, vec![known.value], known.noise)?;
    let mmps = Conditioned::new(&scene.field, scene.extra_dims, &measurement, Guidance::default());
    let mut canvas = Canvas::new(1300.0, 360.0, scene.scale)?;
    let cells = canvas.area().columns(&[1.0; 4]);
    let middle = ([scene.center[0], scene.center[1]], 1.4 * scene.near);
    let labels = [scene.columns[0].as_str(), scene.columns[1].as_str()];
    let charges = || scene.charges.chunks_exact(2).map(|y| [y[0], y[1]]);

    let mut panel = Panel::square(&mut canvas, cells[0], "prior: the data and their flow", labels, middle);
    panel.dots(charges(), dot_size(scene.count()), RED.faded(0.6));
    panel.curves(paths(scene, &scene.field)?.into_iter().map(|path| (path, INK.faded(0.35))), 0.8);

    let title = format!("measurement: {} = {:.2} ± {:.2}", labels[0], known.value, known.noise);
    let mut panel = Panel::square(&mut canvas, cells[1], &title, labels, middle);
    let shares: Vec<f64> =
        panel.cell_middles(CELLS, CELLS).iter().map(|point| known.log_likelihood(point).exp()).collect();
    panel.cells(CELLS, &shares);
    panel.dots(charges(), dot_size(scene.count()), RED.faded(0.6));

    let (from_exact, from_mmps) = (draws(scene, &exact), draws(scene, &mmps));
    let title = "posterior: the flow of the weighted charges";
    let cell = header(&mut canvas, cells[2], title, &[("draws", Mark::Dot, BLUE)]);
    let mut panel = Panel::square(&mut canvas, cell, "", labels, middle);
    panel.dots(charges(), dot_size(scene.count()), GRAY.faded(0.35));
    panel.curves(paths(scene, &exact)?.into_iter().map(|path| (path, INK.faded(0.35))), 0.8);
    panel.dots(from_exact.chunks_exact(2).map(|p| [p[0], p[1]]), dot_size(scene.count()), BLUE.faded(0.7));

    let spread = 1.4 * scene.near;
    let across = Axis::linear(labels[1], scene.center[1] - spread, scene.center[1] + spread);
    let mut panel = Panel::new(
        &mut canvas,
        cells[3],
        "distribution of the other coordinate",
        across,
        Axis::linear("share below", 0.0, 1.02),
    );
    let weights = weighted(scene, &log_weights);
    panel.curve(weights.iter().copied(), 2.2, INK);
    panel.curve(shares_below(&from_exact), 1.4, BLUE);
    panel.curve(shares_below(&from_mmps), 1.4, RED);
    let entries = [("weighted data", Mark::Line, INK), ("exact flow", Mark::Line, BLUE), ("MMPS", Mark::Line, RED)];
    panel.legend(&entries);
    for (name, drawn) in [("exact flow", &from_exact), ("MMPS", &from_mmps)] {
        let second: Vec<f64> = drawn.chunks_exact(2).map(|p| p[1]).collect();
        let below = |value: f64| weights[..weights.partition_point(|w| w[0] <= value)].last().map_or(0.0, |w| w[1]);
        let test = kolmogorov_smirnov(&second, below);
        line(format!("{name:<10} {DRAWS} draws against the weighted data, Kolmogorov-Smirnov {}", statistic(&test)));
    }
    Ok(canvas)
}

/// Trajectories in the plane.
fn paths(scene: &Scene, denoiser: &dyn Denoiser) -> Result<Vec<Vec<[f64; 2]>>> {
    let flow = Flow { denoiser, extra_dims: scene.extra_dims };
    let range = (scene.far(), scene.low());
    let mut x = flow.latents(range.0, 0, (0..PATHS as u64).map(|item| scene.seed.wrapping_add(item)));
    let lines = field_lines::trace(&flow, range, scene.scaled(TOLERANCE), &mut x)?;
    Ok(lines.iter().map(|line| line.points().map(|p| [p[0], p[1]]).collect()).collect())
}

/// Draws from the prior at the highest level, carried to the lowest in steps that do not depend on the flow.
fn draws(scene: &Scene, denoiser: &dyn Denoiser) -> Vec<f64> {
    let flow = Flow { denoiser, extra_dims: scene.extra_dims };
    let mut x = flow.latents(scene.far(), 0, (0..DRAWS as u64).map(|item| scene.seed.wrapping_add(item)));
    heun(&flow, &Schedule::LogUniform.grid(scene.far(), scene.low(), STEPS), &mut x);
    x
}

/// The second coordinate of each charge and the weight of all charges up to there, in order.
fn weighted(scene: &Scene, log_weights: &[f64]) -> Vec<[f64; 2]> {
    let mut charges: Vec<[f64; 2]> =
        scene.charges.chunks_exact(2).zip(log_weights).map(|(y, log)| [y[1], log.exp()]).collect();
    charges.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let total: f64 = charges.iter().map(|charge| charge[1]).sum();
    let mut sum = 0.0;
    for charge in &mut charges {
        sum += charge[1] / total;
        charge[1] = sum;
    }
    charges
}

/// The second coordinate of each draw and the share of draws up to there.
fn shares_below(x: &[f64]) -> Vec<[f64; 2]> {
    let mut second: Vec<f64> = x.chunks_exact(2).map(|p| p[1]).collect();
    second.sort_by(f64::total_cmp);
    let count = second.len() as f64;
    second.into_iter().enumerate().map(|(index, value)| [value, (index + 1) as f64 / count]).collect()
}
