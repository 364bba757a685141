//! Figures that move: zooming out, the projection of the hemisphere, a spreading gas, and a density that the flow carries.

use std::f64::consts::PI;

use anyhow::Result;
use pfgm::{
    extra_dims::ExtraDims,
    prior,
    random::{Purpose, Stream, stream},
    region,
    solver::rk45,
};
use pfgm_plot::{
    Area, Canvas, Mark, Panel, PlotError, Space, View,
    color::{BLUE, GRAY, INK, PURPLE, RED},
    heading,
};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::{
    near_far::{deviation, shares},
    overview::dot_size,
    scene::{Scene, TOLERANCE},
};
use crate::render::line;

/// Size of a panel of an animation.
pub const PANEL: f64 = 380.0;

/// A figure that moves: draws the picture at a share of its time.
pub type Frames<'a> = Box<dyn Fn(f64) -> Result<Canvas, PlotError> + Sync + 'a>;

/// The distance from the center to the edge of the first and the last picture when zooming out, in units of the charges' size.
const ZOOM: (f64, f64) = (1.3, 60.0);

/// Draws the field from close by to far away, where any charges are one point charge.
pub fn zoom_out(scene: &Scene) -> Result<Canvas> {
    let mut canvas = Canvas::new(1240.0, 340.0, scene.scale)?;
    let cells = canvas.area().columns(&[1.0; 4]);
    for (step, cell) in cells.into_iter().enumerate() {
        let reach = scene.near * ZOOM.0 * (ZOOM.1 / ZOOM.0).powf(step as f64 / 3.0);
        let angle = deviation(scene, reach);
        zoomed(&mut canvas, cell, scene, reach, &format!("differs by {:.3}°", angle.to_degrees()));
        line(format!(
            "view of {:>6.1} times the charges: at its edge the direction differs from that of a point charge by {angle:.1e} radians",
            reach / scene.near
        ));
    }
    Ok(canvas)
}

/// The frames of [`zoom_out`].
pub fn zooming(scene: &Scene) -> Frames<'_> {
    Box::new(|time| {
        let mut canvas = Canvas::new(PANEL, PANEL, scene.scale)?;
        let cell = canvas.area();
        // Out, a pause, and back in.
        let share = (1.0 - (2.0 * PI * time).cos()).clamp(0.0, 2.0) / 2.0;
        let reach = scene.near * ZOOM.0 * (ZOOM.1 / ZOOM.0).powf(share);
        zoomed(&mut canvas, cell, scene, reach, &format!("{:.0} times the size of the charges", reach / scene.near));
        Ok(canvas)
    })
}

/// Draws potential, direction and charges in a horizontal cut slightly above the charges.
fn zoomed(canvas: &mut Canvas, cell: Area, scene: &Scene, reach: f64, title: &str) {
    const CELLS: usize = 90;
    const ARROWS: usize = 11;
    let height = 0.05 * reach;
    let middle = [scene.center[0], scene.center[1]];
    let mut panel = Panel::square(canvas, cell, title, [&scene.columns[0], &scene.columns[1]], (middle, reach));
    let points = panel.cell_middles(CELLS, CELLS);
    let mut potentials = vec![0.0; points.len()];
    points.par_chunks(CELLS).zip(potentials.par_chunks_mut(CELLS)).for_each(|(points, out)| {
        scene.field.log_potentials(&points.concat(), height, out);
    });
    panel.cells(CELLS, &shares(&potentials).iter().map(|share| 0.75 * share).collect::<Vec<_>>());
    // Equal factors of the potential of a point charge, which are circles far away.
    // D = 1 in the plane: the potential is 1 / |(x, z)|, relative to that at the center.
    let level = |radius: f64| -0.5 * (1.0 + (radius * reach / height).powi(2)).ln();
    let levels: Vec<f64> = (1..10).map(|ring| level(0.14 * f64::from(ring))).collect();
    panel.contours(CELLS, &potentials, &levels, (0.9, BLUE.faded(0.7)));
    for point in panel.cell_middles(ARROWS, ARROWS) {
        let e = scene.field.field(&point, height);
        panel.arrow(point, [e[0], e[1]], 14.0, (1.1, INK.faded(0.75)));
    }
    panel.dots(scene.charges.chunks_exact(2).map(|y| [y[0], y[1]]), dot_size(scene.count()), RED.faded(0.7));
}

/// Points that are projected.
const PROJECTED: u64 = 700;

