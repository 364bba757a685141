//! Training points of images: algorithm 1 of PFGM and the perturbation of PFGM++ in pictures.

use anyhow::Result;
use pfgm::{
    extra_dims::ExtraDims,
    field::ExactField,
    flow::{Denoiser, Query},
    latent::norm,
    prior,
    random::{Purpose, stream},
};
use pfgm_plot::{Canvas, Captions, Picture, sheet};

use super::norms::digits;
use crate::render::line;

/// Noise levels, in the model's space from -1 to 1.
const LEVELS: [f64; 7] = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 80.0];
/// The number of extra dimensions of each pair of rows.
const KINDS: [ExtraDims; 3] = [ExtraDims::Finite(1.0), ExtraDims::Finite(128.0), ExtraDims::Infinite];
/// The row of the data set that is perturbed.
const ROW: usize = 3;

/// A perturbed image and its target.
struct TrainingPoint {
    x: Vec<f64>,
    target: Vec<f64>,
}

/// Perturbs an image with the kernel of `extra_dims` at a noise level. Its target is the mean of the charges, weighted by the field.
fn draw(field: &ExactField, extra_dims: ExtraDims, image: &[f64], (sigma, seed): (f64, u64)) -> TrainingPoint {
    let mut x = image.to_vec();
    prior::perturb(extra_dims, sigma, &mut stream(seed, Purpose::Perturbation, 0, ROW as u64), &mut x);
    let mut target = vec![0.0; x.len()];
    field.denoise(&Query { x: &x, sigma: &[sigma], item: &[0] }, &mut target);
    TrainingPoint { x, target }
}

/// Draws an image of digits, the image perturbed at several noise levels, and the target of each perturbed image.
pub fn training_images(scale: f64, seed: u64) -> Result<Canvas> {
    let (charges, dim) = digits()?;
    let image = &charges[ROW * dim..(ROW + 1) * dim];
    let count = charges.len() / dim;
    let mean: Vec<f64> = (0..dim).map(|at| charges.iter().skip(at).step_by(dim).sum::<f64>() / count as f64).collect();
    let (mut values, mut rows) = (Vec::new(), Vec::new());
    for extra_dims in KINDS {
        let field = ExactField::new(charges.clone(), dim, extra_dims);
        let points: Vec<TrainingPoint> =
            LEVELS.iter().map(|&sigma| draw(&field, extra_dims, image, (sigma, seed))).collect();
        let name = if extra_dims == ExtraDims::Infinite { "∞".to_owned() } else { extra_dims.to_string() };
        rows.extend([format!("D = {name}: point"), format!("D = {name}: target")]);
        values.extend(image.iter().copied().chain(points.iter().flat_map(|point| shown(&point.x, norm(image)))));
        values.extend(image.iter().chain(points.iter().flat_map(|point| &point.target)).copied());
        let apart = |target: &[f64], other: &[f64]| {
            let difference: Vec<f64> = target.iter().zip(other).map(|(a, b)| a - b).collect();
            norm(&difference) / norm(image)
        };
        let (first, last) = (&points[0].target, &points[points.len() - 1].target);
        line(format!(
            "D = {name:<4} at sigma = {} the target differs from the image by {:.1e} of its norm, at sigma = {} from the mean of all images by {:.2}",
            LEVELS[0],
            apart(first, image),
            LEVELS[LEVELS.len() - 1],
            apart(last, &mean)
        ));
    }
    line("larger noise is scaled down to the norm of the image");
    let columns = std::iter::once("data".to_owned()).chain(LEVELS.iter().map(|sigma| format!("σ = {sigma}"))).collect();
    let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
    let picture = Picture { height: 8, width: 8, channels: 1, range: (-1.0, 1.0) };
    Ok(sheet(picture, &values, LEVELS.len() + 1, &Captions { columns, rows })?.scaled(scale)?)
}

/// A perturbed image, scaled down to a norm if its own is larger.
fn shown(x: &[f64], most: f64) -> impl Iterator<Item = f64> {
    let factor = (most / norm(x)).min(1.0);
    x.iter().map(move |value| factor * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_the_image_near_it_and_the_mean_far_away() {
        let (near, far) = (vec![0.9, -0.4], vec![-0.5, 0.3]);
        let field = |extra_dims| ExactField::new([near.clone(), far.clone()].concat(), 2, extra_dims);
        for extra_dims in KINDS {
            let at = |sigma| draw(&field(extra_dims), extra_dims, &near, (sigma, 1)).target;
            let apart = |a: &[f64], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
            assert!(apart(&at(1e-3), [0.9, -0.4]) < 1e-2, "{extra_dims}");
            assert!(apart(&at(1e4), [0.2, -0.05]) < 1e-3, "{extra_dims}");
        }
    }
}
