//! Tensors by their PyTorch names, converted one by one to the layout of this crate.

use std::collections::BTreeMap;

use pfgm_torch::{File, Tensor, Value};

use super::ImportError;
use crate::weights::Weight;

/// The tensors of a network that have not been taken yet, by name without prefixes.
#[derive(Default)]
pub struct Tensors {
    /// In the order of the file.
    names: Vec<String>,
    shapes: BTreeMap<String, Vec<usize>>,
    values: BTreeMap<String, Vec<f32>>,
    taken: Vec<Weight>,
}

/// Maximum number of tensors of a network.
const MOST_TENSORS: usize = 1 << 14;

impl Tensors {
    /// Reads the tensors whose names start with a prefix, which is removed.
    pub fn read(file: &File, list: &[(String, &Tensor)], prefix: &str) -> Result<Self, ImportError> {
        if list.len() > MOST_TENSORS {
            return Err(ImportError::unsupported(file, format!("{} tensors: no network has as many", list.len())));
        }
        let (mut names, mut shapes, mut values) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (name, tensor) in list {
            let Some(name) = name.strip_prefix(prefix) else { continue };
            shapes.insert(name.to_owned(), tensor.shape.clone());
            values.insert(name.to_owned(), file.values(tensor)?);
            names.push(name.to_owned());
        }
        Ok(Self { names, shapes, values, taken: Vec::new() })
    }

    /// Returns the tensors without conversion.
    pub fn into_weights(mut self) -> Vec<Weight> {
        let take = |name: String| {
            let (values, shape) = (self.values.remove(&name)?, self.shapes.remove(&name)?);
            Some(Weight { name, shape, values })
        };
        self.names.into_iter().filter_map(take).collect()
    }

    /// Replaces the trained weights by a list of averages without names, in the same order.
    pub fn replace_learned(&mut self, file: &File, averages: Value) -> Result<(), String> {
        let averages: Vec<&Tensor> = averages.as_list().into_iter().flatten().filter_map(Value::as_tensor).collect();
        // Noise levels and random frequencies are not trained.
        let fixed = |name: &str| name == "sigmas" || name == "all_modules.0.W";
        let learned: Vec<String> = self.names.iter().filter(|name| !fixed(name)).cloned().collect();
        if averages.len() != learned.len() {
            return Err(format!("ema.shadow_params has {} tensors for {} weights", averages.len(), learned.len()));
        }
        for (name, tensor) in learned.into_iter().zip(averages) {
            if self.shapes[&name] != tensor.shape {
                let shape = &self.shapes[&name];
                return Err(format!("ema.shadow_params has {:?} where `{name}` is {shape:?}", tensor.shape));
            }
            let values = file.values(tensor).map_err(|error| error.to_string())?;
            self.values.insert(name, values);
        }
        Ok(())
    }

    /// Whether a name starts with `prefix`.
    pub fn has(&self, prefix: &str) -> bool {
        self.shapes.range(prefix.to_owned()..).next().is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// A few of the names.
    pub fn some_names(&self) -> String {
        let some: Vec<_> = self.names.iter().take(4).map(String::as_str).collect();
        if some.is_empty() { "none".into() } else { format!("{}, ...", some.join(", ")) }
    }

    /// The names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.shapes.get(name).map(Vec::as_slice)
    }

    /// Returns the name of an empty tensor, if there is one. No valid layer is empty.
    pub fn empty(&self) -> Option<&str> {
        self.shapes.iter().find(|(_, shape)| shape.contains(&0)).map(|(name, _)| name.as_str())
    }

    /// The outputs of a layer.
    pub fn outputs(&self, name: &str) -> Result<usize, String> {
        match self.shape(name) {
            None => Err(format!("the tensor `{name}` is missing")),
            Some(&[outputs, ..]) => Ok(outputs),
            Some(other) => Err(format!("`{name}` is {other:?}, no layer")),
        }
    }

    /// Removes a tensor and returns its shape and values.
    pub fn take(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>), String> {
        let values = self.values.remove(name).ok_or_else(|| format!("the tensor `{name}` is missing"))?;
        Ok((self.shapes[name].clone(), values))
    }

    /// Takes a matrix.
    pub fn matrix(&mut self, name: &str) -> Result<([usize; 2], Vec<f32>), String> {
        let (shape, values) = self.take(name)?;
        match shape[..] {
            [rows, columns] => Ok(([rows, columns], values)),
            _ => Err(format!("`{name}` is {shape:?}, no matrix")),
        }
    }

