//! The operations with gradients.

use burn::backend::{
    Autodiff, Backend, TensorMetadata,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{KernelGradients, KernelOps};
use crate::{attention::Heads, conv2d::Convolution, dropout::Dropped, group_norm::Normalisation, resample::Resampling};

/// What the gradients of a convolution are computed from.
#[derive(Clone, Debug)]
struct Conv2dState<B: Backend> {
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    /// Rows of the bias.
    rows: usize,
    how: Convolution,
}

impl<B: Backend> Conv2dState<B> {
    fn new(x: &FloatTensor<B>, weight: &FloatTensor<B>, bias: &FloatTensor<B>, how: Convolution) -> Self {
        let [rows, _] = bias.shape().dims();
        Self { x: x.clone(), weight: weight.clone(), rows, how }
    }
}

/// Registers the gradients of a convolution for its input, weights, bias and residual, as far as they are wanted.
fn conv2d_backward<B: KernelGradients>(
    state: Conv2dState<B>,
    wanted: [Option<NodeId>; 4],
    grad: FloatTensor<B>,
    grads: &mut Gradients,
) {
    let Conv2dState { x, weight, rows, how } = state;
    let [for_x, for_weight, for_bias, for_residual] = wanted;
    let grad = if how.scale == 1.0 { grad } else { B::fused_scale(grad, how.scale) };
    let [_, height, width, _] = x.shape().dims();
    let [kernel_h, kernel_w, _, _] = weight.shape().dims();
    if let Some(id) = for_bias {
        grads.register::<B>(id, B::fused_conv2d_bias(grad.clone(), rows));
    }
    if let Some(id) = for_weight {
        grads.register::<B>(id, B::fused_conv2d_weight(x, grad.clone(), [kernel_h, kernel_w], how.stride));
    }
    if let Some(id) = for_x {
        grads.register::<B>(id, B::fused_conv2d_input(grad.clone(), weight, [height, width], how.stride));
    }
    if let Some(id) = for_residual {
        grads.register::<B>(id, grad);
    }
}

#[derive(Debug)]
struct Conv2dBackward;

impl<B: KernelGradients> Backward<B, 3> for Conv2dBackward {
    type State = Conv2dState<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x, weight, bias] = ops.parents.map(|parent| parent.map(|node| node.id));
        let grad = grads.consume::<B>(&ops.node);
        conv2d_backward::<B>(ops.state, [x, weight, bias, None], grad, grads);
    }
}

/// [`Conv2dBackward`] with a residual.
#[derive(Debug)]
struct ResidualConv2dBackward;

impl<B: KernelGradients> Backward<B, 4> for ResidualConv2dBackward {
    type State = Conv2dState<B>;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let wanted = ops.parents.map(|parent| parent.map(|node| node.id));
        let grad = grads.consume::<B>(&ops.node);
        conv2d_backward::<B>(ops.state, wanted, grad, grads);
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

#[derive(Debug)]
struct AttentionBackward;

impl<B: KernelGradients> Backward<B, 1> for AttentionBackward {
    type State = (FloatTensor<B>, Heads);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([parent], (qkv, heads)) = (ops.parents, ops.state);
        let grad = grads.consume::<B>(&ops.node);
        if let Some(node) = parent {
            grads.register::<B>(node.id, B::fused_attention_gradient(qkv, grad, heads));
        }
    }
}

#[derive(Debug)]
struct ResampleBackward;

impl<B: KernelGradients> Backward<B, 1> for ResampleBackward {
    type State = Resampling;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        if let Some(node) = parent {
            grads.register::<B>(node.id, B::fused_resample_gradient(grad, ops.state));
        }
    }
}

#[derive(Debug)]
struct DropoutBackward;

impl<B: KernelGradients> Backward<B, 1> for DropoutBackward {
    type State = Dropped;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        if let Some(node) = parent {
            grads.register::<B>(node.id, B::fused_dropout_gradient(grad, ops.state));
        }
    }
}

#[derive(Debug)]
struct JoinBackward;

impl<B: KernelGradients> Backward<B, 2> for JoinBackward {
    /// The channels of the first image.
    type State = usize;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (a, b) = B::fused_split(grad, ops.state);
        for (parent, gradient) in ops.parents.into_iter().zip([a, b]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: KernelOps + KernelGradients, C: CheckpointStrategy> KernelOps for Autodiff<B, C> {
    fn fused_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        how: Convolution,
    ) -> FloatTensor<Self> {
        let prepared = Conv2dBackward.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful();
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        match prepared {
            OpsKind::Tracked(prepared) => {
                let state = Conv2dState::<B>::new(&x, &weight, &bias, how);
                prepared.finish(state, B::fused_conv2d(x, weight, bias, how))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::fused_conv2d(x, weight, bias, how)),
        }
    }

    fn fused_conv2d_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        how: Convolution,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node(), residual.node()];
        let prepared = ResidualConv2dBackward.prepare::<C>(nodes).compute_bound().stateful();
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        let residual = residual.into_primitive();
        match prepared {
            OpsKind::Tracked(prepared) => {
                let state = Conv2dState::<B>::new(&x, &weight, &bias, how);
                prepared.finish(state, B::fused_conv2d_onto(x, weight, bias, residual, how))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::fused_conv2d_onto(x, weight, bias, residual, how)),
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

    fn fused_attention(qkv: FloatTensor<Self>, heads: Heads) -> FloatTensor<Self> {
        let prepared = AttentionBackward.prepare::<C>([qkv.node()]).compute_bound().stateful();
        let qkv = qkv.into_primitive();
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((qkv.clone(), heads), B::fused_attention(qkv, heads)),
            OpsKind::UnTracked(prepared) => prepared.finish(B::fused_attention(qkv, heads)),
        }
    }

    fn fused_resample(x: FloatTensor<Self>, how: Resampling) -> FloatTensor<Self> {
        let prepared = ResampleBackward.prepare::<C>([x.node()]).compute_bound().stateful();
        let y = B::fused_resample(x.into_primitive(), how);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(how, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_dropout(x: FloatTensor<Self>, dropped: Dropped) -> FloatTensor<Self> {
        let prepared = DropoutBackward.prepare::<C>([x.node()]).compute_bound().stateful();
        let y = B::fused_dropout(x.into_primitive(), dropped.clone());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(dropped, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_join(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = JoinBackward.prepare::<C>([a.node(), b.node()]).compute_bound().stateful();
        let (a, b) = (a.into_primitive(), b.into_primitive());
        let [_, _, _, channels] = a.shape().dims();
        let joined = B::fused_join(a, b);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(channels, joined),
            OpsKind::UnTracked(prepared) => prepared.finish(joined),
        }
    }
}
