//! One distribution for the noise of training and for the prior of sampling (docs/equations.md, section 4).
//!
//! `x = y + sigma g sqrt(D / chi2_D)` with `g ~ N(0, I)`: a multivariate Student-t with D degrees of freedom, whose
//! density is proportional to `(|x-y|^2 + r^2)^(-(N+D)/2)`. At D = 1 and around the origin it is the radial projection of
//! the uniform hemisphere onto the plane z = z_max; for infinite D it is a Gaussian.

use std::f64::consts::PI;

use rand::Rng;
use rand_distr::{ChiSquared, Distribution, StandardNormal};
use statrs::function::gamma::ln_gamma;

use crate::{
    extra_dims::ExtraDims,
    random::{Purpose, stream},
};

/// The largest scale of noise in units of sigma. At D = 1 one draw in 10^15 is as large, for smaller D more. Squares of
/// larger values overflow the single precision of networks.
const LARGEST: f64 = 1e15;

/// Draws the scale of the noise in units of sigma: `sqrt(D / chi2_D)`, or 1 if D is infinite. Given the scale, the noise is Gaussian.
pub fn scale(extra_dims: ExtraDims, rng: &mut impl Rng) -> f64 {
    match extra_dims {
        ExtraDims::Finite(d) => {
            let chi2 = ChiSquared::new(d).expect("D is positive").sample(rng);
            (d / chi2).sqrt().min(LARGEST)
        }
        ExtraDims::Infinite => 1.0,
    }
}

/// Adds noise of level `sigma` to `x`, in place.
pub fn perturb(extra_dims: ExtraDims, sigma: f64, rng: &mut impl Rng, x: &mut [f64]) {
    let scale = sigma * scale(extra_dims, rng);
    for value in x {
        let gauss: f64 = StandardNormal.sample(rng);
        *value += scale * gauss;
    }
}

/// Draws the latents of samples: for each seed a point of the prior at noise level `sigma`, which depends on the seed and the stage
/// alone. The flows of a cascade are stages 0, 1, ...; a flow by itself is stage 0.
///
/// # Shapes
/// The result: `[seeds, dim]`, with `dim` = N
pub fn latents(
    extra_dims: ExtraDims,
    dim: usize,
    sigma: f64,
    stage: u64,
    seeds: impl IntoIterator<Item = u64>,
) -> Vec<f64> {
    let of_seed = |seed| {
        let mut x = vec![0.0; dim];
        perturb(extra_dims, sigma, &mut stream(seed, Purpose::Latent, stage, 0), &mut x);
        x
    };
    seeds.into_iter().flat_map(of_seed).collect()
}

/// The logarithm of the density of the noise at squared distance `|x-y|^2` in `dim` = N dimensions.
pub fn log_density(extra_dims: ExtraDims, dim: usize, sigma: f64, squared_distance: f64) -> f64 {
    let n = dim as f64;
    match extra_dims {
        ExtraDims::Finite(d) => {
            let r = extra_dims.r(sigma);
            ln_gamma((n + d) / 2.0) - ln_gamma(d / 2.0) - n / 2.0 * PI.ln() - n * r.ln()
                + extra_dims.log_weight(dim, sigma, squared_distance)
        }
        ExtraDims::Infinite => {
            -n / 2.0 * (2.0 * PI * sigma * sigma).ln() + extra_dims.log_weight(dim, sigma, squared_distance)
        }
    }
}
