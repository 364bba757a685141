//! The field near the charges and far away, and as a sum of fields.

use std::f64::consts::PI;

use anyhow::Result;
use pfgm::{extra_dims::ExtraDims, field::ExactField, latent::norm};
use pfgm_plot::{
    Area, Axis, Canvas, Mark, Panel,
    color::{BLUE, INK, RED},
};
use rayon::prelude::*;

use super::scene::Scene;
use crate::render::line;

/// Cells across a picture of the field's magnitude.
const CELLS: usize = 120;
/// Orders of magnitude that the color scale covers.
const ORDERS: f64 = 2.5;

/// Draws the field near the charges, and far away, where it is that of one point charge.
pub fn near_far(scene: &Scene) -> Result<Canvas> {
    let mut canvas = Canvas::new(1200.0, 300.0, scene.scale)?;
    let cells = canvas.area().columns(&[1.15, 1.15, 0.8]);
    section(&mut canvas, cells[0], scene, ("near: the shape of the data", 1.6 * scene.near));
    section(&mut canvas, cells[1], scene, ("far: a point charge", 25.0 * scene.near));

    let radii: Vec<f64> = (0..=30).map(|step| 10_f64.powf(0.1 * f64::from(step))).collect();
    let deviation: Vec<f64> = radii.par_iter().map(|&radius| deviation(scene, radius * scene.spread)).collect();
    let (first, last) = (10, radii.len() - 1);
    let slope = (deviation[last] / deviation[first]).ln() / (radii[last] / radii[first]).ln();
    let (x, y) = (
        Axis::logarithmic("distance / spread of the charges", 1.0, 1e3),
        Axis::logarithmic("deviation of the direction", 1e-7, 2.0),
    );
    let mut panel = Panel::new(&mut canvas, cells[2], "difference from a point charge", x, y);
    let guide = deviation[last] * radii[last].powi(2);
    panel.curve(radii.iter().map(|&radius| [radius, guide / radius.powi(2)]), 1.2, INK.faded(0.5));
    panel.dots(radii.iter().zip(&deviation).map(|(&radius, &value)| [radius, value]), 2.6, BLUE);
    panel.legend(&[("measured", Mark::Dot, BLUE), ("∝ distance⁻²", Mark::Line, INK.faded(0.5))]);
    line(format!(
        "the field's direction differs from a point charge's by {:.3e} at 10 standard deviations of the charges, {:.3e} at 1000: slope {slope:.3}",
        deviation[first], deviation[last]
    ));
    Ok(canvas)
}

/// The root mean square angle in radians, over a hemisphere, between the field and that of one charge in the center.
pub fn deviation(scene: &Scene, radius: f64) -> f64 {
    const DIRECTIONS: usize = 64;
    let squares = (0..DIRECTIONS).map(|index| {
        // Equal steps of height and the golden angle cover a hemisphere evenly.
        let height = (index as f64 + 0.5) / DIRECTIONS as f64;
        let (flat, turn) = ((1.0 - height * height).sqrt(), index as f64 * PI * (3.0 - 5.0_f64.sqrt()));
        let from = [radius * flat * turn.cos(), radius * flat * turn.sin(), radius * height];
        let field = scene.field.field(&[scene.center[0] + from[0], scene.center[1] + from[1]], from[2]);
        // For small angles the difference of unit vectors is more precise than the cosine.
        let (a, b) = (norm(&field), norm(&from));
        field.iter().zip(&from).map(|(e, p)| (e / a - p / b).powi(2)).sum::<f64>()
    });
    (squares.sum::<f64>() / DIRECTIONS as f64).sqrt()
}

/// Draws a vertical section through the center of the charges: magnitude as color, direction as arrows.
fn section(canvas: &mut Canvas, cell: Area, scene: &Scene, (title, reach): (&str, f64)) {
    const ARROWS: (usize, usize) = (18, 9);
    let y = scene.center[1];
    let labels = [scene.columns[0].as_str(), "z"];
    let mut panel = Panel::section(canvas, cell, title, labels, (scene.center[0], reach, reach));
    let points = panel.cell_middles(CELLS, CELLS / 2);
    let strength: Vec<f64> = points.into_par_iter().map(|[x, z]| scene.field.log_strength(&[x, y], z)).collect();
    panel.cells(CELLS, &shares(&strength));
    for [x, z] in panel.cell_middles(ARROWS.0, ARROWS.1) {
        let field = scene.field.field(&[x, y], z);
        panel.arrow([x, z], [field[0], field[2]], 15.0, (1.1, INK.faded(0.8)));
    }
    // The charges near the section.
    let slab = scene.charges.chunks_exact(2).filter(|c| (c[1] - y).abs() < 0.15 * scene.near).map(|c| [c[0], 0.0]);
    panel.dots(slab, 2.2, RED);
}

