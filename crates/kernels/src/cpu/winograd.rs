//! 3x3 convolution of stride 1 by Winograd's method F(4x4, 3x3) (arXiv 1509.09308).
//!
//! An output tile of 4x4 pixels depends on 6x6 pixels of the input. As polynomials, tile and kernel are multiplied by
//! evaluating both at six points in each direction, multiplying the values, and interpolating: 36 products instead of
//! 144. The products of all tiles and channels at one of the 36 pairs of points form a matrix product. The points are
//! `0, +-sqrt(1/2), +-sqrt(2), infinity`; with `a b = 1` for the two magnitudes, the polynomial through them is
//! `x (x^2 - 1/2) (x^2 - 2) = x^5 - 5/2 x^3 + x`, whose coefficients are small, which is what keeps rounding small.
//!
//! A thread takes a block of tiles through all steps: transform of the input, products for a panel of output channels at
//! a time, and for each panel the transform back with everything that is fused into the convolution. The gradient for
//! the input is the same convolution with mirrored weights; the one for the weights is the transposed of every step.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    conv2d::{Epilogue, Geometry},
    product::{self, CHANNELS, panel_width},
    scratch::{self, Aligned, Shared},
};

/// Pixels of a side of an output tile.
const OUT: usize = 4;
/// Pixels of a side of an input tile; evaluation points in each direction.
const IN: usize = 6;
/// Pairs of evaluation points.
const POINTS: usize = IN * IN;
/// Tiles of a block at the most: as many rows as a microkernel has with 512-bit registers.
const TILES: usize = 14;
/// Values of transformed tiles that the gradient for the weights collects before it multiplies: 8 MB.
const COLLECTED: usize = 2 << 20;

/// The smaller and the larger magnitude of the points.
const A: f32 = FRAC_1_SQRT_2;
const B: f32 = SQRT_2;

/// Whether a convolution can be done this way.
pub fn fits(geometry: Geometry) -> bool {
    geometry.kernel == [3, 3] && geometry.stride == 1
}

/// The kernel's values at the points, `G g G^T`, for one pair of channels: what the products take.
///
/// Row `p` of `G` is `[1, p, p^2] / prod (p - q)` over the other points `q`, and `[0, 0, 1]` for infinity.
fn evaluate(kernel: [f32; 9]) -> [f32; POINTS] {
    let line = |g: [f32; 3]| -> [f32; IN] {
        let pair = |p: f32, scale: f32| {
            let (even, odd) = (p.mul_add(p * g[2], g[0]) * scale, p * g[1] * scale);
            [even + odd, even - odd]
        };
        let ([a, minus_a], [b, minus_b]) = (pair(A, -1.0 / 1.5), pair(B, 1.0 / 6.0));
        [g[0], a, minus_a, b, minus_b, g[2]]
    };
    let mut rows = [[0.0; 3]; IN];
    for column in 0..3 {
        let values = line([kernel[column], kernel[3 + column], kernel[6 + column]]);
        values.into_iter().zip(&mut rows).for_each(|(value, row)| row[column] = value);
    }
    let mut out = [0.0; POINTS];
    rows.into_iter().zip(out.chunks_exact_mut(IN)).for_each(|(row, out)| out.copy_from_slice(&line(row)));
    out
}

/// The transposed of [`evaluate`]: `G^T u G`.
fn evaluate_transposed(values: &[f32; POINTS]) -> [f32; 9] {
    let line = |u: [f32; IN]| -> [f32; 3] {
        let (a, b) = ((u[1] + u[2]) / -1.5, (u[3] + u[4]) / 6.0);
        let odd = (u[1] - u[2]) * (A / -1.5) + (u[3] - u[4]) * (B / 6.0);
        [u[0] + a + b, odd, a * 0.5 + b * 2.0 + u[5]]
    };
    let mut rows = [[0.0; 3]; IN];
    for (u, row) in values.as_chunks::<IN>().0.iter().zip(&mut rows) {
        *row = line(*u);
    }
    let mut out = [0.0; 9];
    for column in 0..3 {
        let values = line(std::array::from_fn(|row| rows[row][column]));
        values.into_iter().enumerate().for_each(|(row, value)| out[3 * row + column] = value);
    }
    out
}

