//! Group normalisation fused with SiLU, and its gradients.
//!
//! Each image is one piece of work: its statistics, then one pass that normalises, scales, shifts and activates. The
//! gradient computes the normalised values anew instead of keeping them.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::math::sigmoid;

/// The sizes of a normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// Pixels of an image.
    pub pixels: usize,
    /// Channels.
    pub channels: usize,
    /// Groups that the channels are split into.
    pub groups: usize,
    /// What is added to the variance.
    pub epsilon: f32,
    /// Whether SiLU follows.
    pub activate: bool,
}

/// Mean and reciprocal standard deviation of each channel's group.
struct Statistics {
    mean: Vec<f32>,
    scale: Vec<f32>,
}

impl Geometry {
    /// The row of gamma or beta that belongs to an image.
    fn row(self, values: &[f32], image: usize) -> &[f32] {
        if values.len() == self.channels { values } else { &values[image * self.channels..][..self.channels] }
    }

    /// Checks the operands, which the code below then trusts.
    fn check(self, x: &[f32], y: &[f32], gamma: &[f32], beta: &[f32]) {
        let image = self.pixels * self.channels;
        assert!(x.len().is_multiple_of(image) && x.len() == y.len(), "group_norm: {} values against {self:?}", x.len());
        for values in [gamma.len(), beta.len()] {
            let fits = values == self.channels || values * self.pixels == x.len();
            assert!(fits, "group_norm: gamma or beta of {values} values against {self:?}");
        }
    }

    /// The mean over each group, from the sums over each channel, given back to each of its channels.
    fn group_means(self, sums: &mut [f32]) {
        let size = self.channels / self.groups;
        for group in sums.chunks_exact_mut(size) {
            let total: f32 = group.iter().sum();
            group.fill(total / (self.pixels * size) as f32);
        }
    }

    #[inline(always)]
    fn statistics(self, x: &[f32]) -> Statistics {
        let mut mean = vec![0.0; self.channels];
        for pixel in x.chunks_exact(self.channels) {
            mean.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
        }
        self.group_means(&mut mean);
        let mut scale = vec![0.0_f32; self.channels];
        for pixel in x.chunks_exact(self.channels) {
            for ((sum, value), mean) in scale.iter_mut().zip(pixel).zip(&mean) {
                *sum = (value - mean).mul_add(value - mean, *sum);
            }
        }
        self.group_means(&mut scale);
        scale.iter_mut().for_each(|variance| *variance = 1.0 / (*variance + self.epsilon).sqrt());
        Statistics { mean, scale }
    }

    #[inline(always)]
    fn forward_image(self, x: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32]) {
        let Statistics { mean, scale } = self.statistics(x);
        // gamma (x - mean) scale + beta = x factor + offset
        let factor: Vec<f32> = scale.iter().zip(gamma).map(|(scale, gamma)| scale * gamma).collect();
        let offset: Vec<f32> = mean.iter().zip(&factor).zip(beta).map(|((mean, f), beta)| beta - mean * f).collect();
        for (x, y) in x.chunks_exact(self.channels).zip(y.chunks_exact_mut(self.channels)) {
            for (((y, x), factor), offset) in y.iter_mut().zip(x).zip(&factor).zip(&offset) {
                let z = x.mul_add(*factor, *offset);
                *y = if self.activate { z * sigmoid(z) } else { z };
            }
        }
    }

    /// Writes the gradients for the input, gamma and beta.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "four operands and three results")]
    fn gradient_image(
        self,
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        d_gamma: &mut [f32],
        d_beta: &mut [f32],
    ) {
        let Statistics { mean, scale } = self.statistics(x);
        let channels = self.channels;
        d_gamma.fill(0.0);
        d_beta.fill(0.0);
        // First the gradient behind SiLU, kept in dx, and its sums.
        for ((x, dy), dx) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)).zip(dx.chunks_exact_mut(channels))
        {
            for c in 0..channels {
                let normal = (x[c] - mean[c]) * scale[c];
                let gradient = if self.activate {
                    let z = normal.mul_add(gamma[c], beta[c]);
                    let s = sigmoid(z);
                    dy[c] * s * z.mul_add(1.0 - s, 1.0)
                } else {
                    dy[c]
                };
                dx[c] = gradient;
                d_gamma[c] = gradient.mul_add(normal, d_gamma[c]);
                d_beta[c] += gradient;
            }
        }
        // Then what the statistics take back: dx = scale (g - mean(g) - normal mean(g normal)), g = gradient gamma.
        let mut level: Vec<f32> = d_beta.iter().zip(gamma).map(|(sum, gamma)| sum * gamma).collect();
        let mut slope: Vec<f32> = d_gamma.iter().zip(gamma).map(|(sum, gamma)| sum * gamma).collect();
        self.group_means(&mut level);
        self.group_means(&mut slope);
        for (x, dx) in x.chunks_exact(channels).zip(dx.chunks_exact_mut(channels)) {
            for c in 0..channels {
                let normal = (x[c] - mean[c]) * scale[c];
                dx[c] = scale[c] * (dx[c] * gamma[c] - level[c] - normal * slope[c]);
            }
        }
    }
}