/// The frames of the projection of the hemisphere onto the plane z = z_max, along rays from its center.
pub fn projecting(scene: &Scene) -> Frames<'_> {
    let directions: Vec<[f64; 3]> = (0..PROJECTED)
        .map(|item| {
            let mut rng: Stream = stream(scene.seed, Purpose::Latent, 1, item);
            let g: [f64; 3] = std::array::from_fn(|_| StandardNormal.sample(&mut rng));
            let norm = g.iter().map(|value| value * value).sum::<f64>().sqrt();
            [g[0] / norm, g[1] / norm, g[2].abs() / norm]
        })
        .collect();
    let extent = 2.0;
    Box::new(move |time| {
        let mut canvas = Canvas::new(1.5 * PANEL, PANEL, scene.scale)?;
        let cell = canvas.area();
        heading(&mut canvas, cell, "the hemisphere, projected onto z = z_max along its radii");
        let view = View { azimuth: -0.35 + 0.5 * time, elevation: 0.32, center: [0.0; 3], radius: 2.7 };
        let space = Space::new(cell.inset([40.0, 34.0, 40.0, 30.0]), view);
        canvas.clip(Some(cell.inset([4.0, 30.0, 4.0, 4.0])));
        unit_dome(&mut canvas, &space);
        for step in -2..=2 {
            let at = extent * f64::from(step) / 2.0;
            space.curve(&mut canvas, &[[at, -extent, 1.0], [at, extent, 1.0]], 0.7, GRAY.faded(0.5));
            space.curve(&mut canvas, &[[-extent, at, 1.0], [extent, at, 1.0]], 0.7, GRAY.faded(0.5));
        }
        let share = eased((time * 1.5).min(1.0));
        let at = |d: &[f64; 3]| d.map(|value| value * (1.0 + share * (1.0 / d[2] - 1.0)));
        let within = |p: &[f64; 3]| p[0].abs() < extent && p[1].abs() < extent;
        for direction in directions.iter().step_by(24) {
            let end = at(direction);
            if within(&end) {
                space.curve(&mut canvas, &[[0.0; 3], end], 0.7, BLUE.faded(0.3));
            }
        }
        let dots = directions.iter().map(at).filter(within).map(|p| (p, BLUE.faded(0.8)));
        space.dots(&mut canvas, dots, 1.9);
        space.dots(&mut canvas, [([0.0; 3], RED)], 4.0);
        canvas.clip(None);
        Ok(canvas)
    })
}

/// Draws a hemisphere of radius 1 on a view that is wider.
fn unit_dome(canvas: &mut Canvas, space: &Space) {
    for part in 0..4 {
        let height = (PI / 8.0 * f64::from(part)).sin();
        let flat = (1.0 - height * height).sqrt();
        let circle: Vec<[f64; 3]> = (0..=72)
            .map(|step| {
                let angle = 2.0 * PI * f64::from(step) / 72.0;
                [flat * angle.cos(), flat * angle.sin(), height]
            })
            .collect();
        space.curve(canvas, &circle, if part == 0 { 1.0 } else { 0.7 }, GRAY.faded(if part == 0 { 0.8 } else { 0.3 }));
    }
    for meridian in 0..12 {
        let angle = 2.0 * PI * f64::from(meridian) / 12.0;
        let arc: Vec<[f64; 3]> = (0..=24)
            .map(|step| {
                let up = PI / 2.0 * f64::from(step) / 24.0;
                [up.cos() * angle.cos(), up.cos() * angle.sin(), up.sin()]
            })
            .collect();
        space.curve(canvas, &arc, 0.7, GRAY.faded(0.3));
    }
}

/// A smooth step from 0 to 1.
fn eased(share: f64) -> f64 {
    share * share * (3.0 - 2.0 * share)
}

/// Particles of the gas, and its noise levels in units of the charges' spread.
const GAS: usize = 700;
const SPREADING: [f64; 4] = [0.02, 0.12, 0.5, 2.0];
const KINDS: [ExtraDims; 2] = [ExtraDims::Infinite, ExtraDims::Finite(1.0)];

