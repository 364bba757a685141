//! The operations with gradients.
//!
//! Burn's checkpointer keeps the values that a backward pass needs. It keeps results of convolutions and attention. With
//! `Device::gradient_checkpointing`, it recomputes the cheap operations between them.

use std::marker::PhantomData;

use burn::backend::{
    Autodiff, TensorMetadata,
    autodiff::{
        NodeId,
        checkpoint::{
            base::Checkpointer, retro_forward::RetroForward, state::BackwardStates, strategy::CheckpointStrategy,
        },
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{Conv2dCall, NetworkGradients, NetworkOps, Weights};
use crate::{
    attention::Heads, conv2d::Conv2dOptions, dropout::DropoutMask, gradient_hooks, group_norm::GroupNormOptions,
    resample::Resampling,
};

/// The values from which the gradients of a convolution are computed.
#[derive(Clone, Copy, Debug)]
struct Conv2dState {
    x: NodeId,
    weight: NodeId,
    /// Rows of the bias.
    rows: usize,
    options: Conv2dOptions,
}

/// Registers the required gradients of a convolution, of input, weights, bias and residual.
fn conv2d_backward<B: NetworkGradients>(
    state: Conv2dState,
    wanted: [Option<NodeId>; 4],
    grad: FloatTensor<B>,
    grads: &mut Gradients,
    checkpointer: &mut Checkpointer,
) {
    let Conv2dState { x, weight, rows, options } = state;
    let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
    let weight: FloatTensor<B> = checkpointer.retrieve_node_output(weight);
    let [for_x, for_weight, for_bias, for_residual] = wanted;
    let grad = if options.scale == 1.0 { grad } else { B::fused_scale(grad, options.scale) };
    let [_, height, width, _] = x.shape().dims();
    let [kernel_h, kernel_w, _, _] = weight.shape().dims();
    if let Some(id) = for_bias {
        grads.register::<B>(id, B::fused_conv2d_bias(grad.clone(), rows));
    }
    let weights = if for_weight.is_some() { Weights::Trained } else { Weights::Frozen };
    if let Some(id) = for_weight {
        let gradient = B::fused_conv2d_weight(x, grad.clone(), [kernel_h, kernel_w], options.stride);
        gradient_hooks::call::<B>(id, &gradient);
        grads.register::<B>(id, gradient);
    }
    if let Some(id) = for_x {
        grads.register::<B>(id, B::fused_conv2d_input(grad.clone(), weight, [height, width], options.stride, weights));
    }
    if let Some(id) = for_residual {
        grads.register::<B>(id, grad);
    }
}

#[derive(Debug)]
struct Conv2dBackward;

impl<B: NetworkGradients> Backward<B, 3> for Conv2dBackward {
    type State = Conv2dState;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [x, weight, bias] = ops.parents.map(|parent| parent.map(|node| node.id));
        let grad = grads.consume::<B>(&ops.node);
        conv2d_backward::<B>(ops.state, [x, weight, bias, None], grad, grads, checkpointer);
    }
}

/// [`Conv2dBackward`] with a residual.
#[derive(Debug)]
struct ResidualConv2dBackward;

impl<B: NetworkGradients> Backward<B, 4> for ResidualConv2dBackward {
    type State = Conv2dState;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let wanted = ops.parents.map(|parent| parent.map(|node| node.id));
        let grad = grads.consume::<B>(&ops.node);
        conv2d_backward::<B>(ops.state, wanted, grad, grads, checkpointer);
    }
}

/// Defines an operation that Burn's checkpointer may recompute.
macro_rules! recomputed {
    ($(#[$about:meta])* $name:ident ( $($operand:ident),+ ; $options:ident : $kind:ty ) = $operation:expr) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        struct $name<B> {
            $($operand: NodeId,)+
            $options: $kind,
            backend: PhantomData<B>,
        }

        impl<B: NetworkOps> RetroForward for $name<B> {
            fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
                $(let $operand: FloatTensor<B> = states.get_state(&self.$operand);)+
                crate::recompute_count::add();
                states.save(out_node, $operation($($operand,)+ self.$options.clone()));
            }
        }
    };
}

