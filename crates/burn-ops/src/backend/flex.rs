//! The operations on Flex's tensors.
//!
//! They compute in single precision. Images in bf16 are converted before and results after. On the CPU, bf16 saves
//! memory and not time.

use std::mem::MaybeUninit;

use burn::{
    backend::{Flex, TensorMetadata, flex::FlexTensor},
    tensor::{DType, TensorData, bf16},
};
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes, Shape};
use pfgm_cpu::{
    Buffer, adam, arch, attention, concat,
    conv2d::{self, Epilogue, Geometry},
    dropout, elementwise,
    group_norm::{self, Affine, Gradients, Operands},
    linear,
    resample::{self, Taps},
};

use super::{
    Conv2dCall, NetworkGradients, NetworkOps, OptimizerOps,
    filters::{Weights, filters},
};
use crate::{
    adam::AdamStep,
    attention::Heads,
    dropout::DropoutMask,
    group_norm::GroupNormOptions,
    resample::{Filter, Resampling},
};

/// The values of a tensor in row-major order: a copy if the tensor has other strides.
struct Dense {
    tensor: FlexTensor,
    /// The values in single precision, if the tensor's are not.
    wide: Option<Buffer>,
}

impl Dense {
    fn new(tensor: FlexTensor) -> Self {
        let tensor = if tensor.layout().contiguous_offsets().is_some() { tensor } else { tensor.to_contiguous() };
        let narrow: Option<&[bf16]> = tensor.as_slice();
        let wide = narrow.map(|narrow| {
            let mut wide = Buffer::new(narrow.len());
            elementwise::widen(arch(), bytemuck::cast_slice(narrow), wide.values_mut());
            wide
        });
        Self { tensor, wide }
    }

    fn values(&self) -> &[f32] {
        let own = || self.tensor.as_slice().expect("dense, and single precision or bf16");
        self.wide.as_ref().map_or_else(own, Buffer::values)
    }

    fn dims<const D: usize>(&self) -> [usize; D] {
        self.tensor.shape().dims()
    }

    /// The precision of the tensor.
    fn dtype(&self) -> DType {
        self.tensor.dtype()
    }
}

/// A buffer of the pool, as the memory of a tensor.
struct Pooled(Buffer);

impl AllocationController for Pooled {
    fn alloc_align(&self) -> usize {
        align_of::<f32>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self, _: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let values = self.0.values_mut();
        // SAFETY: floats may be seen as bytes, of which only initialized ones are written, by the caller's promise.
        Ok(unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let values = self.0.values();
        // SAFETY: floats may be seen as bytes.
        Ok(unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) })
    }
}

/// Creates a tensor of the given precision from values in pooled memory.
fn tensor(values: Buffer, shape: impl Into<Shape>, dtype: DType) -> FlexTensor {
    let (memory, len) = match dtype {
        DType::BF16 => {
            let count = values.values().len();
            let mut narrow = Buffer::new(count.div_ceil(2));
            let halves: &mut [u16] = bytemuck::cast_slice_mut(narrow.values_mut());
            elementwise::narrow(arch(), values.values(), &mut halves[..count]);
            (narrow, count * size_of::<bf16>())
        }
        _ => {
            let len = size_of_val(values.values());
            (values, len)
        }
    };
    // SAFETY: all of the memory is initialized, and it has at least the stated length.
    let bytes = unsafe { Bytes::from_controller(Box::new(Pooled(memory)), len) };
    FlexTensor::from_data(TensorData::from_bytes(bytes, shape.into(), dtype))
}

/// Creates a tensor of the given precision; `fill` writes all of its values.
fn filled<const D: usize>(shape: [usize; D], dtype: DType, fill: impl FnOnce(&mut [f32])) -> FlexTensor {
    let mut values = Buffer::new(shape.iter().product());
    fill(values.values_mut());
    tensor(values, shape, dtype)
}

/// Sums all rows to one, unless the wanted number of rows equals the number of rows.
fn sum_rows(rows: Buffer, wanted: usize, width: usize) -> FlexTensor {
    let count = rows.values().len() / width.max(1);
    if wanted == count {
        return tensor(rows, [count, width], DType::F32);
    }
    filled([1, width], DType::F32, |sum| elementwise::sum_rows(arch(), rows.values(), sum))
}

impl GroupNormOptions {
    fn geometry(self, [_, height, width, channels]: [usize; 4]) -> group_norm::Geometry {
        group_norm::Geometry {
            pixels: height * width,
            channels,
            groups: self.groups,
            epsilon: self.epsilon as f32,
            activate: self.activate,
        }
    }
}

impl Heads {
    fn geometry(self, [batch, pixels, channels]: [usize; 3]) -> attention::Geometry {
        attention::Geometry { batch, pixels, channels: channels / 3, heads: self.0 }
    }
}

