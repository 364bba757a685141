//! Measurements of the current speed of the processor.

use std::{hint::black_box, time::Instant};

use pulp::{Arch, Simd, WithSimd};

use crate::{buffer::Buffer, elementwise};

/// Independent chains of multiply-adds, enough to hide their latency.
const CHAINS: usize = 12;

struct Chains {
    rounds: usize,
}

impl WithSimd for Chains {
    /// A value that depends on every round, and the number of multiplications and additions per round.
    type Output = (f32, usize);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        // Values that the compiler cannot predict, different in each chain.
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

/// Measures the single-precision operations per second of all threads together, from registers: the bound of every kernel.
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

/// Measures the bytes per second that all threads together read and write beyond the second-level cache.
///
/// It passes over 16 MB, the size of a typical image tensor of a batch, and takes a few milliseconds.
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
