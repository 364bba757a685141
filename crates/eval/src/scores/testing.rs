//! Test data, identical to those of goldens/metrics.py.

/// A 32-bit hash with full avalanche.
pub fn hash(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// Rows with dependent columns, exact in single precision. Odd seeds have another distribution.
pub fn features(seed: u32, rows: usize, dim: usize) -> Vec<f32> {
    let noise = |row: usize, column: usize| {
        let at = seed.wrapping_mul(0x9e37_79b9).wrapping_add((row * (dim + 1) + column) as u32);
        (hash(at) >> 16) as i64
    };
    let odd = i64::from(seed % 2);
    let value = |row, column| {
        let own = noise(row, column) * (1 + (column as i64 + odd) % 3);
        (own + noise(row, column + 1) + 20_000 * odd) as f32 / 65_536.0
    };
    (0..rows * dim).map(|at| value(at / dim, at % dim)).collect()
}

/// Asserts equality to a relative error of 1e-6.
pub fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{found} instead of {expected}");
}
