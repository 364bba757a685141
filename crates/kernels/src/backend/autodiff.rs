//! The operations with gradients.
//!
//! What a backward pass needs of the forward pass is left to Burn's checkpointer. Convolutions and attention are kept; the cheap
//! operations between them are computed again where the device asks for it (`Device::gradient_checkpointing`).

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

use super::{KernelGradients, KernelOps, Weights};
use crate::{
    announce::announce, attention::Heads, conv2d::Convolution, dropout::Dropped, group_norm::Normalisation,
    resample::Resampling,
};

/// What the gradients of a convolution are computed from.
#[derive(Clone, Copy, Debug)]
struct Conv2dState {
    x: NodeId,
    weight: NodeId,
    /// Rows of the bias.
    rows: usize,
    how: Convolution,
}

/// Registers the gradients of a convolution for its input, weights, bias and residual, as far as they are wanted.
fn conv2d_backward<B: KernelGradients>(
    state: Conv2dState,
    wanted: [Option<NodeId>; 4],
    grad: FloatTensor<B>,
    grads: &mut Gradients,
    checkpointer: &mut Checkpointer,
) {
    let Conv2dState { x, weight, rows, how } = state;
    let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
    let weight: FloatTensor<B> = checkpointer.retrieve_node_output(weight);
    let [for_x, for_weight, for_bias, for_residual] = wanted;
    let grad = if how.scale == 1.0 { grad } else { B::fused_scale(grad, how.scale) };
    let [_, height, width, _] = x.shape().dims();
    let [kernel_h, kernel_w, _, _] = weight.shape().dims();
    if let Some(id) = for_bias {
        grads.register::<B>(id, B::fused_conv2d_bias(grad.clone(), rows));
    }
    let weights = if for_weight.is_some() { Weights::Learn } else { Weights::Stay };
    if let Some(id) = for_weight {
        let gradient = B::fused_conv2d_weight(x, grad.clone(), [kernel_h, kernel_w], how.stride);
        announce::<B>(id, &gradient);
        grads.register::<B>(id, gradient);
    }
    if let Some(id) = for_x {
        grads.register::<B>(id, B::fused_conv2d_input(grad.clone(), weight, [height, width], how.stride, weights));
    }
    if let Some(id) = for_residual {
        grads.register::<B>(id, grad);
    }
}

#[derive(Debug)]
struct Conv2dBackward;

impl<B: KernelGradients> Backward<B, 3> for Conv2dBackward {
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

impl<B: KernelGradients> Backward<B, 4> for ResidualConv2dBackward {
    type State = Conv2dState;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let wanted = ops.parents.map(|parent| parent.map(|node| node.id));
        let grad = grads.consume::<B>(&ops.node);
        conv2d_backward::<B>(ops.state, wanted, grad, grads, checkpointer);
    }
}

/// An operation of two or three images that is cheap enough to be done again.
macro_rules! again {
    ($(#[$about:meta])* $name:ident ( $($operand:ident),+ ; $how:ident : $kind:ty ) = $operation:expr) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        struct $name<B> {
            $($operand: NodeId,)+
            $how: $kind,
            backend: PhantomData<B>,
        }

        impl<B: KernelOps> RetroForward for $name<B> {
            fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
                $(let $operand: FloatTensor<B> = states.get_state(&self.$operand);)+
                states.save(out_node, $operation($($operand,)+ self.$how.clone()));
            }
        }
    };
}

again!(
    /// A normalisation, again.
    GroupNormAgain(x, gamma, beta; how: Normalisation) = B::fused_group_norm
);
again!(
    /// A resampling, again.
    ResampleAgain(x; how: Resampling) = B::fused_resample
);
again!(
    /// A dropout, again: of the same places.
    DropoutAgain(x; how: Dropped) = B::fused_dropout
);
again!(
    /// A join, again.
    JoinAgain(a, b; how: ()) = |a, b, ()| B::fused_join(a, b)
);

#[derive(Debug)]
struct GroupNormBackward;

