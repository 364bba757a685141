//! Convolutions, channels-last.

use burn::{
    backend::Dispatch,
    tensor::{Tensor, module, ops::ConvOptions},
};

pub use crate::options::Conv2dOptions;
use crate::{
    backend::{Conv2dCall, NetworkOps, Weights, is_fused},
    flop_count,
};

/// Computes `scale (x * weight + bias + residual)`: a convolution with an odd kernel and zero padding of half the kernel,
/// and the operations that usually follow.
///
/// # Shapes
/// - `x`: `[batch, height, width, in]`
/// - `weight`: `[kh, kw, in, out]`, `kh` and `kw` odd
/// - `bias`: `[1, out]`, or `[batch, out]` where each image has its own
/// - result, and `residual` if there is one: `[batch, ceil(height / stride), ceil(width / stride), out]`
///
/// `x` and `residual` may be bf16, and then the result is; weights and bias are in single precision.
///
/// # Panics
/// If shapes do not match, the kernel is even, or the stride is zero.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<2>,
    residual: Option<Tensor<4>>,
    options: Conv2dOptions,
) -> Tensor<4> {
    let ([batch, height, width, channels], [kh, kw, inputs, outputs]) = (x.dims(), weight.dims());
    assert_eq!(channels, inputs, "conv2d: image {:?} against weights {:?}", x.dims(), weight.dims());
    let [rows, columns] = bias.dims();
    let fits = columns == outputs && (rows == 1 || rows == batch);
    assert!(fits, "conv2d: bias {:?} against image {:?} and weights {:?}", bias.dims(), x.dims(), weight.dims());
    assert!(kh % 2 == 1 && kw % 2 == 1, "conv2d: the kernel {kh}x{kw} is even");
    assert!(options.stride > 0, "conv2d: a stride of zero");
    if let Some(residual) = &residual {
        let out = [batch, height.div_ceil(options.stride), width.div_ceil(options.stride), outputs];
        assert_eq!(residual.dims(), out, "conv2d: the residual against the result");
    }
    let pixels = height.div_ceil(options.stride) * width.div_ceil(options.stride);
    flop_count::add(2 * batch * pixels * kh * kw * inputs * outputs);
    if is_fused(&x) {
        let call = Conv2dCall { options, weights: Weights::Frozen };
        let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
        return Tensor::from_dispatch(match residual {
            Some(residual) => Dispatch::fused_conv2d_residual(x, weight, bias, residual.into_dispatch(), call),
            None => Dispatch::fused_conv2d(x, weight, bias, call),
        });
    }
    reference(x, weight, bias, residual, options)
}

/// [`conv2d()`] composed of Burn's operations, for other devices and for tests.
pub fn reference(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<2>,
    residual: Option<Tensor<4>>,
    options: Conv2dOptions,
) -> Tensor<4> {
    let [kh, kw, _, _] = weight.dims();
    let (weight, bias) = (weight.cast(x.dtype()), bias.cast(x.dtype()));
    let conv = ConvOptions::new([options.stride; 2], [kh / 2, kw / 2], [1, 1], 1);
    let planes = module::conv2d(x.permute([0, 3, 1, 2]), weight.permute([3, 2, 0, 1]), None, conv);
    let [rows, outputs] = bias.dims();
    let y = planes.permute([0, 2, 3, 1]) + bias.reshape([rows, 1, 1, outputs]);
    let y = match residual {
        Some(residual) => y + residual,
        None => y,
    };
    if options.scale == 1.0 { y } else { y.mul_scalar(options.scale) }
}
