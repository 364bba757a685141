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

#![expect(clippy::needless_range_loop, reason = "rows and columns of small arrays are indices alike")]

use std::{
    f32::consts::{FRAC_1_SQRT_2, SQRT_2},
    marker::PhantomData,
};

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    buffer::{Buffer, Shared, with_scratch},
    conv2d::{Epilogue, Geometry},
    product::{self, CHANNELS, panel_width},
};

/// Pixels of a side of an output tile.
const OUT: usize = 4;
/// Pixels of a side of an input tile; evaluation points in each direction.
const IN: usize = 6;
/// Pairs of evaluation points.
const POINTS: usize = IN * IN;
/// Tiles of a block at the most: as many rows as a microkernel has with 512-bit registers.
const TILES: usize = 14;

/// The smaller and the larger magnitude of the points.
const A: f32 = FRAC_1_SQRT_2;
const B: f32 = SQRT_2;

/// Whether a convolution, or its gradient for the weights, is done this way: with few channels of the input there is too little
/// to multiply for what the transforms cost.
pub fn fits(geometry: Geometry) -> bool {
    const FEW: usize = 8;
    geometry.kernel == [3, 3] && geometry.stride == 1 && geometry.inputs > FEW
}

/// An array of an expression's values for 0, 1, ... What `std::array::from_fn` is for elsewhere; but its closure would be a
/// function of its own, which is not compiled for the vector unit that the caller is compiled for.
macro_rules! array {
    ($index:ident => $value:expr; 3) => {
        array!($index => $value; [0, 1, 2])
    };
    ($index:ident => $value:expr; 4) => {
        array!($index => $value; [0, 1, 2, 3])
    };
    ($index:ident => $value:expr; 6) => {
        array!($index => $value; [0, 1, 2, 3, 4, 5])
    };
    ($index:ident => $value:expr; [$($at:literal),*]) => {
        [$({ let $index: usize = $at; $value }),*]
    };
}

/// The values of a line of three weights at the points: `G g`. Row `p` of `G` is `[1, p, p^2] / prod (p - q)` over the other
/// points `q`, and `[0, 0, 1]` for infinity.
#[inline(always)]
fn evaluate_line<S: Simd>(simd: S, g: [S::f32s; 3]) -> [S::f32s; IN] {
    let splat = |value: f32| simd.splat_f32s(value);
    let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
    let even_a = simd.mul_f32s(splat(-1.0 / 1.5), fma(splat(0.5), g[2], g[0]));
    let even_b = simd.mul_f32s(splat(1.0 / 6.0), fma(splat(2.0), g[2], g[0]));
    [
        g[0],
        fma(splat(A / -1.5), g[1], even_a),
        fma(splat(A / 1.5), g[1], even_a),
        fma(splat(B / 6.0), g[1], even_b),
        fma(splat(B / -6.0), g[1], even_b),
        g[2],
    ]
}

/// The weights of one channel of the input and a panel of channels of the output at the points.
struct Evaluate<'a> {
    weight: &'a [f32],
    inputs: usize,
    outputs: usize,
    /// Channel of the input, and the first of the output.
    channel: [usize; 2],
    /// Where the first pair of points goes, and how far apart they are.
    start: usize,
    stride: usize,
    filters: Shared<'a>,
}

impl WithSimd for Evaluate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weight, inputs, outputs, channel: [i, o], start, stride, filters } = self;
        for lane in (0..2 * S::F32_LANES).step_by(S::F32_LANES) {
            if o + lane >= outputs {
                break;
            }
            let count = S::F32_LANES.min(outputs - o - lane);
            let tap = |tap: usize| simd.partial_load_f32s(&weight[(tap * inputs + i) * outputs + o + lane..][..count]);
            let columns = array!(column => evaluate_line(simd, array!(row => tap(3 * row + column); 3)); 3);
            for row in 0..IN {
                let line = evaluate_line(simd, array!(column => columns[column][row]; 3));
                for (column, value) in line.into_iter().enumerate() {
                    let at = start + (row * IN + column) * stride + lane;
                    // SAFETY: the places of this pair of channels alone.
                    simd.partial_store_f32s(unsafe { filters.slice(at, S::F32_LANES) }, value);
                }
            }
        }
    }
}

/// The transposed of [`evaluate`] for a vector of pairs of channels: `G^T u G`.
#[inline(always)]
fn evaluate_transposed<S: Simd>(simd: S, u: [S::f32s; POINTS]) -> [S::f32s; 9] {
    let columns = array!(column => evaluate_line_transposed(simd, array!(row => u[row * IN + column]; 6)); 6);
    let [a, b, c] = array!(row => evaluate_line_transposed(simd, array!(column => columns[column][row]; 6)); 3);
    [a[0], a[1], a[2], b[0], b[1], b[2], c[0], c[1], c[2]]
}

