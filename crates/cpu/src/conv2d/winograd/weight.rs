//! The gradient for the weights: the transpose of every step of the forward pass.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    IN, OUT, POINTS, Pixels, Tiling,
    lines::{evaluate_line_transposed, gradient_line},
    plane, transform_input, write_line,
};
use crate::{
    buffer::{Buffer, Shared, with_scratch},
    conv2d::Geometry,
    product::{self, CHANNELS, panel_width},
};

/// The transposed of [`evaluate`] for a vector of pairs of channels: `G^T u G`.
#[inline(always)]
fn evaluate_transposed<S: Simd>(simd: S, u: [S::f32s; POINTS]) -> [S::f32s; 9] {
    let columns = array!(column => evaluate_line_transposed(simd, array!(row => u[row * IN + column]; 6)); 6);
    let [a, b, c] = array!(row => evaluate_line_transposed(simd, array!(column => columns[column][row]; 6)); 3);
    [a[0], a[1], a[2], b[0], b[1], b[2], c[0], c[1], c[2]]
}

/// A part of the gradient for the weights: some tiles, and a panel of channels on either side, small enough for the
/// second-level cache.
struct Part<'a> {
    tiling: Tiling,
    tiles: std::ops::Range<usize>,
    x: &'a [f32],
    dy: &'a [f32],
    /// A page of zeros, as large as a pixel.
    zeros: &'a [f32],
    /// The first channel of either panel, and how many there are, padded to whole vectors.
    first: [usize; 2],
    channels: [usize; 2],
    /// Tiles at the points, `[POINTS][GATHERED][channels]` for either side.
    memory: &'a mut [f32],
    /// `[POINTS][channels of the input][channels of the output]`, overwritten.
    sum: &'a mut [f32],
}

/// Tiles that are multiplied at once.
const GATHERED: usize = 32;

/// Channels of the panels of input and output.
const PANELS: [usize; 2] = [32, 64];

/// Minimum number of parts, if there are enough tiles. It is fixed, so the result does not depend on the number of threads.
const PARTS: usize = 16;

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiling, tiles, x, dy, zeros, first, channels, memory, sum } = self;
        let Geometry { inputs, outputs, .. } = tiling.geometry;
        let (input, gradient) = memory.split_at_mut(POINTS * plane(GATHERED, channels[0]));
        sum.fill(0.0);
        let end = tiles.end;
        for start in tiles.step_by(GATHERED) {
            let count = GATHERED.min(end - start);
            let planes = channels.map(|channels| plane(count, channels));
            for at in 0..count {
                let tile = tiling.tile(start + at);
                let pixels = Pixels::new::<IN>(x, &zeros[..inputs], tiling.geometry, tile, 1);
                for lane in (0..channels[0]).step_by(S::F32_LANES) {
                    let place = at * channels[0] + lane;
                    transform_input(simd, &pixels, first[0] + lane, input, planes[0], place);
                }
                let pixels = Pixels::new::<OUT>(dy, &zeros[..outputs], tiling.geometry, tile, 0);
                for lane in (0..channels[1]).step_by(S::F32_LANES) {
                    let place = at * channels[1] + lane;
                    transform_gradient(simd, &pixels, first[1] + lane, gradient, planes[1], place);
                }
            }
            for point in 0..POINTS {
                let input = &input[point * planes[0]..][..count * channels[0]];
                let gradient = &gradient[point * planes[1]..][..count * channels[1]];
                let sum = &mut sum[point * channels[0] * channels[1]..][..channels[0] * channels[1]];
                product::transposed(simd, count, channels, input, gradient, sum);
            }
        }
    }
}

/// The transposed output transform of a tile of the gradient for the output, both directions: `A dy A^T`.
#[inline(always)]
fn transform_gradient<S: Simd>(
    simd: S,
    pixels: &Pixels<{ OUT * OUT }>,
    from: usize,
    to: &mut [f32],
    plane: usize,
    place: usize,
) {
    let columns =
        array!(column => gradient_line(simd, array!(row => pixels.read(simd, row * OUT + column, from); 4)); 4);
    for row in 0..IN {
        write_line::<S>(gradient_line(simd, array!(column => columns[column][row]; 4)), row, to, plane, place);
    }
}

