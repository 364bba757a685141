//! U-Nets of EDM and PFGM++ (DDPM++, NCSN++, ADM), whose modules are named by their resolution.

use std::collections::BTreeMap;

use super::{
    Converted,
    tensors::{Tensors, transposed},
};
use crate::{
    augmentation::LABELS,
    network::{AdmUnetConfig, LevelEmbedding, NetworkConfig, ScoreUnetConfig, UnetConfig},
};

/// Channels of a head of ADM's attention.
const HEAD: usize = 64;

/// The architectures of EDM's published networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Ddpmpp,
    Ncsnpp,
    Adm,
}

/// One resolution of one side of the network.
pub struct Level {
    /// Height and width of its images.
    pub resolution: usize,
    /// The names of its modules, without the resolution, in the order in which they are computed.
    pub modules: Vec<String>,
}

impl Level {
    /// The name of a module with its side and resolution.
    pub fn path(&self, side: &str, module: &str) -> String {
        format!("{side}.{0}x{0}_{module}", self.resolution)
    }

    /// The names of the residual blocks.
    pub fn blocks(&self) -> impl Iterator<Item = &String> {
        self.modules.iter().filter(|module| module.starts_with("block"))
    }
}

/// Structure of the network, from the names and shapes of the tensors.
struct Layout {
    form: Form,
    /// From the largest image to the smallest.
    encoder: Vec<Level>,
    /// From the smallest image to the largest.
    decoder: Vec<Level>,
    width: usize,
    channels: usize,
    /// Values of the embedding of the noise level.
    embedded: usize,
    classes: usize,
}

/// The levels of one side of the network by their resolution, each with its modules. The names may come in any order.
pub fn levels(tensors: &Tensors, side: &str) -> BTreeMap<usize, Level> {
    let mut levels: BTreeMap<usize, Level> = BTreeMap::new();
    for name in tensors.names().filter_map(|name| name.strip_prefix(side)?.strip_prefix('.')) {
        let module = name.split('.').next().unwrap_or_default();
        let Some((resolution, rest)) = module.split_once('_') else { continue };
        let Some(resolution) = resolution.split('x').next().and_then(|side| side.parse().ok()) else { continue };
        let level = levels.entry(resolution).or_insert_with(|| Level { resolution, modules: Vec::new() });
        if !level.modules.iter().any(|module| module == rest) {
            level.modules.push(rest.to_owned());
        }
    }
    for level in levels.values_mut() {
        level.modules.sort_by_key(|module| place(module));
    }
    levels
}

/// Sort key of a module within its level: modules that resample or are at the bottom, then blocks by number, then norms and
/// convolutions.
fn place(module: &str) -> (usize, usize) {
    match module.strip_prefix("block").and_then(|number| number.parse::<usize>().ok()) {
        Some(number) => (1, number),
        None if matches!(module, "aux_norm" | "aux_conv") => (2, 0),
        None => (0, usize::from(module == "in1" || module == "aux_residual")),
    }
}

/// Converts a network of EDM or PFGM++.
pub fn convert(mut tensors: Tensors) -> Result<Converted, String> {
    let layout = Layout::read(&tensors)?;
    let network = layout.network(&tensors)?;
    let top = layout.encoder[0].resolution;
    let mut notes = Vec::new();
    let has_variance = layout.drop_variance(&mut tensors)?;
    layout.take_embedding(&mut tensors, &mut notes)?;
    layout.take_encoder(&mut tensors)?;
    layout.take_decoder(&mut tensors)?;
    Ok(Converted {
        network,
        channels: layout.channels,
        size: Some([top, top]),
        preconditioned: true,
        preconditioner: None,
        classes: layout.classes,
        has_variance,
        levels: None,
        latents: None,
        weights: tensors.finish()?,
        notes,
    })
}

