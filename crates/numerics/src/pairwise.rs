//! The softmax-weighted mean of a set of charges: the inner loop of every exact field.
//!
//! For each query x the weights are `softmax_i(logit(|x - y_i|^2))` and the result is `sum_i w_i y_i`. Squared distances
//! are sums of squared *differences*: with `|x|^2 + |y|^2 - 2xy` in single precision the nearest charge, which decides
//! the weights, would be lost. Short runs are added in the element type and the runs in f64, because the field's
//! exponent multiplies a relative error of the distance by about N/2. Nothing of size queries x charges x dimension
//! ever exists; beyond its inputs a call holds one row of f64 logits per query in flight.

use pulp::{Arch, Simd, WithSimd};

use crate::fastmath;

/// The element types of points: f32 for training batches, f64 for exact flows.
pub trait Scalar: Copy + Default + Send + Sync + Into<f64> + 'static {
    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// Squared distances from each of the queries of a tile to one charge.
    fn squared_distances(queries: &[Self], charge: &[Self], out: &mut [f64]);
    /// `mean[d] += weight * charge[d]`.
    fn add_scaled(mean: &mut [Self], weight: f64, charge: &[Self]);
}

macro_rules! scalar {
    ($type:ty, $lanes:expr) => {
        impl Scalar for $type {
            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $type
            }

            #[inline(always)]
            fn squared_distances(queries: &[Self], charge: &[Self], out: &mut [f64]) {
                const LANES: usize = $lanes;
                const RUN: usize = 8 * LANES;
                let dim = charge.len();
                out.fill(0.0);
                for start in (0..dim).step_by(RUN) {
                    let end = (start + RUN).min(dim);
                    let charge = &charge[start..end];
                    for (query, out) in queries.chunks_exact(dim).zip(out.iter_mut()) {
                        let query = &query[start..end];
                        let mut lanes = [0.0 as $type; LANES];
                        let (q, c) = (query.chunks_exact(LANES), charge.chunks_exact(LANES));
                        let (q_rest, c_rest) = (q.remainder(), c.remainder());
                        for (q, c) in q.zip(c) {
                            for lane in 0..LANES {
                                let difference = q[lane] - c[lane];
                                lanes[lane] = difference.mul_add(difference, lanes[lane]);
                            }
                        }
                        for (lane, (q, c)) in q_rest.iter().zip(c_rest).enumerate() {
                            lanes[lane] += (q - c) * (q - c);
                        }
                        *out += lanes.iter().map(|&lane| lane as f64).sum::<f64>();
                    }
                }
            }

            #[inline(always)]
            fn add_scaled(mean: &mut [Self], weight: f64, charge: &[Self]) {
                let weight = weight as $type;
                for (mean, charge) in mean.iter_mut().zip(charge) {
                    *mean = charge.mul_add(weight, *mean);
                }
            }
        }
    };
}

scalar!(f32, 16);
scalar!(f64, 8);

/// How squared distances become logits.
pub trait Logits: Sync {
    /// Turns the squared distances from one charge to the queries from number `first` on into logits, in place.
    fn logits(&self, first: usize, squared: &mut [f64]);
}

impl<F: Fn(usize, f64) -> f64 + Sync> Logits for F {
    #[inline(always)]
    fn logits(&self, first: usize, squared: &mut [f64]) {
        squared.iter_mut().enumerate().for_each(|(query, value)| *value = self(first + query, *value));
    }
}

/// Rows of at most so many coordinates are too short for vectors; there vectors run over the queries of a tile.
const NARROW: usize = 8;

/// Queries that a thread takes together, so that a charge read once serves them all.
const TILE: usize = 16;
/// Weights below this share of the largest are dropped: charges in any number that a memory holds, added up, would
/// not change an f64 mean.
const NEGLIGIBLE: f64 = 1e-30;

/// Computes `sum_i w_i y_i` with `w = softmax_i(logit(query, |x - y_i|^2))`, for every query.
///
/// `logit` is a function of the index of a query and a squared distance, or does whole rows of them. Queries are spread
/// over threads; each result depends on its own query alone.
///
/// # Shapes
/// - `queries`: `[queries, dim]`, `charges`: `[charges, dim]`, `mean` (overwritten): `[queries, dim]`
///
/// # Panics
/// If there is no charge, or a length is not a multiple of `dim`.
pub fn weighted_mean<T: Scalar>(queries: &[T], charges: &[T], dim: usize, logit: impl Logits, mean: &mut [T]) {
    weighted_mean_on(crate::simd::arch(), Points { queries, charges, dim }, logit, mean);
}

/// The operands of [`weighted_mean_on`], as those of [`weighted_mean`].
#[derive(Clone, Copy, Debug)]
pub struct Points<'a, T> {
    /// `[queries, dim]`
    pub queries: &'a [T],
    /// `[charges, dim]`
    pub charges: &'a [T],
    /// Coordinates of a point.
    pub dim: usize,
}

