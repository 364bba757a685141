//! Convolution of stride 1 as matrix products over blocks of patches.
//!
//! A block of pixels small enough for the second-level cache is unfolded into rows of `kh kw in` values (in
//! channels-last order a row of the kernel is one run of memory), and multiplied with the weights at once. The gradient
//! for the input is the same convolution with mirrored weights; the one for the weights is the transposed product, summed
//! over a fixed number of parts, so that the result does not depend on the number of threads.

use gemm::Parallelism;
use rayon::prelude::*;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Images.
    pub batch: usize,
    /// Rows of pixels, of the input and of the output.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Rows and columns of the kernel, both odd.
    pub kernel: [usize; 2],
}

/// Values of a block of patches: 128 KiB.
const BLOCK: usize = 32 * 1024;
/// Parts of the sum over pixels in the gradient for the weights.
const PARTS: usize = 8;

impl Geometry {
    fn pixels(self) -> usize {
        self.batch * self.height * self.width
    }

    /// Values of a patch.
    fn patch(self) -> usize {
        self.kernel[0] * self.kernel[1] * self.inputs
    }

    /// Pixels of a block.
    fn block(self) -> usize {
        (BLOCK / self.patch()).clamp(32, 512)
    }

    /// Whether a patch is a pixel.
    fn is_pointwise(self) -> bool {
        self.kernel == [1, 1]
    }

    /// The patches around `count` pixels from `first` on, in the order `kh, kw, in`, with zeros beyond the border.
    fn unfold(self, x: &[f32], first: usize, count: usize, patches: &mut [f32]) {
        let [kernel_h, kernel_w] = self.kernel;
        let (pad_h, pad_w) = (kernel_h / 2, kernel_w / 2);
        let line = kernel_w * self.inputs;
        for (pixel, patch) in (first..first + count).zip(patches.chunks_exact_mut(self.patch())) {
            let (row, column) = (pixel / self.width, pixel % self.width);
            let (image, y) = (row / self.height, row % self.height);
            // The columns of the kernel that lie on the image.
            let left = pad_w.saturating_sub(column);
            let right = kernel_w.min(self.width + pad_w - column);
            for (i, out) in patch.chunks_exact_mut(line).enumerate() {
                let source = (y + i).checked_sub(pad_h).filter(|&source| source < self.height);
                let Some(source) = source else {
                    out.fill(0.0);
                    continue;
                };
                let start = ((image * self.height + source) * self.width + column + left - pad_w) * self.inputs;
                let (from, to) = (left * self.inputs, right * self.inputs);
                out[..from].fill(0.0);
                out[from..to].copy_from_slice(&x[start..start + to - from]);
                out[to..].fill(0.0);
            }
        }
    }
}

/// A matrix in memory: `rows x columns`, and how far apart they are.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after another.
    fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// `out += a b`, on one thread; `out` has rows one after another.
fn multiply_add(a: Matrix, b: Matrix, out: &mut [f32]) {
    assert_eq!(a.columns, b.rows, "the matrices fit");
    assert_eq!(out.len(), a.rows * b.columns, "the result fits");
    for matrix in [a, b] {
        assert!(matrix.values.len() >= matrix.rows * matrix.columns, "the matrix is whole");
    }
    // SAFETY: `a` and `b` are dense (one stride is 1, the other the length of a row or column), so their last element
    // is at rows * columns - 1, which lies in the slice by the assertions; so does that of `out`. `out` is borrowed
    // mutably and overlaps neither.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            b.columns as isize,
            true,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0_f32,
            1.0_f32,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The convolution plus a bias.
///
/// # Shapes
/// `x`: `[batch, height, width, inputs]`, `weight`: `[kh, kw, inputs, outputs]`, `bias`: `[outputs]` or none,
/// `y` (overwritten): `[batch, height, width, outputs]`
pub fn forward(geometry: Geometry, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let Geometry { inputs, outputs, .. } = geometry;
    assert_eq!(x.len(), geometry.pixels() * inputs, "conv2d: the input fits {geometry:?}");
    assert_eq!(y.len(), geometry.pixels() * outputs, "conv2d: the output fits {geometry:?}");
    let (block, patch) = (geometry.block(), geometry.patch());
    let weight = Matrix::new(weight, patch, outputs);
    y.par_chunks_mut(block * outputs).enumerate().for_each_init(
        || vec![0.0; if geometry.is_pointwise() { 0 } else { block * patch }],
        |scratch, (index, y)| {
            let (first, count) = (index * block, y.len() / outputs);
            match bias {
                Some(bias) => y.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(bias)),
                None => y.fill(0.0),
            }
            let patches = patches(geometry, x, first, count, scratch);
            multiply_add(Matrix::new(patches, count, patch), weight, y);
        },
    );
}

