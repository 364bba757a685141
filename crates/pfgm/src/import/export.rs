//! Export of weights under the names of the published checkpoints of PFGM and score models.

use std::collections::HashMap;

use super::tensors::transposed;
use crate::{
    network::{LevelEmbedding, NetworkConfig, ScoreUnetConfig},
    weights::Weight,
};

/// Returns the weights of a DDPM++ or NCSN++ network under the names and in the layouts of PFGM's published checkpoints
/// (`all_modules.7.Conv_0.weight`), in their order.
///
/// # Errors
/// Returns an error if the network is another one, or a weight is missing.
pub fn released_names(network: &NetworkConfig, weights: &HashMap<String, Weight>) -> Result<Vec<Weight>, String> {
    let NetworkConfig::ScoreUnet(config) = network else {
        return Err("only networks of kind `score-unet` have names in PFGM's release".into());
    };
    let mut writer = Writer::new(weights);
    writer.network(config)?;
    Ok(writer.out)
}

/// Writes the modules in the order of the published code.
pub struct Writer<'a> {
    weights: &'a HashMap<String, Weight>,
    index: usize,
    /// The weights that were written.
    pub out: Vec<Weight>,
}

impl<'a> Writer<'a> {
    /// Begins a list of weights.
    pub fn new(weights: &'a HashMap<String, Weight>) -> Self {
        Self { weights, index: 0, out: Vec::new() }
    }

    /// Whether there is a weight.
    pub fn has(&self, name: &str) -> bool {
        self.weights.contains_key(name)
    }

    fn network(&mut self, config: &ScoreUnetConfig) -> Result<(), String> {
        if config.embedding == LevelEmbedding::Fourier {
            self.module(|writer, name| writer.same("frequencies", &format!("{name}.W")))?;
        }
        for layer in ["first", "second"] {
            self.module(|writer, name| writer.linear(layer, name))?;
        }
        self.module(|writer, name| writer.conv("input", name))?;
        let (mut blocks, mut rungs) = (0, 0);
        for level in 0..config.multipliers.len() {
            if level > 0 {
                self.block(&format!("down.{blocks}"))?;
                blocks += 1;
                if config.pyramid {
                    let from = format!("pyramid.{rungs}");
                    self.module(|writer, name| writer.conv(&from, &format!("{name}.Conv2d_0")))?;
                    rungs += 1;
                }
            }
            for _ in 0..config.blocks {
                self.block(&format!("down.{blocks}"))?;
                blocks += 1;
            }
        }
        self.block("middle.0")?;
        self.attention("middle_attention")?;
        self.block("middle.1")?;
        let mut blocks = 0;
        for level in (0..config.multipliers.len()).rev() {
            for _ in 0..config.blocks + 1 + usize::from(level > 0) {
                self.block(&format!("up.{blocks}"))?;
                blocks += 1;
            }
        }
        self.module(|writer, name| writer.norm("norm", name))?;
        self.module(|writer, name| writer.conv("output", name))
    }

    /// Writes the next module of the list.
    fn module(&mut self, write: impl FnOnce(&mut Self, &str) -> Result<(), String>) -> Result<(), String> {
        let name = format!("all_modules.{}", self.index);
        self.index += 1;
        write(self, &name)
    }

    /// Returns a weight.
    pub fn take(&self, name: &str) -> Result<&'a Weight, String> {
        self.weights.get(name).ok_or_else(|| format!("the weight `{name}` is missing"))
    }

    /// Writes a tensor.
    pub fn put(&mut self, name: String, shape: Vec<usize>, values: Vec<f32>) {
        self.out.push(Weight { name, shape, values });
    }

    /// Writes a weight as it is.
    pub fn same(&mut self, from: &str, to: &str) -> Result<(), String> {
        let weight = self.take(from)?.clone();
        self.put(to.to_owned(), weight.shape, weight.values);
        Ok(())
    }

    /// Writes a linear layer: `[in, out]` becomes `[out, in]`.
    pub fn linear(&mut self, from: &str, to: &str) -> Result<(), String> {
        let Weight { shape, values, .. } = self.take(&format!("{from}.weight"))?;
        let (inputs, outputs) = (shape[0], shape[1]);
        let values = transposed(values, inputs);
        self.put(format!("{to}.weight"), vec![outputs, inputs], values);
        self.same(&format!("{from}.bias"), &format!("{to}.bias"))
    }

    /// Writes a convolution: `[height, width, in, out]` becomes `[out, in, height, width]`.
    pub fn conv(&mut self, from: &str, to: &str) -> Result<(), String> {
        let Weight { shape, values, .. } = self.take(&format!("{from}.weight"))?;
        let (height, width, inputs, outputs) = (shape[0], shape[1], shape[2], shape[3]);
        let taps = height * width;
        let place = |at: usize| {
            let (output, rest) = (at / (inputs * taps), at % (inputs * taps));
            (rest % taps * inputs + rest / taps) * outputs + output
        };
        let values = (0..values.len()).map(|at| values[place(at)]).collect();
        self.put(format!("{to}.weight"), vec![outputs, inputs, height, width], values);
        self.same(&format!("{from}.bias"), &format!("{to}.bias"))
    }

    /// Writes a normalization.
    pub fn norm(&mut self, from: &str, to: &str) -> Result<(), String> {
        self.same(&format!("{from}.gamma"), &format!("{to}.weight"))?;
        self.same(&format!("{from}.beta"), &format!("{to}.bias"))
    }

    /// Writes a block, and its attention, which is a separate module there.
    fn block(&mut self, from: &str) -> Result<(), String> {
        self.module(|writer, to| {
            writer.norm(&format!("{from}.norm0"), &format!("{to}.GroupNorm_0"))?;
            writer.conv(&format!("{from}.conv0"), &format!("{to}.Conv_0"))?;
            writer.linear(&format!("{from}.embedding"), &format!("{to}.Dense_0"))?;
            writer.norm(&format!("{from}.norm1"), &format!("{to}.GroupNorm_1"))?;
            writer.conv(&format!("{from}.conv1"), &format!("{to}.Conv_1"))?;
            if writer.weights.contains_key(&format!("{from}.skip.weight")) {
                writer.conv(&format!("{from}.skip"), &format!("{to}.Conv_2"))?;
            }
            Ok(())
        })?;
        let attention = format!("{from}.attention");
        if self.weights.contains_key(&format!("{attention}.qkv.weight")) {
            self.attention(&attention)?;
        }
        Ok(())
    }

    fn attention(&mut self, from: &str) -> Result<(), String> {
        self.module(|writer, to| {
            writer.norm(&format!("{from}.norm"), &format!("{to}.GroupNorm_0"))?;
            let weight = writer.take(&format!("{from}.qkv.weight"))?.clone();
            let bias = writer.take(&format!("{from}.qkv.bias"))?.clone();
            let (inputs, all) = (weight.shape[2], weight.shape[3]);
            let outputs = all / 3;
            for part in 0..3 {
                let rows = weight.values.chunks_exact(all).flat_map(|row| &row[part * outputs..][..outputs]);
                writer.put(format!("{to}.NIN_{part}.W"), vec![inputs, outputs], rows.copied().collect());
                let bias = bias.values[part * outputs..][..outputs].to_vec();
                writer.put(format!("{to}.NIN_{part}.b"), vec![outputs], bias);
            }
            let project = writer.take(&format!("{from}.project.weight"))?.clone();
            writer.put(format!("{to}.NIN_3.W"), project.shape[2..].to_vec(), project.values);
            writer.same(&format!("{from}.project.bias"), &format!("{to}.NIN_3.b"))
        })
    }
}
