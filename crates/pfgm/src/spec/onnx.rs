//! A model as a graph of ONNX operators.

use burn::module::Module;
use pfgm_data::Shape;

use super::ModelSpec;
use crate::{
    network::{
        Network,
        onnx::{Dim, Graph, GraphInput, Value},
    },
    prediction::NetworkValues,
};

/// Names of the sides that are free.
const BATCH: Dim = Dim::Free("batch");
const HEIGHT: Dim = Dim::Free("height");
const WIDTH: Dim = Dim::Free("width");

impl ModelSpec {
    /// The graph of `yhat(x, sigma, labels)` in the model's space, without guidance.
    ///
    /// # Shapes
    /// `x` and `yhat`: `[batch, channels, height, width]`, or `[batch, N]` of vectors; `sigma`: `[batch]`; `labels` (one-hot, zeros for no
    /// class) only if there are classes: `[batch, classes]`
    pub fn graph(&self, network: &Network) -> Graph {
        let mut graph = Graph::default();
        let sides = match self.data.shape {
            Shape::Image { channels, .. } => vec![BATCH, Dim::Fixed(channels), HEIGHT, WIDTH],
            Shape::Vector { len } => vec![BATCH, Dim::Fixed(len)],
        };
        let is_image = sides.len() == 4;
        let (x, sigma) = (graph.input("x", &sides), graph.input("sigma", &[BATCH]));
        let classes = self.data.classes.len();
        let classes = (classes > 0).then(|| graph.input("labels", &[BATCH, Dim::Fixed(classes)]));
        let spatial = self.spatial().positions.then(|| graph.positions(x));
        let network = network.valid();
        let forward = |graph: &mut Graph, NetworkValues { x, noise, log_sigma_ratio }: NetworkValues| -> Value {
            network.graph(graph, GraphInput { x, noise, log_sigma_ratio, classes, spatial })
        };
        let yhat = self.prediction().graph(&mut graph, [x, sigma], is_image, forward);
        graph.output("yhat", yhat, &sides);
        graph
    }

    /// What a user of the graph needs to know about the model, as keys and values: the range of sigma, D, the names of the classes, and
    /// offset and scale to the units of the data, `value = offset + scale * yhat`.
    pub fn graph_metadata(&self) -> Vec<(&'static str, String)> {
        let json = |value: serde_json::Value| value.to_string();
        let (sigma_min, sigma_max) = self.range();
        vec![
            ("data", self.data.name.clone()),
            ("shape", self.data.shape.to_string()),
            ("sigma_min", sigma_min.to_string()),
            ("sigma_max", sigma_max.to_string()),
            ("extra_dims", self.extra_dims().to_string()),
            ("classes", json(self.data.classes.clone().into())),
            ("offset", json(self.data.transform.offset.clone().into())),
            ("scale", json(self.data.transform.scale.clone().into())),
        ]
    }
}
