//! Weights of a network as named arrays.
//!
//! A name is the path of fields to a weight, `down.0.conv0.weight`. The order is that of the network's definition.

use std::collections::{HashMap, HashSet};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Tensor, TensorData},
};

use pfgm_nn::AutoencoderNetwork;

use crate::network::Network;

/// Weight of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Path of fields to the weight.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// Reason why weights do not fit a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// A weight of the network is missing.
    #[error("weight `{}` is missing", .0.replace(char::is_control, " "))]
    Missing(String),
    /// A weight does not belong to the network.
    #[error("weight `{}` does not belong to the network; the file is of another network", .0.replace(char::is_control, " "))]
    Surplus(String),
    /// A weight has the wrong shape.
    #[error("weight `{}` has shape {found:?}, expected {wanted:?}", name.replace(char::is_control, " "))]
    Shape {
        /// Name of the weight.
        name: String,
        /// Shape of the weight.
        found: Vec<usize>,
        /// Shape that the network has.
        wanted: Vec<usize>,
    },
}

/// A network whose weights have names.
pub trait NamedWeights: Sized {
    /// Visits the weights.
    fn visit_weights(&self, visitor: &mut impl ModuleVisitor);

    /// Maps the weights.
    #[must_use]
    fn map_weights(self, mapper: &mut impl ModuleMapper) -> Self;
}

impl NamedWeights for Network {
    fn visit_weights(&self, visitor: &mut impl ModuleVisitor) {
        visit(self, visitor);
    }

    fn map_weights(self, mapper: &mut impl ModuleMapper) -> Self {
        map(self, mapper)
    }
}

impl NamedWeights for AutoencoderNetwork {
    fn visit_weights(&self, visitor: &mut impl ModuleVisitor) {
        self.visit(visitor);
    }

    fn map_weights(self, mapper: &mut impl ModuleMapper) -> Self {
        self.map(mapper)
    }
}

/// Names and shapes of the weights of a network, in order.
pub fn names_and_shapes(network: &impl NamedWeights) -> Vec<(String, Vec<usize>)> {
    read(network, false).into_iter().map(|weight| (weight.name, weight.shape)).collect()
}

/// Weights of a network, in order.
pub fn collect(network: &impl NamedWeights) -> Vec<Weight> {
    read(network, true)
}

/// The number of values in all weights; the largest number where it is beyond all memory.
pub fn count(network: &impl NamedWeights) -> usize {
    let values = |(_, shape): (String, Vec<usize>)| shape.into_iter().fold(1, usize::saturating_mul);
    names_and_shapes(network).into_iter().map(values).fold(0, usize::saturating_add)
}

fn read(network: &impl NamedWeights, with_values: bool) -> Vec<Weight> {
    struct Reader {
        path: Vec<String>,
        weights: Vec<Weight>,
        with_values: bool,
    }
    impl ModuleVisitor for Reader {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values = if self.with_values {
                param.val().into_data().try_to_vec().expect("weights are single precision")
            } else {
                Vec::new()
            };
            self.weights.push(Weight { name: self.path.join("."), shape: param.lazy_shape().to_vec(), values });
        }
    }
    let mut reader = Reader { path: Vec::new(), weights: Vec::new(), with_values };
    network.visit_weights(&mut reader);
    reader.weights
}

/// Visits the weights of a network. Paths begin inside of its kind.
pub(crate) fn visit(network: &Network, visitor: &mut impl ModuleVisitor) {
    match network {
        Network::Mlp(network) => network.visit(visitor),
        Network::Unet(network) => network.visit(visitor),
        Network::ScoreUnet(network) => network.visit(visitor),
        Network::AdmUnet(network) => network.visit(visitor),
        Network::DiffusersUnet(network) => network.visit(visitor),
        Network::Edm2Unet(network) => network.visit(visitor),
        Network::Ncsnv2(network) => network.visit(visitor),
    }
}

/// Maps the weights of a network. Paths begin inside of its kind.
pub(crate) fn map(network: Network, mapper: &mut impl ModuleMapper) -> Network {
    match network {
        Network::Mlp(network) => Network::Mlp(network.map(mapper)),
        Network::Unet(network) => Network::Unet(network.map(mapper)),
        Network::ScoreUnet(network) => Network::ScoreUnet(network.map(mapper)),
        Network::AdmUnet(network) => Network::AdmUnet(network.map(mapper)),
        Network::DiffusersUnet(network) => Network::DiffusersUnet(network.map(mapper)),
        Network::Edm2Unet(network) => Network::Edm2Unet(network.map(mapper)),
        Network::Ncsnv2(network) => Network::Ncsnv2(network.map(mapper)),
    }
}

