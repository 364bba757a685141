//! The density at several heights, from the field itself.

use anyhow::Result;
use pfgm::{field_lines, solver::rk45};
use pfgm_plot::{Canvas, Panel, color::INK};
use rayon::prelude::*;

use super::scene::{Scene, TOLERANCE};
use crate::render::line;

/// Noise levels in units of the charges' spread.
const LEVELS: [f64; 4] = [0.04, 0.2, 0.7, 2.5];
const CELLS: usize = 130;
/// Particles that are moved up, shown in each panel.
const PARTICLES: usize = 250;

/// Draws the picture, and prints the error of the continuity equation.
pub fn draw(scene: &Scene) -> Result<Canvas> {
    let mut canvas = Canvas::new(1200.0, 350.0, scene.scale)?;
    let cells = canvas.area().columns(&[1.0; 4]);
    let mut level = scene.low();
    let mut x = field_lines::on_charges(scene.extra_dims, &scene.charges, 2, (PARTICLES, level), scene.seed);
    for (cell, share) in cells.into_iter().zip(LEVELS) {
        let sigma = share * scene.spread;
        rk45(&scene.flow(), level, sigma, scene.scaled(TOLERANCE), &mut x)?;
        level = sigma;
        let title = format!("σ = {:.3}", sigma);
        let middle = ([scene.center[0], scene.center[1]], 1.2 * scene.near + 1.5 * sigma);
        let mut panel = Panel::square(&mut canvas, cell, &title, [&scene.columns[0], &scene.columns[1]], middle);
        let logs: Vec<f64> = panel
            .cell_middles(CELLS, CELLS)
            .into_par_iter()
            .map(|point| scene.field.log_density(&point, sigma))
            .collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = logs.iter().map(|log| (log - largest).exp().powf(0.8)).collect();
        panel.cells(CELLS, &shares);
        panel.dots(x.chunks_exact(2).map(|p| [p[0], p[1]]), 1.3, INK.faded(0.55));
        let worst = x
            .par_chunks_exact(2)
            .map(|point| scene.field.continuity_residual(point, sigma).abs())
            .reduce(|| 0.0, f64::max);
        line(format!(
            "sigma = {sigma:<8.4} largest density {:.4e}, |d ln p/d ln sigma + div v| at most {worst:.1e} at {PARTICLES} particles",
            largest.exp()
        ));
    }
    Ok(canvas)
}
