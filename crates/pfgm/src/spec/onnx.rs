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

/// The low-resolution image of an upscaling flow.
const LOW_RESOLUTION: &str = "low_resolution";
/// Standard deviation of the noise in it.
const LOW_RESOLUTION_NOISE: &str = "low_resolution_noise";

impl ModelSpec {
    /// The graph of `yhat(x, sigma, labels)` in the model's space, without guidance; of a distilled model the consistency function
    /// `f(x, sigma, labels)`.
    ///
    /// # Shapes
    /// `x` and `yhat` (or `f`): `[batch, channels, height, width]`, or `[batch, N]` of vectors; `sigma`: `[batch]`; `labels` (one-hot, zeros for
    /// no class) only if there are classes: `[batch, classes]`; only if the flow upscales: `low_resolution`, an image whose sides are `factor`
    /// times smaller, and `low_resolution_noise`, `[batch]`
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
        let spatial = self.graph_spatial(&mut graph, x);
        let network = network.valid();
        let forward = |graph: &mut Graph, NetworkValues { x, noise, log_sigma_ratio }: NetworkValues| -> Value {
            network.graph(graph, GraphInput { x, noise, log_sigma_ratio, classes, spatial })
        };
        let estimate = self.prediction().graph(&mut graph, [x, sigma], is_image, forward);
        graph.output(self.graph_output(), estimate, &sides);
        graph
    }

    /// Name of the graph's output: a distilled network estimates the end of a flow line in place of `yhat`.
    pub fn graph_output(&self) -> &'static str {
        if self.is_distilled() { "f" } else { "yhat" }
    }

    /// As [`SpatialConditioning::values`](crate::conditioning::SpatialConditioning::values).
    fn graph_spatial(&self, graph: &mut Graph, x: Value) -> Option<Value> {
        let spatial = self.spatial();
        let mut parts = Vec::new();
        if let (Some(upscale), Shape::Image { channels, .. }) = (spatial.upscale, spatial.shape) {
            let sides = [BATCH, Dim::Fixed(channels), Dim::Free("low_height"), Dim::Free("low_width")];
            let low = graph.input(LOW_RESOLUTION, &sides);
            let noise = graph.input(LOW_RESOLUTION_NOISE, &[BATCH]);
            let enlarged = graph.enlarged(low, upscale.factor);
            parts.extend([enlarged, graph.level_channel(noise, enlarged)]);
        }
        if spatial.positions {
            parts.push(graph.positions(x));
        }
        match parts[..] {
            [] => None,
            [part] => Some(part),
            _ => Some(graph.concat(&parts, 1)),
        }
    }

    /// What a user of the graph needs to know about the model, as keys and values: the range of sigma, D, the names of the classes, and
    /// offset and scale to the units of the data, `value = offset + scale * yhat`; the factor of a flow that upscales.
    pub fn graph_metadata(&self) -> Vec<(&'static str, String)> {
        let json = |value: serde_json::Value| value.to_string();
        let (sigma_min, sigma_max) = self.range();
        let mut metadata = vec![
            ("data", self.data.name.clone()),
            ("shape", self.data.shape.to_string()),
            ("sigma_min", sigma_min.to_string()),
            ("sigma_max", sigma_max.to_string()),
            ("extra_dims", self.extra_dims().to_string()),
            ("classes", json(self.data.classes.clone().into())),
            ("offset", json(self.data.transform.offset.clone().into())),
            ("scale", json(self.data.transform.scale.clone().into())),
        ];
        if let Some(upscale) = self.config.upscale {
            metadata.push(("factor", upscale.factor.to_string()));
            metadata.push((LOW_RESOLUTION_NOISE, upscale.sample_noise.to_string()));
        }
        metadata
    }
}