/// Logarithms as shares of the color scale: the strongest is 1, except in the few cells at a charge.
pub fn shares(logs: &[f64]) -> Vec<f64> {
    let mut sorted = logs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let top = sorted[sorted.len() * 995 / 1000];
    logs.iter().map(|log| 0.85 * (1.0 + (log - top) / (ORDERS * std::f64::consts::LN_10)).clamp(0.0, 1.0)).collect()
}

/// Draws the field of one charge, of a few, and of all: it is the sum of the charges' fields.
pub fn empirical_field(scene: &Scene) -> Result<Canvas> {
    let mut canvas = Canvas::new(1200.0, 420.0, scene.scale)?;
    let cells = canvas.area().columns(&[1.0; 3]);
    for (cell, count) in cells.into_iter().zip([1, 5, scene.count()]) {
        let count = count.min(scene.count());
        let some: Vec<f64> = (0..count)
            .flat_map(|index| {
                let charge = (2 * index + 1) * scene.count() / (2 * count);
                scene.charges[2 * charge..2 * charge + 2].to_vec()
            })
            .collect();
        let height = if count < scene.count() { 0.12 } else { 0.06 } * scene.spread;
        let title = if count == 1 { "one charge".to_owned() } else { format!("{count} charges") };
        field_in_plane(&mut canvas, cell, scene, (&title, &some, height));
        if count < 100 {
            let missed = superposition(scene, &some, height);
            let name = if count == 1 { "one charge".into() } else { format!("{count} charges") };
            line(format!("{name}: the field differs from the sum of theirs by {missed:.1e} of its strength"));
        }
    }
    Ok(canvas)
}

fn field_in_plane(canvas: &mut Canvas, cell: Area, scene: &Scene, (title, charges, height): (&str, &[f64], f64)) {
    const ARROWS: usize = 17;
    let field = ExactField::new(charges.to_vec(), 2, ExtraDims::Finite(1.0));
    let middle = ([scene.center[0], scene.center[1]], 1.5 * scene.near);
    let mut panel = Panel::square(canvas, cell, title, [&scene.columns[0], &scene.columns[1]], middle);
    let points = panel.cell_middles(CELLS, CELLS);
    let strength: Vec<f64> = points.par_iter().map(|point| field.log_strength(point, height)).collect();
    panel.cells(CELLS, &shares(&strength));
    for point in panel.cell_middles(ARROWS, ARROWS) {
        let e = field.field(&point, height);
        panel.arrow(point, [e[0], e[1]], 14.0, (1.1, INK.faded(0.8)));
    }
    let radius = (6.0 / (charges.len() as f64).sqrt()).clamp(0.9, 4.0);
    panel.dots(charges.chunks_exact(2).map(|y| [y[0], y[1]]), radius, RED);
}

/// The largest relative difference, at some points, between the field of the charges and the sum of their Coulomb fields.
fn superposition(scene: &Scene, charges: &[f64], height: f64) -> f64 {
    let all = ExactField::new(charges.to_vec(), 2, ExtraDims::Finite(1.0));
    let points = scene.charges.chunks_exact(2).take(50).map(|y| [1.3 * y[0] + 0.05, 1.3 * y[1] - 0.03]);
    points
        .map(|x| {
            let mut sum = [0.0; 3];
            for y in charges.chunks_exact(2) {
                let from = [x[0] - y[0], x[1] - y[1], height];
                sum.iter_mut().zip(from).for_each(|(sum, value)| *sum += value / norm(&from).powi(3));
            }
            let direction = all.field(&x, height);
            let strength = all.log_strength(&x, height).exp() * (charges.len() / 2) as f64 / norm(&direction);
            let missed: Vec<f64> = direction.iter().zip(&sum).map(|(e, sum)| e * strength - sum).collect();
            norm(&missed) / norm(&sum)
        })
        .fold(0.0, f64::max)
}
