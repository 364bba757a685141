//! Restoration of noisy or incomplete images.
//!
//! A noisy image is a point of the flow at the noise level of the image, from which the flow carries it down. Inpainting samples the
//! whole image and replaces the known pixels at every noise level.

use rand_distr::{Distribution, StandardNormal};

use crate::{
    extra_dims::ExtraDims,
    flow::{Flow, Query},
    prior,
    random::{Purpose, Stream, stream},
    solver::{self, Schedule, Solver, SolverError},
};

/// Carries noisy points from their noise level `sigma` down to `sigma_min`, in place.
///
/// # Errors
/// If the solver fails.
///
/// # Shapes
/// `x`: `[rows, N]`
pub fn denoise(flow: &Flow, solver: &Solver, sigma_min: f64, sigma: f64, x: &mut [f64]) -> Result<(), SolverError> {
    solver::sample(flow, solver, (sigma_min, sigma), x)
}

/// Replaces noisy points by `yhat` at their noise level: the estimate with the least mean squared error, smoother than a sample.
///
/// # Shapes
/// `x`: `[rows, N]`
pub fn denoise_in_one_step(flow: &Flow, sigma: f64, x: &mut [f64]) {
    let rows = x.len() / flow.denoiser.dim();
    let (levels, items): (Vec<f64>, Vec<usize>) = (vec![sigma; rows], (0..rows).collect());
    let mut yhat = vec![0.0; x.len()];
    flow.denoiser.denoise(&Query { x, sigma: &levels, item: &items }, &mut yhat);
    x.copy_from_slice(&yhat);
}

/// Estimates the standard deviation of white noise in an image: the median magnitude of the diagonal details of its finest Haar wavelets,
/// divided by that of a standard normal variable (Donoho and Johnstone, Biometrika 81 (1994) 425-455). Returns the smallest estimate of
/// the channels; None for images below 2x2 pixels.
///
/// # Shapes
/// `image`: `[height, width, channels]`
pub fn estimate_noise(image: &[f64], [height, width, channels]: [usize; 3]) -> Option<f64> {
    if height < 2 || width < 2 {
        return None;
    }
    const MEDIAN: f64 = 0.674_489_750_196_081_7;
    let of_channel = |channel: usize| {
        let at = |row: usize, column: usize| image[(row * width + column) * channels + channel];
        let mut details: Vec<f64> = (0..height / 2)
            .flat_map(|row| (0..width / 2).map(move |column| (2 * row, 2 * column)))
            .map(|(r, c)| ((at(r, c) - at(r, c + 1) - at(r + 1, c) + at(r + 1, c + 1)) / 2.0).abs())
            .collect();
        let middle = details.len() / 2;
        let (_, median, _) = details.select_nth_unstable_by(middle, f64::total_cmp);
        *median / MEDIAN
    };
    Some((0..channels).map(of_channel).fold(f64::INFINITY, f64::min))
}

/// Options of inpainting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inpainting {
    /// The number of steps on a log-uniform grid.
    pub steps: usize,
    /// The number of times that each step is made. After each but the last, noise returns the image to the level above (RePaint, arXiv
    /// 2201.09865), which makes known and sampled pixels consistent.
    pub rounds: usize,
    /// The lowest and the highest noise level.
    pub range: (f64, f64),
}

/// Inpaints images, in place, with one seed for each.
///
/// For every D the noise of an image is Gaussian noise times one scale, which is drawn with the latent. Given the scale, a higher noise
/// level adds independent Gaussian noise, and the known pixels have an exact distribution at every level.
///
/// # Shapes
/// `x`: `[rows, N]`, of which only the known values are read; `known`: `[rows, N]`; `seeds`: `[rows]`
pub fn inpaint(flow: &Flow, how: Inpainting, known: &[bool], seeds: &[u64], x: &mut [f64]) {
    let dim = flow.denoiser.dim();
    let (lowest, highest) = how.range;
    let levels = Schedule::LogUniform.grid(highest, lowest, how.steps);
    let mut noises: Vec<Noise> = seeds.iter().map(|&seed| Noise::draw(flow.extra_dims, seed)).collect();
    let truth = x.to_vec();
    let add = |noises: &mut [Noise], sigma: f64, x: &mut [f64]| {
        x.chunks_exact_mut(dim).zip(noises).for_each(|(row, noise)| noise.add(sigma, row));
    };
    x.fill(0.0);
    add(&mut noises, highest, x);
    let items: Vec<usize> = (0..seeds.len()).collect();
    let mut slope = vec![0.0; x.len()];
    for step in 0..how.steps {
        let (sigma, next) = (levels[step], levels[step + 1]);
        for round in 0..how.rounds {
            // The known pixels at this noise level.
            let mut there = truth.clone();
            add(&mut noises, sigma, &mut there);
            let put = x.iter_mut().zip(&there).zip(known).filter(|(_, known)| **known);
            put.for_each(|((x, there), _)| *x = *there);
            flow.velocity(&Query { x, sigma: &vec![sigma; seeds.len()], item: &items }, &mut slope);
            x.iter_mut().zip(&slope).for_each(|(x, slope)| *x += (next / sigma - 1.0) * slope);
            if round + 1 < how.rounds {
                add(&mut noises, (sigma * sigma - next * next).sqrt(), x);
            }
        }
    }
    x.iter_mut().zip(&truth).zip(known).filter(|(_, known)| **known).for_each(|((x, truth), _)| *x = *truth);
}

