//! The matrix product of a linear layer.

use burn::{
    backend::Dispatch,
    tensor::{Tensor, module},
};

use crate::{
    backend::{NetworkOps, is_fused},
    flop_count,
};

/// Computes `x weight + bias`. On the CPU each row of the result depends on its own row of `x` alone, to the bit.
///
/// # Shapes
/// - `x`: `[batch, in]`
/// - `weight`: `[in, out]`
/// - `bias`: `[out]`
/// - result: `[batch, out]`
///
/// # Panics
/// If the shapes do not match.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let ([batch, columns], [inputs, outputs]) = (x.dims(), weight.dims());
    assert_eq!(columns, inputs, "linear: rows {:?} against weights {:?}", x.dims(), weight.dims());
    flop_count::add(2 * batch * inputs * outputs);
    if is_fused(&x) {
        let y = Tensor::from_dispatch(Dispatch::fused_linear(x.into_dispatch(), weight.into_dispatch()));
        return match bias {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        };
    }
    reference(x, weight, bias)
}

/// [`linear()`] composed of Burn's operations, for other devices and for tests.
pub fn reference(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    module::linear(x, weight, bias)
}
