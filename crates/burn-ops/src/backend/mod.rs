//! The CPU operations as an extension of Burn's backend Flex, with explicit gradients.

mod autodiff;
mod filters;
mod flex;

pub use filters::Weights;

use burn::{
    backend::{Backend, DispatchDevice, backend_extension, tensor::FloatTensor},
    tensor::{DType, Tensor},
};

use pfgm_cpu::{adam::AdamStep, dropout::DropoutMask};

use crate::options::{Conv2dOptions, GroupNormOptions, Heads, Resampling};

/// A call of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dCall {
    /// The options.
    pub options: Conv2dOptions,
    /// Whether filters are cached for the next call.
    pub weights: Weights,
}

/// The operations that have an implementation of their own on the CPU. Images are channels-last, in single precision or
/// bf16; results have the same precision. Weights, biases, gamma and beta are in single precision.
#[backend_extension(Flex, Autodiff)]
pub trait NetworkOps: Backend {
    /// [`conv2d`](crate::conv2d()) without a residual.
    fn fused_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        call: Conv2dCall,
    ) -> FloatTensor<Self>;

    /// [`conv2d`](crate::conv2d()) with a residual.
    fn fused_conv2d_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        call: Conv2dCall,
    ) -> FloatTensor<Self>;

    /// [`linear`](crate::linear()) without a bias.
    fn fused_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    /// [`group_norm`](crate::group_norm()); `gamma` and `beta` have one row, or one for each image.
    fn fused_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        options: GroupNormOptions,
    ) -> FloatTensor<Self>;

    /// [`attention`](crate::attention()).
    fn fused_attention(qkv: FloatTensor<Self>, heads: Heads) -> FloatTensor<Self>;

    /// [`downsample2x`](crate::downsample2x) and [`upsample2x`](crate::upsample2x).
    fn fused_resample(x: FloatTensor<Self>, options: Resampling) -> FloatTensor<Self>;

    /// [`dropout`](crate::dropout()).
    fn fused_dropout(x: FloatTensor<Self>, mask: DropoutMask) -> FloatTensor<Self>;

    /// [`concat`](crate::concat()).
    fn fused_concat(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The gradients of [`NetworkOps`], computed by a backward pass on the inner backend. `grad` is the gradient for the result.
pub trait NetworkGradients: Backend {
    /// Multiplies the gradient by [`Conv2dOptions::scale`]: the gradient for the residual, and for the sum before scaling.
    fn fused_scale(grad: FloatTensor<Self>, scale: f32) -> FloatTensor<Self>;

    /// Gradient of a convolution for the input, an image of `size`.
    fn fused_conv2d_input(
        grad: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        size: [usize; 2],
        stride: usize,
        weights: Weights,
    ) -> FloatTensor<Self>;

    /// Gradient of a convolution for the weights, whose height and width are `kernel`.
    fn fused_conv2d_weight(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        kernel: [usize; 2],
        stride: usize,
    ) -> FloatTensor<Self>;

    /// Gradient of a convolution for a bias of `rows` rows.
    fn fused_conv2d_bias(grad: FloatTensor<Self>, rows: usize) -> FloatTensor<Self>;

    /// Gradient of a linear layer for its input.
    fn fused_linear_input(grad: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Gradients of a normalization for the input, gamma and beta.
    fn fused_group_norm_gradient(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: GroupNormOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Gradient of the attention.
    fn fused_attention_gradient(qkv: FloatTensor<Self>, grad: FloatTensor<Self>, heads: Heads) -> FloatTensor<Self>;

    /// Gradient of a resampling.
    fn fused_resample_gradient(grad: FloatTensor<Self>, options: Resampling) -> FloatTensor<Self>;

    /// Gradient of dropout.
    fn fused_dropout_gradient(grad: FloatTensor<Self>, mask: DropoutMask) -> FloatTensor<Self>;

    /// Gradients of a concatenation: for the first `channels` channels, and for the others.
    fn fused_split(grad: FloatTensor<Self>, channels: usize) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The operations of the optimizer on all weights at once, without gradients.
#[backend_extension(Flex)]
pub trait OptimizerOps: Backend {
    /// [`adam`](crate::adam::adam()): weights, first and second moments, and average.
    fn fused_adam(
        weights: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        average: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Sum of all squares, `[1]`.
    fn fused_square_sum(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Returns whether these operations work on a tensor: single precision or bf16 on Flex, with or without gradients.
pub(crate) fn is_fused<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.dtype(), DType::F32 | DType::BF16) && matches!(x.device().inner().as_dispatch(), DispatchDevice::Flex(_))
}
