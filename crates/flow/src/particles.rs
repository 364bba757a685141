//! Particles in the augmented space.

use rand::RngExt;

use crate::{
    extra_dims::ExtraDims,
    prior,
    random::{Purpose, stream},
};

/// The height above the charges at a noise level, as pictures show it: r, or sigma if D is infinite.
pub fn height(extra_dims: ExtraDims, sigma: f64) -> f64 {
    match extra_dims {
        ExtraDims::Finite(_) => extra_dims.r(sigma),
        ExtraDims::Infinite => sigma,
    }
}

/// Draws particles near the charges, from the density of the flow at the noise level `sigma`. The numbers of particles of any two charges
/// differ by at most one.
///
/// # Shapes
/// `charges`: `[charges, dim]`, result: `[count, dim]`
pub fn on_charges(
    extra_dims: ExtraDims,
    charges: &[f64],
    dim: usize,
    (count, sigma): (usize, f64),
    seed: u64,
) -> Vec<f64> {
    let rows = charges.len() / dim;
    let mut x = Vec::with_capacity(count * dim);
    for item in 0..count {
        let mut rng = stream(seed, Purpose::Latent, 0, item as u64);
        // Each item draws from its own share of the charges, so that few items represent all charges.
        let (first, last) = (item * rows / count, ((item + 1) * rows / count).max(item * rows / count + 1));
        let charge = rng.random_range(first..last);
        let mut point = charges[charge * dim..(charge + 1) * dim].to_vec();
        prior::perturb(extra_dims, sigma, &mut rng, &mut point);
        x.extend(point);
    }
    x
}
