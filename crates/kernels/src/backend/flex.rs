//! The operations on Flex's tensors.
//!
//! They compute in single precision. Images in bf16 are widened on the way in, and what becomes of them is narrowed: half the memory
//! is what such images are for, here.

use std::mem::MaybeUninit;

use burn::{
    backend::{Flex, TensorMetadata, flex::FlexTensor},
    tensor::{DType, TensorData, bf16},
};
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes, Shape};

use super::{
    KernelGradients, KernelOps, OptimizerOps,
    filters::{Weights, filters},
};
use crate::{
    adam::AdamStep,
    attention::Heads,
    conv2d::Convolution,
    cpu::{
        self, Buffer, adam, attention,
        conv2d::{self, Epilogue, Geometry},
        dropout, elementwise, group_norm, join, resample,
    },
    dropout::Dropped,
    group_norm::Normalisation,
    resample::Resampling,
};

/// The values of a tensor in the order of its shape; a copy where it is a view in another order.
struct Dense {
    tensor: FlexTensor,
    /// The values in single precision, where the tensor's are not.
    wide: Option<Buffer>,
}

impl Dense {
    fn new(tensor: FlexTensor) -> Self {
        let tensor = if tensor.layout().contiguous_offsets().is_some() { tensor } else { tensor.to_contiguous() };
        let narrow: Option<&[bf16]> = tensor.as_slice();
        let wide = narrow.map(|narrow| {
            let mut wide = Buffer::new(narrow.len());
            elementwise::widen(cpu::arch(), bytemuck::cast_slice(narrow), wide.values_mut());
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

    /// The precision of the values.
    fn dtype(&self) -> DType {
        self.tensor.dtype()
    }
}

/// A buffer of the pool as the memory of a tensor.
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
        // SAFETY: floats may be seen as bytes, of which only initialised ones are written, by the caller's promise.
        Ok(unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let values = self.0.values();
        // SAFETY: floats may be seen as bytes.
        Ok(unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) })
    }
}

/// A tensor of values in pooled memory, in this precision.
fn tensor(values: Buffer, shape: impl Into<Shape>, dtype: DType) -> FlexTensor {
    let (memory, len) = match dtype {
        DType::BF16 => {
            let count = values.values().len();
            let mut narrow = Buffer::new(count.div_ceil(2));
            let halves: &mut [u16] = bytemuck::cast_slice_mut(narrow.values_mut());
            elementwise::narrow(cpu::arch(), values.values(), &mut halves[..count]);
            (narrow, count * size_of::<bf16>())
        }
        _ => {
            let len = size_of_val(values.values());
            (values, len)
        }
    };
    // SAFETY: all of the memory is initialised, and it is as long as is said or a little longer.
    let bytes = unsafe { Bytes::from_controller(Box::new(Pooled(memory)), len) };
    FlexTensor::from_data(TensorData::from_bytes(bytes, shape.into(), dtype))
}

/// A tensor in this precision whose values `fill` writes, all of them.
fn filled<const D: usize>(shape: [usize; D], dtype: DType, fill: impl FnOnce(&mut [f32])) -> FlexTensor {
    let mut values = Buffer::new(shape.iter().product());
    fill(values.values_mut());
    tensor(values, shape, dtype)
}

/// The sum of rows, as one row; the rows themselves where there are to be as many.
fn sum_rows(rows: Buffer, wanted: usize, width: usize) -> FlexTensor {
    let count = rows.values().len() / width.max(1);
    if wanted == count {
        return tensor(rows, [count, width], DType::F32);
    }
    filled([1, width], DType::F32, |sum| elementwise::sum_rows(cpu::arch(), rows.values(), sum))
}

