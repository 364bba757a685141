//! Group normalization (arXiv 1803.08494) with SiLU, and its gradients.
//!
//! Each image is one piece of work: its statistics, then one pass that normalizes, scales, shifts and activates. The
//! gradient recomputes the normalized values.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::math::{load, sigmoid, silu, store};

/// Sizes and options of a group normalization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// Pixels of an image.
    pub pixels: usize,
    /// Channels.
    pub channels: usize,
    /// Groups that the channels are split into.
    pub groups: usize,
    /// Term added to the variance.
    pub epsilon: f32,
    /// Whether SiLU follows.
    pub activate: bool,
}

/// Scale and shift of the normalized values: `[channels]`, or `[batch, channels]` where each image has its own.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// Factors.
    pub gamma: &'a [f32],
    /// Terms.
    pub beta: &'a [f32],
}

/// The operands of [`gradient`].
#[derive(Clone, Copy, Debug)]
pub struct Operands<'a> {
    /// The input, `[batch, pixels, channels]`.
    pub x: &'a [f32],
    /// Scale and shift.
    pub affine: Affine<'a>,
    /// The gradient for the output, as the input.
    pub dy: &'a [f32],
}

/// The results of [`gradient`], all overwritten.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// The gradient for the input.
    pub dx: &'a mut [f32],
    /// The gradient for gamma of each image, `[batch, channels]`.
    pub d_gamma: &'a mut [f32],
    /// The gradient for beta of each image, `[batch, channels]`.
    pub d_beta: &'a mut [f32],
}

/// The most lanes of a vector of any processor.
const MOST_LANES: usize = 16;

/// Least number of values of a task of a thread: a smaller task takes longer to hand over than to do.
const LEAST_WORK: usize = 1 << 13;

/// `ROWS` rows of one value a channel, padded to whole vectors. The images of a task share it.
struct Scratch<const ROWS: usize> {
    values: Vec<f32>,
    row: usize,
}

impl<const ROWS: usize> Scratch<ROWS> {
    fn new(geometry: Geometry) -> Self {
        let row = geometry.channels.next_multiple_of(MOST_LANES);
        Self { values: vec![0.0; ROWS * row], row }
    }

    fn rows(&mut self) -> [&mut [f32]; ROWS] {
        let mut rows = self.values.chunks_exact_mut(self.row);
        std::array::from_fn(|_| rows.next().expect("a row for each"))
    }
}

impl Geometry {
    /// The row of gamma or beta that belongs to an image.
    fn row(self, values: &[f32], image: usize) -> &[f32] {
        if values.len() == self.channels { values } else { &values[image * self.channels..][..self.channels] }
    }