#[inline(always)]
fn evaluate_line_transposed<S: Simd>(simd: S, u: [S::f32s; IN]) -> [S::f32s; 3] {
    let splat = |value: f32| simd.splat_f32s(value);
    let fma = |a, b, c| simd.mul_add_e_f32s(a, b, c);
    let (even_a, odd_a) = (simd.add_f32s(u[1], u[2]), simd.sub_f32s(u[1], u[2]));
    let (even_b, odd_b) = (simd.add_f32s(u[3], u[4]), simd.sub_f32s(u[3], u[4]));
    [
        fma(splat(-1.0 / 1.5), even_a, fma(splat(1.0 / 6.0), even_b, u[0])),
        fma(splat(A / -1.5), odd_a, simd.mul_f32s(splat(B / 6.0), odd_b)),
        fma(splat(0.5 / -1.5), even_a, fma(splat(2.0 / 6.0), even_b, u[5])),
    ]
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
    values: Buffer,
    inputs: usize,
    outputs: usize,
    panel: usize,
}

impl Filters {
    /// Transforms weights `[3, 3, inputs, outputs]`.
    pub fn new(arch: Arch, weight: &[f32], inputs: usize, outputs: usize) -> Self {
        assert_eq!(weight.len(), 9 * inputs * outputs, "winograd: weights of {inputs} to {outputs} channels");
        let (panel, padded) = (panel_width(arch), inputs.next_multiple_of(CHANNELS));
        let (panels, part) = (outputs.div_ceil(panel), POINTS * padded * panel);
        // Channels that are not there need zeros; the others are written below.
        let whole = padded == inputs && outputs.is_multiple_of(panel);
        let mut values = if whole { Buffer::new(panels * part) } else { Buffer::zeros(panels * part) };
        let filters = Shared::new(values.values_mut());
        (0..panels * inputs).into_par_iter().with_min_len(8).for_each(|piece| {
            let (index, i) = (piece / inputs, piece % inputs);
            let (channel, start) = ([i, index * panel], index * part + i * panel);
            arch.dispatch(Evaluate { weight, inputs, outputs, channel, start, stride: padded * panel, filters });
        });
        Self { values, inputs, outputs, panel }
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
}

/// The values of a tile's pixels.
struct Pixels<'a, const N: usize> {
    /// Each pixel's channels; for a pixel beyond the border those of a page of zeros.
    starts: [*const f32; N],
    channels: usize,
    values: PhantomData<&'a [f32]>,
}

impl<'a, const N: usize> Pixels<'a, N> {
    /// The `SIDE x SIDE` pixels of images `x` of which the first lies `border` above and left of the tile's.
    ///
    /// # Panics
    /// When the page of zeros is smaller than a pixel.
    #[inline(always)]
    fn new<const SIDE: usize>(
        x: &'a [f32],
        zeros: &'a [f32],
        Geometry { height, width, .. }: Geometry,
        tile: Tile,
        border: usize,
        channels: usize,
    ) -> Self {
        const { assert!(SIDE * SIDE == N) };
        assert!(zeros.len() >= channels, "winograd: a page of zeros for {channels} channels");
        let mut starts = [zeros.as_ptr(); N];
        for (i, starts) in starts.chunks_exact_mut(SIDE).enumerate() {
            // Beyond the upper border this wraps to a row that is not there.
            let row = (tile.row + i).wrapping_sub(border);
            if row >= height {
                continue;
            }
            let line = &x[(tile.image * height + row) * width * channels..][..width * channels];
            for (j, start) in starts.iter_mut().enumerate() {
                let column = (tile.column + j).wrapping_sub(border);
                if column < width {
                    *start = line[column * channels..].as_ptr();
                }
            }
        }
        Self { starts, channels, values: PhantomData }
    }

    /// A vector of channels of one pixel, zeros where there is no channel.
    #[inline(always)]
    fn read<S: Simd>(&self, simd: S, pixel: usize, from: usize) -> S::f32s {
        if from + S::F32_LANES <= self.channels {
            // SAFETY: every pixel has `channels` values behind its start.
            return unsafe { self.starts[pixel].add(from).cast::<S::f32s>().read_unaligned() };
        }
        if from >= self.channels {
            return simd.splat_f32s(0.0);
        }
        // SAFETY: as above.
        simd.partial_load_f32s(unsafe {
            std::slice::from_raw_parts(self.starts[pixel].add(from), self.channels - from)
        })
    }
}

/// The input transform of a tile, both directions.
#[inline(always)]
fn transform_input<S: Simd>(simd: S, pixels: &Pixels<POINTS>, from: usize, to: &mut [f32], plane: usize, place: usize) {
    let columns = array!(column => input_line(simd, array!(row => pixels.read(simd, row * IN + column, from); 6)); 6);
    for row in 0..IN {
        write_line::<S>(input_line(simd, array!(column => columns[column][row]; 6)), row, to, plane, place);
    }
}