impl Normalisation {
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

/// Halves or doubles images.
fn resampled(x: FlexTensor, double: bool, taps: &[f32], scale: f32) -> FlexTensor {
    let x = Dense::new(x);
    let [batch, height, width, channels] = x.dims();
    let arch = cpu::arch();
    if double {
        let geometry = resample::Geometry { batch, height, width, channels };
        return filled([batch, 2 * height, 2 * width, channels], x.dtype(), |y| {
            resample::double(arch, geometry, taps, scale, x.values(), y);
        });
    }
    let (height, width) = (height / 2, width / 2);
    let geometry = resample::Geometry { batch, height, width, channels };
    filled([batch, height, width, channels], x.dtype(), |y| {
        resample::halve(arch, geometry, taps, scale, x.values(), y);
    })
}

fn thinned(x: FlexTensor, dropped: &Dropped) -> FlexTensor {
    let x = Dense::new(x);
    let mut y = Buffer::new(x.values().len());
    dropout::dropout(cpu::arch(), dropped, x.values(), y.values_mut());
    tensor(y, x.tensor.shape(), x.dtype())
}

fn convolved(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    residual: Option<FlexTensor>,
    how: Convolution,
    weights: Weights,
) -> FlexTensor {
    let (x, weight, bias) = (Dense::new(x), Dense::new(weight), Dense::new(bias));
    let residual = residual.map(Dense::new);
    let [kernel_h, kernel_w, inputs, outputs] = weight.dims();
    let [batch, height, width, _] = x.dims();
    let kernel = [kernel_h, kernel_w];
    let geometry = Geometry { batch, height, width, inputs, outputs, kernel, stride: how.stride };
    let filters = filters(geometry, weight.values(), &weight.tensor.data_arc(), weights, false);
    let residual = residual.as_ref().map(Dense::values);
    let epilogue = Epilogue { bias: Some(bias.values()), residual, scale: how.scale };
    let [out_h, out_w] = geometry.out();
    filled([batch, out_h, out_w, outputs], x.dtype(), |y| {
        conv2d::forward(cpu::arch(), geometry, x.values(), &filters, epilogue, y);
    })
}

impl KernelOps for Flex {
    fn fused_conv2d(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        how: Convolution,
        weights: Weights,
    ) -> FlexTensor {
        convolved(x, weight, bias, None, how, weights)
    }

    fn fused_conv2d_onto(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        how: Convolution,
        weights: Weights,
    ) -> FlexTensor {
        convolved(x, weight, bias, Some(residual), how, weights)
    }

    fn fused_group_norm(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, how: Normalisation) -> FlexTensor {
        let (x, gamma, beta) = (Dense::new(x), Dense::new(gamma), Dense::new(beta));
        let shape: [usize; 4] = x.dims();
        filled(shape, x.dtype(), |y| {
            group_norm::forward(cpu::arch(), how.geometry(shape), x.values(), gamma.values(), beta.values(), y);
        })
    }

    fn fused_attention(qkv: FlexTensor, heads: Heads) -> FlexTensor {
        let qkv = Dense::new(qkv);
        let geometry = heads.geometry(qkv.dims());
        filled([geometry.batch, geometry.pixels, geometry.channels], qkv.dtype(), |out| {
            attention::forward(cpu::arch(), geometry, qkv.values(), out);
        })
    }

    fn fused_resample(x: FlexTensor, how: Resampling) -> FlexTensor {
        resampled(x, how.double, how.filter.taps(), if how.double { 4.0 } else { 1.0 })
    }

    fn fused_dropout(x: FlexTensor, dropped: Dropped) -> FlexTensor {
        thinned(x, &dropped)
    }

    fn fused_join(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        let (a, b) = (Dense::new(a), Dense::new(b));
        let ([batch, height, width, left], [_, _, _, right]) = (a.dims(), b.dims());
        filled([batch, height, width, left + right], a.dtype(), |joined| {
            join::join([left, right], a.values(), b.values(), joined);
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
        let stepped = filled(weights.dims::<1>(), DType::F32, |stepped| {
            // Moments and average change in place: nobody else holds them.
            let (first, second, average) = (first.storage_mut(), second.storage_mut(), average.storage_mut());
            let arch = cpu::arch();
            adam::adam(arch, step, weights.values(), gradient.values(), first, second, average, stepped);
        });
        (stepped, first, second, average)
    }

    fn fused_square_sum(x: FlexTensor) -> FlexTensor {
        let sum = adam::square_sum(Dense::new(x).values()) as f32;
        FlexTensor::from_data(TensorData::new(vec![sum], [1]))
    }
}

impl KernelGradients for Flex {
    fn fused_scale(grad: FlexTensor, scale: f32) -> FlexTensor {
        let grad = Dense::new(grad);
        let shape: [usize; 4] = grad.dims();
        filled(shape, grad.dtype(), |out| elementwise::scale(cpu::arch(), grad.values(), scale, out))
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
            conv2d::input_gradient(cpu::arch(), geometry, grad.values(), &filters, dx);
        })
    }

