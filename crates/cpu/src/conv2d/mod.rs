//! Convolution: 3x3 of stride 1 by Winograd's method if there are more than a few channels, everything else as matrix
//! products over blocks of patches.
//!
//! A block of pixels small enough for the second-level cache is unfolded into rows of `kh kw in` values (in
//! channels-last order a row of the kernel is one run of memory), and multiplied with the weights at once. The gradient
//! for the input is the same convolution with mirrored weights; for strides it is the transposed product, folded back.
//! The gradient for the weights is the other transposed product. It is summed over a fixed number of parts, so that it
//! does not depend on the number of threads.

mod patches;
mod winograd;

use pulp::{Arch, Simd};
use rayon::prelude::*;

use self::patches::with_patches;
use crate::{
    buffer::{Buffer, Shared, with_scratch},
    elementwise,
    matrix::{Matrix, Then, Threads, multiply_add, multiply_rows},
};

/// Sizes of a convolution with zero padding of half the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Number of images.
    pub batch: usize,
    /// Height of the input in pixels.
    pub height: usize,
    /// Width of the input in pixels.
    pub width: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Height and width of the kernel, both odd.
    pub kernel: [usize; 2],
    /// Distance in pixels between the centers of neighboring outputs.
    pub stride: usize,
}

/// The operation that follows a convolution's sum: `scale (sum + bias + residual)`.
#[derive(Clone, Copy)]
pub struct Epilogue<'a> {
    /// `[outputs]`, or `[batch, outputs]` for a bias per image.
    pub bias: Option<&'a [f32]>,
    /// Term of the output's shape.
    pub residual: Option<&'a [f32]>,
    /// Factor of the whole.
    pub scale: f32,
}

/// The place of a vector of channels in the output.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// The pixel, counted through all images.
    pub pixel: usize,
    /// The first channel of the vector.
    pub channel: usize,
    /// Channels of the output.
    pub outputs: usize,
}

impl Epilogue<'_> {
    /// No bias, no residual, no factor.
    pub const NONE: Epilogue<'static> = Epilogue { bias: None, residual: None, scale: 1.0 };

    /// The bias of an image.
    #[inline(always)]
    fn bias_of(&self, image: usize, outputs: usize) -> Option<&[f32]> {
        let bias = self.bias?;
        Some(if bias.len() == outputs { bias } else { &bias[image * outputs..][..outputs] })
    }

    /// A vector of an image's bias; zeros if there is none.
    #[inline(always)]
    pub(crate) fn bias_vector<S: Simd>(&self, simd: S, image: usize, channel: usize, outputs: usize) -> S::f32s {
        match self.bias_of(image, outputs) {
            Some(bias) => simd.partial_load_f32s(&bias[channel..]),
            None => simd.splat_f32s(0.0),
        }
    }

    /// Adds the residual to a vector of channels, to which the bias was added already, scales and writes it.
    ///
    /// # Safety
    /// The place exists, `y` and the residual have the output's shape, and no other thread touches this place.
    #[inline(always)]
    pub(crate) unsafe fn write<S: Simd>(&self, simd: S, value: S::f32s, place: Place, y: Shared) {
        let Place { pixel, channel, outputs } = place;
        let at = pixel * outputs + channel;
        let value = if channel + S::F32_LANES <= outputs {
            let value = match self.residual {
                // SAFETY: a whole vector of the pixel's channels.
                Some(residual) => unsafe {
                    simd.add_f32s(value, residual.as_ptr().add(at).cast::<S::f32s>().read_unaligned())
                },
                None => value,
            };
            simd.mul_f32s(value, simd.splat_f32s(self.scale))
        } else {
            let left = outputs - channel;
            let value = match self.residual {
                Some(residual) => simd.add_f32s(value, simd.partial_load_f32s(&residual[at..at + left])),
                None => value,
            };
            let value = simd.mul_f32s(value, simd.splat_f32s(self.scale));
            // SAFETY: by the caller's promise.
            simd.partial_store_f32s(unsafe { y.slice(at, left) }, value);
            return;
        };
        // SAFETY: a whole vector of the pixel's channels.
        unsafe { y.at(at, S::F32_LANES).cast::<S::f32s>().write_unaligned(value) };
    }

    /// Adds the residual and scales rows of sums from pixel `first` on, to which the bias was added already.
    fn finish(&self, arch: Arch, first: usize, outputs: usize, y: &mut [f32]) {
        if let Some(residual) = self.residual {
            elementwise::add_scale(arch, y, &residual[first * outputs..][..y.len()], self.scale);
        } else if self.scale != 1.0 {
            y.iter_mut().for_each(|y| *y *= self.scale);
        }
    }
}

