//! Matrix products in double precision, by faer.

use faer::{
    Accum, Mat, MatMut, MatRef, Par,
    linalg::matmul::{
        matmul,
        triangular::{self, BlockStructure},
    },
};

/// Rows per block: enough for a fast product, few enough for the caches.
pub const BLOCK: usize = 512;

/// Returns rows in single precision as the columns of a matrix in double precision, relative to `center`.
pub fn columns<'a>(rows: impl ExactSizeIterator<Item = &'a [f32]>, center: &[f64]) -> Mat<f64> {
    let mut matrix = Mat::zeros(center.len(), rows.len());
    for (mut column, row) in matrix.col_iter_mut().zip(rows) {
        let values = column.as_mut().try_as_col_major_mut().expect("columns are contiguous").as_slice_mut();
        values.iter_mut().zip(row.iter().zip(center)).for_each(|(out, (x, center))| *out = f64::from(*x) - center);
    }
    matrix
}

/// `sum += x x^T`, in the lower triangle.
pub fn add_scatter(sum: MatMut<f64>, x: MatRef<f64>, par: Par) {
    let (lower, full) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
    triangular::matmul(sum, lower, Accum::Add, x, full, x.transpose(), full, 1.0, par);
}

/// `out = a b`.
pub fn multiply(mut out: MatMut<f64>, a: MatRef<f64>, b: MatRef<f64>, par: Par) {
    matmul(out.as_mut(), Accum::Replace, a, b, 1.0, par);
}

/// Copies the lower triangle to the upper.
pub fn mirror(matrix: &mut Mat<f64>) {
    for column in 1..matrix.ncols() {
        for row in 0..column {
            matrix[(row, column)] = matrix[(column, row)];
        }
    }
}

/// The mean of each column of rows, which are not empty.
pub fn mean(values: &[f32], dim: usize) -> Vec<f64> {
    let mut mean = vec![0.0; dim];
    for row in values.chunks_exact(dim) {
        mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let rows = (values.len() / dim) as f64;
    mean.iter_mut().for_each(|sum| *sum /= rows);
    mean
}

/// Returns the number of rows.
///
/// # Panics
/// Panics if the last is cut short.
pub fn rows(values: &[f32], dim: usize) -> usize {
    assert!(dim > 0 && values.len().is_multiple_of(dim), "{} values are no rows of {dim}", values.len());
    values.len() / dim
}