    /// Gamma and beta of an image.
    fn affine_of(self, affine: Affine<'_>, image: usize) -> Affine<'_> {
        Affine { gamma: self.row(affine.gamma, image), beta: self.row(affine.beta, image) }
    }

    /// Checks the operands, which the code below then trusts.
    fn check(self, x: &[f32], y: &[f32], [gamma, beta]: [&[f32]; 2]) {
        let image = self.pixels * self.channels;
        assert!(x.len().is_multiple_of(image) && x.len() == y.len(), "group_norm: {} values against {self:?}", x.len());
        for values in [gamma.len(), beta.len()] {
            let fits = values == self.channels || values * self.pixels == x.len();
            assert!(fits, "group_norm: gamma or beta of {values} values against {self:?}");
        }
    }

    /// Computes the mean over each group from the sums over each channel, and writes it to each of its channels.
    fn group_means(self, sums: &mut [f32]) {
        let size = self.channels / self.groups;
        for group in sums[..self.channels].chunks_exact_mut(size) {
            let total: f32 = group.iter().sum();
            group.fill(total / (self.pixels * size) as f32);
        }
    }

    /// Images of a piece of work, at least.
    fn least_images(self) -> usize {
        LEAST_WORK.div_ceil(self.pixels * self.channels)
    }

    /// Writes mean and reciprocal standard deviation of each channel's group.
    #[inline(always)]
    fn statistics<S: Simd>(self, simd: S, x: &[f32], mean: &mut [f32], scale: &mut [f32]) {
        let channels = self.channels;
        mean.fill(0.0);
        for x in x.chunks_exact(channels) {
            for c in (0..channels).step_by(S::F32_LANES) {
                let sum = simd.add_f32s(whole(simd, mean, c), load(simd, x, c, channels - c));
                put::<S>(mean, c, sum);
            }
        }
        self.group_means(mean);
        for c in (0..channels).step_by(S::F32_LANES) {
            let (left, middle) = (channels - c, whole(simd, mean, c));
            // Four independent sums hide latency.
            let mut sums = [simd.splat_f32s(0.0); 4];
            let mut pixels = x.chunks_exact(4 * channels);
            for four in &mut pixels {
                for (index, sum) in sums.iter_mut().enumerate() {
                    let centered = simd.sub_f32s(load(simd, four, index * channels + c, left), middle);
                    *sum = simd.mul_add_e_f32s(centered, centered, *sum);
                }
            }
            for x in pixels.remainder().chunks_exact(channels) {
                let centered = simd.sub_f32s(load(simd, x, c, left), middle);
                sums[0] = simd.mul_add_e_f32s(centered, centered, sums[0]);
            }
            let pairs = (simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
            put::<S>(scale, c, simd.add_f32s(pairs.0, pairs.1));
        }
        self.group_means(scale);
        scale.iter_mut().for_each(|variance| *variance = 1.0 / (*variance + self.epsilon).sqrt());
    }

    #[inline(always)]
    fn forward_image<S: Simd>(
        self,
        simd: S,
        [mean, scale]: [&mut [f32]; 2],
        x: &[f32],
        Affine { gamma, beta }: Affine,
        y: &mut [f32],
    ) {
        let channels = self.channels;
        self.statistics(simd, x, mean, scale);
        // gamma (x - mean) scale + beta = x factor + offset
        let (factor, offset) = (scale, mean);
        for c in 0..channels {
            factor[c] *= gamma[c];
            offset[c] = beta[c] - offset[c] * factor[c];
        }
        // A vector of channels at a time down all pixels: what belongs to the channels stays in registers.
        for c in (0..channels).step_by(S::F32_LANES) {
            let (left, factor, term) = (channels - c, whole(simd, factor, c), whole(simd, offset, c));
            for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
                let z = simd.mul_add_e_f32s(load(simd, x, c, left), factor, term);
                let value = if self.activate { silu(simd, z) } else { z };
                store(simd, y, c, left, value);
            }
        }
    }

    /// Writes the gradients of one image.
    #[inline(always)]
    fn gradient_image<S: Simd>(
        self,
        simd: S,
        scratch: &mut Scratch<6>,
        operands: Operands,
        Gradients { dx, d_gamma, d_beta }: Gradients,
    ) {
        let (channels, x) = (self.channels, operands.x);
        let [mean, scale, gamma, beta, gamma_sum, beta_sum] = scratch.rows();
        gamma[..channels].copy_from_slice(operands.affine.gamma);
        beta[..channels].copy_from_slice(operands.affine.beta);
        self.statistics(simd, x, mean, scale);
        self.activation_gradient(simd, operands, [mean, scale, gamma, beta], [gamma_sum, beta_sum], dx);
        d_gamma.copy_from_slice(&gamma_sum[..channels]);
        d_beta.copy_from_slice(&beta_sum[..channels]);
        // The statistics depend on x, too: dx = scale (g - mean(g) - normal mean(g normal)), g = gradient gamma. In terms
        // of x and the gradient that is `gradient factor - x slope - level`.
        let (level, slope, factor) = (beta_sum, gamma_sum, gamma);
        for c in 0..channels {
            level[c] *= factor[c];
            slope[c] *= factor[c];
        }
        self.group_means(level);
        self.group_means(slope);
        for c in 0..channels {
            factor[c] *= scale[c];
            slope[c] *= scale[c] * scale[c];
            level[c] = level[c] * scale[c] - mean[c] * slope[c];
        }
        for c in (0..channels).step_by(S::F32_LANES) {
            let (left, factor) = (channels - c, whole(simd, factor, c));
            let (slope, level) = (whole(simd, slope, c), whole(simd, level, c));
            for (x, dx) in x.chunks_exact(channels).zip(dx.chunks_exact_mut(channels)) {
                let taken = simd.mul_add_e_f32s(load(simd, x, c, left), slope, level);
                let value = simd.sub_f32s(simd.mul_f32s(load(simd, dx, c, left), factor), taken);
                store(simd, dx, c, left, value);
            }
        }
    }

    /// Writes the gradient before SiLU to `dx`, and its sums over the pixels, times the normalized values and alone: the
    /// gradients for gamma and beta.
    #[inline(always)]
    fn activation_gradient<S: Simd>(
        self,
        simd: S,
        Operands { x, dy, .. }: Operands,
        [mean, scale, gamma, beta]: [&[f32]; 4],
        [gamma_sum, beta_sum]: [&mut [f32]; 2],
        dx: &mut [f32],
    ) {
        let channels = self.channels;
        let one = simd.splat_f32s(1.0);
        for c in (0..channels).step_by(S::F32_LANES) {
            let (left, middle, factor) = (channels - c, whole(simd, mean, c), whole(simd, scale, c));
            let (gamma, beta) = (whole(simd, gamma, c), whole(simd, beta, c));
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
            put::<S>(gamma_sum, c, sums[0]);
            put::<S>(beta_sum, c, sums[1]);
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

/// [`Geometry::forward_image`], which `pulp` compiles for the vector instructions.
struct Forward<'a> {
    geometry: Geometry,
    scratch: &'a mut Scratch<2>,
    x: &'a [f32],
    affine: Affine<'a>,
    y: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.geometry.forward_image(simd, self.scratch.rows(), self.x, self.affine, self.y);
    }
}

/// [`Geometry::gradient_image`], which `pulp` compiles for the vector instructions.
struct Gradient<'a> {
    geometry: Geometry,
    scratch: &'a mut Scratch<6>,
    operands: Operands<'a>,
    gradients: Gradients<'a>,
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.geometry.gradient_image(simd, self.scratch, self.operands, self.gradients);
    }
}