/// Parts of the sum over pixels in the gradient for the weights.
const PARTS: usize = 8;

impl Geometry {
    /// Rows and columns of pixels of the output.
    pub fn out(self) -> [usize; 2] {
        [self.height.div_ceil(self.stride), self.width.div_ceil(self.stride)]
    }

    /// Geometry of the convolution that computes the gradient for the input, for stride 1.
    fn swapped(self) -> Self {
        Self { inputs: self.outputs, outputs: self.inputs, ..self }
    }

    /// Pixels of all outputs.
    fn out_pixels(self) -> usize {
        self.batch * self.out()[0] * self.out()[1]
    }

    /// Pixels of all inputs.
    fn pixels(self) -> usize {
        self.batch * self.height * self.width
    }

    /// Checks the operands of a convolution, which the code below then trusts.
    pub(crate) fn check(self, x: &[f32], y: &[f32], epilogue: Epilogue) {
        let y_len = self.out_pixels() * self.outputs;
        assert_eq!(x.len(), self.pixels() * self.inputs, "conv2d: the input against {self:?}");
        assert_eq!(y.len(), y_len, "conv2d: the output against {self:?}");
        if let Some(bias) = epilogue.bias {
            let fits = [self.outputs, self.batch * self.outputs].contains(&bias.len());
            assert!(fits, "conv2d: a bias of {} values against {self:?}", bias.len());
        }
        if let Some(residual) = epilogue.residual {
            assert_eq!(residual.len(), y_len, "conv2d: the residual against {self:?}");
        }
    }
}

/// A convolution's weights, prepared for the vector instructions.
pub struct Filters {
    arch: Arch,
    values: Values,
}

enum Values {
    /// At Winograd's points.
    Winograd(winograd::Filters),
    /// Unchanged, or mirrored.
    Plain(Vec<f32>),
}

impl Filters {
    /// Prepares weights `[kh, kw, inputs, outputs]` for [`forward`].
    pub fn new(arch: Arch, geometry: Geometry, weight: &[f32]) -> Self {
        let values = if winograd::fits(geometry) {
            Values::Winograd(winograd::Filters::new(arch, weight, geometry.inputs, geometry.outputs))
        } else {
            Values::Plain(weight.to_vec())
        };
        Self { arch, values }
    }

    /// Prepares them for [`input_gradient`].
    pub fn mirrored(arch: Arch, geometry: Geometry, weight: &[f32]) -> Self {
        let Geometry { inputs, outputs, kernel, stride, .. } = geometry;
        if stride > 1 {
            return Self { arch, values: Values::Plain(weight.to_vec()) };
        }
        let taps = kernel[0] * kernel[1];
        assert_eq!(weight.len(), taps * inputs * outputs, "conv2d: weights against {geometry:?}");
        let mut mirrored = Buffer::new(weight.len());
        mirrored.values_mut().par_chunks_exact_mut(inputs * outputs).enumerate().for_each(|(tap, target)| {
            transpose(&weight[(taps - 1 - tap) * inputs * outputs..][..inputs * outputs], inputs, target);
        });
        Self::new(arch, geometry.swapped(), mirrored.values())
    }
}

/// Transposes a matrix, in squares that fit into cache lines.
pub(crate) fn transpose(from: &[f32], rows: usize, to: &mut [f32]) {
    const SIDE: usize = 16;
    let columns = from.len() / rows.max(1);
    for row in (0..rows).step_by(SIDE) {
        for column in (0..columns).step_by(SIDE) {
            for c in column..(column + SIDE).min(columns) {
                for r in row..(row + SIDE).min(rows) {
                    to[c * rows + r] = from[r * columns + c];
                }
            }
        }
    }
}

/// Computes the convolution, followed by the epilogue.
///
/// # Shapes
/// `x`: `[batch, height, width, inputs]`; `y` (overwritten): `[batch, out height, out width, outputs]`
///
/// # Panics
/// If the lengths do not match.
pub fn forward(geometry: Geometry, x: &[f32], filters: &Filters, epilogue: Epilogue, y: &mut [f32]) {
    geometry.check(x, y, epilogue);
    match &filters.values {
        Values::Winograd(values) => winograd::forward((filters.arch, values), geometry, x, epilogue, y),
        Values::Plain(weight) => by_patches(geometry, x, (filters.arch, weight), epilogue, y),
    }
}

