//! The U-Net of diffusers as operators of ONNX.

use std::f64::consts::TAU;

use super::{DiffusersUnet, PERIODS, Walk};
use crate::{
    embedding::onnx::{graph_classes, sinusoids},
    onnx::{Graph, GraphInput, Value},
};

impl DiffusersUnet {
    fn graph_embedding(&self, graph: &mut Graph, input: &GraphInput) -> Value {
        let [sines, cosines] = match &self.frequencies {
            Some(frequencies) => {
                let level = graph.unary("Log", input.noise);
                let frequencies = graph.tensor(frequencies.val().unsqueeze::<2>());
                let angles = graph.mul(level, frequencies);
                let angles = graph.scaled(angles, TAU);
                [graph.unary("Sin", angles), graph.unary("Cos", angles)]
            }
            None => {
                let over = (self.width / 2) as f64 - self.frequency_shift;
                sinusoids(graph, input.noise, self.width / 2, |k| PERIODS.powf(-(k as f64) / over))
            }
        };
        let mut waves = if self.cosine_first { vec![cosines, sines] } else { vec![sines, cosines] };
        if self.frequencies.is_none() && !self.width.is_multiple_of(2) {
            // An odd number of values ends with a zero.
            let nothing = graph.slice(sines, 1, 0, 1);
            let zero = graph.scalar(0.0);
            waves.push(graph.mul(nothing, zero));
        }
        let waves = graph.concat(&waves, 1);
        let embedding = self.first.graph(graph, waves);
        let embedding = graph.silu(embedding);
        let embedding = self.second.graph(graph, embedding);
        let classes = input.classes.map(|classes| (classes, 1.0));
        let embedding = graph_classes(graph, embedding, self.classes.as_ref(), classes);
        self.activation.graph(graph, embedding)
    }

    /// # Shapes
    /// `[batch, channels, height, width]` to the same
    pub(crate) fn graph(&self, graph: &mut Graph, input: GraphInput) -> Value {
        let embedding = self.graph_embedding(graph, &input);
        let mut x = input.x;
        if self.center {
            x = graph.scaled(x, 2.0);
            x = graph.plus(x, -1.0);
        }
        let x = self.frame.graph_enter(graph, x, input.spatial);
        let x = self.input.graph(graph, x);
        let walk = Walk {
            plan: &self.plan,
            down: &self.down,
            pyramid: &[],
            middle: &self.middle,
            attention: self.middle_attention.as_ref(),
            up: &self.up,
        };
        let x = walk.graph(graph, x, None, embedding);
        let x = self.norm.graph(graph, x, true);
        let y = self.output.graph(graph, x);
        let y = self.frame.graph_leave(graph, y, input.x);
        if self.frequencies.is_none() {
            return y;
        }
        let level = graph.per_image(input.noise);
        graph.div(y, level)
    }
}