/// The input transform of six values: `B^T d`. Row `p` of `B^T` holds the coefficients of the polynomial through the
/// points without `p`'s factor.
#[inline(always)]
fn input_line<S: Simd>(simd: S, d: [S::f32s; IN]) -> [S::f32s; IN] {
    let splat = |value: f32| simd.splat_f32s(value);
    let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
    let (minus_two, minus_half, minus_five_halves) = (splat(-2.0), splat(-0.5), splat(-2.5));
    let even_a = fma(minus_two, d[2], d[4]);
    let odd_a = fma(minus_two, d[1], d[3]);
    let even_b = fma(minus_half, d[2], d[4]);
    let odd_b = fma(minus_half, d[1], d[3]);
    [
        simd.add_f32s(fma(minus_five_halves, d[2], d[0]), d[4]),
        fma(splat(A), odd_a, even_a),
        fma(splat(-A), odd_a, even_a),
        fma(splat(B), odd_b, even_b),
        fma(splat(-B), odd_b, even_b),
        simd.add_f32s(fma(minus_five_halves, d[3], d[1]), d[5]),
    ]
}

/// The output transform of six values: `A^T m`. Row `k` of `A^T` holds the powers `p^k`.
#[inline(always)]
fn output_line<S: Simd>(simd: S, m: [S::f32s; IN]) -> [S::f32s; OUT] {
    let splat = |value: f32| simd.splat_f32s(value);
    let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
    let (even_a, odd_a) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (even_b, odd_b) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    [
        simd.add_f32s(simd.add_f32s(m[0], even_a), even_b),
        fma(splat(A), odd_a, simd.mul_f32s(splat(B), odd_b)),
        fma(splat(0.5), even_a, simd.mul_f32s(splat(2.0), even_b)),
        fma(splat(A / 2.0), odd_a, fma(splat(2.0 * B), odd_b, m[5])),
    ]
}

/// The transposed of [`output_line`]: `A y`.
#[inline(always)]
fn gradient_line<S: Simd>(simd: S, y: [S::f32s; OUT]) -> [S::f32s; IN] {
    let splat = |value: f32| simd.splat_f32s(value);
    let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
    let (even_a, odd_a) = (fma(splat(0.5), y[2], y[0]), fma(splat(0.5), y[3], y[1]));
    let (even_b, odd_b) = (fma(splat(2.0), y[2], y[0]), fma(splat(2.0), y[3], y[1]));
    [
        y[0],
        fma(splat(A), odd_a, even_a),
        fma(splat(-A), odd_a, even_a),
        fma(splat(B), odd_b, even_b),
        fma(splat(-B), odd_b, even_b),
        y[3],
    ]
}

/// The weights of a convolution at the points, in the order in which the products read them.
pub struct Filters {
    /// `[panels][POINTS][inputs][panel]`, inputs padded to whole blocks of channels, outputs to whole panels.
    values: Aligned,
    inputs: usize,
    outputs: usize,
    panel: usize,
}