    /// Takes a vector of a length.
    pub fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, String> {
        let (shape, values) = self.take(name)?;
        if shape == [length] { Ok(values) } else { Err(format!("`{name}` is {shape:?}, not [{length}]")) }
    }

    /// Adds the tensors of another file.
    pub fn extend(&mut self, other: Self) -> Result<(), String> {
        if let Some(name) = other.names.iter().find(|name| self.shapes.contains_key(*name)) {
            return Err(format!("two files have the tensor `{name}`"));
        }
        self.names.extend(other.names);
        self.shapes.extend(other.shapes);
        self.values.extend(other.values);
        Ok(())
    }

    /// Ignores a tensor.
    pub fn drop(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// Keeps only the first outputs of a layer.
    pub fn keep_outputs(&mut self, layer: &str, outputs: usize) -> Result<(), String> {
        for part in ["weight", "bias"] {
            let name = format!("{layer}.{part}");
            let (Some(shape), Some(values)) = (self.shapes.get_mut(&name), self.values.get_mut(&name)) else {
                return Err(format!("the tensor `{name}` is missing"));
            };
            let all = shape.first().copied().filter(|all| *all >= outputs).ok_or(format!("`{name}` is {shape:?}"))?;
            values.truncate(values.len() / all * outputs);
            shape[0] = outputs;
        }
        Ok(())
    }

    /// Adds a converted weight.
    pub fn put(&mut self, name: String, shape: Vec<usize>, values: Vec<f32>) {
        self.taken.push(Weight { name, shape, values });
    }

    /// Takes a tensor without conversion.
    pub fn same(&mut self, from: &str, to: String) -> Result<(), String> {
        let (shape, values) = self.take(from)?;
        self.put(to, shape, values);
        Ok(())
    }

    /// Takes a linear layer: `[out, in]` becomes `[in, out]`.
    pub fn linear(&mut self, from: &str, to: &str) -> Result<(), String> {
        let ([outputs, inputs], values) = self.matrix(&format!("{from}.weight"))?;
        self.put(format!("{to}.weight"), vec![inputs, outputs], transposed(&values, outputs));
        self.same(&format!("{from}.bias"), format!("{to}.bias"))
    }

    /// Takes a convolution: `[out, in, height, width]` becomes `[height, width, in, out]`.
    pub fn conv(&mut self, from: &str, to: &str) -> Result<(), String> {
        self.kernel(from, to)?;
        self.same(&format!("{from}.bias"), format!("{to}.bias"))
    }

    /// Takes a convolution without bias.
    pub fn kernel(&mut self, from: &str, to: &str) -> Result<(), String> {
        let (shape, values) = self.take(&format!("{from}.weight"))?;
        let [outputs, inputs, height, width] = shape[..] else {
            return Err(format!("`{from}.weight` is {shape:?}, no convolution"));
        };
        let shape = vec![height, width, inputs, outputs];
        self.put(format!("{to}.weight"), shape, transposed(&values, outputs));
        // [in, height, width, out] still has the channels first.
        let weight = self.taken.last_mut().expect("it was put just now");
        weight.values = channels_inward(&weight.values, inputs, outputs);
        Ok(())
    }

    /// Takes a normalization.
    pub fn norm(&mut self, from: &str, to: &str) -> Result<(), String> {
        self.same(&format!("{from}.weight"), format!("{to}.gamma"))?;
        self.same(&format!("{from}.bias"), format!("{to}.beta"))
    }

    /// Returns all converted weights; returns an error if a tensor is left.
    pub fn finish(self) -> Result<Vec<Weight>, String> {
        match self.values.into_keys().next() {
            None => Ok(self.taken),
            Some(name) => Err(format!("the tensor `{name}` belongs to no part of the network that its names describe")),
        }
    }
}

/// Transposes a matrix.
pub fn transposed(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows.max(1);
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

/// `[in, taps, out]` becomes `[taps, in, out]`.
fn channels_inward(values: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    let taps = values.len() / (inputs * outputs).max(1);
    let mut result = Vec::with_capacity(values.len());
    for tap in 0..taps {
        for input in 0..inputs {
            result.extend_from_slice(&values[(input * taps + tap) * outputs..][..outputs]);
        }
    }
    result
}
