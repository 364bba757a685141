//! Embeddings as operators of ONNX.

use super::{Embedding, PERIODS};
use crate::{
    layers::Linear,
    onnx::{Graph, GraphInput, Value},
};

/// Sine and cosine of the angles `noise w_k` for `count` frequencies, `[batch, count]` each.
pub fn sinusoids(graph: &mut Graph, noise: Value, count: usize, frequency: impl Fn(usize) -> f64) -> [Value; 2] {
    let frequencies = (0..count).map(|k| frequency(k) as f32).collect();
    let frequencies = graph.floats(frequencies, &[1, count]);
    let angles = graph.mul(noise, frequencies);
    [graph.unary("Sin", angles), graph.unary("Cos", angles)]
}

/// As [`add_classes`](super::add_classes): a one-hot vector has small variance, and the factor restores unit variance.
pub fn graph_classes(
    graph: &mut Graph,
    embedding: Value,
    layer: Option<&Linear>,
    classes: Option<(Value, f64)>,
) -> Value {
    match (layer, classes) {
        (Some(layer), Some((classes, factor))) => {
            let classes = graph.scaled(classes, factor);
            let of_class = layer.graph(graph, classes);
            graph.add(embedding, of_class)
        }
        _ => embedding,
    }
}

/// The one-hot classes of an input, with the factor that restores unit variance.
pub fn balanced(input: &GraphInput, layer: Option<&Linear>) -> Option<(Value, f64)> {
    let count = layer?.inputs() as f64;
    input.classes.map(|classes| (classes, count.sqrt()))
}

impl Embedding {
    /// # Shapes
    /// The result: `[batch, outputs]`
    pub fn graph(&self, graph: &mut Graph, input: &GraphInput) -> Value {
        let half = self.width / 2;
        let last = half.saturating_sub(1).max(1) as f64;
        let [sines, cosines] = sinusoids(graph, input.noise, half, |k| PERIODS.powf(-(k as f64) / last));
        let waves = graph.concat(&[cosines, sines], 1);
        let far = self.far.graph(graph, input.log_sigma_ratio);
        let embedding = graph.add(waves, far);
        let classes = balanced(input, self.classes.as_ref());
        let embedding = graph_classes(graph, embedding, self.classes.as_ref(), classes);
        self.mlp.graph(graph, embedding)
    }
}
