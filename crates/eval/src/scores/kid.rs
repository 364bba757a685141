//! The kernel inception distance (KID).

use faer::{Mat, MatRef, Par};

use super::matrix::{BLOCK, columns, multiply, rows};

/// The kernel inception distance over subsets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kid {
    /// The mean over subsets. It is unbiased and may be negative for similar samples.
    pub mean: f64,
    /// The standard deviation between subsets, which torch-fidelity reports.
    pub spread: f64,
    /// The standard error of the mean over samples: `spread sqrt(m / (n - m))` for subsets of m of n
    /// rows, the delete-(n - m) jackknife (Shao and Wu 1989). Dividing by the root of the number of subsets instead
    /// would assume independent subsets, but they share rows. NaN if a subset contains all rows.
    pub standard_error: f64,
}

/// The rows of one subset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Rows of the reference.
    pub real: Vec<usize>,
    /// Rows of the samples, as many.
    pub generated: Vec<usize>,
}

/// The unbiased squared maximum mean discrepancy with the kernel `(x.y / dim + 1)^3` (Binkowski et al., arXiv 1801.01401),
/// averaged over subsets. `progress` is called with the number of finished subsets.
///
/// # Shapes
/// `real`, `generated`: `[rows, dim]`
///
/// # Panics
/// Panics if there is no draw, the subsets differ in size, have fewer than two rows or rows that are not there.
pub fn kid(real: &[f32], generated: &[f32], dim: usize, draws: &[Draw], progress: &mut dyn FnMut(usize)) -> Kid {
    let size = draws.first().map_or(0, |draw| draw.real.len());
    let same = draws.iter().all(|draw| draw.real.len() == size && draw.generated.len() == size);
    assert!(size >= 2 && same, "kid: subsets of one size, at least two");
    let center = vec![0.0; dim];
    let gather = |values: &[f32], which: &[usize]| {
        columns(which.iter().map(|&row| &values[row * dim..(row + 1) * dim]), &center)
    };
    let mut values = Vec::with_capacity(draws.len());
    for draw in draws {
        let (x, y) = (gather(real, &draw.real), gather(generated, &draw.generated));
        values.push(squared_discrepancy(x.as_ref(), y.as_ref()));
        progress(values.len());
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let spread = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let left = rows(real, dim).min(rows(generated, dim)) - size;
    let standard_error = if left > 0 { spread * (size as f64 / left as f64).sqrt() } else { f64::NAN };
    Kid { mean, spread, standard_error }
}

/// The unbiased squared discrepancy of two matrices with as many columns.
fn squared_discrepancy(x: MatRef<f64>, y: MatRef<f64>) -> f64 {
    let size = x.ncols() as f64;
    let own = |x: MatRef<f64>| {
        let diagonal: f64 = x.col_iter().map(|column| kernel(column.squared_norm_l2(), x.nrows())).sum();
        (kernel_sum(x, x) - diagonal) / (size * (size - 1.0))
    };
    own(x) + own(y) - 2.0 * kernel_sum(x, y) / (size * size)
}

fn kernel(product: f64, dim: usize) -> f64 {
    (product / dim as f64 + 1.0).powi(3)
}

/// The sum of the kernel over all pairs of columns, a block at a time.
fn kernel_sum(x: MatRef<f64>, y: MatRef<f64>) -> f64 {
    let mut products = Mat::zeros(x.ncols(), BLOCK.min(y.ncols()));
    let mut sum = 0.0;
    for first in (0..y.ncols()).step_by(BLOCK) {
        let count = BLOCK.min(y.ncols() - first);
        let mut products = products.subcols_mut(0, count);
        multiply(products.as_mut(), x.transpose(), y.subcols(first, count), Par::rayon(0));
        sum += products.col_iter().flat_map(|column| column.iter()).map(|&p| kernel(p, x.nrows())).sum::<f64>();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, features, hash};
    use super::*;

    /// A subset by the hash, the same in goldens/metrics.py: rows in the order of their hashes.
    fn pick(seed: u32, from: usize, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..from).collect();
        all.sort_by_key(|&row| hash(seed.wrapping_mul(7919).wrapping_add(row as u32)));
        all.truncate(count);
        all
    }

    fn draws(count: u32, from: [usize; 2], size: usize) -> Vec<Draw> {
        let draw = |i| Draw { real: pick(2 * i, from[0], size), generated: pick(2 * i + 1, from[1], size) };
        (0..count).map(draw).collect()
    }

    #[test]
    fn agrees_with_torch_fidelity() {
        // goldens/metrics.py
        let (real, generated) = (features(0, 300, 16), features(1, 200, 16));
        let (mean, spread) = (32.90356555243188, 2.8472896871620486);
        let found = kid(&real, &generated, 16, &draws(5, [300, 200], 50), &mut |_| ());
        close(found.mean, mean);
        close(found.spread, spread);
        // Of 200 rows 50 are taken: as much as the spread, times sqrt(50 / 150).
        close(found.standard_error, spread * (1.0_f64 / 3.0).sqrt());
        let whole = Draw { real: (0..200).collect(), generated: (0..200).collect() };
        let found = kid(&real[..200 * 16], &generated, 16, &[whole], &mut |_| ());
        close(found.mean, 32.01998988234541);
        assert!(found.standard_error.is_nan());
    }

    #[test]
    fn samples_of_one_distribution_have_no_distance() {
        let found = kid(&features(0, 2000, 8), &features(2, 2000, 8), 8, &draws(20, [2000, 2000], 500), &mut |_| ());
        assert!(found.mean.abs() < 4.0 * found.standard_error, "{found:?}");
    }

    #[test]
    fn the_standard_error_is_what_another_sample_changes() {
        let real = features(0, 4000, 4);
        let found: Vec<Kid> = (0..60)
            .map(|i| kid(&real, &features(2 * i + 1, 400, 4), 4, &draws(40, [4000, 400], 100), &mut |_| ()))
            .collect();
        let mean = |of: &dyn Fn(&Kid) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
        let center = mean(&|kid| kid.mean);
        let spread = mean(&|kid| (kid.mean - center).powi(2)).sqrt();
        let error = mean(&|kid| kid.standard_error);
        // The reference, too, is drawn from in subsets, and counts as if it were as small.
        assert!(error > 0.8 * spread && error < 2.0 * spread, "{error} and {spread}");
    }
}