/// The gas at several noise levels, `[levels][particles, 2]`: every step adds independent noise of that kind.
fn gas(scene: &Scene, extra_dims: ExtraDims, levels: &[f64]) -> Vec<Vec<f64>> {
    let mut x: Vec<f64> = (0..GAS)
        .flat_map(|item| {
            let charge = item * scene.count() / GAS;
            scene.charges[2 * charge..2 * charge + 2].to_vec()
        })
        .collect();
    let mut before = 0.0;
    levels
        .iter()
        .enumerate()
        .map(|(step, &level)| {
            let added = extra_dims.noise_increment(before, level).expect("Gaussian and Cauchy noise are stable");
            for (item, row) in x.chunks_exact_mut(2).enumerate() {
                prior::perturb(
                    extra_dims,
                    added,
                    &mut stream(scene.seed, Purpose::Perturbation, step as u64, item as u64),
                    row,
                );
            }
            before = level;
            x.clone()
        })
        .collect()
}

fn gas_panel(canvas: &mut Canvas, cell: Area, scene: &Scene, (x, title): (&[f64], &str)) {
    let middle = ([scene.center[0], scene.center[1]], 3.2 * scene.near);
    let mut panel = Panel::square(canvas, cell, title, [&scene.columns[0], &scene.columns[1]], middle);
    panel.dots(scene.charges.chunks_exact(2).map(|y| [y[0], y[1]]), 0.6 * dot_size(scene.count()), RED.faded(0.25));
    panel.dots(x.chunks_exact(2).map(|p| [p[0], p[1]]), 1.5, BLUE.faded(0.8));
}

fn name_of(extra_dims: ExtraDims) -> &'static str {
    if extra_dims == ExtraDims::Infinite { "diffusion, D = ∞" } else { "Poisson, D = 1" }
}

/// Draws the same data as a gas that spreads by diffusion, and by the noise of D = 1.
pub fn diffusion(scene: &Scene) -> Result<Canvas> {
    let mut canvas = Canvas::new(1240.0, 640.0, scene.scale)?;
    let rows = canvas.area().rows(2);
    let levels = SPREADING.map(|share| share * scene.spread);
    for (row, extra_dims) in rows.into_iter().zip(KINDS) {
        let states = gas(scene, extra_dims, &levels);
        for ((cell, x), sigma) in row.columns(&[1.0; 4]).into_iter().zip(&states).zip(levels) {
            gas_panel(&mut canvas, cell, scene, (x, &format!("{}, σ = {sigma:.2}", name_of(extra_dims))));
        }
        // Moved by more than 4 sigma: exp(-8) of a Gaussian, 1/sqrt(17) of a Cauchy distribution in the plane.
        let sigma = levels[3];
        let moved = |item: usize| {
            let charge = item * scene.count() / GAS;
            let from = |axis: usize| states[3][2 * item + axis] - scene.charges[2 * charge + axis];
            from(0).hypot(from(1))
        };
        let far = (0..GAS).filter(|item| moved(*item) > 4.0 * sigma).count() as f64 / GAS as f64;
        let known = if extra_dims == ExtraDims::Infinite { (-8.0_f64).exp() } else { 1.0 / 17.0_f64.sqrt() };
        line(format!(
            "{:<17} {:.2} % of {GAS} particles moved by more than 4 sigma; {:.2} % expected",
            name_of(extra_dims),
            100.0 * far,
            100.0 * known
        ));
    }
    Ok(canvas)
}

/// The frames of [`diffusion`].
pub fn spreading(scene: &Scene, frames: usize) -> Frames<'_> {
    let (low, high) = (0.02 * scene.spread, 2.0 * scene.spread);
    let levels: Vec<f64> =
        (0..frames).map(|frame| low * (high / low).powf(frame as f64 / (frames - 1) as f64)).collect();
    let states = KINDS.map(|extra_dims| gas(scene, extra_dims, &levels));
    Box::new(move |time| {
        let frame = ((time * frames as f64).round() as usize).min(frames - 1);
        let mut canvas = Canvas::new(2.0 * PANEL, PANEL, scene.scale)?;
        let cells = canvas.area().columns(&[1.0; 2]);
        for ((cell, states), extra_dims) in cells.into_iter().zip(&states).zip(KINDS) {
            let title = format!("{}, σ = {:.2}", name_of(extra_dims), levels[frame]);
            gas_panel(&mut canvas, cell, scene, (&states[frame], &title));
        }
        Ok(canvas)
    })
}

/// Noise levels in units of the charges' spread at which a carried density is shown.
const CARRIED: [f64; 4] = [0.08, 0.3, 1.0, 3.0];
/// Corners of the outline of a carried region, and strips for its integral.
const CORNERS: usize = 400;
const STRIPS: usize = 160;

/// Regions that the flow carries.
struct Carried {
    level: f64,
    outlines: [Vec<[f64; 2]>; 2],
}