impl Filters {
    /// Transforms weights `[3, 3, inputs, outputs]`. With `mirrored` they become those of the gradient for the input:
    /// turned by half a turn, inputs and outputs exchanged.
    pub fn new(arch: Arch, weight: &[f32], inputs: usize, outputs: usize, mirrored: bool) -> Self {
        assert_eq!(weight.len(), 9 * inputs * outputs, "winograd: weights of {inputs} to {outputs} channels");
        let (rows, columns) = if mirrored { (outputs, inputs) } else { (inputs, outputs) };
        let (panel, padded) = (panel_width(arch), rows.next_multiple_of(CHANNELS));
        let part = POINTS * padded * panel;
        let mut values = Aligned::zeros(columns.div_ceil(panel) * part);
        let parts = Shared::new(values.values_mut());
        // A piece of work is a block of rows of one panel.
        let blocks = rows.div_ceil(CHANNELS);
        (0..columns.div_ceil(panel) * blocks).into_par_iter().for_each(|piece| {
            let (index, block) = (piece / blocks, piece % blocks);
            let lanes = panel.min(columns - index * panel);
            for row in block * CHANNELS..((block + 1) * CHANNELS).min(rows) {
                for lane in 0..lanes {
                    let column = index * panel + lane;
                    let kernel = std::array::from_fn(|tap| {
                        let (tap, i, o) = if mirrored { (8 - tap, column, row) } else { (tap, row, column) };
                        weight[(tap * inputs + i) * outputs + o]
                    });
                    for (point, value) in evaluate(kernel).into_iter().enumerate() {
                        // SAFETY: rows of different blocks, and panels, are different places.
                        unsafe { *parts.at(index * part + (point * padded + row) * panel + lane, 1) = value };
                    }
                }
            }
        });
        Self { values, inputs: rows, outputs: columns, panel }
    }
}

/// Where the tiles of a convolution lie.
#[derive(Clone, Copy)]
struct Tiling {
    geometry: Geometry,
    rows: usize,
    columns: usize,
}

/// A tile: its image, and its first row and column.
#[derive(Clone, Copy)]
struct Tile {
    image: usize,
    row: usize,
    column: usize,
}

impl Tiling {
    fn new(geometry: Geometry) -> Self {
        Self { geometry, rows: geometry.height.div_ceil(OUT), columns: geometry.width.div_ceil(OUT) }
    }

    fn count(self) -> usize {
        self.geometry.batch * self.rows * self.columns
    }

    fn tile(self, index: usize) -> Tile {
        let (row, column) = (index / self.columns, index % self.columns);
        Tile { image: row / self.rows, row: row % self.rows * OUT, column: column * OUT }
    }

    /// Where the pixel `row`, `column` of an image is among all pixels, if it is one.
    fn pixel(self, image: usize, row: Option<usize>, column: Option<usize>) -> Option<usize> {
        let Geometry { height, width, .. } = self.geometry;
        let (row, column) = (row.filter(|&row| row < height)?, column.filter(|&column| column < width)?);
        Some((image * height + row) * width + column)
    }

    /// The pixels that a tile's input comes from.
    fn sources(self, tile: Tile) -> [Option<usize>; POINTS] {
        std::array::from_fn(|at| {
            let (row, column) = (tile.row + at / IN, tile.column + at % IN);
            self.pixel(tile.image, row.checked_sub(1), column.checked_sub(1))
        })
    }

    /// The pixels that a tile's output goes to.
    fn targets(self, tile: Tile) -> [Option<usize>; OUT * OUT] {
        std::array::from_fn(|at| {
            self.pixel(tile.image, Some(tile.row + at / OUT), Some(tile.column + at % OUT))
        })
    }
}

/// Reads one vector of channels of a tile's pixels, zeros where there is no pixel or no channel.
///
/// # Safety
/// Every pixel of `sources` has `channels` values in `x`.
#[inline(always)]
unsafe fn read<S: Simd, const N: usize>(
    simd: S,
    x: &[f32],
    sources: &[Option<usize>; N],
    channels: usize,
    from: usize,
) -> [S::f32s; N] {
    let mut values = [simd.splat_f32s(0.0); N];
    for (value, source) in values.iter_mut().zip(sources) {
        let Some(pixel) = source else { continue };
        let start = pixel * channels + from;
        if from + S::F32_LANES <= channels {
            // SAFETY: the channels from..from + lanes exist, and the pixel lies in `x` by the caller's promise.
            *value = unsafe { x.as_ptr().add(start).cast::<S::f32s>().read_unaligned() };
        } else if from < channels {
            *value = simd.partial_load_f32s(&x[start..start + channels - from]);
        }
    }
    values
}