impl Layout {
    fn read(tensors: &Tensors) -> Result<Self, String> {
        let encoder: Vec<Level> = levels(tensors, "enc").into_values().rev().collect();
        let Some(top) = encoder.first() else { return Err("it has no encoder".into()) };
        let input = format!("{}.weight", top.path("enc", "conv"));
        let Some(&[width, channels, _, _]) = tensors.shape(&input) else {
            return Err(format!("`{input}` is missing, or no convolution"));
        };
        let Some(&[_, embedded]) = tensors.shape("map_layer0.weight") else {
            return Err("`map_layer0.weight` is missing, or no matrix".into());
        };
        let pyramid = encoder.iter().flat_map(|level| &level.modules).any(|module| module == "aux_residual");
        let fourier = tensors.has("map_noise.");
        // The final norm of ADM has a different name.
        let form = match (fourier, tensors.has("out_norm.")) {
            (true, _) => Form::Ncsnpp,
            (false, true) => Form::Adm,
            (false, false) => Form::Ddpmpp,
        };
        if width == 0 || fourier != pyramid || embedded != if fourier { 2 * width } else { width } {
            return Err("EDM's network can be imported in its DDPM++, NCSN++ and ADM forms, not in others".into());
        }
        let classes = match tensors.shape("map_label.weight") {
            None => 0,
            Some(&[_, classes]) => classes,
            Some(other) => return Err(format!("`map_label.weight` is {other:?}, no matrix")),
        };
        let decoder = levels(tensors, "dec").into_values().collect();
        Ok(Self { form, encoder, decoder, width, channels, embedded, classes })
    }

    fn network(&self, tensors: &Tensors) -> Result<NetworkConfig, String> {
        let blocks = self.encoder[0].blocks().count();
        let (mut multipliers, mut attention) = (Vec::new(), Vec::new());
        for level in &self.encoder {
            let Some(last) = level.blocks().last() else { return Err(format!("no block at {}", level.resolution)) };
            let block = level.path("enc", last);
            multipliers.push(tensors.outputs(&format!("{block}.conv1.weight"))? / self.width);
            if tensors.has(&format!("{block}.qkv.")) {
                attention.push(level.resolution);
            }
            if level.blocks().count() != blocks {
                return Err("its levels have different numbers of blocks".into());
            }
        }
        let (width, dropout) = (self.width, 0.0);
        Ok(match self.form {
            Form::Adm => {
                NetworkConfig::AdmUnet(AdmUnetConfig { width, multipliers, blocks, attention, head: HEAD, dropout })
            }
            Form::Ddpmpp => NetworkConfig::Unet(UnetConfig { width, multipliers, blocks, attention, dropout }),
            Form::Ncsnpp => NetworkConfig::ScoreUnet(ScoreUnetConfig {
                width,
                multipliers,
                blocks,
                attention,
                dropout,
                embedding: LevelEmbedding::Fourier,
                fourier_scale: 16.0,
                fir: true,
                pyramid: true,
                radial: false,
            }),
        })
    }

    /// Removes the second half of the outputs if there are twice as many as channels; returns whether it did.
    fn drop_variance(&self, tensors: &mut Tensors) -> Result<bool, String> {
        let output = match (self.form, self.decoder.last()) {
            (Form::Adm, _) => "out_conv".to_owned(),
            (_, Some(top)) => top.path("dec", "aux_conv"),
            (_, None) => return Err("it has no decoder".into()),
        };
        let doubled = tensors.outputs(&format!("{output}.weight"))? == 2 * self.channels;
        if doubled {
            tensors.keep_outputs(&output, self.channels)?;
        }
        Ok(doubled)
    }

    /// Converts the layers of the noise level, the class and the augmentation.
    fn take_embedding(&self, tensors: &mut Tensors, notes: &mut Vec<String>) -> Result<(), String> {
        let Self { width, embedded, classes, .. } = *self;
        match self.form {
            Form::Adm => {
                tensors.linear("map_layer0", "first")?;
                tensors.linear("map_layer1", "second")?;
                deformation(tensors, "deformation.weight", width, |at| at, notes)?;
                if classes > 0 {
                    let ([outputs, _], label) = tensors.matrix("map_label.weight")?;
                    tensors.put("classes.weight".into(), vec![classes, outputs], transposed(&label, outputs));
                }
                Ok(())
            }
            Form::Ncsnpp => {
                fourier_embedding(tensors, embedded, classes)?;
                deformation(tensors, "deformation.weight", embedded, |at| at, notes)
            }
            Form::Ddpmpp => {
                embedding(tensors, width, classes)?;
                let swapped = |at: usize| (at + width / 2) % width;
                deformation(tensors, "embedding.deformation.weight", width, swapped, notes)
            }
        }
    }

