//! Precision, recall, density and coverage: scores from the neighborhoods of two samples.

use std::sync::atomic::{AtomicUsize, Ordering};

use faer::{Mat, MatRef, Par};
use rayon::prelude::*;

use super::matrix::{BLOCK, columns, mean, multiply, rows};

/// A mean over rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The mean.
    pub value: f64,
    /// Its standard error, given the other sample and all neighborhoods.
    pub standard_error: f64,
}

/// Scores from the neighborhoods of two samples. The neighborhood of a row is the closed ball up to its k-th
/// nearest neighbor in the same sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighborhoods {
    /// The share of generated rows in the neighborhood of some real row (Kynkaanniemi et al., arXiv 1904.06991).
    pub precision: Share,
    /// The share of real rows in the neighborhood of some generated row (the same).
    pub recall: Share,
    /// The number of real neighborhoods that contain a generated row, divided by k (Naeem et al., arXiv 2002.09797): 1 if
    /// the samples have the same distribution, larger if the generated rows concentrate around few real ones.
    pub density: Share,
    /// The share of real rows with a generated row in their neighborhood (same paper): 1 if every mode is covered.
    pub coverage: Share,
}

/// Computes the scores exactly, in blocks, so the memory does not grow with the
/// square of the number of rows. `progress` is called with the finished share of the work.
///
/// # Shapes
/// `real`, `generated`: `[rows, dim]`
///
/// # Panics
/// Panics if a sample has not more than `k` rows or its last is cut short, or `k` is zero.
pub fn neighborhoods(
    real: &[f32],
    generated: &[f32],
    dim: usize,
    k: usize,
    progress: &(dyn Fn(f64) + Sync),
) -> Neighborhoods {
    let (reals, samples) = (rows(real, dim), rows(generated, dim));
    assert!(k >= 1 && reals > k && samples > k, "neighborhoods: more than {k} rows of both");
    // Centering makes the products in the distances small, which reduces rounding errors.
    let center = mean(real, dim);
    let (real, generated) = (Rows { values: real, center: &center }, Rows { values: generated, center: &center });
    // Pairs of rows whose distance is computed, of all pairs.
    let (done, all) = (AtomicUsize::new(0), reals * reals + samples * samples + reals * samples);
    let tell = |pairs: usize| progress((done.fetch_add(pairs, Ordering::Relaxed) + pairs) as f64 / all as f64);
    let (real_radii, generated_radii) = (radii(real, k, &tell), radii(generated, k, &tell));

    let parts = generated.blocks().into_par_iter().map(|first| {
        let block = generated.block(first);
        let mut part =
            Part { inside: vec![0; block.x.ncols()], recalled: vec![false; reals], covered: vec![false; reals] };
        for start in real.blocks() {
            let distances = squared_distances(&real.block(start), &block);
            for (column, distances) in distances.col_iter().enumerate() {
                let reach = generated_radii[first + column];
                for (row, &distance) in distances.iter().enumerate() {
                    let inside = distance <= real_radii[start + row];
                    part.inside[column] += u32::from(inside);
                    part.covered[start + row] |= inside;
                    part.recalled[start + row] |= distance <= reach;
                }
            }
        }
        tell(block.x.ncols() * reals);
        part
    });
    // Blocks are in order, and so are the counts.
    let all = parts
        .reduce(|| Part { inside: Vec::new(), recalled: vec![false; reals], covered: vec![false; reals] }, Part::join);
    let flags = |flags: &[bool]| share(flags.iter().map(|&flag| f64::from(u8::from(flag))));
    Neighborhoods {
        precision: share(all.inside.iter().map(|&count| f64::from(u8::from(count > 0)))),
        recall: flags(&all.recalled),
        density: share(all.inside.iter().map(|&count| f64::from(count) / k as f64)),
        coverage: flags(&all.covered),
    }
}

/// Contribution of a block of generated rows.
struct Part {
    /// Number of real neighborhoods that contain each generated row.
    inside: Vec<u32>,
    /// Whether each real row lies in a neighborhood of one of these rows.
    recalled: Vec<bool>,
    /// Whether the neighborhood of each real row contains one of these rows.
    covered: Vec<bool>,
}

impl Part {
    fn join(mut self, other: Self) -> Self {
        self.inside.extend(other.inside);
        self.recalled.iter_mut().zip(other.recalled).for_each(|(a, b)| *a |= b);
        self.covered.iter_mut().zip(other.covered).for_each(|(a, b)| *a |= b);
        self
    }
}