/// [`forward`] as matrix products over blocks of patches.
fn by_patches(geometry: Geometry, x: &[f32], (arch, weight): (Arch, &[f32]), epilogue: Epilogue, y: &mut [f32]) {
    let (block, patch, outputs) = (geometry.block(), geometry.patch(), geometry.outputs);
    let image = geometry.out()[0] * geometry.out()[1];
    let columns = Matrix::new(weight, patch, outputs);
    y.par_chunks_mut(block * outputs).enumerate().for_each(|(index, y)| {
        let (first, count) = (index * block, y.len() / outputs);
        for (at, row) in y.chunks_exact_mut(outputs).enumerate() {
            match epilogue.bias_of((first + at) / image, outputs) {
                Some(bias) => row.copy_from_slice(bias),
                None => row.fill(0.0),
            }
        }
        with_patches(geometry, x, first, count, |patches| {
            if outputs == 1 {
                elementwise::dot_rows(arch, patches, weight, y);
            } else {
                // The last block may have any number of pixels, which must not change their results.
                multiply_rows(Matrix::new(patches, count, patch), columns, y, Then::Add, Threads::One);
            }
        });
        epilogue.finish(arch, first, outputs, y);
    });
}

/// Computes the gradient for the input from the one for the output, `dy`.
///
/// # Shapes
/// `dy`: `[batch, out height, out width, outputs]`, `dx` (overwritten): `[batch, height, width, inputs]`
///
/// # Panics
/// If the lengths do not match.
pub fn input_gradient(geometry: Geometry, dy: &[f32], mirrored: &Filters, dx: &mut [f32]) {
    let Geometry { inputs, outputs, stride, height, width, .. } = geometry;
    let weight = match &mirrored.values {
        Values::Plain(weight) if stride > 1 => weight,
        _ => return forward(geometry.swapped(), dy, mirrored, Epilogue::NONE, dx),
    };
    geometry.check(dx, dy, Epilogue::NONE);
    let (image, patch) = (geometry.out()[0] * geometry.out()[1], geometry.patch());
    let weight = Matrix::new(weight, patch, outputs).transposed();
    dx.par_chunks_exact_mut(height * width * inputs).enumerate().for_each(|(index, dx)| {
        dx.fill(0.0);
        let start = index * dx.len();
        for from in (0..image).step_by(geometry.block()) {
            let (first, count) = (index * image + from, geometry.block().min(image - from));
            with_scratch(count * patch, |patches| {
                patches.fill(0.0);
                multiply_add(Matrix::new(&dy[first * outputs..][..count * outputs], count, outputs), weight, patches);
                geometry.fold(patches, first, count, start, dx);
            });
        }
    });
}

/// Computes the gradient for the weights.
///
/// # Shapes
/// `x` and `dy` as in [`forward`] and [`input_gradient`]; `weight` (overwritten): `[kh, kw, inputs, outputs]`
///
/// # Panics
/// If the lengths do not match.
pub fn weight_gradient(arch: Arch, geometry: Geometry, x: &[f32], dy: &[f32], weight: &mut [f32]) {
    geometry.check(x, dy, Epilogue::NONE);
    if winograd::fits(geometry) {
        return winograd::weight_gradient(arch, geometry, x, dy, weight);
    }
    let (block, patch, outputs) = (geometry.block(), geometry.patch(), geometry.outputs);
    assert_eq!(weight.len(), patch * outputs, "conv2d: weights against {geometry:?}");
    let pixels = geometry.out_pixels();
    let blocks = pixels.div_ceil(block);
    let part = blocks.div_ceil(PARTS);
    let mut sums = Buffer::zeros(PARTS * patch * outputs);
    sums.values_mut().par_chunks_exact_mut(patch * outputs).enumerate().for_each(|(index, sum)| {
        for block_index in index * part..((index + 1) * part).min(blocks) {
            let first = block_index * block;
            let count = block.min(pixels - first);
            let dy = Matrix::new(&dy[first * outputs..(first + count) * outputs], count, outputs);
            with_patches(geometry, x, first, count, |patches| {
                multiply_add(Matrix::new(patches, count, patch).transposed(), dy, sum);
            });
        }
    });
    weight.fill(0.0);
    for part in sums.values().chunks_exact(patch * outputs) {
        weight.iter_mut().zip(part).for_each(|(total, value)| *total += value);
    }
}

/// Computes the gradient for a bias per image: the sums over pixels.
///
/// # Shapes
/// `dy`: `[batch, pixels, outputs]`, `sums` (overwritten): `[batch, outputs]`
pub fn bias_gradient(arch: Arch, outputs: usize, dy: &[f32], sums: &mut [f32]) {
    let image = dy.len() / (sums.len() / outputs).max(1);
    let images = sums.par_chunks_exact_mut(outputs).zip(dy.par_chunks_exact(image));
    images.for_each(|(sum, dy)| elementwise::sum_rows(arch, dy, sum));
}