/// Normalizes each group of channels of each image, scales, shifts, and applies SiLU if asked to.
///
/// # Shapes
/// `x`, `y` (overwritten): `[batch, pixels, channels]`
///
/// # Panics
/// If the lengths do not match.
pub fn forward(arch: Arch, geometry: Geometry, x: &[f32], affine: Affine, y: &mut [f32]) {
    geometry.check(x, y, [affine.gamma, affine.beta]);
    let image = geometry.pixels * geometry.channels;
    let images = x.par_chunks_exact(image).zip(y.par_chunks_exact_mut(image)).with_min_len(geometry.least_images());
    images.enumerate().for_each_init(
        || Scratch::new(geometry),
        |scratch, (index, (x, y))| {
            arch.dispatch(Forward { geometry, scratch, x, affine: geometry.affine_of(affine, index), y });
        },
    );
}

/// Computes the gradients for the input, gamma and beta.
///
/// # Panics
/// If the lengths do not match.
pub fn gradient(arch: Arch, geometry: Geometry, operands: Operands, gradients: Gradients) {
    let (Operands { x, affine, dy }, Gradients { dx, d_gamma, d_beta }) = (operands, gradients);
    geometry.check(x, dy, [affine.gamma, affine.beta]);
    geometry.check(dx, dy, [d_gamma, d_beta]);
    let (image, channels) = (geometry.pixels * geometry.channels, geometry.channels);
    let sums = d_gamma.par_chunks_exact_mut(channels).zip(d_beta.par_chunks_exact_mut(channels));
    let images = x.par_chunks_exact(image).zip(dy.par_chunks_exact(image)).zip(dx.par_chunks_exact_mut(image));
    let images = images.zip(sums).with_min_len(geometry.least_images()).enumerate();
    images.for_each_init(
        || Scratch::new(geometry),
        |scratch, (index, (((x, dy), dx), (d_gamma, d_beta)))| {
            let operands = Operands { x, affine: geometry.affine_of(affine, index), dy };
            arch.dispatch(Gradient { geometry, scratch, operands, gradients: Gradients { dx, d_gamma, d_beta } });
        },
    );
}
