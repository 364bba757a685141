//! Upsampling and downsampling of images by a factor of two.

use burn::{
    backend::Dispatch,
    tensor::{
        Tensor, TensorData, module,
        ops::{ConvOptions, ConvTransposeOptions},
    },
};

use crate::backend::{NetworkOps, is_fused};
pub use crate::options::{Filter, Resampling};

/// Upsamples an image by a factor of two.
///
/// # Shapes
/// `[batch, height, width, channels]` to `[batch, 2 height, 2 width, channels]`
pub fn upsample2x(x: Tensor<4>, filter: Filter) -> Tensor<4> {
    resample(x, Resampling { up: true, filter })
}

/// Downsamples an image by a factor of two.
///
/// # Shapes
/// `[batch, height, width, channels]` to `[batch, height / 2, width / 2, channels]`
///
/// # Panics
/// If a side is odd.
pub fn downsample2x(x: Tensor<4>, filter: Filter) -> Tensor<4> {
    let [_, height, width, _] = x.dims();
    assert!(height % 2 == 0 && width % 2 == 0, "downsample2x: {height}x{width} has an odd side");
    resample(x, Resampling { up: false, filter })
}

fn resample(x: Tensor<4>, options: Resampling) -> Tensor<4> {
    if is_fused(&x) {
        return Tensor::from_dispatch(Dispatch::fused_resample(x.into_dispatch(), options));
    }
    reference(x, options)
}

/// [`upsample2x`] and [`downsample2x`] composed of Burn's operations, for other devices and for tests.
pub fn reference(x: Tensor<4>, options: Resampling) -> Tensor<4> {
    let channels = x.dims()[3];
    let taps = options.filter.taps();
    let (count, border) = (taps.len(), taps.len() / 2 - 1);
    let gain = if options.up { 4.0 } else { 1.0 };
    let square: Vec<f32> = taps.iter().flat_map(|a| taps.iter().map(move |b| gain * a * b)).collect();
    let weight = Tensor::<4>::from_data(TensorData::new(square, [1, 1, count, count]), &x.device());
    let weight = weight.cast(x.dtype()).expand([channels, 1, count, count]);
    let planes = x.permute([0, 3, 1, 2]);
    let planes = if options.up {
        let conv = ConvTransposeOptions::new([2, 2], [border; 2], [0, 0], [1, 1], channels);
        module::conv_transpose2d(planes, weight, None, conv)
    } else {
        module::conv2d(planes, weight, None, ConvOptions::new([2, 2], [border; 2], [1, 1], channels))
    };
    planes.permute([0, 2, 3, 1])
}
