//! EDM's DDPM++ as operators of ONNX.

use super::{Unet, Walk};
use crate::onnx::{Graph, GraphInput, Value};

impl Unet {
    /// # Shapes
    /// `[batch, channels, height, width]` to the same
    pub(crate) fn graph(&self, graph: &mut Graph, input: GraphInput) -> Value {
        let embedding = self.embedding.graph(graph, &input);
        let x = self.frame.graph_enter(graph, input.x, input.spatial);
        let x = self.input.graph(graph, x);
        let walk = Walk {
            plan: &self.plan,
            down: &self.down,
            pyramid: &[],
            middle: &self.middle,
            attention: None,
            up: &self.up,
        };
        let x = walk.graph(graph, x, None, embedding);
        let x = self.norm.graph(graph, x, true);
        let y = self.output.graph(graph, x);
        self.frame.graph_leave(graph, y, input.x)
    }
}