recomputed!(
    /// Recomputes a normalization.
    RecomputedGroupNorm(x, gamma, beta; options: GroupNormOptions) = B::fused_group_norm
);
recomputed!(
    /// Recomputes a resampling.
    RecomputedResample(x; options: Resampling) = B::fused_resample
);
recomputed!(
    /// Recomputes a dropout, with the same mask.
    RecomputedDropout(x; options: DropoutMask) = B::fused_dropout
);
recomputed!(
    /// Recomputes a concatenation.
    RecomputedConcat(a, b; options: ()) = |a, b, ()| B::fused_concat(a, b)
);

#[derive(Debug)]
struct LinearBackward;

impl<B: NetworkGradients> Backward<B, 2> for LinearBackward {
    type State = [NodeId; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [x, weight] = ops.state.map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
        let [for_x, for_weight] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        if let Some(node) = for_weight {
            grads.register::<B>(node.id, B::float_matmul(B::float_transpose(x), grad.clone()));
        }
        if let Some(node) = for_x {
            grads.register::<B>(node.id, B::fused_linear_input(grad, weight));
        }
    }
}

#[derive(Debug)]
struct GroupNormBackward;

impl<B: NetworkGradients> Backward<B, 3> for GroupNormBackward {
    type State = ([NodeId; 3], GroupNormOptions);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let (operands, options) = ops.state;
        let [x, gamma, beta] = operands.map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
        let grad = grads.consume::<B>(&ops.node);
        let (d_x, d_gamma, d_beta) = B::fused_group_norm_gradient(x, gamma, beta, grad, options);
        for (parent, gradient) in ops.parents.into_iter().zip([d_x, d_gamma, d_beta]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct AttentionBackward;

impl<B: NetworkGradients> Backward<B, 1> for AttentionBackward {
    type State = (NodeId, Heads);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let ([parent], (qkv, heads)) = (ops.parents, ops.state);
        let qkv: FloatTensor<B> = checkpointer.retrieve_node_output(qkv);
        let grad = grads.consume::<B>(&ops.node);
        if let Some(node) = parent {
            grads.register::<B>(node.id, B::fused_attention_gradient(qkv, grad, heads));
        }
    }
}

#[derive(Debug)]
struct ResampleBackward;

impl<B: NetworkGradients> Backward<B, 1> for ResampleBackward {
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

impl<B: NetworkGradients> Backward<B, 1> for DropoutBackward {
    type State = DropoutMask;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        if let Some(node) = parent {
            grads.register::<B>(node.id, B::fused_dropout_gradient(grad, ops.state));
        }
    }
}

#[derive(Debug)]
struct ConcatBackward;

impl<B: NetworkGradients> Backward<B, 2> for ConcatBackward {
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

impl<B: NetworkOps + NetworkGradients, C: CheckpointStrategy> NetworkOps for Autodiff<B, C> {
    fn fused_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        call: Conv2dCall,
    ) -> FloatTensor<Self> {
        let options = call.options;
        let weights = if weight.is_tracked() { Weights::Trained } else { Weights::Frozen };
        let call = Conv2dCall { options, weights };
        let prepared = Conv2dBackward.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful();
        let [rows, _] = bias.primitive().shape().dims();
        match prepared {
            OpsKind::Tracked(mut prepared) => {
                let (x_id, weight_id) = (prepared.checkpoint(&x), prepared.checkpoint(&weight));
                let state = Conv2dState { x: x_id, weight: weight_id, rows, options };
                let y = B::fused_conv2d(x.into_primitive(), weight.into_primitive(), bias.into_primitive(), call);
                prepared.finish(state, y)
            }
            OpsKind::UnTracked(prepared) => {
                let y = B::fused_conv2d(x.into_primitive(), weight.into_primitive(), bias.into_primitive(), call);
                prepared.finish(y)
            }
        }
    }