/// [`weighted_mean`] with the given vector instructions.
///
/// # Panics
/// As [`weighted_mean`].
pub fn weighted_mean_on<T: Scalar>(arch: Arch, points: Points<T>, logit: impl Logits, mean: &mut [T]) {
    let Points { queries, charges, dim } = points;
    assert!(dim > 0 && !charges.is_empty(), "weighted_mean: no charges");
    assert!(
        charges.len().is_multiple_of(dim) && queries.len().is_multiple_of(dim),
        "weighted_mean: ragged rows of {dim}"
    );
    assert_eq!(queries.len(), mean.len(), "weighted_mean: as many results as queries");
    // Enough tiles for every thread, but never more queries in one than share a pass over the charges well.
    let tile = (queries.len() / dim).div_ceil(threads()).clamp(1, TILE);
    let of_tile = |(index, (queries, mean)): (usize, (&[T], &mut [T]))| {
        arch.dispatch(Tile { first: index * tile, queries, charges, dim, logit: &logit, mean });
    };
    #[cfg(feature = "threads")]
    {
        use rayon::prelude::*;
        queries.par_chunks(tile * dim).zip(mean.par_chunks_mut(tile * dim)).enumerate().for_each(of_tile);
    }
    #[cfg(not(feature = "threads"))]
    queries.chunks(tile * dim).zip(mean.chunks_mut(tile * dim)).enumerate().for_each(of_tile);
}

/// How many threads share the queries.
fn threads() -> usize {
    #[cfg(feature = "threads")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "threads"))]
    return 1;
}

/// [`weighted_mean`] of a few queries on one thread.
struct Tile<'a, T, L> {
    first: usize,
    queries: &'a [T],
    charges: &'a [T],
    dim: usize,
    logit: &'a L,
    mean: &'a mut [T],
}

impl<T: Scalar, L: Logits> WithSimd for Tile<'_, T, L> {
    type Output = ();

    // Everything below is inlined here, where it is compiled for the vector unit that is there.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { first, queries, charges, dim, logit, mean } = self;
        let (tile, count) = (queries.len() / dim, charges.len() / dim);
        let mut logits = vec![0.0; tile * count];
        if dim <= NARROW {
            narrow_distances(queries, charges, dim, &mut logits);
        } else {
            for (charge, row) in charges.chunks_exact(dim).zip(logits.chunks_exact_mut(tile)) {
                T::squared_distances(queries, charge, row);
            }
        }
        let mut largest = vec![f64::NEG_INFINITY; tile];
        for row in logits.chunks_exact_mut(tile) {
            logit.logits(first, row);
            largest.iter_mut().zip(&*row).for_each(|(largest, value)| *largest = largest.max(*value));
        }
        let mut total = vec![0.0; tile];
        for row in logits.chunks_exact_mut(tile) {
            for ((value, largest), total) in row.iter_mut().zip(&largest).zip(&mut total) {
                // An infinite logit takes all the weight; infinity minus infinity would be no number.
                let difference = if *value == *largest { 0.0 } else { *value - *largest };
                *value = fastmath::exp(difference);
                *total += *value;
            }
        }
        if dim <= NARROW {
            narrow_means(charges, dim, &logits, &total, mean);
            return;
        }
        mean.fill(T::default());
        for (charge, row) in charges.chunks_exact(dim).zip(logits.chunks_exact(tile)) {
            for (query, &weight) in row.iter().enumerate() {
                if weight > NEGLIGIBLE {
                    T::add_scaled(&mut mean[query * dim..(query + 1) * dim], weight / total[query], charge);
                }
            }
        }
    }
}

/// Squared distances of short rows, `[charges, queries]`.
#[inline(always)]
fn narrow_distances<T: Scalar>(queries: &[T], charges: &[T], dim: usize, squared: &mut [f64]) {
    let tile = queries.len() / dim;
    for axis in 0..dim {
        let mut column = [0.0; TILE];
        column.iter_mut().zip(queries.iter().skip(axis).step_by(dim)).for_each(|(to, x)| *to = (*x).into());
        for (charge, row) in charges.chunks_exact(dim).zip(squared.chunks_exact_mut(tile)) {
            let y: f64 = charge[axis].into();
            for (value, x) in row.iter_mut().zip(&column) {
                *value += (x - y) * (x - y);
            }
        }
    }
}

/// Weighted means of short rows; `weights` is `[charges, queries]`.
#[inline(always)]
fn narrow_means<T: Scalar>(charges: &[T], dim: usize, weights: &[f64], total: &[f64], mean: &mut [T]) {
    let tile = total.len();
    for axis in 0..dim {
        let mut sum = [0.0; TILE];
        for (charge, row) in charges.chunks_exact(dim).zip(weights.chunks_exact(tile)) {
            let y: f64 = charge[axis].into();
            for (sum, weight) in sum.iter_mut().zip(row) {
                *sum += weight * y;
            }
        }
        for (query, (sum, total)) in sum.iter().zip(total).enumerate() {
            mean[query * dim + axis] = T::from_f64(sum / total);
        }
    }
}