/// Upsamples or downsamples images, with this factor.
fn resampled(x: FlexTensor, up: bool, filter: Filter, scale: f32) -> FlexTensor {
    let (x, filter) = (Dense::new(x), Taps { taps: filter.taps(), scale });
    let [batch, height, width, channels] = x.dims();
    let arch = arch();
    if up {
        let geometry = resample::Geometry { batch, height, width, channels };
        return filled([batch, 2 * height, 2 * width, channels], x.dtype(), |y| {
            resample::upsample2x(arch, geometry, filter, x.values(), y);
        });
    }
    let (height, width) = (height / 2, width / 2);
    let geometry = resample::Geometry { batch, height, width, channels };
    filled([batch, height, width, channels], x.dtype(), |y| {
        resample::downsample2x(arch, geometry, filter, x.values(), y);
    })
}

fn dropped_out(x: FlexTensor, mask: &DropoutMask) -> FlexTensor {
    let x = Dense::new(x);
    let mut y = Buffer::new(x.values().len());
    dropout::dropout(arch(), mask, x.values(), y.values_mut());
    tensor(y, x.tensor.shape(), x.dtype())
}

fn convolved(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    residual: Option<FlexTensor>,
    call: Conv2dCall,
) -> FlexTensor {
    let Conv2dCall { options, weights } = call;
    let (x, weight, bias) = (Dense::new(x), Dense::new(weight), Dense::new(bias));
    let residual = residual.map(Dense::new);
    let [kernel_h, kernel_w, inputs, outputs] = weight.dims();
    let [batch, height, width, _] = x.dims();
    let kernel = [kernel_h, kernel_w];
    let geometry = Geometry { batch, height, width, inputs, outputs, kernel, stride: options.stride };
    let filters = filters(geometry, weight.values(), &weight.tensor.data_arc(), weights, false);
    let residual = residual.as_ref().map(Dense::values);
    let epilogue = Epilogue { bias: Some(bias.values()), residual, scale: options.scale };
    let [out_h, out_w] = geometry.out();
    filled([batch, out_h, out_w, outputs], x.dtype(), |y| {
        conv2d::forward(geometry, x.values(), &filters, epilogue, y);
    })
}

impl NetworkOps for Flex {
    fn fused_conv2d(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, call: Conv2dCall) -> FlexTensor {
        convolved(x, weight, bias, None, call)
    }

    fn fused_conv2d_residual(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        call: Conv2dCall,
    ) -> FlexTensor {
        convolved(x, weight, bias, Some(residual), call)
    }

    fn fused_linear(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (x, weight) = (Dense::new(x), Dense::new(weight));
        let ([batch, _], [inputs, outputs]) = (x.dims(), weight.dims());
        filled([batch, outputs], x.dtype(), |y| linear::forward(arch(), inputs, x.values(), weight.values(), y))
    }

    fn fused_group_norm(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, options: GroupNormOptions) -> FlexTensor {
        let (x, gamma, beta) = (Dense::new(x), Dense::new(gamma), Dense::new(beta));
        let shape: [usize; 4] = x.dims();
        filled(shape, x.dtype(), |y| {
            let affine = Affine { gamma: gamma.values(), beta: beta.values() };
            group_norm::forward(arch(), options.geometry(shape), x.values(), affine, y);
        })
    }

    fn fused_attention(qkv: FlexTensor, heads: Heads) -> FlexTensor {
        let qkv = Dense::new(qkv);
        let geometry = heads.geometry(qkv.dims());
        filled([geometry.batch, geometry.pixels, geometry.channels], qkv.dtype(), |out| {
            attention::forward(arch(), geometry, qkv.values(), out);
        })
    }

    fn fused_resample(x: FlexTensor, options: Resampling) -> FlexTensor {
        resampled(x, options.up, options.filter, if options.up { 4.0 } else { 1.0 })
    }

    fn fused_dropout(x: FlexTensor, mask: DropoutMask) -> FlexTensor {
        dropped_out(x, &mask)
    }

    fn fused_concat(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        let (a, b) = (Dense::new(a), Dense::new(b));
        let ([batch, height, width, left], [_, _, _, right]) = (a.dims(), b.dims());
        filled([batch, height, width, left + right], a.dtype(), |joined| {
            concat::concat([left, right], a.values(), b.values(), joined);
        })
    }
}

impl OptimizerOps for Flex {
    fn fused_adam(
        weights: FlexTensor,
        mut first: FlexTensor,
        mut second: FlexTensor,
        mut average: FlexTensor,
        gradient: FlexTensor,
        step: AdamStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
        let (weights, gradient) = (Dense::new(weights), Dense::new(gradient));
        // Parts of longer vectors are copied; whole vectors are not.
        for state in [&mut first, &mut second, &mut average] {
            *state = state.to_contiguous();
        }
        let stepped = filled(weights.dims::<1>(), DType::F32, |stepped| {
            // Moments and average are changed in place.
            let (first, second, average) = (first.storage_mut(), second.storage_mut(), average.storage_mut());
            let state = adam::AdamState { first, second, average };
            adam::adam(arch(), step, [weights.values(), gradient.values()], state, stepped);
        });
        (stepped, first, second, average)
    }

    fn fused_square_sum(x: FlexTensor) -> FlexTensor {
        let sum = adam::square_sum(Dense::new(x).values()) as f32;
        FlexTensor::from_data(TensorData::new(vec![sum], [1]))
    }
}

