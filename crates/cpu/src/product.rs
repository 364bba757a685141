//! Small matrix products in registers: the inner loops of Winograd convolutions.
//!
//! A microkernel keeps `R` rows by two vectors of columns of the result in registers: 14 rows fill the 32 registers of
//! 512-bit vectors, 6 rows the 16 registers of 256-bit vectors.

use pulp::{Arch, Simd};

/// Channels of a block: those of a 512-bit vector.
pub const CHANNELS: usize = 16;

/// Returns the columns of a panel: those of two vectors.
pub fn panel_width(arch: Arch) -> usize {
    struct Lanes;
    impl pulp::WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            2 * S::F32_LANES
        }
    }
    arch.dispatch(Lanes)
}

/// Returns the rows of a microkernel that divide `rows` most evenly.
#[inline(always)]
fn rows_at_once<S: Simd>(rows: usize) -> usize {
    let most = match S::F32_LANES {
        16 => 14,
        8 => 6,
        _ => 4,
    };
    rows.div_ceil(rows.div_ceil(most))
}

/// The order of the left side's values in memory.
trait Left: Copy {
    /// Reads value `k` of row `r` of a block.
    ///
    /// # Safety
    /// The value lies in the memory that the pointer was taken from.
    unsafe fn value(self, block: *const f32, r: usize, k: usize) -> f32;
}

/// Row by row, in blocks of channels.
#[derive(Clone, Copy)]
struct ByRows;

impl Left for ByRows {
    #[inline(always)]
    unsafe fn value(self, block: *const f32, r: usize, k: usize) -> f32 {
        // SAFETY: by the caller's promise.
        unsafe { *block.add(r * CHANNELS + k) }
    }
}

/// Depth by depth: the rows of one `k` follow one another.
#[derive(Clone, Copy)]
struct ByDepth(usize);

impl Left for ByDepth {
    #[inline(always)]
    unsafe fn value(self, block: *const f32, r: usize, k: usize) -> f32 {
        // SAFETY: by the caller's promise.
        unsafe { *block.add(k * self.0 + r) }
    }
}

