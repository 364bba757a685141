//! How fast the processor is just now.

use std::{hint::black_box, time::Instant};

use pulp::{Arch, Simd, WithSimd};

use crate::{buffer::Buffer, elementwise};

/// Chains of multiply-adds side by side: more than their latency needs.
const CHAINS: usize = 12;

struct Chains {
    rounds: usize,
}

impl WithSimd for Chains {
    /// Something that depends on every round, and the multiplications and additions of one.
    type Output = (f32, usize);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        // Numbers that the compiler does not know, and no two chains alike.
        let (factor, term) = (simd.splat_f32s(black_box(0.999)), simd.splat_f32s(black_box(0.001)));
        let mut sums = [simd.splat_f32s(0.0); CHAINS];
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum = simd.splat_f32s(black_box(index as f32));
        }
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, term);
            }
        }
        let mut total = 0.0;
        for sum in sums {
            total += simd.reduce_sum_f32s(sum);
        }
        (total, 2 * CHAINS * S::F32_LANES)
    }
}

/// Single-precision operations per second of all threads together, from registers: what bounds every kernel.
///
/// Takes about ten milliseconds at 512 bits.
pub fn peak(arch: Arch) -> f64 {
    let rounds = 2_000_000;
    let each = rayon::broadcast(|_| {
        let started = Instant::now();
        let (total, operations) = arch.dispatch(Chains { rounds });
        black_box(total);
        (operations * rounds) as f64 / started.elapsed().as_secs_f64()
    });
    each.into_iter().sum()
}

/// Bytes per second of all threads together, read and written beyond the second-level cache.
///
/// Passes over 16 MB, as large as what networks keep between two operations; takes a few milliseconds.
pub fn bandwidth(arch: Arch) -> f64 {
    const VALUES: usize = 1 << 21;
    const PASSES: usize = 8;
    let (x, mut y) = (Buffer::zeros(VALUES), Buffer::zeros(VALUES));
    elementwise::scale(arch, x.values(), 0.5, y.values_mut());
    let started = Instant::now();
    for _ in 0..PASSES {
        elementwise::scale(arch, black_box(x.values()), 0.5, y.values_mut());
        black_box(y.values());
    }
    (PASSES * 2 * size_of::<f32>() * VALUES) as f64 / started.elapsed().as_secs_f64()
}
