//! Dropout (arXiv 1207.0580) with an independent mask for each item of a batch.

use burn::tensor::Tensor;
use pfgm_burn_ops::DropoutMask;
use pfgm_flow::random::{Purpose, Stream, stream};
use rand::RngExt;
use rayon::prelude::*;

/// Dropout masks of one training batch. The masks of an item are drawn from its random stream, so they do not depend on how
/// a batch is split.
pub struct Dropout {
    streams: Vec<Stream>,
}

impl Dropout {
    /// Creates the masks of the items `first..first + count` of step `step`.
    pub fn new(seed: u64, step: u64, first: usize, count: usize) -> Self {
        let streams = (first..first + count).map(|item| stream(seed, Purpose::Dropout, step, item as u64)).collect();
        Self { streams }
    }

    /// Zeroes values with the given probability and scales the others to preserve the mean.
    ///
    /// # Shapes
    /// The first dimension of `x` is the batch.
    pub(crate) fn apply<const D: usize>(&mut self, x: Tensor<D>, probability: f64) -> Tensor<D> {
        if probability <= 0.0 {
            return x;
        }
        let shape = x.dims();
        let values = shape[1..].iter().product::<usize>();
        assert_eq!(self.streams.len(), shape[0], "dropout: one stream for each item of the batch");
        // The distance between dropped values has a geometric distribution, which needs far fewer draws than one per value.
        let rate = (1.0 - probability).ln().recip();
        let places = self.streams.par_iter_mut().map(|stream| {
            let mut places = Vec::with_capacity((values as f64 * probability * 1.1) as usize + 8);
            let mut next = 0_usize;
            loop {
                let gap = (1.0 - stream.random::<f64>()).ln() * rate;
                next = next.saturating_add(gap as usize);
                if next >= values {
                    return places;
                }
                places.push(next as u32);
                next += 1;
            }
        });
        pfgm_burn_ops::dropout(x, DropoutMask::new(places.collect(), 1.0 / (1.0 - probability as f32)))
    }
}

/// Applies dropout if there are masks, as in training.
pub(crate) fn dropout<const D: usize>(masks: &mut Option<&mut Dropout>, x: Tensor<D>, probability: f64) -> Tensor<D> {
    match masks {
        Some(masks) => masks.apply(x, probability),
        None => x,
    }
}
