//! A network as operators of ONNX.

use super::Network;
use crate::onnx::{Graph, GraphInput, Value};

impl Network {
    /// Adds the operators of a forward pass to a graph, without dropout, augmentation labels and the component along r.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]`, or `[batch, N]` of vectors, to the same
    pub fn graph(&self, graph: &mut Graph, input: GraphInput) -> Value {
        match self {
            Self::Mlp(network) => network.graph(graph, input),
            Self::Unet(network) => network.graph(graph, input),
            Self::ScoreUnet(network) => network.graph(graph, input),
            Self::AdmUnet(network) => network.graph(graph, input),
            Self::DiffusersUnet(network) => network.graph(graph, input),
            Self::Edm2Unet(network) => network.graph(graph, input),
            Self::Ncsnv2(network) => network.graph(graph, input),
        }
    }
}
