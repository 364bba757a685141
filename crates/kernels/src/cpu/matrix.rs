//! Matrix products on one thread, by the `gemm` crate.

use gemm::Parallelism;

/// A matrix in memory: `rows x columns`, and how far apart they are.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after another.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Rows that begin `stride` values apart.
    ///
    /// # Panics
    /// When the last of them does not lie in `values`.
    pub fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(fits(values.len(), rows, columns, stride), "a matrix of {rows}x{columns} in {} values", values.len());
        Self { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// Rows become columns.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

fn fits(len: usize, rows: usize, columns: usize, stride: usize) -> bool {
    columns <= stride && (rows == 0 || (rows - 1) * stride + columns <= len)
}

/// A matrix to be written, whose rows begin `stride` values apart.
pub struct MatrixMut<'a> {
    /// Its values.
    pub values: &'a mut [f32],
    /// From one row to the next.
    pub stride: usize,
}

/// What becomes of what stood in the result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It is replaced.
    Write,
    /// The product is added to it.
    Add,
}

/// `out = factor a b`, or `out += factor a b`.
///
/// # Panics
/// When the matrices do not fit each other.
pub fn multiply(a: Matrix, b: Matrix, factor: f32, out: MatrixMut, then: Then) {
    assert_eq!(a.columns, b.rows, "the matrices fit");
    assert!(fits(out.values.len(), a.rows, b.columns, out.stride), "the result fits");
    // SAFETY: the last element of each operand lies in its slice, by the assertions here and in `Matrix::strided` (which
    // `transposed` only reads in another order). `out` is borrowed mutably and overlaps neither.
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
            Parallelism::None,
        );
    }
}

/// `out += a b`; `out` has rows one after another.
pub fn multiply_add(a: Matrix, b: Matrix, out: &mut [f32]) {
    let stride = b.columns;
    multiply(a, b, 1.0, MatrixMut { values: out, stride }, Then::Add);
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
    #[should_panic(expected = "a matrix of 2x2 in 4 values")]
    fn a_matrix_beyond_its_values_is_refused() {
        Matrix::strided(&[0.0; 4], 2, 2, 3);
    }
}
