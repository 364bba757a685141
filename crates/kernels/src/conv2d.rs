//! Convolution, channels-last.

use burn::{
    backend::Dispatch,
    tensor::{Tensor, module, ops::ConvOptions},
};

use crate::backend::{KernelOps, is_fused};

/// A convolution of stride 1 with an odd kernel and zero padding that keeps the size, plus a bias.
///
/// # Shapes
/// - `x`: `[batch, height, width, in]`
/// - `weight`: `[kh, kw, in, out]`, `kh` and `kw` odd
/// - `bias`: `[out]`
/// - result: `[batch, height, width, out]`
///
/// # Panics
/// When the channels of `x` and `weight` differ, or the kernel is even.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    let [kh, kw, inputs, outputs] = weight.dims();
    assert_eq!(x.dims()[3], inputs, "conv2d: image {:?} against weights {:?}", x.dims(), weight.dims());
    assert_eq!(bias.dims(), [outputs], "conv2d: bias against weights {:?}", weight.dims());
    assert!(kh % 2 == 1 && kw % 2 == 1, "conv2d: the kernel {kh}x{kw} is even");
    if is_fused(&x) {
        let y = Dispatch::fused_conv2d(x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
        return Tensor::from_dispatch(y);
    }
    reference(x, weight, bias)
}

/// [`conv2d`] in Burn's own operations: what other backends run, and what tests compare with.
pub fn reference(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    let [kh, kw, _, _] = weight.dims();
    let options = ConvOptions::new([1, 1], [kh / 2, kw / 2], [1, 1], 1);
    let planes = module::conv2d(x.permute([0, 3, 1, 2]), weight.permute([3, 2, 0, 1]), Some(bias), options);
    planes.permute([0, 2, 3, 1])
}