/// The input transform of a tile, both directions.
#[inline(always)]
fn transform_input<S: Simd>(simd: S, d: [S::f32s; POINTS]) -> [S::f32s; POINTS] {
    let mut half = [simd.splat_f32s(0.0); POINTS];
    for column in 0..IN {
        let line = input_line(simd, std::array::from_fn(|row| d[row * IN + column]));
        line.into_iter().enumerate().for_each(|(row, value)| half[row * IN + column] = value);
    }
    let mut out = half;
    for row in 0..IN {
        let line = input_line(simd, std::array::from_fn(|column| half[row * IN + column]));
        line.into_iter().enumerate().for_each(|(column, value)| out[row * IN + column] = value);
    }
    out
}

/// A block of tiles, taken through the whole convolution.
struct Forward<'a> {
    tiling: Tiling,
    tiles: std::ops::Range<usize>,
    x: &'a [f32],
    filters: &'a Filters,
    epilogue: Epilogue<'a>,
    y: Shared<'a>,
}

/// Values of a plane of the transformed input: its channels and tiles, and a cache line between planes, without which
/// planes of a power of two would share their places in the cache.
fn plane(tiles: usize, inputs: usize) -> usize {
    inputs.next_multiple_of(CHANNELS) * tiles + CHANNELS
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let count = self.tiles.len();
        let transformed = POINTS * plane(count, self.filters.inputs);
        scratch::with(transformed + POINTS * count * self.filters.panel, |memory| {
            let (input, products) = memory.split_at_mut(transformed);
            self.transform(simd, input);
            for panel in 0..self.filters.outputs.div_ceil(self.filters.panel) {
                self.multiply(simd, panel, input, products);
                for at in 0..count {
                    self.finish(simd, panel, at, products);
                }
            }
        });
    }
}