/// Loads a cache line that is needed soon. The operands stream from the second-level cache and beyond, faster than the processor fetches them by
/// itself (docs/performance.md).
#[inline(always)]
fn prefetch(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and faults nowhere.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch(at.cast(), _MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Computes `sum += left right` for `R` rows and two vectors of columns over `DEPTH` values. `next`, the operands of
/// the next call, are loaded into the cache meanwhile.
///
/// # Safety
/// `left` has `R` rows of `DEPTH` values; `right` has `DEPTH` rows of two vectors, `stride` apart.
#[inline(always)]
unsafe fn multiply<S: Simd, const R: usize, const DEPTH: usize>(
    simd: S,
    order: impl Left,
    [left, right]: [*const f32; 2],
    next: Option<[*const f32; 2]>,
    stride: usize,
    sum: &mut [[S::f32s; 2]; R],
) {
    for k in 0..DEPTH {
        if let Some([left, right]) = next {
            prefetch(right.wrapping_add(k * stride));
            prefetch(right.wrapping_add(k * stride + S::F32_LANES));
            if k < R {
                prefetch(left.wrapping_add(k * CHANNELS));
            }
        }
        // SAFETY: by the caller's promise.
        unsafe {
            let columns = right.add(k * stride).cast::<S::f32s>();
            let columns = [columns.read_unaligned(), columns.add(1).read_unaligned()];
            for (r, sum) in sum.iter_mut().enumerate() {
                let value = simd.splat_f32s(order.value(left, r, k));
                sum[0] = simd.mul_add_e_f32s(value, columns[0], sum[0]);
                sum[1] = simd.mul_add_e_f32s(value, columns[1], sum[1]);
            }
        }
    }
}

/// Stores the rows of a microkernel, `stride` apart.
///
/// # Safety
/// All of them lie in the memory that `out` was taken from.
#[inline(always)]
unsafe fn store<S: Simd, const R: usize>(sum: [[S::f32s; 2]; R], out: *mut f32, stride: usize) {
    for (r, sum) in sum.into_iter().enumerate() {
        // SAFETY: by the caller's promise.
        unsafe {
            let out = out.add(r * stride).cast::<S::f32s>();
            out.write_unaligned(sum[0]);
            out.add(1).write_unaligned(sum[1]);
        }
    }
}

/// Calls a function that is generic over its number of rows.
macro_rules! with_rows {
    ($rows:expr, $call:ident ($($argument:expr),*)) => {
        match $rows {
            14 => $call::<S, 14>($($argument),*),
            13 => $call::<S, 13>($($argument),*),
            12 => $call::<S, 12>($($argument),*),
            11 => $call::<S, 11>($($argument),*),
            10 => $call::<S, 10>($($argument),*),
            9 => $call::<S, 9>($($argument),*),
            8 => $call::<S, 8>($($argument),*),
            7 => $call::<S, 7>($($argument),*),
            6 => $call::<S, 6>($($argument),*),
            5 => $call::<S, 5>($($argument),*),
            4 => $call::<S, 4>($($argument),*),
            3 => $call::<S, 3>($($argument),*),
            2 => $call::<S, 2>($($argument),*),
            1 => $call::<S, 1>($($argument),*),
            rows => unreachable!("no microkernel has {rows} rows"),
        }
    };
}

/// Computes `out = left right` for a panel of columns.
///
/// # Shapes
/// `left`: `[depth / CHANNELS][rows][CHANNELS]`, `right`: `[depth][panel]`, `out` (overwritten): `[rows][panel]`
#[inline(always)]
pub fn by_channel_blocks<S: Simd>(simd: S, rows: usize, left: &[f32], right: &[f32], out: &mut [f32]) {
    let panel = 2 * S::F32_LANES;
    let depth = right.len() / panel;
    assert!(depth.is_multiple_of(CHANNELS) && left.len() == rows * depth && out.len() == rows * panel, "shapes fit");
    let (mut row, at_once) = (0, rows_at_once::<S>(rows));
    while row < rows {
        let count = at_once.min(rows - row);
        // SAFETY: the rows row..row + count of `left` and `out` exist, by the assertion.
        unsafe {
            let (left, out) = (left.as_ptr().add(row * CHANNELS), out.as_mut_ptr().add(row * panel));
            with_rows!(count, rows_by_blocks(simd, depth / CHANNELS, rows * CHANNELS, left, right.as_ptr(), out));
        }
        row += count;
    }
}

/// # Safety
/// `left` has `blocks` blocks `step` apart, each of `R` rows; `right` as many rows as they have channels; `out` has `R`.
#[inline(always)]
unsafe fn rows_by_blocks<S: Simd, const R: usize>(
    simd: S,
    blocks: usize,
    step: usize,
    left: *const f32,
    right: *const f32,
    out: *mut f32,
) {
    let panel = 2 * S::F32_LANES;
    let mut sum = [[simd.splat_f32s(0.0); 2]; R];
    for block in 0..blocks {
        let operands = |block: usize| [left.wrapping_add(block * step), right.wrapping_add(block * CHANNELS * panel)];
        // SAFETY: by the caller's promise.
        unsafe {
            multiply::<S, R, CHANNELS>(simd, ByRows, operands(block), Some(operands(block + 1)), panel, &mut sum)
        };
    }
    // SAFETY: by the caller's promise.
    unsafe { store::<S, R>(sum, out, panel) };
}

/// Computes `sum += left^T right`.
///
/// # Shapes
/// `left`: `[depth][sides[0]]`, `right`: `[depth][sides[1]]`, `sum`: `sides`, the second a whole number of panels
#[inline(always)]
pub fn transposed<S: Simd>(simd: S, depth: usize, sides: [usize; 2], left: &[f32], right: &[f32], sum: &mut [f32]) {
    let panel = 2 * S::F32_LANES;
    let [rows, columns] = sides;
    assert!(columns.is_multiple_of(panel), "whole panels");
    assert!(left.len() == depth * rows && right.len() == depth * columns && sum.len() == rows * columns, "shapes fit");
    let at_once = rows_at_once::<S>(rows);
    for column in (0..columns).step_by(panel) {
        let mut row = 0;
        while row < rows {
            let count = at_once.min(rows - row);
            // SAFETY: the rows and the panel exist, by the assertions.
            unsafe {
                let (left, right) = (left.as_ptr().add(row), right.as_ptr().add(column));
                let sum = sum.as_mut_ptr().add(row * columns + column);
                with_rows!(count, rows_transposed(simd, depth, sides, left, right, sum));
            }
            row += count;
        }
    }
}

/// # Safety
/// `left` and `right` have `depth` rows of as many values as the sides, `rows` and `columns`, from which this reads `R` and a panel's; `sum` has
/// `R` rows, `columns` apart.
#[inline(always)]
unsafe fn rows_transposed<S: Simd, const R: usize>(
    simd: S,
    depth: usize,
    [rows, columns]: [usize; 2],
    left: *const f32,
    right: *const f32,
    sum: *mut f32,
) {
    let mut total = [[simd.splat_f32s(0.0); 2]; R];
    for (r, total) in total.iter_mut().enumerate() {
        // SAFETY: by the caller's promise.
        unsafe {
            let sum = sum.add(r * columns).cast::<S::f32s>();
            *total = [sum.read_unaligned(), sum.add(1).read_unaligned()];
        }
    }
    for k in 0..depth {
        // SAFETY: by the caller's promise.
        unsafe {
            let operands = [left.add(k * rows), right.add(k * columns)];
            multiply::<S, R, 1>(simd, ByDepth(rows), operands, None, columns, &mut total);
        }
    }
    // SAFETY: by the caller's promise.
    unsafe { store::<S, R>(total, sum, columns) };
}