impl<B: KernelGradients> Backward<B, 3> for GroupNormBackward {
    type State = ([NodeId; 3], Normalisation);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let (operands, how) = ops.state;
        let [x, gamma, beta] = operands.map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
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
        _: Weights,
    ) -> FloatTensor<Self> {
        let weights = if weight.is_tracked() { Weights::Learn } else { Weights::Stay };
        let prepared = Conv2dBackward.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful();
        let [rows, _] = bias.primitive().shape().dims();
        match prepared {
            OpsKind::Tracked(mut prepared) => {
                let (x_id, weight_id) = (prepared.checkpoint(&x), prepared.checkpoint(&weight));
                let state = Conv2dState { x: x_id, weight: weight_id, rows, how };
                let y =
                    B::fused_conv2d(x.into_primitive(), weight.into_primitive(), bias.into_primitive(), how, weights);
                prepared.finish(state, y)
            }
            OpsKind::UnTracked(prepared) => {
                let y =
                    B::fused_conv2d(x.into_primitive(), weight.into_primitive(), bias.into_primitive(), how, weights);
                prepared.finish(y)
            }
        }
    }

    fn fused_conv2d_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        how: Convolution,
        _: Weights,
    ) -> FloatTensor<Self> {
        let weights = if weight.is_tracked() { Weights::Learn } else { Weights::Stay };
        let nodes = [x.node(), weight.node(), bias.node(), residual.node()];
        let prepared = ResidualConv2dBackward.prepare::<C>(nodes).compute_bound().stateful();
        let [rows, _] = bias.primitive().shape().dims();
        let run = |x: FloatTensor<Self>, weight: FloatTensor<Self>| {
            let (bias, residual) = (bias.into_primitive(), residual.into_primitive());
            B::fused_conv2d_onto(x.into_primitive(), weight.into_primitive(), bias, residual, how, weights)
        };
        match prepared {
            OpsKind::Tracked(mut prepared) => {
                let (x_id, weight_id) = (prepared.checkpoint(&x), prepared.checkpoint(&weight));
                let state = Conv2dState { x: x_id, weight: weight_id, rows, how };
                prepared.finish(state, run(x, weight))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(run(x, weight)),
        }
    }

    fn fused_group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        how: Normalisation,
    ) -> FloatTensor<Self> {
        let backend = PhantomData;
        let again = GroupNormAgain::<B> { x: x.id(), gamma: gamma.id(), beta: beta.id(), how, backend };
        let prepared = GroupNormBackward
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .memory_bound()
            .retro_forward(again)
            .parents([&x, &gamma, &beta])
            .stateful();
        match prepared {
            OpsKind::Tracked(mut prepared) => {
                let operands = [&x, &gamma, &beta].map(|operand| prepared.checkpoint(operand));
                let y = B::fused_group_norm(x.into_primitive(), gamma.into_primitive(), beta.into_primitive(), how);
                prepared.finish((operands, how), y)
            }
            OpsKind::UnTracked(prepared) => {
                let y = B::fused_group_norm(x.into_primitive(), gamma.into_primitive(), beta.into_primitive(), how);
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

    fn fused_resample(x: FloatTensor<Self>, how: Resampling) -> FloatTensor<Self> {
        let again = ResampleAgain::<B> { x: x.id(), how, backend: PhantomData };
        let prepared =
            ResampleBackward.prepare::<C>([x.node()]).memory_bound().retro_forward(again).parents([&x]).stateful();
        let y = B::fused_resample(x.into_primitive(), how);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(how, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_dropout(x: FloatTensor<Self>, dropped: Dropped) -> FloatTensor<Self> {
        let again = DropoutAgain::<B> { x: x.id(), how: dropped.clone(), backend: PhantomData };
        let prepared =
            DropoutBackward.prepare::<C>([x.node()]).memory_bound().retro_forward(again).parents([&x]).stateful();
        let y = B::fused_dropout(x.into_primitive(), dropped.clone());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(dropped, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_join(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        let again = JoinAgain::<B> { a: a.id(), b: b.id(), how: (), backend: PhantomData };
        let nodes = [a.node(), b.node()];
        let prepared =
            JoinBackward.prepare::<C>(nodes).memory_bound().retro_forward(again).parents([&a, &b]).stateful();
        let [_, _, _, channels] = a.primitive().shape().dims();
        let joined = B::fused_join(a.into_primitive(), b.into_primitive());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(channels, joined),
            OpsKind::UnTracked(prepared) => prepared.finish(joined),
        }
    }
}