impl Forward<'_> {
    /// Fills `input`, `[POINTS][channel blocks][tiles][CHANNELS]`.
    #[inline(always)]
    fn transform<S: Simd>(&self, simd: S, input: &mut [f32]) {
        let (tiles, inputs) = (self.tiles.len(), self.filters.inputs);
        let plane = plane(tiles, inputs);
        for at in 0..tiles {
            let sources = self.tiling.sources(self.tiling.tile(self.tiles.start + at));
            for from in (0..inputs.next_multiple_of(CHANNELS)).step_by(S::F32_LANES) {
                // SAFETY: sources are pixels of the images, all of which are in `x` (checked on entry).
                let values = transform_input(simd, unsafe { read(simd, self.x, &sources, inputs, from) });
                let place = (from / CHANNELS * tiles + at) * CHANNELS + from % CHANNELS;
                for (point, value) in values.into_iter().enumerate() {
                    let at = point * plane + place;
                    debug_assert!(at + S::F32_LANES <= input.len());
                    // SAFETY: `place` lies in the plane, since channel blocks are whole multiples of the lanes.
                    unsafe { input.as_mut_ptr().add(at).cast::<S::f32s>().write_unaligned(value) };
                }
            }
        }
    }

    /// Fills `products`, `[POINTS][tiles][panel]`.
    #[inline(always)]
    fn multiply<S: Simd>(&self, simd: S, panel: usize, input: &[f32], products: &mut [f32]) {
        let Filters { inputs, panel: width, .. } = *self.filters;
        let (tiles, padded) = (self.tiles.len(), inputs.next_multiple_of(CHANNELS));
        let plane = plane(tiles, inputs);
        for point in 0..POINTS {
            let filters = &self.filters.values.values()[(panel * POINTS + point) * padded * width..][..padded * width];
            let input = &input[point * plane..][..padded * tiles];
            let products = &mut products[point * tiles * width..][..tiles * width];
            product::by_channel_blocks(simd, tiles, input, filters, products);
        }
    }

    /// Transforms the products of one tile and panel back and writes the pixels.
    #[inline(always)]
    fn finish<S: Simd>(&self, simd: S, panel: usize, at: usize, products: &[f32]) {
        let Filters { outputs, panel: width, .. } = *self.filters;
        let tile = self.tiling.tile(self.tiles.start + at);
        let targets = self.tiling.targets(tile);
        let tiles = self.tiles.len();
        for lane in (0..width).step_by(S::F32_LANES) {
            let channel = panel * width + lane;
            if channel >= outputs {
                break;
            }
            let m = |point: usize| {
                let at = (point * tiles + at) * width + lane;
                debug_assert!(at + S::F32_LANES <= products.len());
                // SAFETY: panels are whole multiples of the lanes.
                unsafe { products.as_ptr().add(at).cast::<S::f32s>().read_unaligned() }
            };
            let bias = self.epilogue.bias_vector(simd, tile.image, channel, outputs);
            let mut half = [[simd.splat_f32s(0.0); IN]; OUT];
            for column in 0..IN {
                let line = output_line(simd, std::array::from_fn(|row| m(row * IN + column)));
                line.into_iter().zip(&mut half).for_each(|(value, row)| row[column] = value);
            }
            for (row, half) in half.into_iter().enumerate() {
                for (column, value) in output_line(simd, half).into_iter().enumerate() {
                    if let Some(pixel) = targets[row * OUT + column] {
                        let value = simd.add_f32s(value, bias);
                        // SAFETY: the tile's pixels belong to this block alone.
                        unsafe { self.epilogue.write(simd, value, pixel, channel, outputs, self.y) };
                    }
                }
            }
        }
    }
}

/// The convolution with transformed weights.
///
/// # Shapes
/// As in [`conv2d::forward`](super::conv2d::forward)
pub fn forward(arch: Arch, geometry: Geometry, x: &[f32], filters: &Filters, epilogue: Epilogue, y: &mut [f32]) {
    geometry.check(x, y, epilogue);
    assert_eq!([filters.inputs, filters.outputs], [geometry.inputs, geometry.outputs], "winograd: filters");
    let tiling = Tiling::new(geometry);
    let count = tiling.count();
    // Blocks of even size, at least one for each thread.
    let blocks = count.div_ceil(TILES).next_multiple_of(rayon::current_num_threads()).min(count);
    let y = Shared::new(y);
    (0..blocks).into_par_iter().with_max_len(1).for_each(|block| {
        let tiles = count * block / blocks..count * (block + 1) / blocks;
        arch.dispatch(Forward { tiling, tiles, x, filters, epilogue, y });
    });
}

/// Tiles of input and output gradient at the points, `[POINTS][tiles][channels]`, for one tile.
struct Collect<'a> {
    tiling: Tiling,
    tile: usize,
    at: usize,
    collected: usize,
    x: &'a [f32],
    dy: &'a [f32],
    padded: [usize; 2],
    input: Shared<'a>,
    gradient: Shared<'a>,
}

