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
    fn graph(&self, graph: &mut Graph, x: Value, embedding: Value, _plan: &BlockPlan) -> Value {
        self.graph_with(graph, x, Some(embedding))
    }
}

impl Layer {
    /// As [`Layer::forward_plain`].
    ///
    /// # Shapes
    /// `x` and result: `[batch, channels, height, width]`
    pub fn graph_plain(&self, graph: &mut Graph, x: Value) -> Value {
        self.graph_with(graph, x, None)
    }

    fn graph_with(&self, graph: &mut Graph, x: Value, embedding: Option<Value>) -> Value {
        match (&self.block, &self.conv, self.resample) {
            (Some(block), _, _) => block.graph(graph, x, embedding),
            (None, Some(conv), Resample::Up) => {
                let x = resampled(graph, self.resample, x);
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

/// Resamples an image by means or copies of pixels, which is the same for any number of channels.
fn resampled(graph: &mut Graph, resample: Resample, x: Value) -> Value {
    resample.graph(graph, x, Filter::Box, 0)
}

impl Block {
    fn graph(&self, graph: &mut Graph, x: Value, embedding: Option<Value>) -> Value {
        let h = self.activation.graph_after(graph, &self.norm0, x);
        let h = resampled(graph, self.resample, h);
        let embedding = self.embedding.as_ref().zip(embedding).map(|(linear, values)| linear.graph(graph, values));
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
        let x = resampled(graph, self.resample, x);
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
