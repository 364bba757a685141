//! Where Burn meets the CPU operations: a backend extension for Flex, with explicit gradients.

mod autodiff;
mod filters;
mod flex;

pub use filters::Weights;

use burn::{
    backend::{Backend, DispatchDevice, backend_extension, tensor::FloatTensor},
    tensor::{DType, Tensor},
};

use crate::{
    adam::AdamStep, attention::Heads, conv2d::Convolution, dropout::Dropped, group_norm::Normalisation,
    resample::Resampling,
};

/// The operations that have an implementation of their own on the CPU. Images are channels-last, in single precision or bf16, as is
/// what becomes of them; weights, biases, gamma and beta are in single precision.
#[backend_extension(Flex, Autodiff)]
pub trait KernelOps: Backend {
    /// [`conv2d`](crate::conv2d) without a residual.
    fn fused_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        how: Convolution,
        weights: Weights,
    ) -> FloatTensor<Self>;

    /// [`conv2d`](crate::conv2d) with a residual.
    fn fused_conv2d_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        how: Convolution,
        weights: Weights,
    ) -> FloatTensor<Self>;

    /// [`group_norm`](crate::group_norm); `gamma` and `beta` have one row, or one for each image.
    fn fused_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        how: Normalisation,
    ) -> FloatTensor<Self>;

    /// [`attention`](crate::attention).
    fn fused_attention(qkv: FloatTensor<Self>, heads: Heads) -> FloatTensor<Self>;

    /// [`halve`](crate::halve) and [`double`](crate::double).
    fn fused_resample(x: FloatTensor<Self>, how: Resampling) -> FloatTensor<Self>;

    /// [`dropout`](crate::dropout).
    fn fused_dropout(x: FloatTensor<Self>, dropped: Dropped) -> FloatTensor<Self>;

    /// [`join`](crate::join).
    fn fused_join(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Their gradients, which a backward pass takes on the backend below. `grad` is the gradient for the result.
pub trait KernelGradients: Backend {
    /// What [`Convolution::scale`] does to the gradient: it belongs to the residual, and to the sum without it.
    fn fused_scale(grad: FloatTensor<Self>, scale: f32) -> FloatTensor<Self>;

    /// The convolution's gradient for the input, an image of `size`.
    fn fused_conv2d_input(
        grad: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        size: [usize; 2],
        stride: usize,
        weights: Weights,
    ) -> FloatTensor<Self>;

    /// The convolution's gradient for the weights, whose height and width are `kernel`.
    fn fused_conv2d_weight(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        kernel: [usize; 2],
        stride: usize,
    ) -> FloatTensor<Self>;

    /// The convolution's gradient for a bias of `rows` rows.
    fn fused_conv2d_bias(grad: FloatTensor<Self>, rows: usize) -> FloatTensor<Self>;

    /// The normalisation's gradients for the input, gamma and beta.
    fn fused_group_norm_gradient(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        how: Normalisation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The attention's gradient.
    fn fused_attention_gradient(qkv: FloatTensor<Self>, grad: FloatTensor<Self>, heads: Heads) -> FloatTensor<Self>;

    /// The resampling's gradient.
    fn fused_resample_gradient(grad: FloatTensor<Self>, how: Resampling) -> FloatTensor<Self>;

    /// The dropout's gradient.
    fn fused_dropout_gradient(grad: FloatTensor<Self>, dropped: Dropped) -> FloatTensor<Self>;

    /// The gradients for the first `channels` channels, and the others.
    fn fused_split(grad: FloatTensor<Self>, channels: usize) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// What an optimiser does with all weights at once; nothing here has gradients.
#[backend_extension(Flex)]
pub trait OptimizerOps: Backend {
    /// [`adam`](crate::adam::adam): weights, first and second moments, and average.
    fn fused_adam(
        weights: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        average: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The sum of all squares, `[1]`.
    fn fused_square_sum(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Whether tensors like this one have these operations: single precision or bf16 on Flex, with or without gradients.
pub(crate) fn is_fused<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.dtype(), DType::F32 | DType::BF16) && matches!(x.device().inner().as_dispatch(), DispatchDevice::Flex(_))
}