    fn take_encoder(&self, tensors: &mut Tensors) -> Result<(), String> {
        tensors.conv(&self.encoder[0].path("enc", "conv"), "input")?;
        let (mut blocks, mut rungs) = (0, 0);
        for level in &self.encoder {
            for module in level.modules.iter().filter(|module| *module != "conv") {
                let from = level.path("enc", module);
                if module == "aux_residual" {
                    tensors.drop(&format!("{from}.resample_filter"));
                    tensors.conv(&from, &format!("pyramid.{rungs}"))?;
                    rungs += 1;
                    continue;
                }
                let to = format!("down.{blocks}");
                self.take_block(tensors, &from, &to, &format!("{to}.attention"))?;
                blocks += 1;
            }
        }
        Ok(())
    }

    fn take_decoder(&self, tensors: &mut Tensors) -> Result<(), String> {
        if self.form == Form::Adm {
            tensors.norm("out_norm", "norm")?;
            tensors.conv("out_conv", "output")?;
        }
        let (mut middle, mut up) = (0, 0);
        for level in &self.decoder {
            for module in &level.modules {
                let from = level.path("dec", module);
                let (name, count) = match module.as_str() {
                    "aux_norm" => {
                        tensors.norm(&from, "norm")?;
                        continue;
                    }
                    "aux_conv" => {
                        tensors.conv(&from, "output")?;
                        continue;
                    }
                    "in0" | "in1" => ("middle", &mut middle),
                    _ => ("up", &mut up),
                };
                let to = format!("{name}.{count}");
                *count += 1;
                // The attention at the bottom is part of a block there; in `score-unet` it is a separate layer.
                let alone = module == "in0" && self.form == Form::Ncsnpp;
                let attention = if alone { "middle_attention".into() } else { format!("{to}.attention") };
                self.take_block(tensors, &from, &to, &attention)?;
            }
        }
        Ok(())
    }

    fn take_block(&self, tensors: &mut Tensors, from: &str, to: &str, attention: &str) -> Result<(), String> {
        for convolution in ["conv0", "skip"] {
            tensors.drop(&format!("{from}.{convolution}.resample_filter"));
        }
        tensors.norm(&format!("{from}.norm0"), &format!("{to}.norm0"))?;
        tensors.conv(&format!("{from}.conv0"), &format!("{to}.conv0"))?;
        tensors.linear(&format!("{from}.affine"), &format!("{to}.embedding"))?;
        tensors.norm(&format!("{from}.norm1"), &format!("{to}.norm1"))?;
        tensors.conv(&format!("{from}.conv1"), &format!("{to}.conv1"))?;
        if tensors.shape(&format!("{from}.skip.weight")).is_some() {
            tensors.conv(&format!("{from}.skip"), &format!("{to}.skip"))?;
        }
        if tensors.has(&format!("{from}.qkv.")) {
            tensors.norm(&format!("{from}.norm2"), &format!("{attention}.norm"))?;
            qkv(tensors, from, attention, self.form == Form::Adm)?;
            tensors.conv(&format!("{from}.proj"), &format!("{attention}.project"))?;
        }
        Ok(())
    }
}

/// Converts the embedding of DDPM++. The sines come first there, the cosines here.
fn embedding(tensors: &mut Tensors, width: usize, classes: usize) -> Result<(), String> {
    let swapped = |row: usize| (row + width / 2) % width;
    let ([outputs, _], weight) = tensors.matrix("map_layer0.weight")?;
    let mut bias = tensors.vector("map_layer0.bias", outputs)?;
    if classes > 0 {
        add_label_bias(tensors, &weight, width, &mut bias)?;
        let label = label(tensors, width)?;
        let rows = label.chunks_exact(width).flat_map(|row| (0..width).map(|at| row[swapped(at)])).collect();
        tensors.put("embedding.classes.weight".into(), vec![classes, width], rows);
    }
    let weight = transposed(&weight, outputs);
    let rows = (0..width).flat_map(|row| weight[swapped(row) * outputs..][..outputs].to_vec()).collect();
    tensors.put("embedding.far.weight".into(), vec![1, width], vec![0.0; width]);
    tensors.put("embedding.mlp.first.weight".into(), vec![width, outputs], rows);
    tensors.put("embedding.mlp.first.bias".into(), vec![outputs], bias);
    tensors.linear("map_layer1", "embedding.mlp.second")
}

