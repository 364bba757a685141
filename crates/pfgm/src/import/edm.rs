//! EDM's and PFGM++'s U-Nets, the DDPM++ and NCSN++ forms and ADM: modules named by their resolution.

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

/// The resolutions of one side of the network, in the order of the file, each with its modules.
fn levels(tensors: &Tensors, side: &str) -> Vec<(usize, Vec<String>)> {
    let mut levels: Vec<(usize, Vec<String>)> = Vec::new();
    for name in tensors.names().filter_map(|name| name.strip_prefix(side)) {
        let module = name.split('.').next().unwrap_or_default();
        let Some((resolution, rest)) = module.split_once('_') else { continue };
        let Some(resolution) = resolution.split('x').next().and_then(|side| side.parse().ok()) else { continue };
        if levels.iter().all(|(found, _)| *found != resolution) {
            levels.push((resolution, Vec::new()));
        }
        let (_, modules) = levels.iter_mut().find(|(found, _)| *found == resolution).expect("it was put just now");
        if !modules.iter().any(|module| module == rest) {
            modules.push(rest.to_owned());
        }
    }
    levels
}

/// A network of EDM or PFGM++.
pub fn convert(mut tensors: Tensors) -> Result<Converted, String> {
    let encoder = levels(&tensors, "enc.");
    let Some(&(top, _)) = encoder.first() else { return Err("it has no encoder".into()) };
    let input = format!("enc.{top}x{top}_conv.weight");
    let Some(&[width, channels, _, _]) = tensors.shape(&input) else {
        return Err(format!("`{input}` is missing, or no convolution"));
    };
    let Some(&[_, embedded]) = tensors.shape("map_layer0.weight") else {
        return Err("`map_layer0.weight` is missing, or no matrix".into());
    };
    let pyramid = encoder.iter().flat_map(|(_, modules)| modules).any(|module| module == "aux_residual");
    let fourier = tensors.has("map_noise.");
    // ADM's norms at the end have names of their own.
    let adm = tensors.has("out_norm.");
    if fourier != pyramid || embedded != if fourier { 2 * width } else { width } || !tensors.has("enc.") {
        return Err("EDM's network can be imported in its DDPM++, NCSN++ and ADM forms, not in others".into());
    }
    let classes = match tensors.shape("map_label.weight") {
        None => 0,
        Some(&[_, classes]) => classes,
        Some(other) => return Err(format!("`map_label.weight` is {other:?}, no matrix")),
    };
    let is_block = |module: &&String| module.starts_with("block");
    let blocks = encoder[0].1.iter().filter(is_block).count();
    let (mut multipliers, mut attention) = (Vec::new(), Vec::new());
    for (resolution, modules) in &encoder {
        let Some(last) = modules.iter().rfind(is_block) else { return Err(format!("no block at {resolution}")) };
        let block = format!("enc.{resolution}x{resolution}_{last}");
        let outputs = tensors.outputs(&format!("{block}.conv1.weight"))?;
        multipliers.push(outputs / width);
        if tensors.has(&format!("{block}.qkv.")) {
            attention.push(*resolution);
        }
        if modules.iter().filter(is_block).count() != blocks {
            return Err("its levels have different numbers of blocks".into());
        }
    }
    let mut assumed = Vec::new();
    let network = if adm {
        NetworkConfig::AdmUnet(AdmUnetConfig { width, multipliers, blocks, attention, head: HEAD, dropout: 0.0 })
    } else if fourier {
        NetworkConfig::ScoreUnet(ScoreUnetConfig {
            width,
            multipliers,
            blocks,
            attention,
            dropout: 0.0,
            embedding: LevelEmbedding::Fourier,
            fourier_scale: 16.0,
            fir: true,
            pyramid,
            radial: false,
        })
    } else {
        NetworkConfig::Unet(UnetConfig { width, multipliers, blocks, attention, dropout: 0.0 })
    };
    if adm {
        tensors.linear("map_layer0", "first")?;
        tensors.linear("map_layer1", "second")?;
        deformation(&mut tensors, "deformation.weight", width, |at| at, &mut assumed)?;
        if classes > 0 {
            let ([outputs, _], label) = tensors.matrix("map_label.weight")?;
            tensors.put("classes.weight".into(), vec![classes, outputs], transposed(&label, outputs));
        }
        tensors.norm("out_norm", "norm")?;
        tensors.conv("out_conv", "output")?;
    } else if fourier {
        fourier_embedding(&mut tensors, embedded, classes)?;
        deformation(&mut tensors, "deformation.weight", embedded, |at| at, &mut assumed)?;
    } else {
        embedding(&mut tensors, width, classes)?;
        deformation(&mut tensors, "embedding.deformation.weight", width, |at| (at + width / 2) % width, &mut assumed)?;
    }
    // Attention at the bottom belongs to a block there, and stands by itself here.
    let bottom = |to: &str| if fourier { "middle_attention".into() } else { format!("{to}.attention") };
    tensors.conv(&format!("enc.{top}x{top}_conv"), "input")?;
    let (mut count, mut rungs) = (0, 0);
    for (resolution, modules) in &encoder {
        for module in modules.iter().filter(|module| *module != "conv") {
            let from = format!("enc.{resolution}x{resolution}_{module}");
            if module == "aux_residual" {
                tensors.drop(&format!("{from}.resample_filter"));
                tensors.conv(&from, &format!("pyramid.{rungs}"))?;
                rungs += 1;
                continue;
            }
            let to = format!("down.{count}");
            block(&mut tensors, &from, &to, &format!("{to}.attention"), adm)?;
            count += 1;
        }
    }
    let (mut middle, mut up) = (0, 0);
    for (resolution, modules) in in_order(levels(&tensors, "dec.")) {
        for module in modules {
            let from = format!("dec.{resolution}x{resolution}_{module}");
            let to = match module.as_str() {
                "aux_norm" => {
                    tensors.norm(&from, "norm")?;
                    continue;
                }
                "aux_conv" => {
                    tensors.conv(&from, "output")?;
                    continue;
                }
                "in0" | "in1" => {
                    middle += 1;
                    format!("middle.{}", middle - 1)
                }
                _ => {
                    up += 1;
                    format!("up.{}", up - 1)
                }
            };
            let attention = if module == "in0" { bottom(&to) } else { format!("{to}.attention") };
            block(&mut tensors, &from, &to, &attention, adm)?;
        }
    }
    let weights = tensors.finish()?;
    Ok(Converted {
        network,
        channels,
        size: Some([top, top]),
        preconditioned: true,
        classes,
        levels: None,
        weights,
        assumed,
    })
}