/// The patches of a block: unfolded, or where a patch is a pixel, the pixels themselves.
fn patches<'a>(geometry: Geometry, x: &'a [f32], first: usize, count: usize, scratch: &'a mut [f32]) -> &'a [f32] {
    let patch = geometry.patch();
    if geometry.is_pointwise() {
        return &x[first * patch..(first + count) * patch];
    }
    geometry.unfold(x, first, count, &mut scratch[..count * patch]);
    &scratch[..count * patch]
}

/// The gradient for the input from the one for the output, `dy`.
///
/// # Shapes
/// `dy`: `[batch, height, width, outputs]`, `dx` (overwritten): `[batch, height, width, inputs]`
pub fn input_gradient(geometry: Geometry, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
    let Geometry { inputs, outputs, kernel, .. } = geometry;
    let taps = kernel[0] * kernel[1];
    let mut mirrored = vec![0.0; weight.len()];
    for (tap, weights) in weight.chunks_exact(inputs * outputs).enumerate() {
        let target = &mut mirrored[(taps - 1 - tap) * inputs * outputs..][..inputs * outputs];
        for (i, row) in weights.chunks_exact(outputs).enumerate() {
            row.iter().enumerate().for_each(|(o, &value)| target[o * inputs + i] = value);
        }
    }
    forward(Geometry { inputs: outputs, outputs: inputs, ..geometry }, dy, &mirrored, None, dx);
}

/// The gradients for the weights and the bias.
///
/// # Shapes
/// `x` and `dy` as in [`forward`] and [`input_gradient`]; results: `[kh, kw, inputs, outputs]` and `[outputs]`
pub fn weight_gradient(geometry: Geometry, x: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (block, patch, outputs) = (geometry.block(), geometry.patch(), geometry.outputs);
    let blocks = geometry.pixels().div_ceil(block);
    let part = blocks.div_ceil(PARTS);
    let sums: Vec<(Vec<f32>, Vec<f32>)> = (0..PARTS)
        .into_par_iter()
        .map(|index| {
            let (mut weights, mut bias) = (vec![0.0; patch * outputs], vec![0.0; outputs]);
            let mut scratch = vec![0.0; if geometry.is_pointwise() { 0 } else { block * patch }];
            for block_index in index * part..((index + 1) * part).min(blocks) {
                let first = block_index * block;
                let count = block.min(geometry.pixels() - first);
                let dy = &dy[first * outputs..(first + count) * outputs];
                let patches = patches(geometry, x, first, count, &mut scratch);
                let patches = Matrix::new(patches, count, patch).transposed();
                multiply_add(patches, Matrix::new(dy, count, outputs), &mut weights);
                for row in dy.chunks_exact(outputs) {
                    bias.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
            }
            (weights, bias)
        })
        .collect();
    let add = |mut total: Vec<f32>, part: Vec<f32>| {
        total.iter_mut().zip(part).for_each(|(total, value)| *total += value);
        total
    };
    sums.into_iter().reduce(|a, b| (add(a.0, b.0), add(a.1, b.1))).expect("at least one part")
}
