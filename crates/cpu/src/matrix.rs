//! Matrix products by the `gemm` crate.
//!
//! `gemm` adds in an order that depends on the number of rows: it has other kernels for one row, and splits deep products
//! depending on the sizes. [`multiply_rows`] is for products whose rows are items of a batch. Each row of its result does not depend on
//! the other rows, to the bit.

use gemm::Parallelism;

/// A matrix in memory: its sizes and its strides.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Creates a matrix with contiguous rows.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Creates a matrix whose rows start `stride` values apart.
    ///
    /// # Panics
    /// If the last row does not lie in `values`.
    pub fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(fits(values.len(), rows, columns, stride), "a matrix of {rows}x{columns} in {} values", values.len());
        Self { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The transpose, of the same memory.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The columns `first..first + count`.
    fn narrow_columns(self, first: usize, count: usize) -> Self {
        Self { values: &self.values[first * self.column_stride..], columns: count, ..self }
    }

    /// The rows `first..first + count`.
    fn narrow_rows(self, first: usize, count: usize) -> Self {
        Self { values: &self.values[first * self.row_stride..], rows: count, ..self }
    }

    /// A matrix of one row as one of two that are both this row.
    fn twice(self) -> Self {
        debug_assert_eq!(self.rows, 1);
        Self { rows: 2, row_stride: 0, ..self }
    }
}

fn fits(len: usize, rows: usize, columns: usize, stride: usize) -> bool {
    let needed = rows.checked_sub(1).map_or(Some(0), |last| last.checked_mul(stride)?.checked_add(columns));
    columns <= stride && needed.is_some_and(|needed| needed <= len)
}

/// An output matrix whose rows start `stride` values apart.
pub struct MatrixMut<'a> {
    /// Its values.
    pub values: &'a mut [f32],
    /// The distance between rows.
    pub stride: usize,
}

/// What happens to the previous values of the result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// They are replaced.
    Write,
    /// The product is added to them.
    Add,
}

/// Computes `out = factor a b` or `out += factor a b`, on one thread.
///
/// # Panics
/// If the sizes of the matrices do not match.
pub fn multiply(a: Matrix, b: Matrix, factor: f32, out: MatrixMut, then: Then) {
    multiply_with(Options { factor, then, threads: Parallelism::None }, a, b, out);
}

/// Options of a product.
struct Options {
    factor: f32,
    then: Then,
    threads: Parallelism,
}

fn multiply_with(Options { factor, then, threads }: Options, a: Matrix, b: Matrix, out: MatrixMut) {
    assert_eq!(a.columns, b.rows, "the matrices fit");
    assert!(fits(out.values.len(), a.rows, b.columns, out.stride), "the result fits");
    // SAFETY: the last element of each operand lies in its slice, by the assertions here and in `Matrix::strided` (which
    // `transposed` only reads in another order, `narrow_rows` and `narrow_columns` only in part, and `twice` repeats).
    // `out` is borrowed mutably and overlaps neither.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.values.as_mut_ptr(),
            1,
            out.stride as isize,
            then == Then::Add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0_f32,
            factor,
            false,
            false,
            false,
            threads,
        );
    }
}

/// Computes `out += a b` on one thread; the rows of `out` follow one another.
pub fn multiply_add(a: Matrix, b: Matrix, out: &mut [f32]) {
    let stride = b.columns;
    multiply(a, b, 1.0, MatrixMut { values: out, stride }, Then::Add);
}

/// The largest depth that `gemm` computes in one pass for all sizes.
const DEPTH: usize = 512;

/// Products of at least this many multiplications are spread over threads by [`Threads::All`].
const PARALLEL: usize = 192 * 192 * 192;

/// The threads that compute a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The thread of the caller.
    One,
    /// All, if the product is large.
    All,
}

/// Computes `out = a b` or `out += a b`, each row in the same order for any number of rows. The rows of `out` are
/// contiguous. The number of threads does not change the result.
///
/// # Panics
/// If the sizes of the matrices do not match, or `b` has one column, whose product would be summed in another order: see
/// [`dot_rows`](crate::elementwise::dot_rows). If the columns of `b` do not follow one another in memory.
pub fn multiply_rows(a: Matrix, b: Matrix, out: &mut [f32], then: Then, threads: Threads) {
    assert!(b.columns > 1 && b.column_stride == 1, "rows of at least two columns that follow one another");
    assert_eq!(out.len(), a.rows * b.columns, "the result fits");
    if a.rows == 1 {
        // For one row, `gemm` adds term by term. Two equal rows use the kernels for many rows.
        let mut two = [&*out, &*out].concat();
        multiply_deep(a.twice(), b, &mut two, then, threads);
        out.copy_from_slice(&two[..b.columns]);
        return;
    }
    multiply_deep(a, b, out, then, threads);
}

