//! Where Burn meets the CPU operations: a backend extension for Flex, with explicit gradients.

use burn::{
    backend::{
        Autodiff, Backend, DispatchDevice, Flex, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        flex::FlexTensor,
        tensor::FloatTensor,
    },
    tensor::{DType, Tensor, TensorData},
};

use crate::cpu;

/// How a group normalisation is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Groups that the channels are split into.
    pub groups: usize,
    /// What is added to the variance.
    pub epsilon: f64,
    /// Whether SiLU follows.
    pub activate: bool,
}

/// The operations that have an implementation of their own on the CPU. Tensors are single precision, images
/// channels-last.
#[backend_extension(Flex, Autodiff)]
pub trait KernelOps: Backend {
    /// Convolution of stride 1 plus bias.
    fn fused_conv2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Group normalisation.
    fn fused_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        how: Normalisation,
    ) -> FloatTensor<Self>;
}

/// Their gradients, which a backward pass takes on the backend below.
pub trait KernelGradients: Backend {
    /// The convolution's gradient for the input.
    fn fused_conv2d_input(grad: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The convolution's gradients for the weights, whose height and width are `kernel`, and the bias.
    fn fused_conv2d_weight(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        kernel: [usize; 2],
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The normalisation's gradients for the input, gamma and beta.
    fn fused_group_norm_gradient(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        how: Normalisation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Whether tensors like this one have these operations: single precision on Flex, with or without gradients.
pub(crate) fn is_fused<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && matches!(x.device().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// The values of a tensor in the order of its shape; a copy where it is a view in another order.
struct Dense(FlexTensor);

impl Dense {
    fn new(tensor: FlexTensor) -> Self {
        Self(if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() })
    }

    fn values(&self) -> &[f32] {
        self.0.as_slice().expect("dense and single precision")
    }

    fn dims<const D: usize>(&self) -> [usize; D] {
        self.0.shape().dims()
    }
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

fn geometry(x: [usize; 4], kernel: [usize; 2], outputs: usize) -> cpu::conv2d::Geometry {
    let [batch, height, width, inputs] = x;
    cpu::conv2d::Geometry { batch, height, width, inputs, outputs, kernel, stride: 1 }
}

impl Normalisation {
    fn geometry(self, [_, height, width, channels]: [usize; 4]) -> cpu::group_norm::Geometry {
        cpu::group_norm::Geometry {
            pixels: height * width,
            channels,
            groups: self.groups,
            epsilon: self.epsilon as f32,
            activate: self.activate,
        }
    }
}

impl KernelOps for Flex {
    fn fused_conv2d(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let (x, weight, bias) = (Dense::new(x), Dense::new(weight), Dense::new(bias));
        let [kernel_h, kernel_w, _, outputs] = weight.dims();
        let [batch, height, width, _] = x.dims();
        let geometry = geometry(x.dims(), [kernel_h, kernel_w], outputs);
        let mut y = vec![0.0; batch * height * width * outputs];
        let arch = cpu::Arch::new();
        let filters = cpu::conv2d::Filters::new(arch, geometry, weight.values());
        let epilogue = cpu::conv2d::Epilogue { bias: Some(bias.values()), residual: None, scale: 1.0 };
        cpu::conv2d::forward(arch, geometry, x.values(), &filters, epilogue, &mut y);
        tensor(y, [batch, height, width, outputs])
    }

    fn fused_group_norm(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, how: Normalisation) -> FlexTensor {
        let (x, gamma, beta) = (Dense::new(x), Dense::new(gamma), Dense::new(beta));
        let shape: [usize; 4] = x.dims();
        let mut y = vec![0.0; x.values().len()];
        cpu::group_norm::forward(how.geometry(shape), x.values(), gamma.values(), beta.values(), &mut y);
        tensor(y, shape)
    }
}

impl KernelGradients for Flex {
    fn fused_conv2d_input(grad: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (grad, weight) = (Dense::new(grad), Dense::new(weight));
        let [kernel_h, kernel_w, inputs, outputs] = weight.dims();
        let [batch, height, width, _] = grad.dims();
        let geometry = geometry([batch, height, width, inputs], [kernel_h, kernel_w], outputs);
        let mut dx = vec![0.0; batch * height * width * inputs];
        let arch = cpu::Arch::new();
        let filters = cpu::conv2d::Filters::mirrored(arch, geometry, weight.values());
        cpu::conv2d::input_gradient(arch, geometry, grad.values(), &filters, &mut dx);
        tensor(dx, [batch, height, width, inputs])
    }

    fn fused_conv2d_weight(x: FlexTensor, grad: FlexTensor, kernel: [usize; 2]) -> (FlexTensor, FlexTensor) {
        let (x, grad) = (Dense::new(x), Dense::new(grad));
        let [_, _, _, inputs] = x.dims();
        let [_, _, _, outputs] = grad.dims();
        let arch = cpu::Arch::new();
        let mut weight = vec![0.0; kernel[0] * kernel[1] * inputs * outputs];
        cpu::conv2d::weight_gradient(arch, geometry(x.dims(), kernel, outputs), x.values(), grad.values(), &mut weight);
        let batch: [usize; 4] = x.dims();
        let per_image = cpu::conv2d::bias_gradient(batch[0], outputs, grad.values());
        let mut bias = vec![0.0; outputs];
        per_image.chunks_exact(outputs).for_each(|row| bias.iter_mut().zip(row).for_each(|(b, v)| *b += v));
        (tensor(weight, [kernel[0], kernel[1], inputs, outputs]), tensor(bias, [outputs]))
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
        let mut dx = vec![0.0; x.values().len()];
        let (d_gamma, d_beta) = cpu::group_norm::gradient(
            how.geometry(shape),
            x.values(),
            gamma.values(),
            beta.values(),
            grad.values(),
            &mut dx,
        );
        (tensor(dx, shape), tensor(d_gamma, [shape[3]]), tensor(d_beta, [shape[3]]))
    }
}

#[derive(Debug)]
struct Conv2dBackward;

impl<B: KernelGradients> Backward<B, 3> for Conv2dBackward {
    /// Input, weights, and the kernel's height and width.
    type State = (FloatTensor<B>, FloatTensor<B>, [usize; 2]);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [for_x, for_weight, for_bias] = ops.parents;
        let (x, weight, kernel) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if for_weight.is_some() || for_bias.is_some() {
            let (d_weight, d_bias) = B::fused_conv2d_weight(x, grad.clone(), kernel);
            if let Some(node) = for_weight {
                grads.register::<B>(node.id, d_weight);
            }
            if let Some(node) = for_bias {
                grads.register::<B>(node.id, d_bias);
            }
        }
        if let Some(node) = for_x {
            grads.register::<B>(node.id, B::fused_conv2d_input(grad, weight));
        }
    }
}

#[derive(Debug)]
struct GroupNormBackward;

impl<B: KernelGradients> Backward<B, 3> for GroupNormBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, Normalisation);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, gamma, beta, how) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let (d_x, d_gamma, d_beta) = B::fused_group_norm_gradient(x, gamma, beta, grad, how);
        for (parent, gradient) in ops.parents.into_iter().zip([d_x, d_gamma, d_beta]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: KernelOps + KernelGradients, C: CheckpointStrategy> KernelOps for Autodiff<B, C> {
    fn fused_conv2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = Conv2dBackward.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful();
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        let [kernel_h, kernel_w, _, _] = weight.shape().dims();
        match prepared {
            OpsKind::Tracked(prepared) => {
                let state = (x.clone(), weight.clone(), [kernel_h, kernel_w]);
                prepared.finish(state, B::fused_conv2d(x, weight, bias))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::fused_conv2d(x, weight, bias)),
        }
    }

    fn fused_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        how: Normalisation,
    ) -> FloatTensor<Self> {
        let prepared = GroupNormBackward.prepare::<C>([x.node(), gamma.node(), beta.node()]).compute_bound().stateful();
        let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
        match prepared {
            OpsKind::Tracked(prepared) => {
                let state = (x.clone(), gamma.clone(), beta.clone(), how);
                prepared.finish(state, B::fused_group_norm(x, gamma, beta, how))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::fused_group_norm(x, gamma, beta, how)),
        }
    }
}