/// The noise of one image.
struct Noise {
    scale: f64,
    rng: Stream,
}

impl Noise {
    fn draw(extra_dims: ExtraDims, seed: u64) -> Self {
        let mut rng = stream(seed, Purpose::Filling, 0, 0);
        Self { scale: prior::scale(extra_dims, &mut rng), rng }
    }

    fn add(&mut self, sigma: f64, row: &mut [f64]) {
        for value in row {
            let gauss: f64 = StandardNormal.sample(&mut self.rng);
            *value += sigma * self.scale * gauss;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::ExactField;

    #[test]
    fn the_noise_of_a_smooth_image_is_found() {
        let mut rng = stream(1, Purpose::Latent, 0, 0);
        for sigma in [0.02, 0.3] {
            let value = |at: usize| ((at / 2 % 64) as f64 / 20.0).sin() + ((at / 128) as f64 / 15.0).cos();
            let noisy: Vec<f64> = (0..64 * 64 * 2)
                .map(|at| value(at) + sigma * <StandardNormal as Distribution<f64>>::sample(&StandardNormal, &mut rng))
                .collect();
            let found = estimate_noise(&noisy, [64, 64, 2]).unwrap();
            assert!((found / sigma - 1.0).abs() < 0.12, "{found} for {sigma}");
        }
    }

    #[test]
    fn a_hole_is_filled_with_what_belongs_there() {
        // Of two charges at -1 either is as likely as the other, but eight others draw towards one of them: gone through once, levels
        // are passed before what is known can tell; gone through often, the two come near their shares.
        let charges = [vec![-1.0, -0.8, -1.0, 0.8], [1.0, 0.8].repeat(8)].concat();
        for extra_dims in [ExtraDims::Finite(16.0), ExtraDims::Infinite] {
            let field = ExactField::new(charges.clone(), 2, extra_dims);
            let flow = Flow { denoiser: &field, extra_dims };
            let (seeds, known): (Vec<u64>, _) = ((0..600).collect(), [true, false].repeat(600));
            let shares = |rounds: usize| {
                let mut x = [-1.0, 0.0].repeat(600);
                inpaint(&flow, Inpainting { steps: 40, rounds, range: (1e-3, 40.0) }, &known, &seeds, &mut x);
                let near = |target: f64| x.chunks_exact(2).filter(|row| (row[1] - target).abs() < 0.05).count();
                let (low, high) = (near(-0.8), near(0.8));
                assert_eq!(low + high, 600, "{extra_dims}: {low} and {high}");
                low as f64 / 600.0
            };
            // 0.252 and 0.39 to 0.43 of 2000 in another program; five standard deviations of 600 are 0.09 and 0.10.
            let (once, often) = (shares(1), shares(10));
            assert!(once < 0.32 && often > 0.345, "{extra_dims}: {once} and {often} of the one, half would be right");
        }
    }

    #[test]
    fn noise_is_taken_off_from_its_own_level() {
        let field = ExactField::new(vec![-1.0, -1.0, 1.0, 1.0], 2, ExtraDims::Infinite);
        let flow = Flow { denoiser: &field, extra_dims: ExtraDims::Infinite };
        let noisy = vec![0.8, 1.3, -1.2, -0.7];
        let mut many = noisy.clone();
        denoise(&flow, &Solver::euler(20).into(), 1e-3, 0.3, &mut many).unwrap();
        let mut one = noisy;
        denoise_in_one_step(&flow, 0.3, &mut one);
        for (x, expected) in many.iter().chain(&one).zip([1.0, 1.0, -1.0, -1.0].repeat(2)) {
            assert!((x - expected).abs() < 1e-2, "{many:?}, {one:?}");
        }
    }
}
