//! The layers of diffusers' U-Net as operators of ONNX.

use pfgm_burn_ops::Filter;

use super::{Block, Layer};
use crate::{
    onnx::{Convolution, Graph, Value},
    unet::{
        block::onnx::GraphBlock,
        plan::{BlockPlan, Resample},
    },
};

impl GraphBlock for Layer {
    fn graph(&self, graph: &mut Graph, x: Value, embedding: Value, plan: &BlockPlan) -> Value {
        match (&self.block, &self.conv, self.resample) {
            (Some(block), _, _) => block.graph(graph, x, embedding, plan),
            (None, Some(conv), Resample::Up) => {
                let x = self.resample.graph(graph, x, Filter::Box, plan.inputs);
                conv.graph(graph, x)
            }
            (None, Some(conv), _) => {
                let pads = self.pad_after.then_some([0, 0, 1, 1]);
                conv.graph_with(graph, x, Convolution { stride: 2, pads, ..Convolution::default() })
            }
            (None, None, _) => x,
        }
    }
}

impl Block {
    fn graph(&self, graph: &mut Graph, x: Value, embedding: Value, plan: &BlockPlan) -> Value {
        let h = self.activation.graph_after(graph, &self.norm0, x);
        let h = self.resample.graph(graph, h, Filter::Box, plan.inputs);
        let embedding = self.embedding.as_ref().map(|linear| linear.graph(graph, embedding));
        let h = match embedding {
            Some(embedding) if self.scale_shift => {
                let h = self.conv0.graph(graph, h);
                self.activation.graph_after_modulated(graph, &self.norm1, h, embedding)
            }
            shift => {
                let h = self.conv0.graph_with(graph, h, Convolution { shift, ..Convolution::default() });
                self.activation.graph_after(graph, &self.norm1, h)
            }
        };
        let x = self.resample.graph(graph, x, Filter::Box, plan.inputs);
        let x = match &self.skip {
            Some(skip) => skip.graph(graph, x),
            None => x,
        };
        let call = Convolution { residual: Some(x), scale: self.scale, ..Convolution::default() };
        let x = self.conv1.graph_with(graph, h, call);
        match &self.attention {
            Some(attention) => attention.graph(graph, x),
            None => x,
        }
    }
}
