//! The weights of a network as named arrays, and back.
//!
//! A name is the path of fields to a weight, `down.0.conv0.weight`; the order is that of the network's definition.

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Tensor, TensorData},
};

use crate::network::Network;

/// One weight of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// The path of fields to it.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// Why weights do not go into a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// A weight of the network is not among them.
    #[error("weight `{0}` is missing")]
    Missing(String),
    /// A weight has another shape.
    #[error("weight `{name}` has shape {found:?}, the network wants {wanted:?}")]
    Shape {
        /// Which.
        name: String,
        /// The shape it has.
        found: Vec<usize>,
        /// The shape the network has.
        wanted: Vec<usize>,
    },
}

/// The names and shapes of the weights of a network, in order.
pub fn names_and_shapes(network: &Network) -> Vec<(String, Vec<usize>)> {
    read(network, |_| Vec::new()).into_iter().map(|weight| (weight.name, weight.shape)).collect()
}

/// The weights of a network, in order.
pub fn collect(network: &Network) -> Vec<Weight> {
    read(network, |data| data().try_to_vec().expect("weights are single precision"))
}

/// The number of values in all weights.
pub fn count(network: &Network) -> usize {
    network.num_params()
}

fn read(network: &Network, values: impl Fn(&dyn Fn() -> TensorData) -> Vec<f32>) -> Vec<Weight> {
    struct Reader<F> {
        path: Vec<String>,
        weights: Vec<Weight>,
        values: F,
    }
    impl<F: Fn(&dyn Fn() -> TensorData) -> Vec<f32>> ModuleVisitor for Reader<F> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val();
            let shape = tensor.dims().to_vec();
            self.weights.push(Weight { name: self.path.join("."), shape, values: (self.values)(&|| tensor.to_data()) });
        }
    }
    let mut reader = Reader { path: Vec::new(), weights: Vec::new(), values };
    visit(network, &mut reader);
    reader.weights
}

/// Visits the weights of whichever network it is, with paths that begin inside it.
pub(crate) fn visit(network: &Network, visitor: &mut impl ModuleVisitor) {
    match network {
        Network::Mlp(network) => network.visit(visitor),
        Network::Unet(network) => network.visit(visitor),
        Network::ScoreUnet(network) => network.visit(visitor),
        Network::AdmUnet(network) => network.visit(visitor),
        Network::Ncsnv2(network) => network.visit(visitor),
    }
}

/// Maps the weights of whichever network it is, with paths that begin inside it.
pub(crate) fn map(network: Network, mapper: &mut impl ModuleMapper) -> Network {
    match network {
        Network::Mlp(network) => Network::Mlp(network.map(mapper)),
        Network::Unet(network) => Network::Unet(network.map(mapper)),
        Network::ScoreUnet(network) => Network::ScoreUnet(network.map(mapper)),
        Network::AdmUnet(network) => Network::AdmUnet(network.map(mapper)),
        Network::Ncsnv2(network) => Network::Ncsnv2(network.map(mapper)),
    }
}

/// Replaces every weight of a network by the one of its name.
///
/// # Errors
/// When one is missing or has another shape.
pub fn assign(network: Network, weights: &HashMap<String, Weight>) -> Result<Network, WeightError> {
    struct Writer<'a> {
        path: Vec<String>,
        weights: &'a HashMap<String, Weight>,
        error: Option<WeightError>,
    }
    impl Writer<'_> {
        fn find(&self, wanted: &[usize]) -> Result<TensorData, WeightError> {
            let name = self.path.join(".");
            let weight = self.weights.get(&name).ok_or_else(|| WeightError::Missing(name.clone()))?;
            if weight.shape != wanted {
                return Err(WeightError::Shape { name, found: weight.shape.clone(), wanted: wanted.to_vec() });
            }
            Ok(TensorData::new(weight.values.clone(), weight.shape.clone()))
        }
    }
    impl ModuleMapper for Writer<'_> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match self.find(&param.dims()) {
                Ok(data) => param.map(|old| {
                    let gradient = old.is_require_grad();
                    Tensor::from_data(data, &old.device()).set_require_grad(gradient)
                }),
                Err(error) => {
                    self.error.get_or_insert(error);
                    param
                }
            }
        }
    }
    let mut writer = Writer { path: Vec::new(), weights, error: None };
    let network = map(network, &mut writer);
    match writer.error {
        Some(error) => Err(error),
        None => Ok(network),
    }
}
