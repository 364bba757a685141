//! The forward pass of a U-Net as operators of ONNX.

use super::{Stage, Walk};
use crate::{
    onnx::{Graph, Value},
    unet::{block::onnx::GraphBlock, plan::BlockPlan, pyramid::onnx::graph_join},
};

impl<B: GraphBlock> Walk<'_, B> {
    /// As [`Walk::run`].
    ///
    /// # Shapes
    /// `x` and result: `[batch, channels, height, width]`, `embedding`: `[batch, values]`
    pub fn graph(&self, graph: &mut Graph, mut x: Value, image: Option<Value>, embedding: Value) -> Value {
        let sections = [(&self.plan.down, self.down), (&self.plan.middle, self.middle), (&self.plan.up, self.up)];
        let mut convs = self.pyramid.iter();
        let mut pyramid = image;
        // Images for skip connections, with their channels.
        let mut stored: Vec<(Value, usize)> = Vec::new();
        let mut channels = self.first_channels();
        for (stages, blocks) in sections {
            let mut blocks = blocks.iter();
            for stage in stages {
                match stage {
                    Stage::Block(plan) => {
                        let block = blocks.next().expect("a block for every stage");
                        x = block.graph(graph, x, embedding, plan);
                        channels = plan.outputs;
                    }
                    Stage::Pyramid { .. } => {
                        let conv = convs.next().expect("a convolution for every stage");
                        x = graph_join(graph, conv, pyramid.expect("the input image"), x);
                        pyramid = Some(x);
                    }
                    Stage::Concat => {
                        let (image, more) = stored.pop().expect("a stored image for every concatenation");
                        let block = blocks.as_slice().first().expect("a block after every concatenation");
                        x = block.graph_concat(graph, [x, image], [channels, more]);
                    }
                    Stage::Store => stored.push((x, channels)),
                    Stage::Attention(_) => x = self.attention.expect("attention at the bottom").graph(graph, x),
                }
            }
        }
        x
    }

    /// The channels of the input convolution's result.
    fn first_channels(&self) -> usize {
        let first = self.plan.down.iter().find_map(|stage| match stage {
            Stage::Block(BlockPlan { inputs, .. }) => Some(*inputs),
            _ => None,
        });
        first.unwrap_or(self.plan.channels)
    }
}
