//! Convolution, channels-last.

use burn::tensor::{Tensor, module, ops::ConvOptions};

/// A convolution with an odd kernel, zero padding that keeps the size, and a stride.
///
/// # Shapes
/// - `x`: `[batch, height, width, in]`
/// - `weight`: `[kh, kw, in, out]`, `kh` and `kw` odd
/// - `bias`: `[out]`
/// - result: `[batch, ceil(height / stride), ceil(width / stride), out]`
///
/// # Panics
/// When the channels of `x` and `weight` differ, or the kernel is even.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, stride: usize) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let [kh, kw, inputs, outputs] = weight.dims();
    assert_eq!(channels, inputs, "conv2d: image {:?} against weights {:?}", x.dims(), weight.dims());
    assert!(kh % 2 == 1 && kw % 2 == 1, "conv2d: the kernel {kh}x{kw} is even");
    if kh == 1 && kw == 1 && stride == 1 {
        let rows = x.reshape([batch * height * width, channels]);
        let rows = module::linear(rows, weight.reshape([channels, outputs]), bias);
        return rows.reshape([batch, height, width, outputs]);
    }
    let options = ConvOptions::new([stride, stride], [kh / 2, kw / 2], [1, 1], 1);
    let planes = module::conv2d(x.permute([0, 3, 1, 2]), weight.permute([3, 2, 0, 1]), bias, options);
    planes.permute([0, 2, 3, 1])
}
