//! 3x3 convolution of stride 1 by Winograd's method F(4x4, 3x3) (arXiv 1509.09308).
//!
//! An output tile of 4x4 pixels depends on 6x6 pixels of the input. As polynomials, tile and kernel are multiplied by
//! evaluating both at six points in each direction, multiplying the values, and interpolating: 36 products instead of
//! 144. The products of all tiles and channels at one of the 36 pairs of points form a matrix product. The points are
//! `0, +-sqrt(1/2), +-sqrt(2), infinity`; with `a b = 1` for the two magnitudes, the polynomial through them is
//! `x (x^2 - 1/2) (x^2 - 2) = x^5 - 5/2 x^3 + x`, whose coefficients are small, and so are rounding errors.
//!
//! A thread computes all steps for a block of tiles: the input transform, the products for one panel of output channels at
//! a time, and for each panel the output transform with all fused operations. The gradient for
//! the input is the same convolution with mirrored weights. The gradient for the weights transposes every step.

#![expect(clippy::needless_range_loop, reason = "rows and columns of small arrays are indices alike")]

use std::{
    f32::consts::{FRAC_1_SQRT_2, SQRT_2},
    marker::PhantomData,
};

use pulp::Simd;

use crate::{conv2d::Geometry, product::CHANNELS};

/// Creates an array of an expression's values for 0, 1, ... The closure of `std::array::from_fn` would be a separate
/// function, which is not compiled for the vector instructions of its caller.
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

mod forward;
mod lines;
mod weight;

pub use forward::{Filters, forward};
use lines::input_line;
pub use weight::weight_gradient;

/// Pixels of a side of an output tile.
const OUT: usize = 4;
/// Pixels of a side of an input tile; evaluation points in each direction.
const IN: usize = 6;
/// Pairs of evaluation points.
const POINTS: usize = IN * IN;
/// Largest number of tiles in a block: the number of rows of a microkernel with 512-bit registers.
const TILES: usize = 14;

/// The smaller and the larger magnitude of the points.
const A: f32 = FRAC_1_SQRT_2;
const B: f32 = SQRT_2;

/// Whether a convolution, or its gradient for the weights, is computed this way. With few input channels, the
/// transforms cost more than they save.
pub fn fits(geometry: Geometry) -> bool {
    const FEW: usize = 8;
    geometry.kernel == [3, 3] && geometry.stride == 1 && geometry.inputs > FEW
}

/// The tiles of a convolution.
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
    /// Channels of each pixel; for pixels beyond the border, zeros.
    starts: [*const f32; N],
    channels: usize,
    values: PhantomData<&'a [f32]>,
}

impl<'a, const N: usize> Pixels<'a, N> {
    /// Returns the `SIDE x SIDE` pixels of images `x` that start `border` pixels above and left of the tile. `zeros` has as many values as a
    /// pixel has channels.
    #[inline(always)]
    fn new<const SIDE: usize>(
        x: &'a [f32],
        zeros: &'a [f32],
        Geometry { height, width, .. }: Geometry,
        tile: Tile,
        border: usize,
    ) -> Self {
        const { assert!(SIDE * SIDE == N) };
        let channels = zeros.len();
        let mut starts = [zeros.as_ptr(); N];
        for (i, starts) in starts.chunks_exact_mut(SIDE).enumerate() {
            // Beyond the upper border this wraps to a row that does not exist.
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

    /// Reads a vector of channels of one pixel, padded with zeros.
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

/// Computes the input transform of a tile, in both directions.
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

/// Values of a plane of the transformed input: its channels and tiles, and a cache line between planes, without which
/// planes of a power of two would share their places in the cache.
fn plane(tiles: usize, inputs: usize) -> usize {
    inputs.next_multiple_of(CHANNELS) * tiles + CHANNELS
}