/// [`multiply_rows`] for at least two rows: parts of equal depth, of which the first may overwrite the result.
fn multiply_deep(a: Matrix, b: Matrix, out: &mut [f32], mut then: Then, threads: Threads) {
    let large = a.rows * b.columns * a.columns >= PARALLEL;
    let threads = if threads == Threads::All && large { Parallelism::Rayon(0) } else { Parallelism::None };
    let part = a.columns.div_ceil(a.columns.div_ceil(DEPTH).max(1)).max(1);
    for first in (0..a.columns.max(1)).step_by(part) {
        let count = part.min(a.columns - first);
        let (a, b) = (a.narrow_columns(first, count), b.narrow_rows(first, count));
        let stride = b.columns;
        multiply_with(Options { factor: 1.0, then, threads }, a, b, MatrixMut { values: &mut *out, stride });
        then = Then::Add;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_factors_and_sums() {
        // [1 2; 3 4] [5; 6] = [17; 39], read from and written to the middle of wider rows.
        let (a, b) = ([1.0, 2.0, 9.0, 3.0, 4.0], [5.0, 9.0, 6.0]);
        let mut out = [1.0, 7.0, 2.0];
        let (a, b) = (Matrix::strided(&a, 2, 2, 3), Matrix::strided(&b, 2, 1, 2));
        multiply(a, b, 2.0, MatrixMut { values: &mut out, stride: 2 }, Then::Add);
        assert_eq!(out, [35.0, 7.0, 80.0]);
        multiply(a, b, 1.0, MatrixMut { values: &mut out, stride: 2 }, Then::Write);
        assert_eq!(out, [17.0, 7.0, 39.0]);
        let mut square = [0.0; 4];
        multiply_add(a.transposed(), a, &mut square);
        assert_eq!(square, [10.0, 14.0, 14.0, 20.0]);
    }

    #[test]
    fn rows_do_not_depend_on_the_rows_beside_them() {
        let value = |at: usize| ((at * 7919) % 1009) as f32 / 504.0 - 1.0;
        // Around gemm's borders: one row, blocks of rows and columns, one and several passes over the depth.
        for (depth, columns) in [(1, 3), (3, 2), (9, 5), (72, 64), (511, 40), (513, 7), (1100, 100)] {
            let a: Vec<f32> = (0..130 * depth).map(value).collect();
            let b: Vec<f32> = (0..depth * columns).map(|at| value(at + 31)).collect();
            let start: Vec<f32> = (0..130 * columns).map(|at| value(at + 57)).collect();
            let product = |first: usize, rows: usize, then: Then, threads: Threads| {
                let mut out = start[first * columns..][..rows * columns].to_vec();
                let a = Matrix::new(&a[first * depth..][..rows * depth], rows, depth);
                multiply_rows(a, Matrix::new(&b, depth, columns), &mut out, then, threads);
                out
            };
            for then in [Then::Write, Then::Add] {
                let alone: Vec<f32> = (0..130).flat_map(|row| product(row, 1, then, Threads::One)).collect();
                for rows in 1..=130 {
                    for threads in [Threads::One, Threads::All] {
                        let together = product(0, rows, then, threads);
                        let same = together.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits());
                        assert!(same, "{rows} rows of {depth}, {columns} columns, {threads:?}");
                    }
                }
            }
            // The result equals the product.
            let truth: f64 = (0..depth).map(|k| f64::from(a[k]) * f64::from(b[k * columns + 1])).sum();
            let found = f64::from(product(0, 2, Then::Write, Threads::One)[1]);
            assert!((found - truth).abs() < 1e-4, "{found} for {truth}");
        }
    }

    #[test]
    #[should_panic(expected = "a matrix of 2x2 in 4 values")]
    fn a_matrix_beyond_its_values_is_refused() {
        Matrix::strided(&[0.0; 4], 2, 2, 3);
    }

    #[test]
    fn sizes_that_overflow_do_not_fit() {
        assert!(!fits(100, usize::MAX, 2, 2));
        assert!(fits(0, 0, 2, 2));
    }
}
