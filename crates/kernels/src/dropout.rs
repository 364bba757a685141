//! Dropout (arXiv 1207.0580): some values are zeroed, the others scaled so that the mean stays.

use std::sync::Arc;

use burn::{
    backend::Dispatch,
    tensor::{Tensor, TensorData},
};

use crate::backend::{KernelOps, is_fused};

/// Which values of a batch are zeroed.
#[derive(Clone, Debug)]
pub struct Dropped {
    /// For each item their places in it.
    places: Arc<Vec<Vec<u32>>>,
    /// What the others are multiplied by.
    scale: f32,
}

impl Dropped {
    /// The values at `places` of each item are zeroed, the others multiplied by `scale`.
    pub fn new(places: Vec<Vec<u32>>, scale: f32) -> Self {
        Self { places: Arc::new(places), scale }
    }

    /// The places of each item.
    pub fn places(&self) -> &[Vec<u32>] {
        &self.places
    }

    /// What the values elsewhere are multiplied by.
    pub fn scale(&self) -> f32 {
        self.scale
    }
}

/// Zeroes some values and scales the others.
///
/// # Shapes
/// The first dimension of `x` is the batch.
///
/// # Panics
/// When there are not as many items as in the batch, or a place lies beyond an item.
pub fn dropout<const D: usize>(x: Tensor<D>, dropped: Dropped) -> Tensor<D> {
    assert_eq!(x.dims()[0], dropped.places.len(), "dropout: items of {:?}", x.dims());
    if is_fused(&x) {
        return Tensor::from_dispatch(Dispatch::fused_dropout(x.into_dispatch(), dropped));
    }
    reference(x, &dropped)
}

/// [`dropout`] in Burn's own operations: what other backends run, and what tests compare with.
pub fn reference<const D: usize>(x: Tensor<D>, dropped: &Dropped) -> Tensor<D> {
    let shape = x.dims();
    let item = shape[1..].iter().product::<usize>();
    let mut mask = vec![dropped.scale; item * shape[0]];
    for (mask, places) in mask.chunks_exact_mut(item).zip(dropped.places()) {
        places.iter().for_each(|&place| mask[place as usize] = 0.0);
    }
    let mask = Tensor::<D>::from_data(TensorData::new(mask, shape), &x.device());
    x.clone() * mask.cast(x.dtype())
}