impl Carried {
    /// Two discs in the lower and in the upper half of the charges.
    fn new(scene: &Scene) -> Self {
        let at = |x: f64, y: f64, radius: f64| {
            let middle = [scene.center[0] + x * scene.near, scene.center[1] + y * scene.near];
            region::circle(middle, radius * scene.near, CORNERS)
        };
        Self { level: CARRIED[0] * scene.spread, outlines: [at(-0.45, 0.3, 0.3), at(0.25, -0.2, 0.4)] }
    }

    fn carry(&mut self, scene: &Scene, level: f64) -> Result<()> {
        for outline in &mut self.outlines {
            let mut x: Vec<f64> = outline.concat();
            rk45(&scene.flow(), self.level, level, scene.scaled(TOLERANCE), &mut x)?;
            *outline = x.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
        }
        self.level = level;
        Ok(())
    }

    /// The probability within each region.
    fn masses(&self, scene: &Scene) -> Vec<f64> {
        let density = |x: [f64; 2]| scene.field.log_density(&x, self.level).exp();
        self.outlines.par_iter().map(|outline| region::integral(outline, STRIPS, density)).collect()
    }

    fn draw(&self, canvas: &mut Canvas, cell: Area, scene: &Scene, masses: &[f64]) {
        const CELLS: usize = 110;
        let title = format!("σ = {:.3}", self.level);
        let middle = ([scene.center[0], scene.center[1]], 1.2 * scene.near + 1.4 * self.level);
        let mut panel = Panel::square(canvas, cell, &title, [&scene.columns[0], &scene.columns[1]], middle);
        let logs: Vec<f64> = panel
            .cell_middles(CELLS, CELLS)
            .into_par_iter()
            .map(|point| scene.field.log_density(&point, self.level))
            .collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        panel.cells(CELLS, &logs.iter().map(|log| 0.8 * (log - largest).exp().powf(0.8)).collect::<Vec<_>>());
        let colors = [RED, PURPLE];
        for (outline, color) in self.outlines.iter().zip(colors) {
            panel.fill(outline, color.faded(0.18));
            panel.curve(outline.iter().chain(outline.first()).copied(), 1.8, color);
        }
        let names: Vec<String> = masses.iter().map(|mass| format!("mass {mass:.4}")).collect();
        panel.legend(
            &names.iter().zip(colors).map(|(name, color)| (name.as_str(), Mark::Line, color)).collect::<Vec<_>>(),
        );
    }
}

/// Draws a density and two regions that the flow carries, with the mass of each.
pub fn continuity(scene: &Scene) -> Result<Canvas> {
    let mut canvas = Canvas::new(1240.0, 350.0, scene.scale)?;
    let mut carried = Carried::new(scene);
    let mut found: Vec<Vec<f64>> = Vec::new();
    for (cell, share) in canvas.area().columns(&[1.0; 4]).into_iter().zip(CARRIED) {
        carried.carry(scene, share * scene.spread)?;
        let masses = carried.masses(scene);
        carried.draw(&mut canvas, cell, scene, &masses);
        line(format!("sigma = {:<7.4} masses {:.5} and {:.5}", carried.level, masses[0], masses[1]));
        found.push(masses);
    }
    let change =
        |region: usize| found.iter().map(|masses| (masses[region] / found[0][region] - 1.0).abs()).fold(0.0, f64::max);
    line(format!("the mass of a region changes by at most {:.1e}", change(0).max(change(1))));
    Ok(canvas)
}

/// The frames of [`continuity`].
pub fn carrying(scene: &Scene, frames: usize) -> Result<Frames<'_>> {
    let mut carried = Carried::new(scene);
    let mut states = Vec::with_capacity(frames);
    for frame in 0..frames {
        // Up, and down again.
        let share = (1.0 - (2.0 * PI * frame as f64 / frames as f64).cos()) / 2.0;
        carried.carry(scene, scene.spread * CARRIED[0] * (CARRIED[3] / CARRIED[0]).powf(share))?;
        states.push(Carried { level: carried.level, outlines: carried.outlines.clone() });
    }
    Ok(Box::new(move |time| {
        let state = &states[((time * frames as f64).round() as usize).min(frames - 1)];
        let mut canvas = Canvas::new(PANEL, PANEL, scene.scale)?;
        let cell = canvas.area();
        state.draw(&mut canvas, cell, scene, &state.masses(scene));
        Ok(canvas)
    }))
}
