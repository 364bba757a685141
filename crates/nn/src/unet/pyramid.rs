//! The input pyramid of NCSN++: downsampled versions of the input image are added on the way down.

pub mod onnx;

use burn::tensor::{Tensor, TensorData};
use pfgm_burn_ops::{Conv2dOptions, Filter, conv2d};

use crate::layers::Conv;

/// Computes `(conv(pyramid) + x) / sqrt(2)`, where the convolution blurs the pyramid with the weights 1, 3, 3, 1 and takes
/// every second pixel.
///
/// Blur and convolution are combined into one convolution with 7x7 weights that follow from the 3x3 ones: the blur extends two pixels up
/// and one down, and the border of the blurred image is kept for the convolution.
///
/// # Shapes
/// `pyramid`: `[batch, 2 height, 2 width, in]`, `x` and result: `[batch, height, width, out]`
pub fn join(conv: &Conv, pyramid: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
    let options = Conv2dOptions { stride: 2, scale: std::f32::consts::FRAC_1_SQRT_2 };
    conv2d(pyramid, blurred(conv.weight()), conv.bias().unsqueeze(), Some(x), options)
}

/// Returns the 7x7 weights of a 3x3 convolution of the blurred image.
fn blurred(weight: Tensor<4>) -> Tensor<4> {
    let [_, _, inputs, outputs] = weight.dims();
    // Row m of the spread matrix: the share of each of three weights in the weight at place m - 3 from the pixel.
    let taps = Filter::Binomial.taps();
    let spread = (0..7_usize).flat_map(|m| (0..3_usize).map(move |t| m.checked_sub(t + 1).and_then(|u| taps.get(u))));
    let spread: Vec<f32> = spread.map(|tap| tap.copied().unwrap_or(0.0)).collect();
    let spread = Tensor::<2>::from_data(TensorData::new(spread, [7, 3]), &weight.device());
    let pairs = inputs * outputs;
    let rows = spread.clone().matmul(weight.reshape([3, 3 * pairs])).reshape([7, 3, pairs]);
    let columns = spread.matmul(rows.swap_dims(0, 1).reshape([3, 7 * pairs])).reshape([7, 7, pairs]);
    columns.swap_dims(0, 1).reshape([7, 7, inputs, outputs])
}
