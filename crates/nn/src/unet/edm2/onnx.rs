//! EDM2's U-Net as operators of ONNX.

use super::{
    Edm2Unet, Walk,
    layers::onnx::{graph_silu, graph_sum},
};
use crate::onnx::{Graph, GraphInput, Value};

impl Edm2Unet {
    fn graph_embedding(&self, graph: &mut Graph, input: &GraphInput) -> Value {
        let waves = self.fourier.graph(graph, input.noise);
        let mut embedding = self.noise.graph(graph, waves);
        if let Some(linear) = &self.classes {
            let class = match input.classes {
                Some(classes) => {
                    let classes = graph.scaled(classes, (linear.inputs() as f64).sqrt());
                    linear.graph(graph, classes)
                }
                None => graph.scalar(0.0),
            };
            embedding = graph_sum(graph, [embedding, class], self.label_balance);
        }
        graph_silu(graph, embedding)
    }

    /// # Shapes
    /// `[batch, channels, height, width]` to the same
    pub(crate) fn graph(&self, graph: &mut Graph, input: GraphInput) -> Value {
        let embedding = self.graph_embedding(graph, &input);
        let x = self.frame.graph_enter(graph, input.x, input.spatial);
        // A channel of ones, also in the padding, stands for a bias.
        let channel = graph.slice(x, 1, 0, 1);
        let zero = graph.scalar(0.0);
        let zeros = graph.mul(channel, zero);
        let ones = graph.plus(zeros, 1.0);
        let x = graph.concat(&[x, ones], 1);
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
        let y = self.output.graph(graph, x);
        let gain = graph.tensor(self.gain.val());
        let y = graph.mul(y, gain);
        self.frame.graph_leave(graph, y, input.x)
    }
}
