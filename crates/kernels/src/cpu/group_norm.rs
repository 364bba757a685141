//! Group normalisation fused with SiLU, and its gradients.
//!
//! Each image is one piece of work: its statistics, then one pass that normalises, scales, shifts and activates. The
//! gradient computes the normalised values anew instead of keeping them.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::math::{load, sigmoid, silu, store};

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
        for group in sums[..self.channels].chunks_exact_mut(size) {
            let total: f32 = group.iter().sum();
            group.fill(total / (self.pixels * size) as f32);
        }
    }

    /// A value for each channel, with room for whole vectors.
    fn row_of<S: Simd>(self, values: &[f32]) -> Vec<f32> {
        let mut row = vec![0.0; self.channels.next_multiple_of(S::F32_LANES)];
        row[..values.len()].copy_from_slice(values);
        row
    }

    #[inline(always)]
    fn statistics<S: Simd>(self, simd: S, x: &[f32]) -> Statistics {
        let channels = self.channels;
        let (mut mean, mut scale) = (self.row_of::<S>(&[]), self.row_of::<S>(&[]));
        for x in x.chunks_exact(channels) {
            for c in (0..channels).step_by(S::F32_LANES) {
                let sum = simd.add_f32s(whole(simd, &mean, c), load(simd, x, c, channels - c));
                put::<S>(&mut mean, c, sum);
            }
        }
        self.group_means(&mut mean);
        for c in (0..channels).step_by(S::F32_LANES) {
            let (left, middle) = (channels - c, whole(simd, &mean, c));
            // Four sums side by side: one would wait for itself.
            let mut sums = [simd.splat_f32s(0.0); 4];
            let mut pixels = x.chunks_exact(4 * channels);
            for four in &mut pixels {
                for (index, sum) in sums.iter_mut().enumerate() {
                    let centred = simd.sub_f32s(load(simd, four, index * channels + c, left), middle);
                    *sum = simd.mul_add_e_f32s(centred, centred, *sum);
                }
            }
            for x in pixels.remainder().chunks_exact(channels) {
                let centred = simd.sub_f32s(load(simd, x, c, left), middle);
                sums[0] = simd.mul_add_e_f32s(centred, centred, sums[0]);
            }
            let pairs = (simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
            put::<S>(&mut scale, c, simd.add_f32s(pairs.0, pairs.1));
        }
        self.group_means(&mut scale);
        scale.iter_mut().for_each(|variance| *variance = 1.0 / (*variance + self.epsilon).sqrt());
        Statistics { mean, scale }
    }

    #[inline(always)]
    fn forward_image<S: Simd>(self, simd: S, x: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32]) {
        let channels = self.channels;
        let Statistics { mean, mut scale } = self.statistics(simd, x);
        // gamma (x - mean) scale + beta = x factor + offset
        let mut offset = self.row_of::<S>(beta);
        for c in 0..channels {
            scale[c] *= gamma[c];
            offset[c] -= mean[c] * scale[c];
        }
        // A vector of channels at a time down all pixels: what belongs to the channels stays in registers.
        for c in (0..channels).step_by(S::F32_LANES) {
            let (left, factor, term) = (channels - c, whole(simd, &scale, c), whole(simd, &offset, c));
            for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
                let z = simd.mul_add_e_f32s(load(simd, x, c, left), factor, term);
                let value = if self.activate { silu(simd, z) } else { z };
                store(simd, y, c, left, value);
            }
        }
    }

    /// Writes the gradients for the input, gamma and beta.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "four operands and three results")]
    fn gradient_image<S: Simd>(
        self,
        simd: S,
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        d_gamma: &mut [f32],
        d_beta: &mut [f32],
    ) {
        let channels = self.channels;
        let Statistics { mean, scale } = self.statistics(simd, x);
        let (gamma, beta) = (self.row_of::<S>(gamma), self.row_of::<S>(beta));
        let (mut gamma_sum, mut beta_sum) = (self.row_of::<S>(&[]), self.row_of::<S>(&[]));
        let one = simd.splat_f32s(1.0);
        // First the gradient behind SiLU, kept in dx, and its sums.
        for c in (0..channels).step_by(S::F32_LANES) {
            let (left, middle, factor) = (channels - c, whole(simd, &mean, c), whole(simd, &scale, c));
            let (gamma, beta) = (whole(simd, &gamma, c), whole(simd, &beta, c));
            let mut sums = [simd.splat_f32s(0.0); 2];
            let pixels = x.chunks_exact(channels).zip(dy.chunks_exact(channels)).zip(dx.chunks_exact_mut(channels));
            for ((x, dy), dx) in pixels {
                let normal = simd.mul_f32s(simd.sub_f32s(load(simd, x, c, left), middle), factor);
                let mut gradient = load(simd, dy, c, left);
                if self.activate {
                    let z = simd.mul_add_e_f32s(normal, gamma, beta);
                    let s = sigmoid(simd, z);
                    let slope = simd.mul_f32s(s, simd.mul_add_e_f32s(z, simd.sub_f32s(one, s), one));
                    gradient = simd.mul_f32s(gradient, slope);
                }
                store(simd, dx, c, left, gradient);
                sums = [simd.mul_add_e_f32s(gradient, normal, sums[0]), simd.add_f32s(gradient, sums[1])];
            }
            put::<S>(&mut gamma_sum, c, sums[0]);
            put::<S>(&mut beta_sum, c, sums[1]);
        }
        d_gamma.copy_from_slice(&gamma_sum[..channels]);
        d_beta.copy_from_slice(&beta_sum[..channels]);
        // Then what the statistics take back: dx = scale (g - mean(g) - normal mean(g normal)), g = gradient gamma. In
        // terms of x and the gradient that is `gradient factor - x slope - level`.
        let (mut level, mut slope) = (beta_sum, gamma_sum);
        for c in 0..channels {
            level[c] *= gamma[c];
            slope[c] *= gamma[c];
        }
        self.group_means(&mut level);
        self.group_means(&mut slope);
        let mut factor = gamma;
        for c in 0..channels {
            factor[c] *= scale[c];
            slope[c] *= scale[c] * scale[c];
            level[c] = level[c] * scale[c] - mean[c] * slope[c];
        }
        for c in (0..channels).step_by(S::F32_LANES) {
            let (left, factor) = (channels - c, whole(simd, &factor, c));
            let (slope, level) = (whole(simd, &slope, c), whole(simd, &level, c));
            for (x, dx) in x.chunks_exact(channels).zip(dx.chunks_exact_mut(channels)) {
                let taken = simd.mul_add_e_f32s(load(simd, x, c, left), slope, level);
                let value = simd.sub_f32s(simd.mul_f32s(load(simd, dx, c, left), factor), taken);
                store(simd, dx, c, left, value);
            }
        }
    }
}

/// A vector of a row that has room for whole ones.
#[inline(always)]
fn whole<S: Simd>(simd: S, row: &[f32], c: usize) -> S::f32s {
    load(simd, row, c, S::F32_LANES)
}

/// Writes a vector of a row that has room for whole ones.
#[inline(always)]
fn put<S: Simd>(row: &mut [f32], c: usize, value: S::f32s) {
    let row = &mut row[c..c + S::F32_LANES];
    // SAFETY: the slice holds a whole vector.
    unsafe { row.as_mut_ptr().cast::<S::f32s>().write_unaligned(value) };
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
    fn with_simd<S: Simd>(self, simd: S) {
        self.geometry.forward_image(simd, self.x, self.gamma, self.beta, self.y);
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
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { geometry, x, gamma, beta, dy, dx, d_gamma, d_beta } = self;
        geometry.gradient_image(simd, x, gamma, beta, dy, dx, d_gamma, d_beta);
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
