//! The DDPM++ form of EDM's and PFGM++'s U-Net: modules named by their resolution.

use std::collections::BTreeMap;

use super::{
    Converted,
    tensors::{Tensors, transposed},
};
use crate::network::{NetworkConfig, UnetConfig};

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
    for other in ["map_layer0.weight", "map_layer1.weight"] {
        if tensors.shape(other).is_none() {
            return Err(format!("the tensor `{other}` is missing"));
        }
    }
    let encoder = levels(&tensors, "enc.");
    let Some(&(top, _)) = encoder.first() else { return Err("it has no encoder".into()) };
    let input = format!("enc.{top}x{top}_conv.weight");
    let Some(&[width, channels, _, _]) = tensors.shape(&input) else { return Err(format!("`{input}` is missing")) };
    let narrow = tensors.shape("map_layer0.weight").is_some_and(|shape| shape[1] == width);
    let pyramids = encoder.iter().flat_map(|(_, modules)| modules).any(|module| module.starts_with("aux"));
    if !narrow || pyramids || tensors.has("map_noise.") {
        return Err("the NCSN++ form of EDM's network, or ADM's, cannot be imported; the DDPM++ form can".into());
    }
    let classes = tensors.shape("map_label.weight").map_or(0, |shape| shape[1]);
    let is_block = |module: &&String| module.starts_with("block");
    let blocks = encoder[0].1.iter().filter(is_block).count();
    let (mut multipliers, mut attention) = (Vec::new(), Vec::new());
    for (resolution, modules) in &encoder {
        let Some(last) = modules.iter().rfind(is_block) else { return Err(format!("no block at {resolution}")) };
        let block = format!("enc.{resolution}x{resolution}_{last}");
        let outputs = tensors.shape(&format!("{block}.conv1.weight")).map_or(0, |shape| shape[0]);
        multipliers.push(outputs / width);
        if tensors.has(&format!("{block}.qkv.")) {
            attention.push(*resolution);
        }
        if modules.iter().filter(is_block).count() != blocks {
            return Err("its levels have different numbers of blocks".into());
        }
    }
    let config = UnetConfig { width, multipliers, blocks, attention, dropout: 0.0 };
    embedding(&mut tensors, width, classes)?;
    tensors.conv(&format!("enc.{top}x{top}_conv"), "input")?;
    let mut count = 0;
    for (resolution, modules) in &encoder {
        for module in modules.iter().filter(|module| *module != "conv") {
            block(&mut tensors, &format!("enc.{resolution}x{resolution}_{module}"), &format!("down.{count}"))?;
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
            block(&mut tensors, &from, &to)?;
        }
    }
    let weights = tensors.finish()?;
    let network = NetworkConfig::Unet(config);
    Ok(Converted { network, channels, size: Some([top, top]), classes, weights, assumed: Vec::new() })
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

/// The embedding. There the sines come first, here the cosines; and there the label's layer has a bias, which reaches the
/// next layer whatever the label is, so that it can be added to that layer's bias.
fn embedding(tensors: &mut Tensors, width: usize, classes: usize) -> Result<(), String> {
    let swapped = |row: usize| (row + width / 2) % width;
    let (shape, weight) = tensors.take("map_layer0.weight")?;
    let outputs = shape[0];
    let (_, mut bias) = tensors.take("map_layer0.bias")?;
    if classes > 0 {
        let (_, label_bias) = tensors.take("map_label.bias")?;
        for (bias, row) in bias.iter_mut().zip(weight.chunks_exact(width)) {
            *bias += row.iter().zip(&label_bias).map(|(weight, value)| weight * value).sum::<f32>();
        }
        let (_, label) = tensors.take("map_label.weight")?;
        let label = transposed(&label, width);
        let rows = label.chunks_exact(width).flat_map(|row| (0..width).map(|at| row[swapped(at)])).collect();
        tensors.put("embedding.classes.weight".into(), vec![classes, width], rows);
    }
    // How non-leaking augmentation was done is told in training alone.
    tensors.drop("map_augment.weight");
    let weight = transposed(&weight, outputs);
    let rows = (0..width).flat_map(|row| weight[swapped(row) * outputs..][..outputs].to_vec()).collect();
    tensors.put("embedding.far.weight".into(), vec![1, width], vec![0.0; width]);
    tensors.put("embedding.mlp.first.weight".into(), vec![width, outputs], rows);
    tensors.put("embedding.mlp.first.bias".into(), vec![outputs], bias);
    tensors.linear("map_layer1", "embedding.mlp.second")
}

fn block(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    for convolution in ["conv0", "skip"] {
        tensors.drop(&format!("{from}.{convolution}.resample_filter"));
    }
    tensors.norm(&format!("{from}.norm0"), &format!("{to}.norm0"))?;
    tensors.conv(&format!("{from}.conv0"), &format!("{to}.conv0"))?;
    tensors.linear(&format!("{from}.affine"), &format!("{to}.embedding"))?;
    tensors.norm(&format!("{from}.norm1"), &format!("{to}.norm1"))?;
    tensors.conv(&format!("{from}.conv1"), &format!("{to}.conv1"))?;
    if tensors.has(&format!("{from}.skip.")) {
        tensors.conv(&format!("{from}.skip"), &format!("{to}.skip"))?;
    }
    if tensors.has(&format!("{from}.qkv.")) {
        tensors.norm(&format!("{from}.norm2"), &format!("{to}.attention.norm"))?;
        qkv(tensors, from, to)?;
        tensors.conv(&format!("{from}.proj"), &format!("{to}.attention.project"))?;
    }
    Ok(())
}

/// Queries, keys and values: there they take turns for each channel, here they stand one after another.
fn qkv(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    let (shape, weight) = tensors.take(&format!("{from}.qkv.weight"))?;
    let [outputs, inputs, 1, 1] = shape[..] else { return Err(format!("`{from}.qkv.weight` is {shape:?}")) };
    let place = |output: usize| 3 * (output % (outputs / 3)) + output / (outputs / 3);
    let weight = transposed(&weight, outputs);
    let rows = weight.chunks_exact(outputs).flat_map(|row| (0..outputs).map(|output| row[place(output)])).collect();
    tensors.put(format!("{to}.attention.qkv.weight"), vec![1, 1, inputs, outputs], rows);
    let (_, bias) = tensors.take(&format!("{from}.qkv.bias"))?;
    let bias = (0..outputs).map(|output| bias[place(output)]).collect();
    tensors.put(format!("{to}.attention.qkv.bias"), vec![outputs], bias);
    Ok(())
}