/// [`Geometry::forward_image`] as `pulp` wants it: what it calls is compiled for the vector unit that is there.
struct Forward<'a> {
    geometry: Geometry,
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.geometry.forward_image(self.x, self.gamma, self.beta, self.y);
    }
}

/// [`Geometry::gradient_image`] as `pulp` wants it.
struct Gradient<'a> {
    geometry: Geometry,
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    d_gamma: &'a mut [f32],
    d_beta: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { geometry, x, gamma, beta, dy, dx, d_gamma, d_beta } = self;
        geometry.gradient_image(x, gamma, beta, dy, dx, d_gamma, d_beta);
    }
}

/// Normalises every image.
///
/// # Shapes
/// `x`, `y` (overwritten): `[batch, pixels, channels]`; `gamma`, `beta`: `[channels]`, or `[batch, channels]` where every
/// image has its own
pub fn forward(arch: Arch, geometry: Geometry, x: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32]) {
    geometry.check(x, y, gamma, beta);
    let image = geometry.pixels * geometry.channels;
    x.par_chunks_exact(image).zip(y.par_chunks_exact_mut(image)).enumerate().for_each(|(index, (x, y))| {
        let (gamma, beta) = (geometry.row(gamma, index), geometry.row(beta, index));
        arch.dispatch(Forward { geometry, x, gamma, beta, y });
    });
}

/// The gradients for the input, gamma and beta, from the one for the output, `dy`.
///
/// # Shapes
/// As in [`forward`]; `dx` is overwritten, and so are `d_gamma` and `d_beta`, `[batch, channels]`: those of every image
#[expect(clippy::too_many_arguments, reason = "five operands and three results")]
pub fn gradient(
    arch: Arch,
    geometry: Geometry,
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    d_gamma: &mut [f32],
    d_beta: &mut [f32],
) {
    geometry.check(x, dy, gamma, beta);
    geometry.check(dx, dy, d_gamma, d_beta);
    let (image, channels) = (geometry.pixels * geometry.channels, geometry.channels);
    let sums = d_gamma.par_chunks_exact_mut(channels).zip(d_beta.par_chunks_exact_mut(channels));
    let images = x.par_chunks_exact(image).zip(dy.par_chunks_exact(image)).zip(dx.par_chunks_exact_mut(image));
    images.zip(sums).enumerate().for_each(|(index, (((x, dy), dx), (d_gamma, d_beta)))| {
        let (gamma, beta) = (geometry.row(gamma, index), geometry.row(beta, index));
        arch.dispatch(Gradient { geometry, x, gamma, beta, dy, dx, d_gamma, d_beta });
    });
}