/// Sums all parts for one input channel and a panel of output channels, and transforms them back to the taps of the kernel.
struct Collect<'a> {
    /// `[parts][POINTS][rows][columns]`
    sums: &'a [f32],
    sides: [usize; 2],
    row: usize,
    /// Number of output channels.
    outputs: usize,
    /// Position of tap 0 of the first channel, and distance between taps.
    start: usize,
    stride: usize,
    weight: Shared<'a>,
}

impl WithSimd for Collect<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [rows, columns] = self.sides;
        for lane in (0..self.outputs).step_by(S::F32_LANES) {
            let mut values = [simd.splat_f32s(0.0); POINTS];
            for part in self.sums.chunks_exact(POINTS * rows * columns) {
                for (point, value) in values.iter_mut().enumerate() {
                    let at = (point * rows + self.row) * columns + lane;
                    debug_assert!(at + S::F32_LANES <= part.len());
                    // SAFETY: a row has whole vectors.
                    let more = unsafe { part.as_ptr().add(at).cast::<S::f32s>().read_unaligned() };
                    *value = simd.add_f32s(*value, more);
                }
            }
            let count = S::F32_LANES.min(self.outputs - lane);
            for (tap, value) in evaluate_transposed(simd, values).into_iter().enumerate() {
                // SAFETY: the places of this channel of the input alone.
                let target = unsafe { self.weight.slice(self.start + tap * self.stride + lane, count) };
                simd.partial_store_f32s(target, value);
            }
        }
    }
}

/// The gradient for the weights, `[3, 3, inputs, outputs]`.
///
/// The result does not depend on the number of threads, because the parts do not.
pub fn weight_gradient(arch: Arch, geometry: Geometry, x: &[f32], dy: &[f32], weight: &mut [f32]) {
    let Geometry { inputs, outputs, .. } = geometry;
    assert_eq!(weight.len(), 9 * inputs * outputs, "winograd: weights against {geometry:?}");
    let tiling = Tiling::new(geometry);
    let count = tiling.count();
    let width = panel_width(arch);
    let sides = [inputs.min(PANELS[0]).next_multiple_of(CHANNELS), outputs.min(PANELS[1]).next_multiple_of(width)];
    let panels = [inputs.div_ceil(sides[0]), outputs.div_ceil(sides[1])];
    let pairs = panels[0] * panels[1];
    let parts = PARTS.div_ceil(pairs).min(count.div_ceil(GATHERED));
    let size = POINTS * sides[0] * sides[1];
    let mut sums = Buffer::new(pairs * parts * size);
    let zeros = Buffer::zeros(inputs.max(outputs));
    let zeros = zeros.values();
    let first = |pair: usize| [pair / panels[1] * sides[0], pair % panels[1] * sides[1]];
    sums.values_mut().par_chunks_exact_mut(size).with_max_len(1).enumerate().for_each(|(index, sum)| {
        let (pair, part) = (index / parts, index % parts);
        let tiles = count * part / parts..count * (part + 1) / parts;
        let memory = POINTS * (plane(GATHERED, sides[0]) + plane(GATHERED, sides[1]));
        with_scratch(memory, |memory| {
            arch.dispatch(Part { tiling, tiles, x, dy, zeros, first: first(pair), channels: sides, memory, sum });
        });
    });
    let (sums, target) = (sums.values(), Shared::new(weight));
    (0..pairs * sides[0]).into_par_iter().with_min_len(4).for_each(|index| {
        let (pair, row) = (index / sides[0], index % sides[0]);
        let [i, o] = first(pair);
        if i + row < inputs {
            arch.dispatch(Collect {
                sums: &sums[pair * parts * size..][..parts * size],
                sides,
                row,
                outputs: sides[1].min(outputs - o),
                start: (i + row) * outputs + o,
                stride: inputs * outputs,
                weight: target,
            });
        }
    });
}