/// Writes a vector of channels at one row of points to its places in the planes.
#[inline(always)]
fn write_line<S: Simd>(values: [S::f32s; IN], row: usize, to: &mut [f32], plane: usize, place: usize) {
    for (column, value) in values.into_iter().enumerate() {
        let at = (row * IN + column) * plane + place;
        debug_assert!(place + S::F32_LANES <= plane && at + S::F32_LANES <= to.len());
        // SAFETY: `to` holds a plane for every pair of points (checked where it is cut), and `place` lies in a plane.
        unsafe { to.as_mut_ptr().add(at).cast::<S::f32s>().write_unaligned(value) };
    }
}

/// A block of tiles, taken through the whole convolution.
struct Forward<'a> {
    tiling: Tiling,
    tiles: std::ops::Range<usize>,
    x: &'a [f32],
    /// A page of zeros, as large as a pixel.
    zeros: &'a [f32],
    filters: &'a Filters,
    epilogue: Epilogue<'a>,
    y: Shared<'a>,
    /// The transformed input and the products of a panel.
    memory: &'a mut [f32],
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
        let Self { tiling, tiles, x, zeros, filters, epilogue, y, memory } = self;
        let (input, products) = memory.split_at_mut(POINTS * plane(tiles.len(), filters.inputs));
        let block = Block { tiling, tiles, x, zeros, filters, epilogue, y };
        block.transform(simd, input);
        for panel in 0..filters.outputs.div_ceil(filters.panel) {
            block.multiply(simd, panel, input, products);
            for at in 0..block.tiles.len() {
                block.finish(simd, panel, at, products);
            }
        }
    }
}

/// What the steps of a block share.
struct Block<'a> {
    tiling: Tiling,
    tiles: std::ops::Range<usize>,
    x: &'a [f32],
    /// A page of zeros, as large as a pixel.
    zeros: &'a [f32],
    filters: &'a Filters,
    epilogue: Epilogue<'a>,
    y: Shared<'a>,
}

impl Block<'_> {
    /// Fills `input`, `[POINTS][channel blocks][tiles][CHANNELS]`.
    #[inline(always)]
    fn transform<S: Simd>(&self, simd: S, input: &mut [f32]) {
        let (tiles, inputs) = (self.tiles.len(), self.filters.inputs);
        let plane = plane(tiles, inputs);
        for at in 0..tiles {
            let tile = self.tiling.tile(self.tiles.start + at);
            let pixels = Pixels::new::<IN>(self.x, self.zeros, self.tiling.geometry, tile, 1, inputs);
            for from in (0..inputs.next_multiple_of(CHANNELS)).step_by(S::F32_LANES) {
                let place = (from / CHANNELS * tiles + at) * CHANNELS + from % CHANNELS;
                transform_input(simd, &pixels, from, input, plane, place);
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
        let Geometry { height, width: image_width, .. } = self.tiling.geometry;
        let first = (tile.image * height + tile.row) * image_width + tile.column;
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
            let columns = array!(column => output_line(simd, array!(row => m(row * IN + column); 6)); 6);
            for row in 0..OUT {
                let line = output_line(simd, array!(column => columns[column][row]; 6));
                for (column, value) in line.into_iter().enumerate() {
                    if tile.row + row < height && tile.column + column < image_width {
                        let (value, pixel) = (simd.add_f32s(value, bias), first + row * image_width + column);
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
    let zeros = Buffer::zeros(geometry.inputs);
    let zeros = zeros.values();
    (0..blocks).into_par_iter().with_max_len(1).for_each(|block| {
        let tiles = count * block / blocks..count * (block + 1) / blocks;
        let memory = POINTS * (plane(tiles.len(), filters.inputs) + tiles.len() * filters.panel);
        with_scratch(memory, |memory| arch.dispatch(Forward { tiling, tiles, x, zeros, filters, epilogue, y, memory }));
    });
}

/// A part of the gradient for the weights: some tiles, and a panel of channels on either side, small enough for everything
/// to stay in the second-level cache.
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
/// Parts at least, as far as there are tiles: fixed, so that the result does not depend on the number of threads.
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
                let pixels = Pixels::new::<IN>(x, zeros, tiling.geometry, tile, 1, inputs);
                for lane in (0..channels[0]).step_by(S::F32_LANES) {
                    let place = at * channels[0] + lane;
                    transform_input(simd, &pixels, first[0] + lane, input, planes[0], place);
                }
                let pixels = Pixels::new::<OUT>(dy, zeros, tiling.geometry, tile, 0, outputs);
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

/// The sums of all parts for one channel of the input and all of a panel of outputs, taken back to the kernel's taps.
struct Collect<'a> {
    /// `[parts][POINTS][rows][columns]`
    sums: &'a [f32],
    sides: [usize; 2],
    row: usize,
    /// Channels of the output that are there.
    outputs: usize,
    /// Where tap 0 of the first channel goes, and how far apart the taps are.
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
/// The result does not depend on the number of threads: it is cut into the same parts for any.
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