impl WithSimd for Collect<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Geometry { inputs, outputs, .. } = self.tiling.geometry;
        let tile = self.tiling.tile(self.tile);
        let write = |to: Shared, values: [S::f32s; POINTS], padded: usize, from: usize| {
            for (point, value) in values.into_iter().enumerate() {
                let index = (point * self.collected + self.at) * padded + from;
                // SAFETY: the place of this tile alone; `padded` is a whole multiple of the lanes.
                unsafe { to.at(index, S::F32_LANES).cast::<S::f32s>().write_unaligned(value) };
            }
        };
        let sources = self.tiling.sources(tile);
        for from in (0..self.padded[0]).step_by(S::F32_LANES) {
            // SAFETY: sources are pixels of the images, all of which are in `x` (checked on entry).
            let values = unsafe { read(simd, self.x, &sources, inputs, from) };
            write(self.input, transform_input(simd, values), self.padded[0], from);
        }
        let targets = self.tiling.targets(tile);
        for from in (0..self.padded[1]).step_by(S::F32_LANES) {
            // SAFETY: as above, for `dy`.
            let y = unsafe { read(simd, self.dy, &targets, outputs, from) };
            let mut half = [[simd.splat_f32s(0.0); OUT]; IN];
            for column in 0..OUT {
                let line = gradient_line(simd, std::array::from_fn(|row| y[row * OUT + column]));
                line.into_iter().zip(&mut half).for_each(|(value, row)| row[column] = value);
            }
            let mut values = [simd.splat_f32s(0.0); POINTS];
            for (row, half) in half.into_iter().enumerate() {
                values[row * IN..(row + 1) * IN].copy_from_slice(&gradient_line(simd, half));
            }
            write(self.gradient, values, self.padded[1], from);
        }
    }
}

/// The products of collected tiles at one pair of points, added up.
struct Accumulate<'a> {
    collected: usize,
    padded: [usize; 2],
    input: &'a [f32],
    gradient: &'a [f32],
    sum: &'a mut [f32],
}

impl WithSimd for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        product::transposed(simd, self.collected, self.padded, self.input, self.gradient, self.sum);
    }
}

/// The gradient for the weights, `[3, 3, inputs, outputs]`.
///
/// The result does not depend on the number of threads: for each pair of points and of channels the tiles are summed in
/// order.
pub fn weight_gradient(arch: Arch, geometry: Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let Geometry { inputs, outputs, .. } = geometry;
    let tiling = Tiling::new(geometry);
    let padded = [inputs.next_multiple_of(CHANNELS), outputs.next_multiple_of(panel_width(arch))];
    let count = tiling.count();
    let collected = (COLLECTED / (POINTS * (padded[0] + padded[1]))).clamp(64, 2048).min(count);
    let planes = [0, 1].map(|side| collected * padded[side]);
    let mut sums = Aligned::zeros(POINTS * padded[0] * padded[1]);
    let mut memory = Aligned::default();
    memory.reserve(POINTS * (planes[0] + planes[1]));
    let (input, gradient) = memory.values_mut().split_at_mut(POINTS * planes[0]);
    for first in (0..count).step_by(collected) {
        let collected = collected.min(count - first);
        {
            let (input, gradient) = (Shared::new(input), Shared::new(gradient));
            (0..collected).into_par_iter().with_min_len(4).for_each(|at| {
                let tile = first + at;
                arch.dispatch(Collect { tiling, tile, at, collected, x, dy, padded, input, gradient });
            });
        }
        let planes = [0, 1].map(|side| collected * padded[side]);
        sums.values_mut().par_chunks_exact_mut(padded[0] * padded[1]).with_max_len(1).zip(0..POINTS).for_each(
            |(sum, point)| {
                let input = &input[point * planes[0]..][..planes[0]];
                let gradient = &gradient[point * planes[1]..][..planes[1]];
                arch.dispatch(Accumulate { collected, padded, input, gradient, sum });
            },
        );
    }
    let mut weight = vec![0.0; 9 * inputs * outputs];
    let (sums, target) = (sums.values(), Shared::new(&mut weight));
    (0..inputs).into_par_iter().with_min_len(4).for_each(|i| {
        for o in 0..outputs {
            let values = std::array::from_fn(|point| sums[(point * padded[0] + i) * padded[1] + o]);
            for (tap, value) in evaluate_transposed(&values).into_iter().enumerate() {
                // SAFETY: the place of this pair of channels alone.
                unsafe { *target.at((tap * inputs + i) * outputs + o, 1) = value };
            }
        }
    });
    weight
}