fn share(values: impl ExactSizeIterator<Item = f64> + Clone) -> Share {
    let count = values.len() as f64;
    let value = values.clone().sum::<f64>() / count;
    let variance = values.map(|x| (x - value).powi(2)).sum::<f64>() / (count - 1.0);
    Share { value, standard_error: (variance / count).sqrt() }
}

/// Rows and their center.
#[derive(Clone, Copy)]
struct Rows<'a> {
    values: &'a [f32],
    center: &'a [f64],
}

/// A block of rows as columns, and their squared norms.
struct Block {
    x: Mat<f64>,
    norms: Vec<f64>,
}

impl Rows<'_> {
    /// The first row of every block.
    fn blocks(self) -> Vec<usize> {
        (0..self.values.len() / self.center.len()).step_by(BLOCK).collect()
    }

    fn block(self, first: usize) -> Block {
        let dim = self.center.len();
        let values = &self.values[first * dim..self.values.len().min((first + BLOCK) * dim)];
        let x = columns(values.chunks_exact(dim), self.center);
        let norms = x.col_iter().map(|column| column.squared_norm_l2()).collect();
        Block { x, norms }
    }
}

/// `|a|^2 + |b|^2 - 2 a.b`, a row for each of `a` and a column for each of `b`, on one thread.
fn squared_distances(a: &Block, b: &Block) -> Mat<f64> {
    let mut products = Mat::zeros(a.x.ncols(), b.x.ncols());
    multiply(products.as_mut(), MatRef::transpose(a.x.as_ref()), b.x.as_ref(), Par::Seq);
    for (column, products) in products.col_iter_mut().enumerate() {
        let norm = b.norms[column];
        products.iter_mut().zip(&a.norms).for_each(|(product, other)| *product = norm + other - 2.0 * *product);
    }
    products
}

/// Returns the squared distance of every row to its k-th nearest neighbor.
fn radii(rows: Rows, k: usize, tell: &(dyn Fn(usize) + Sync)) -> Vec<f64> {
    let of_block = |first: usize| {
        let block = rows.block(first);
        // The k nearest so far, the farthest of them last.
        let mut nearest = vec![vec![f64::INFINITY; k]; block.x.ncols()];
        for start in rows.blocks() {
            let distances = squared_distances(&rows.block(start), &block);
            for (column, distances) in distances.col_iter().enumerate() {
                let nearest = &mut nearest[column];
                for (row, &distance) in distances.iter().enumerate() {
                    if distance < nearest[k - 1] && start + row != first + column {
                        let place = nearest.partition_point(|&other| other <= distance);
                        nearest[place..].rotate_right(1);
                        nearest[place] = distance;
                    }
                }
            }
        }
        tell(nearest.len() * (rows.values.len() / rows.center.len()));
        nearest.into_iter().map(|nearest| nearest[k - 1]).collect::<Vec<_>>()
    };
    rows.blocks().into_par_iter().flat_map_iter(of_block).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, features};
    use super::*;

    #[test]
    fn agrees_with_prdc() {
        // goldens/metrics.py; more than one block of both.
        let (real, generated) = (features(0, 1300, 5), features(1, 1100, 5));
        let found = neighborhoods(&real, &generated, 5, 3, &|_| ());
        let expected = [0.1572727272727273, 0.34692307692307695, 0.11424242424242423, 0.15153846153846154];
        for (share, expected) in [found.precision, found.recall, found.density, found.coverage].iter().zip(expected) {
            close(share.value, expected);
        }
    }

    /// Points that fill the unit interval evenly, shifted.
    fn spread(count: usize, shift: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.618_034).fract() + shift).collect()
    }

    #[test]
    fn a_lost_mode_costs_recall_and_coverage_an_invented_one_precision() {
        let two: Vec<f32> = [spread(600, 0.0), spread(600, 10.0)].concat();
        let lost = neighborhoods(&two, &spread(600, 0.001), 1, 5, &|_| ());
        assert_eq!((lost.precision.value, lost.recall.value, lost.coverage.value), (1.0, 0.5, 0.5));
        let invented = neighborhoods(&spread(600, 0.001), &two, 1, 5, &|_| ());
        assert_eq!((invented.precision.value, invented.recall.value, invented.coverage.value), (0.5, 1.0, 1.0));
        // Half of a half and half of one: a share of 1200.
        assert!((invented.precision.standard_error - 0.5 / 1199_f64.sqrt()).abs() < 1e-12);
        let same = neighborhoods(&two, &two, 1, 5, &|_| ());
        assert_eq!((same.precision.value, same.recall.value, same.coverage.value), (1.0, 1.0, 1.0));
    }
}
