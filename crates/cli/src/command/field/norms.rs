//! Norms of samples on their way, and those of training points: norm-sigma and norm-z.

use anyhow::{Context, Result};
use pfgm::{
    extra_dims::ExtraDims,
    field::ExactField,
    flow::Flow,
    latent::norm,
    prior,
    random::{Purpose, stream},
    solver::{Schedule, heun},
};
use pfgm_data::OpenOptions;
use pfgm_plot::{
    Area, Axis, Canvas, Mark, Panel,
    color::{BLUE, GRAY},
    header,
};

use crate::render::line;

/// Samples and training points at each level, and the levels.
const SAMPLES: usize = 60;
const POINTS: usize = 240;
const LEVELS: usize = 40;
/// The lowest and the highest noise level, in the model's space from -1 to 1.
const RANGE: (f64, f64) = (0.01, 80.0);

/// The images of digits in the model's space from -1 to 1, and the number of pixels of each.
pub fn digits() -> Result<(Vec<f64>, usize)> {
    let digits = pfgm_data::open("digits", &OpenOptions::default())?;
    let rows = digits.some_wide(digits.len())?;
    let highest = rows.iter().copied().fold(0.0, f64::max);
    Ok((rows.iter().map(|value| 2.0 * value / highest - 1.0).collect(), digits.shape.dim()))
}

/// Draws norms against the noise level for digits: a thin band at infinite D, a wide one at D = 1.
pub fn norms(scale: f64, seed: u64) -> Result<Canvas> {
    let (charges, dim) = digits()?;
    let mut canvas = Canvas::new(1240.0, 440.0, scale)?;
    let cells = canvas.area().columns(&[1.0; 3]);
    let kinds = [
        (ExtraDims::Infinite, "norm and σ, D = ∞ (diffusion)", "σ"),
        (ExtraDims::Finite(128.0), "norm and σ, D = 128", "σ = r/√D"),
        (ExtraDims::Finite(1.0), "norm and z, D = 1 (PFGM)", "z"),
    ];
    for (cell, kind) in cells.into_iter().zip(kinds) {
        panel(&mut canvas, cell, (&charges, dim, seed), kind)?;
    }
    Ok(canvas)
}

fn panel(
    canvas: &mut Canvas,
    cell: Area,
    (charges, dim, seed): (&[f64], usize, u64),
    (extra_dims, title, label): (ExtraDims, &str, &str),
) -> Result<()> {
    let grid = Schedule::LogUniform.grid(RANGE.1, RANGE.0, LEVELS);
    let count = charges.len() / dim;
    let training: Vec<[f64; 2]> = grid
        .iter()
        .enumerate()
        .flat_map(|(step, &sigma)| {
            (0..POINTS).map(move |item| {
                let charge = (item * 7919) % count;
                let mut x = charges[charge * dim..(charge + 1) * dim].to_vec();
                let mut rng = stream(seed, Purpose::Perturbation, step as u64, item as u64);
                prior::perturb(extra_dims, sigma, &mut rng, &mut x);
                [sigma, norm(&x)]
            })
        })
        .collect();
    let field = ExactField::new(charges.to_vec(), dim, extra_dims);
    let flow = Flow { denoiser: &field, extra_dims };
    let mut x = flow.latents(grid[0], 0, seed..seed + SAMPLES as u64);
    let norms = |x: &[f64]| -> Vec<f64> { x.chunks_exact(dim).map(norm).collect() };
    let mut paths = vec![norms(&x)];
    for pair in grid.windows(2) {
        heun(&flow, pair, &mut x);
        paths.push(norms(&x));
    }
    let (across, up) =
        (Axis::logarithmic(label, RANGE.0 / 1.3, RANGE.1 * 1.3), Axis::logarithmic("norm |x| of 64 pixels", 3.0, 3e4));
    let entries = [("training points", Mark::Dot, GRAY), ("samples of the exact field", Mark::Line, BLUE)];
    let cell = header(canvas, cell, title, &entries);
    let mut panel = Panel::new(canvas, cell, "", across, up);
    panel.dots(training.iter().copied(), 1.3, GRAY.faded(0.45));
    for sample in 0..SAMPLES {
        let path = grid.iter().zip(&paths).map(|(&sigma, norms)| [sigma, norms[sample]]);
        panel.curve(path, 0.8, BLUE.faded(0.6));
    }
    let width = at_the_top(&training, grid[0]).context("points at the highest level")?;
    line(format!(
        "D = {extra_dims:<4} at sigma = {:.0} the norms of 90 % of the training points lie within a factor of {width:.2}",
        grid[0]
    ));
    Ok(())
}

/// The ratio of the ends of the middle 90 % of the norms at a level.
fn at_the_top(points: &[[f64; 2]], level: f64) -> Option<f64> {
    let mut norms: Vec<f64> = points.iter().filter(|point| point[0] == level).map(|point| point[1]).collect();
    norms.sort_by(f64::total_cmp);
    let at = |share: f64| norms.get((share * norms.len() as f64) as usize).copied();
    Some(at(0.95)? / at(0.05)?)
}