/// Converts the embedding of NCSN++, where sines come first here as well.
fn fourier_embedding(tensors: &mut Tensors, embedded: usize, classes: usize) -> Result<(), String> {
    tensors.same("map_noise.freqs", "frequencies".into())?;
    let ([outputs, _], weight) = tensors.matrix("map_layer0.weight")?;
    let mut bias = tensors.vector("map_layer0.bias", outputs)?;
    if classes > 0 {
        add_label_bias(tensors, &weight, embedded, &mut bias)?;
        let label = label(tensors, embedded)?;
        tensors.put("classes.weight".into(), vec![classes, embedded], label);
    }
    tensors.put("first.weight".into(), vec![embedded, outputs], transposed(&weight, outputs));
    tensors.put("first.bias".into(), vec![outputs], bias);
    tensors.linear("map_layer1", "second")
}

/// Converts the layer of classes: one row for each class, which is added to the embedding.
fn label(tensors: &mut Tensors, embedded: usize) -> Result<Vec<f32>, String> {
    match tensors.matrix("map_label.weight")? {
        ([outputs, _], values) if outputs == embedded => Ok(transposed(&values, outputs)),
        ([outputs, _], _) => Err(format!("`map_label.weight` has {outputs} outputs for an embedding of {embedded}")),
    }
}

/// Converts the layer of augmentation labels; `place` maps each output to its position in the file.
fn deformation(
    tensors: &mut Tensors,
    to: &str,
    embedded: usize,
    place: impl Fn(usize) -> usize,
    notes: &mut Vec<String>,
) -> Result<(), String> {
    const FROM: &str = "map_augment.weight";
    match tensors.shape(FROM) {
        None => Ok(()),
        Some(&[outputs, LABELS]) if outputs == embedded => {
            let (_, weight) = tensors.take(FROM)?;
            let rows = transposed(&weight, outputs);
            let rows = rows.chunks_exact(outputs).flat_map(|row| (0..outputs).map(|at| row[place(at)])).collect();
            tensors.put(to.to_owned(), vec![LABELS, outputs], rows);
            Ok(())
        }
        Some(other) => {
            notes.push(format!("`{FROM}` of {other:?} is ignored: it is used in training alone"));
            tensors.drop(FROM);
            Ok(())
        }
    }
}

/// Moves the bias of the label's layer into the bias of the next layer, since it does not depend on the label.
fn add_label_bias(tensors: &mut Tensors, weight: &[f32], embedded: usize, bias: &mut [f32]) -> Result<(), String> {
    let label_bias = tensors.vector("map_label.bias", embedded)?;
    for (bias, row) in bias.iter_mut().zip(weight.chunks_exact(embedded)) {
        *bias += row.iter().zip(&label_bias).map(|(weight, value)| weight * value).sum::<f32>();
    }
    Ok(())
}

/// Reorders queries, keys and values: there they alternate within each channel of a head, here they are contiguous.
fn qkv(tensors: &mut Tensors, from: &str, to: &str, adm: bool) -> Result<(), String> {
    let (shape, weight) = tensors.take(&format!("{from}.qkv.weight"))?;
    let (outputs, inputs) = match shape[..] {
        [outputs, inputs, 1, 1] if outputs % 3 == 0 => (outputs, inputs),
        _ => return Err(format!("`{from}.qkv.weight` is {shape:?}")),
    };
    let channels = outputs / 3;
    if adm && channels % HEAD != 0 {
        return Err(format!("`{from}.qkv.weight`: {channels} channels are no whole number of heads of {HEAD}"));
    }
    let head = if adm { HEAD } else { channels };
    let place = |output: usize| {
        let (which, channel) = (output / channels, output % channels);
        3 * head * (channel / head) + 3 * (channel % head) + which
    };
    let weight = transposed(&weight, outputs);
    let rows = weight.chunks_exact(outputs).flat_map(|row| (0..outputs).map(|output| row[place(output)])).collect();
    tensors.put(format!("{to}.qkv.weight"), vec![1, 1, inputs, outputs], rows);
    let bias = tensors.vector(&format!("{from}.qkv.bias"), outputs)?;
    let bias = (0..outputs).map(|output| bias[place(output)]).collect();
    tensors.put(format!("{to}.qkv.bias"), vec![outputs], bias);
    Ok(())
}