/// Returns an error unless weights have the names and shapes of a network's: none is missing, none is left over.
///
/// # Errors
/// Names the first weight that is missing, has another shape, or is none of the network's.
pub fn check(network: &impl NamedWeights, weights: &HashMap<String, Weight>) -> Result<(), WeightError> {
    let wanted = names_and_shapes(network);
    for (name, wanted) in &wanted {
        let weight = weights.get(name).ok_or_else(|| WeightError::Missing(name.clone()))?;
        if weight.shape != *wanted {
            let (name, found, wanted) = (name.clone(), weight.shape.clone(), wanted.clone());
            return Err(WeightError::Shape { name, found, wanted });
        }
    }
    if weights.len() == wanted.len() {
        return Ok(());
    }
    let known: HashSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
    let surplus = weights.keys().filter(|name| !known.contains(name.as_str())).min();
    Err(WeightError::Surplus(surplus.cloned().unwrap_or_default()))
}

/// Replaces each weight of a network by the one of the same name.
///
/// # Errors
/// Returns an error if a weight is missing, has the wrong shape, or does not belong to the network.
pub fn assign<N: NamedWeights>(network: N, weights: &HashMap<String, Weight>) -> Result<N, WeightError> {
    struct Writer<'a> {
        path: Vec<String>,
        weights: &'a HashMap<String, Weight>,
        used: HashSet<String>,
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
            match self.find(&param.lazy_shape().to_vec()) {
                Ok(data) => {
                    self.used.insert(self.path.join("."));
                    param.map(|old| {
                        let gradient = old.is_require_grad();
                        Tensor::from_data(data, &old.device()).set_require_grad(gradient)
                    })
                }
                Err(error) => {
                    self.error.get_or_insert(error);
                    param
                }
            }
        }
    }
    let mut writer = Writer { path: Vec::new(), weights, used: HashSet::new(), error: None };
    let network = network.map_weights(&mut writer);
    let surplus = || weights.keys().filter(|name| !writer.used.contains(*name)).min().cloned();
    match writer.error.or_else(|| surplus().map(WeightError::Surplus)) {
        Some(error) => Err(error),
        None => Ok(network),
    }
}

/// Largest number of bits for [`quantize`]: those of the mantissa of single precision.
pub const MAX_BITS: u32 = 24;

/// Rounds the values of each weight to 2^bits equally spaced values from its smallest to its largest (uniform post-training
/// quantization per tensor).
///
/// # Panics
/// Panics unless `bits` is from 1 to [`MAX_BITS`].
pub fn quantize(weights: &mut [Weight], bits: u32) {
    assert!((1..=MAX_BITS).contains(&bits), "from 1 to {MAX_BITS} bits");
    let most = f64::from((1_u32 << bits) - 1);
    for weight in weights {
        let values = || weight.values.iter().map(|&value| f64::from(value));
        let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let step = (high - low) / most;
        // A constant weight is unchanged.
        if !(step > 0.0 && step.is_finite()) {
            continue;
        }
        let first = (low / step).round();
        for value in &mut weight.values {
            let level = (f64::from(*value) / step).round().clamp(first, first + most);
            *value = (level * step) as f32;
        }
    }
}

/// Rounds the weights of a network to so many bits: see [`quantize`].
///
/// # Panics
/// Panics as [`quantize`].
pub fn quantized(network: Network, bits: u32) -> Network {
    let mut weights = collect(&network);
    quantize(&mut weights, bits);
    let by_name = weights.into_iter().map(|weight| (weight.name.clone(), weight)).collect();
    assign(network, &by_name).expect("they are the network's own")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bits_leave_few_values() {
        let of = |values: &[f32]| Weight { name: "w".into(), shape: vec![values.len()], values: values.to_vec() };
        let ramp: Vec<f32> = (0..=1000).map(|i| 0.003 * i as f32 - 1.0).collect();
        for bits in [1, 3, 5, 8] {
            let mut weights = [of(&ramp), of(&[0.7; 4]), of(&[0.0, 0.0])];
            quantize(&mut weights, bits);
            let step = 3.0 / f64::from((1_u32 << bits) - 1);
            let mut found = weights[0].values.clone();
            let far = found.iter().zip(&ramp).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Half a step, and at the ends what zero among the values takes of it.
            assert!(f64::from(far) <= step * 1.0001, "{bits}: {far}");
            let inner = found.iter().zip(&ramp).filter(|(_, b)| b.abs() < 0.4).map(|(a, b)| (a - b).abs());
            assert!(f64::from(inner.fold(0.0, f32::max)) <= 0.5001 * step, "{bits}");
            found.dedup();
            assert_eq!(found.len(), 1 << bits);
            assert!(found.contains(&0.0), "zero is kept");
            assert_eq!(weights[1], of(&[0.7; 4]));
            assert_eq!(weights[2], of(&[0.0, 0.0]));
        }
        let mut weights = [of(&ramp)];
        quantize(&mut weights, MAX_BITS);
        assert!(weights[0].values.iter().zip(&ramp).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
