//! Dropout (arXiv 1207.0580): some values are zeroed, the others scaled to preserve the mean.

use burn::{
    backend::Dispatch,
    tensor::{Tensor, TensorData},
};
pub use pfgm_cpu::dropout::DropoutMask;

use crate::backend::{NetworkOps, is_fused};

/// Zeroes the masked values and scales the others.
///
/// # Shapes
/// The first dimension of `x` is the batch.
///
/// # Panics
/// If the number of items of the mask differs from the batch, or an index is out of range.
pub fn dropout<const D: usize>(x: Tensor<D>, mask: DropoutMask) -> Tensor<D> {
    assert_eq!(x.dims()[0], mask.dropped().len(), "dropout: items of {:?}", x.dims());
    if is_fused(&x) {
        return Tensor::from_dispatch(Dispatch::fused_dropout(x.into_dispatch(), mask));
    }
    reference(x, &mask)
}

/// [`dropout()`] composed of Burn's operations, for other devices and for tests.
pub fn reference<const D: usize>(x: Tensor<D>, mask: &DropoutMask) -> Tensor<D> {
    let shape = x.dims();
    let item = shape[1..].iter().product::<usize>();
    let mut factors = vec![mask.scale(); item * shape[0]];
    for (factors, dropped) in factors.chunks_exact_mut(item).zip(mask.dropped()) {
        dropped.iter().for_each(|&place| factors[place as usize] = 0.0);
    }
    let factors = Tensor::<D>::from_data(TensorData::new(factors, shape), &x.device());
    x.clone() * factors.cast(x.dtype())
}
