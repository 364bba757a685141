//! The residual block of DDPM++, NCSN++ and ADM, and attention, as operators of ONNX.

use pfgm_burn_ops::Filter;

use super::{Attention, Block, BlockKind, BlockPlan, Resample};
use crate::onnx::{Convolution, Graph, Value};

/// A residual block that can be written as operators.
pub trait GraphBlock {
    /// # Shapes
    /// `x`: `[batch, channels, height, width]`, `embedding`: `[batch, values]`
    fn graph(&self, graph: &mut Graph, x: Value, embedding: Value, plan: &BlockPlan) -> Value;

    /// Concatenates an image of the way up and one that was stored on the way down, of so many channels each.
    fn graph_concat(&self, graph: &mut Graph, [x, stored]: [Value; 2], _channels: [usize; 2]) -> Value {
        graph.concat(&[x, stored], 1)
    }
}

impl Resample {
    /// Resamples an image of so many channels.
    pub fn graph(self, graph: &mut Graph, x: Value, filter: Filter, channels: usize) -> Value {
        match self {
            Self::Keep => x,
            Self::Down | Self::Up => graph.resampled(x, self == Self::Up, filter, channels),
        }
    }
}

impl GraphBlock for Block {
    fn graph(&self, graph: &mut Graph, x: Value, embedding: Value, plan: &BlockPlan) -> Value {
        let h = self.norm0.graph(graph, x, true);
        let h = self.resample.graph(graph, h, self.filter, plan.inputs);
        let embedding = self.embedding.graph(graph, embedding);
        let h = match self.kind {
            BlockKind::ScoreSde => {
                let call = Convolution { shift: Some(embedding), ..Convolution::default() };
                let h = self.conv0.graph_with(graph, h, call);
                self.norm1.graph(graph, h, true)
            }
            BlockKind::Adm => {
                let h = self.conv0.graph(graph, h);
                self.norm1.graph_modulated(graph, h, embedding, true)
            }
        };
        let x = self.resample.graph(graph, x, self.filter, plan.inputs);
        let x = match &self.skip {
            Some(skip) => skip.graph(graph, x),
            None => x,
        };
        let scale = self.kind.residual_scale();
        let x = self.conv1.graph_with(graph, h, Convolution { residual: Some(x), scale, ..Convolution::default() });
        match &self.attention {
            Some(attention) => attention.graph(graph, x),
            None => x,
        }
    }
}

impl Attention {
    /// # Shapes
    /// `x` and result: `[batch, channels, height, width]`
    pub fn graph(&self, graph: &mut Graph, x: Value) -> Value {
        let normalized = match &self.norm {
            Some(norm) => norm.graph(graph, x, false),
            None => x,
        };
        let qkv = self.qkv.graph(graph, normalized);
        let channels = self.qkv.weight().dims()[3] / 3;
        let mixed = graph.attention(qkv, channels, self.heads);
        let call = Convolution { residual: Some(x), scale: self.scale, ..Convolution::default() };
        self.project.graph_with(graph, mixed, call)
    }
}
