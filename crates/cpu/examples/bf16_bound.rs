//! An upper bound on the gain of half precision for convolutions: `cargo run --release -p pfgm-cpu --example bf16_bound`
//!
//! Winograd's F(4x4, 3x3) is used in single precision and is too inaccurate in bf16. F(2x2, 3x3) is accurate enough, but needs
//! 16 products for 4 pixels, whereas F(4x4, 3x3) needs 36 for 16. This example times the products of both, without the transforms,
//! on matrices in the second-level cache, as in a convolution.
#![allow(missing_docs)]

#[cfg(target_arch = "x86_64")]
mod measured {
    use std::{
        arch::x86_64::{
            __m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
            _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
        },
        hint::black_box,
        time::Instant,
    };

    /// Rows of a microkernel.
    const ROWS: usize = 14;
    /// Columns of a panel.
    const PANEL: usize = 32;

    /// `out = left right` in single precision for one block of rows.
    ///
    /// # Safety
    /// Needs AVX-512. `left` has `depth` times `ROWS` values, `right` `depth` rows of a panel, `out` `ROWS` rows of one.
    #[target_feature(enable = "avx512f")]
    unsafe fn single(depth: usize, left: *const f32, right: *const f32, out: *mut f32) {
        // SAFETY: by the caller's promise.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
            for k in 0..depth {
                let columns = [_mm512_loadu_ps(right.add(k * PANEL)), _mm512_loadu_ps(right.add(k * PANEL + 16))];
                for (row, sum) in sums.iter_mut().enumerate() {
                    let value = _mm512_set1_ps(*left.add(k * ROWS + row));
                    sum[0] = _mm512_fmadd_ps(value, columns[0], sum[0]);
                    sum[1] = _mm512_fmadd_ps(value, columns[1], sum[1]);
                }
            }
            store(&sums, out);
        }
    }

    /// [`single`] in bf16 with sums in single precision; `depth` counts pairs of values.
    ///
    /// # Safety
    /// As for [`single`], with AVX-512 BF16.
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn half(depth: usize, left: *const f32, right: *const f32, out: *mut f32) {
        // SAFETY: by the caller's promise; a pair of bf16 values is as large as one float, and any bits are some value.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
            for k in 0..depth {
                let load =
                    |at: usize| std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(right.add(at).cast()));
                let columns = [load(k * PANEL), load(k * PANEL + 16)];
                for (row, sum) in sums.iter_mut().enumerate() {
                    let pair = _mm512_set1_epi32((*left.add(k * ROWS + row)).to_bits() as i32);
                    let pair = std::mem::transmute::<__m512i, __m512bh>(pair);
                    sum[0] = _mm512_dpbf16_ps(sum[0], pair, columns[0]);
                    sum[1] = _mm512_dpbf16_ps(sum[1], pair, columns[1]);
                }
            }
            store(&sums, out);
        }
    }

    /// # Safety
    /// Needs AVX-512; `out` has `ROWS` rows of a panel.
    #[target_feature(enable = "avx512f")]
    unsafe fn store(sums: &[[__m512; 2]; ROWS], out: *mut f32) {
        for (row, sum) in sums.iter().enumerate() {
            // SAFETY: by the caller's promise.
            unsafe {
                _mm512_storeu_ps(out.add(row * PANEL), sum[0]);
                _mm512_storeu_ps(out.add(row * PANEL + 16), sum[1]);
            }
        }
    }

    /// Seconds for the products of one block of `ROWS` tiles, one thread: the best of several rounds.
    fn seconds(
        points: usize,
        depth: usize,
        outputs: usize,
        product: unsafe fn(usize, *const f32, *const f32, *mut f32),
    ) -> f64 {
        let left = vec![0.5_f32; points * depth * ROWS];
        let right = vec![0.25_f32; points * depth * outputs];
        let mut out = vec![0.0_f32; points * ROWS * PANEL];
        let (mut best, rounds) = (f64::INFINITY, 200);
        for _ in 0..9 {
            let started = Instant::now();
            for _ in 0..rounds {
                for panel in 0..outputs / PANEL {
                    for point in 0..points {
                        // SAFETY: the features were found, and the slices are as large as they have to be.
                        unsafe {
                            product(
                                depth,
                                left.as_ptr().add(point * depth * ROWS),
                                right.as_ptr().add((panel * points + point) * depth * PANEL),
                                out.as_mut_ptr().add(point * ROWS * PANEL),
                            );
                        }
                    }
                }
                black_box(&out);
            }
            best = best.min(started.elapsed().as_secs_f64() / f64::from(rounds));
        }
        best
    }

    pub fn run() {
        if !std::is_x86_feature_detected!("avx512bf16") {
            println!("this processor has no bf16 arithmetic");
            return;
        }
        println!(
            "channels        f32 F(4x4)      bf16 F(2x2)     f32 / bf16   (microseconds for 224 pixels, one thread)"
        );
        for channels in [64, 128, 256] {
            let four = seconds(36, channels, channels, single);
            // Four times as many tiles for the same pixels, half the depth.
            let two = 4.0 * seconds(16, channels / 2, channels, half);
            println!("{channels:8} {:17.1} {:16.1} {:14.2}", four * 1e6, two * 1e6, four / two);
        }
    }
}

fn main() {
    #[cfg(target_arch = "x86_64")]
    measured::run();
    #[cfg(not(target_arch = "x86_64"))]
    println!("only for x86-64");
}
