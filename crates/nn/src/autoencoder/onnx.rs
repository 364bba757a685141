//! Autoencoders as operators of ONNX.

use super::{AutoencoderNetwork, Half};
use crate::onnx::{Graph, Value};

impl Half {
    fn graph_bottom(&self, graph: &mut Graph, x: Value) -> Value {
        let x = self.middle[0].graph_plain(graph, x);
        let x = match &self.attention {
            Some(attention) => attention.graph(graph, x),
            None => x,
        };
        self.middle[1].graph_plain(graph, x)
    }

    fn graph_levels(&self, graph: &mut Graph, x: Value) -> Value {
        self.layers.iter().fold(x, |x, layer| layer.graph_plain(graph, x))
    }

    fn graph_leave(&self, graph: &mut Graph, x: Value) -> Value {
        let x = self.norm.graph(graph, x, true);
        self.output.graph(graph, x)
    }
}

impl AutoencoderNetwork {
    /// Adds the operators of [`AutoencoderNetwork::encode`] to a graph.
    ///
    /// # Shapes
    /// `image`: `[batch, channels, height, width]`; the results: `[batch, latent, height / factor, width / factor]`
    pub fn graph_encode(&self, graph: &mut Graph, image: Value) -> [Value; 2] {
        let half = &self.encoder;
        let x = half.input.graph(graph, image);
        let x = half.graph_levels(graph, x);
        let x = half.graph_bottom(graph, x);
        let x = half.graph_leave(graph, x);
        let moments = match &self.quant {
            Some(quant) => quant.graph(graph, x),
            None => x,
        };
        let latent = (half.output.weight().dims()[3] / 2) as i64;
        [graph.slice(moments, 1, 0, latent), graph.slice(moments, 1, latent, 2 * latent)]
    }

    /// Adds the operators of [`AutoencoderNetwork::decode`] to a graph.
    ///
    /// # Shapes
    /// `latents`: `[batch, latent, height, width]`; the result: `[batch, channels, factor height, factor width]`
    pub fn graph_decode(&self, graph: &mut Graph, latents: Value) -> Value {
        let half = &self.decoder;
        let x = match &self.post_quant {
            Some(post_quant) => post_quant.graph(graph, latents),
            None => latents,
        };
        let x = half.input.graph(graph, x);
        let x = half.graph_bottom(graph, x);
        let x = half.graph_levels(graph, x);
        half.graph_leave(graph, x)
    }
}