    fn fused_conv2d_weight(x: FlexTensor, grad: FlexTensor, kernel: [usize; 2], stride: usize) -> FlexTensor {
        let (x, grad) = (Dense::new(x), Dense::new(grad));
        let ([batch, height, width, inputs], [_, _, _, outputs]) = (x.dims(), grad.dims());
        let geometry = Geometry { batch, height, width, inputs, outputs, kernel, stride };
        filled([kernel[0], kernel[1], inputs, outputs], DType::F32, |weight| {
            conv2d::weight_gradient(cpu::arch(), geometry, x.values(), grad.values(), weight);
        })
    }

    fn fused_conv2d_bias(grad: FlexTensor, rows: usize) -> FlexTensor {
        let grad = Dense::new(grad);
        let [batch, _, _, outputs] = grad.dims();
        let mut sums = Buffer::new(batch * outputs);
        conv2d::bias_gradient(cpu::arch(), outputs, grad.values(), sums.values_mut());
        sum_rows(sums, rows, outputs)
    }

    fn fused_group_norm_gradient(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        grad: FlexTensor,
        how: Normalisation,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, grad) = (Dense::new(x), Dense::new(grad));
        let (gamma, beta) = (Dense::new(gamma), Dense::new(beta));
        let shape: [usize; 4] = x.dims();
        let [batch, _, _, channels] = shape;
        let (mut d_gamma, mut d_beta) = (Buffer::new(batch * channels), Buffer::new(batch * channels));
        let dx = filled(shape, x.dtype(), |dx| {
            let (gamma, beta, geometry) = (gamma.values(), beta.values(), how.geometry(shape));
            let (d_gamma, d_beta) = (d_gamma.values_mut(), d_beta.values_mut());
            group_norm::gradient(cpu::arch(), geometry, x.values(), gamma, beta, grad.values(), dx, d_gamma, d_beta);
        });
        let rows = |row: &Dense| row.dims::<2>()[0];
        (dx, sum_rows(d_gamma, rows(&gamma), channels), sum_rows(d_beta, rows(&beta), channels))
    }

    fn fused_attention_gradient(qkv: FlexTensor, grad: FlexTensor, heads: Heads) -> FlexTensor {
        let (qkv, grad) = (Dense::new(qkv), Dense::new(grad));
        let shape: [usize; 3] = qkv.dims();
        filled(shape, qkv.dtype(), |dqkv| {
            attention::gradient(cpu::arch(), heads.geometry(shape), qkv.values(), grad.values(), dqkv);
        })
    }

    fn fused_resample_gradient(grad: FlexTensor, how: Resampling) -> FlexTensor {
        // Doubling is four times the transposed of halving.
        resampled(grad, !how.double, how.filter.taps(), if how.double { 4.0 } else { 1.0 })
    }

    fn fused_dropout_gradient(grad: FlexTensor, dropped: Dropped) -> FlexTensor {
        thinned(grad, &dropped)
    }

    fn fused_split(grad: FlexTensor, channels: usize) -> (FlexTensor, FlexTensor) {
        let grad = Dense::new(grad);
        let [batch, height, width, all] = grad.dims();
        let pixels = batch * height * width;
        let mut a = Buffer::new(pixels * channels);
        let b = filled([batch, height, width, all - channels], grad.dtype(), |b| {
            join::split([channels, all - channels], grad.values(), a.values_mut(), b);
        });
        (tensor(a, [batch, height, width, channels], grad.dtype()), b)
    }
}
