//! The perceptron as operators of ONNX.

use super::{Block, Mlp};
use crate::onnx::{Graph, GraphInput, Value};

impl Mlp {
    /// # Shapes
    /// `[batch, N]` to `[batch, N]`
    pub(crate) fn graph(&self, graph: &mut Graph, input: GraphInput) -> Value {
        let embedding = self.embedding.graph(graph, &input);
        let mut x = self.input.graph(graph, input.x);
        for block in &self.blocks {
            x = block.graph(graph, x, embedding);
        }
        let x = self.norm.graph_vector(graph, x, true);
        self.output.graph(graph, x)
    }
}

impl Block {
    fn graph(&self, graph: &mut Graph, x: Value, embedding: Value) -> Value {
        let h = self.norm0.graph_vector(graph, x, true);
        let h = self.linear0.graph(graph, h);
        let shift = self.embedding.graph(graph, embedding);
        let h = graph.add(h, shift);
        let h = self.norm1.graph_vector(graph, h, true);
        let h = self.linear1.graph(graph, h);
        graph.add(x, h)
    }
}