/// The way up: from the smallest image to the largest; at each the modules `in0`, `in1` or `up`, then the blocks by number.
fn in_order(levels: Vec<(usize, Vec<String>)>) -> BTreeMap<usize, Vec<String>> {
    let place = |module: &String| match module.strip_prefix("block").and_then(|number| number.parse::<usize>().ok()) {
        Some(number) => (1, number),
        None => (usize::from(module.starts_with("aux")) * 2, usize::from(module == "in1")),
    };
    let sorted = |(resolution, mut modules): (usize, Vec<String>)| {
        modules.sort_by_key(place);
        (resolution, modules)
    };
    levels.into_iter().map(sorted).collect()
}

/// The embedding of the DDPM++ form. There the sines come first, here the cosines.
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

/// The embedding of the NCSN++ form, where sines come first here as well.
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

/// The layer that tells the class, a row for each, whose outputs are added to the embedding.
fn label(tensors: &mut Tensors, embedded: usize) -> Result<Vec<f32>, String> {
    match tensors.matrix("map_label.weight")? {
        ([outputs, _], values) if outputs == embedded => Ok(transposed(&values, outputs)),
        ([outputs, _], _) => Err(format!("`map_label.weight` has {outputs} outputs for an embedding of {embedded}")),
    }
}

/// The layer that tells how images were deformed; `place` says where an output of it stands there.
fn deformation(
    tensors: &mut Tensors,
    to: &str,
    embedded: usize,
    place: impl Fn(usize) -> usize,
    assumed: &mut Vec<String>,
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
            assumed.push(format!("`{FROM}` of {other:?} is left away: it tells of deformations, in training alone"));
            tensors.drop(FROM);
            Ok(())
        }
    }
}

/// The label's layer has a bias there, which reaches the next layer whatever the label is: it is added to that layer's bias.
fn add_label_bias(tensors: &mut Tensors, weight: &[f32], embedded: usize, bias: &mut [f32]) -> Result<(), String> {
    let label_bias = tensors.vector("map_label.bias", embedded)?;
    for (bias, row) in bias.iter_mut().zip(weight.chunks_exact(embedded)) {
        *bias += row.iter().zip(&label_bias).map(|(weight, value)| weight * value).sum::<f32>();
    }
    Ok(())
}

fn block(tensors: &mut Tensors, from: &str, to: &str, attention: &str, adm: bool) -> Result<(), String> {
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
        qkv(tensors, from, attention, adm)?;
        tensors.conv(&format!("{from}.proj"), &format!("{attention}.project"))?;
    }
    Ok(())
}

/// Queries, keys and values: there they take turns for each channel of a head, here they stand one after another.
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
