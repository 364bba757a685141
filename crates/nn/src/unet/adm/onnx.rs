//! ADM as operators of ONNX.

use super::{AdmUnet, PERIODS, Walk};
use crate::{
    embedding::onnx::{graph_classes, sinusoids},
    onnx::{Graph, GraphInput, Value},
};

impl AdmUnet {
    fn graph_embedding(&self, graph: &mut Graph, input: &GraphInput) -> Value {
        let half = self.width / 2;
        let [sines, cosines] = sinusoids(graph, input.noise, half, |k| PERIODS.powf(-(k as f64) / half as f64));
        let waves = graph.concat(&[cosines, sines], 1);
        let embedding = self.first.graph(graph, waves);
        let embedding = graph.silu(embedding);
        let embedding = self.second.graph(graph, embedding);
        let classes = input.classes.map(|classes| (classes, 1.0));
        let embedding = graph_classes(graph, embedding, self.classes.as_ref(), classes);
        graph.silu(embedding)
    }

    /// # Shapes
    /// `[batch, channels, height, width]` to the same
    pub(crate) fn graph(&self, graph: &mut Graph, input: GraphInput) -> Value {
        let embedding = self.graph_embedding(graph, &input);
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
