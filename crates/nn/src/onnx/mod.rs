//! Networks as graphs of ONNX operators, and the files that hold them.
//!
//! [`Graph`] is a list of operators, to which [`Network::graph`](crate::Network::graph) adds those of a forward pass. Images are channels-first in
//! a graph: `[batch, channels, height, width]`. The batch size and, for networks of convolutions, height and width are free.
//!
//! ```
//! use burn::tensor::Device;
//! use pfgm_data::Shape;
//! use pfgm_nn::{ConditioningSizes, MlpConfig, NetworkConfig, onnx::{Dim, Graph, GraphInput}};
//!
//! let config = NetworkConfig::Mlp(MlpConfig { width: 8, blocks: 1, dropout: 0.0 });
//! let network = config.init(Shape::Vector { len: 2 }, ConditioningSizes::default(), 1, &Device::flex())?;
//! let mut graph = Graph::default();
//! let x = graph.input("x", &[Dim::Free("batch"), Dim::Fixed(2)]);
//! let noise = graph.input("noise", &[Dim::Free("batch"), Dim::Fixed(1)]);
//! let ratio = graph.floats(vec![0.0], &[1, 1]);
//! let raw = network.graph(&mut graph, GraphInput { x, noise, log_sigma_ratio: ratio, classes: None, spatial: None });
//! graph.output("raw", raw, &[Dim::Free("batch"), Dim::Fixed(2)]);
//! let file = graph.to_bytes("perceptron", &[]);
//! assert!(file.len() > 1000);
//! # Ok::<(), pfgm_nn::NetworkError>(())
//! ```

mod graph;
mod model;
mod operators;
mod wire;

pub(crate) use self::operators::Convolution;
pub use self::{
    graph::{Attribute, Dim, Graph, Value},
    model::{IR_VERSION, OPSET},
    operators::GraphInput,
};
