//! The U-Nets of score-based models as operators of ONNX.

use super::{PERIODS, ScoreUnet, Walk};
use crate::{
    embedding::onnx::{balanced, graph_classes, sinusoids},
    onnx::{Graph, GraphInput, Value},
};

impl ScoreUnet {
    fn graph_embedding(&self, graph: &mut Graph, input: &GraphInput) -> Value {
        let [sines, cosines] = match &self.frequencies {
            Some(frequencies) => {
                let frequencies = frequencies.val().mul_scalar(std::f64::consts::TAU);
                let frequencies = graph.tensor(frequencies.unsqueeze::<2>());
                let angles = graph.mul(input.noise, frequencies);
                [graph.unary("Sin", angles), graph.unary("Cos", angles)]
            }
            None => {
                let half = self.width / 2;
                let last = half.saturating_sub(1).max(1) as f64;
                sinusoids(graph, input.noise, half, |k| PERIODS.powf(-(k as f64) / last))
            }
        };
        let waves = graph.concat(&[sines, cosines], 1);
        let classes = balanced(input, self.classes.as_ref());
        let waves = graph_classes(graph, waves, self.classes.as_ref(), classes);
        let embedding = self.first.graph(graph, waves);
        let embedding = graph.silu(embedding);
        let embedding = self.second.graph(graph, embedding);
        graph.silu(embedding)
    }

    /// The component along r, which yhat does not need, is left out.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` to the same
    pub(crate) fn graph(&self, graph: &mut Graph, input: GraphInput) -> Value {
        let embedding = self.graph_embedding(graph, &input);
        let image = (!self.pyramid.is_empty()).then(|| self.frame.graph_enter(graph, input.x, None));
        let x = self.frame.graph_enter(graph, input.x, input.spatial);
        let x = self.input.graph(graph, x);
        let walk = Walk {
            plan: &self.plan,
            down: &self.down,
            pyramid: &self.pyramid,
            middle: &self.middle,
            attention: Some(&self.middle_attention),
            up: &self.up,
        };
        let x = walk.graph(graph, x, image, embedding);
        let x = self.norm.graph(graph, x, true);
        let y = self.output.graph(graph, x);
        let y = self.frame.graph_leave(graph, y, input.x);
        if self.radial { graph.slice(y, 1, 0, self.frame.channels as i64) } else { y }
    }
}