impl NetworkGradients for Flex {
    fn fused_scale(grad: FlexTensor, scale: f32) -> FlexTensor {
        let grad = Dense::new(grad);
        let shape: [usize; 4] = grad.dims();
        filled(shape, grad.dtype(), |out| elementwise::scale(arch(), grad.values(), scale, out))
    }

    fn fused_conv2d_input(
        grad: FlexTensor,
        weight: FlexTensor,
        size: [usize; 2],
        stride: usize,
        weights: Weights,
    ) -> FlexTensor {
        let (grad, weight) = (Dense::new(grad), Dense::new(weight));
        let [kernel_h, kernel_w, inputs, outputs] = weight.dims();
        let [batch, _, _, _] = grad.dims();
        let [height, width] = size;
        let geometry = Geometry { batch, height, width, inputs, outputs, kernel: [kernel_h, kernel_w], stride };
        let filters = filters(geometry, weight.values(), &weight.tensor.data_arc(), weights, true);
        filled([batch, height, width, inputs], grad.dtype(), |dx| {
            conv2d::input_gradient(geometry, grad.values(), &filters, dx);
        })
    }

    fn fused_conv2d_weight(x: FlexTensor, grad: FlexTensor, kernel: [usize; 2], stride: usize) -> FlexTensor {
        let (x, grad) = (Dense::new(x), Dense::new(grad));
        let ([batch, height, width, inputs], [_, _, _, outputs]) = (x.dims(), grad.dims());
        let geometry = Geometry { batch, height, width, inputs, outputs, kernel, stride };
        filled([kernel[0], kernel[1], inputs, outputs], DType::F32, |weight| {
            conv2d::weight_gradient(arch(), geometry, x.values(), grad.values(), weight);
        })
    }

    fn fused_conv2d_bias(grad: FlexTensor, rows: usize) -> FlexTensor {
        let grad = Dense::new(grad);
        let [batch, _, _, outputs] = grad.dims();
        let mut sums = Buffer::new(batch * outputs);
        conv2d::bias_gradient(arch(), outputs, grad.values(), sums.values_mut());
        sum_rows(sums, rows, outputs)
    }

    fn fused_linear_input(grad: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (grad, weight) = (Dense::new(grad), Dense::new(weight));
        let ([batch, outputs], [inputs, _]) = (grad.dims(), weight.dims());
        filled([batch, inputs], grad.dtype(), |dx| {
            linear::input_gradient(arch(), outputs, grad.values(), weight.values(), dx);
        })
    }

    fn fused_group_norm_gradient(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        grad: FlexTensor,
        options: GroupNormOptions,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, grad) = (Dense::new(x), Dense::new(grad));
        let (gamma, beta) = (Dense::new(gamma), Dense::new(beta));
        let shape: [usize; 4] = x.dims();
        let [batch, _, _, channels] = shape;
        let (mut d_gamma, mut d_beta) = (Buffer::new(batch * channels), Buffer::new(batch * channels));
        let dx = filled(shape, x.dtype(), |dx| {
            let affine = Affine { gamma: gamma.values(), beta: beta.values() };
            let operands = Operands { x: x.values(), affine, dy: grad.values() };
            let gradients = Gradients { dx, d_gamma: d_gamma.values_mut(), d_beta: d_beta.values_mut() };
            group_norm::gradient(arch(), options.geometry(shape), operands, gradients);
        });
        let rows = |row: &Dense| row.dims::<2>()[0];
        (dx, sum_rows(d_gamma, rows(&gamma), channels), sum_rows(d_beta, rows(&beta), channels))
    }

    fn fused_attention_gradient(qkv: FlexTensor, grad: FlexTensor, heads: Heads) -> FlexTensor {
        let (qkv, grad) = (Dense::new(qkv), Dense::new(grad));
        let shape: [usize; 3] = qkv.dims();
        filled(shape, qkv.dtype(), |dqkv| {
            attention::gradient(arch(), heads.geometry(shape), qkv.values(), grad.values(), dqkv);
        })
    }

    fn fused_resample_gradient(grad: FlexTensor, options: Resampling) -> FlexTensor {
        // Upsampling is four times the transpose of downsampling.
        resampled(grad, !options.up, options.filter, if options.up { 4.0 } else { 1.0 })
    }

    fn fused_dropout_gradient(grad: FlexTensor, mask: DropoutMask) -> FlexTensor {
        dropped_out(grad, &mask)
    }

    fn fused_split(grad: FlexTensor, channels: usize) -> (FlexTensor, FlexTensor) {
        let grad = Dense::new(grad);
        let [batch, height, width, all] = grad.dims();
        let pixels = batch * height * width;
        let mut a = Buffer::new(pixels * channels);
        let b = filled([batch, height, width, all - channels], grad.dtype(), |b| {
            concat::split([channels, all - channels], grad.values(), a.values_mut(), b);
        });
        (tensor(a, [batch, height, width, channels], grad.dtype()), b)
    }
}