    fn fused_conv2d_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        call: Conv2dCall,
    ) -> FloatTensor<Self> {
        let options = call.options;
        let weights = if weight.is_tracked() { Weights::Trained } else { Weights::Frozen };
        let call = Conv2dCall { options, weights };
        let nodes = [x.node(), weight.node(), bias.node(), residual.node()];
        let prepared = ResidualConv2dBackward.prepare::<C>(nodes).compute_bound().stateful();
        let [rows, _] = bias.primitive().shape().dims();
        let run = |x: FloatTensor<Self>, weight: FloatTensor<Self>| {
            let (bias, residual) = (bias.into_primitive(), residual.into_primitive());
            B::fused_conv2d_residual(x.into_primitive(), weight.into_primitive(), bias, residual, call)
        };
        match prepared {
            OpsKind::Tracked(mut prepared) => {
                let (x_id, weight_id) = (prepared.checkpoint(&x), prepared.checkpoint(&weight));
                let state = Conv2dState { x: x_id, weight: weight_id, rows, options };
                prepared.finish(state, run(x, weight))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(run(x, weight)),
        }
    }

    fn fused_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        match LinearBackward.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let state = [prepared.checkpoint(&x), prepared.checkpoint(&weight)];
                prepared.finish(state, B::fused_linear(x.into_primitive(), weight.into_primitive()))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::fused_linear(x.into_primitive(), weight.into_primitive()))
            }
        }
    }

    fn fused_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        options: GroupNormOptions,
    ) -> FloatTensor<Self> {
        let backend = PhantomData;
        let recomputed = RecomputedGroupNorm::<B> { x: x.id(), gamma: gamma.id(), beta: beta.id(), options, backend };
        let prepared = GroupNormBackward
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .memory_bound()
            .retro_forward(recomputed)
            .parents([&x, &gamma, &beta])
            .stateful();
        match prepared {
            OpsKind::Tracked(mut prepared) => {
                let operands = [&x, &gamma, &beta].map(|operand| prepared.checkpoint(operand));
                let y = B::fused_group_norm(x.into_primitive(), gamma.into_primitive(), beta.into_primitive(), options);
                prepared.finish((operands, options), y)
            }
            OpsKind::UnTracked(prepared) => {
                let y = B::fused_group_norm(x.into_primitive(), gamma.into_primitive(), beta.into_primitive(), options);
                prepared.finish(y)
            }
        }
    }

    fn fused_attention(qkv: FloatTensor<Self>, heads: Heads) -> FloatTensor<Self> {
        match AttentionBackward.prepare::<C>([qkv.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let state = (prepared.checkpoint(&qkv), heads);
                prepared.finish(state, B::fused_attention(qkv.into_primitive(), heads))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::fused_attention(qkv.into_primitive(), heads)),
        }
    }

    fn fused_resample(x: FloatTensor<Self>, options: Resampling) -> FloatTensor<Self> {
        let recomputed = RecomputedResample::<B> { x: x.id(), options, backend: PhantomData };
        let prepared =
            ResampleBackward.prepare::<C>([x.node()]).memory_bound().retro_forward(recomputed).parents([&x]).stateful();
        let y = B::fused_resample(x.into_primitive(), options);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(options, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_dropout(x: FloatTensor<Self>, mask: DropoutMask) -> FloatTensor<Self> {
        let recomputed = RecomputedDropout::<B> { x: x.id(), options: mask.clone(), backend: PhantomData };
        let prepared =
            DropoutBackward.prepare::<C>([x.node()]).memory_bound().retro_forward(recomputed).parents([&x]).stateful();
        let y = B::fused_dropout(x.into_primitive(), mask.clone());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(mask, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_concat(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        let recomputed = RecomputedConcat::<B> { a: a.id(), b: b.id(), options: (), backend: PhantomData };
        let nodes = [a.node(), b.node()];
        let prepared =
            ConcatBackward.prepare::<C>(nodes).memory_bound().retro_forward(recomputed).parents([&a, &b]).stateful();
        let [_, _, _, channels] = a.primitive().shape().dims();
        let joined = B::fused_concat(a.into_primitive(), b.into_primitive());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(channels, joined),
            OpsKind::UnTracked(prepared) => prepared.finish(joined),
        }
    }
}
