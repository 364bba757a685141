//! The weights of `UNet2DModel` under this crate's names.

use pfgm_nn::{DiffusersMiddle, DiffusersUnetConfig};

use super::{
    super::tensors::{Tensors, transposed},
    config::Unet,
};

/// Takes the network's tensors under this crate's names.
pub fn take(tensors: &mut Tensors, unet: &Unet, network: &DiffusersUnetConfig) -> Result<(), String> {
    tensors.conv("conv_in", "input")?;
    if network.fourier {
        // Files of some versions have the frequencies twice.
        tensors.drop("time_proj.W");
        tensors.same("time_proj.weight", "frequencies".into())?;
    }
    take_classes(tensors, unet, network)?;
    tensors.linear("time_embedding.linear_1", "first")?;
    tensors.linear("time_embedding.linear_2", "second")?;
    for side in [
        Side { from: "down_blocks", to: "down", blocks: network.blocks, resample: "downsamplers" },
        Side { from: "up_blocks", to: "up", blocks: network.blocks.saturating_add(1), resample: "upsamplers" },
    ] {
        side.take(tensors, network.channels.len())?;
    }
    if network.middle != DiffusersMiddle::None {
        take_block(tensors, "mid_block.resnets.0", "middle.0.block")?;
        take_block(tensors, "mid_block.resnets.1", "middle.1.block")?;
    }
    if network.middle == DiffusersMiddle::Attention {
        take_attention(tensors, "mid_block.attentions.0", "middle_attention")?;
    }
    tensors.norm("conv_norm_out", "norm")?;
    if unet.has_variance() {
        tensors.keep_outputs("conv_out", unet.in_channels)?;
    }
    tensors.conv("conv_out", "output")
}

/// The way down or up: where its tensors are, and what they are called here.
struct Side {
    from: &'static str,
    to: &'static str,
    blocks: usize,
    resample: &'static str,
}

impl Side {
    fn take(&self, tensors: &mut Tensors, levels: usize) -> Result<(), String> {
        let mut count = 0;
        for level in 0..levels {
            let from = format!("{}.{level}", self.from);
            for block in 0..self.blocks {
                let to = format!("{}.{count}.block", self.to);
                take_block(tensors, &format!("{from}.resnets.{block}"), &to)?;
                let attention = format!("{from}.attentions.{block}");
                if tensors.has(&format!("{attention}.")) {
                    take_attention(tensors, &attention, &format!("{to}.attention"))?;
                }
                count += 1;
            }
            let (resample, to) = (format!("{from}.{}.0", self.resample), format!("{}.{count}", self.to));
            if tensors.has(&format!("{resample}.norm1.")) {
                take_block(tensors, &resample, &format!("{to}.block"))?;
                count += 1;
            } else if tensors.has(&format!("{resample}.")) {
                tensors.conv(&format!("{resample}.conv"), &format!("{to}.conv"))?;
                count += 1;
            }
        }
        Ok(())
    }
}

/// Takes the embedding of classes: a table, or two layers after the embedding of the class's number, which become a table.
fn take_classes(tensors: &mut Tensors, unet: &Unet, network: &DiffusersUnetConfig) -> Result<(), String> {
    let Some(classes) = unet.num_class_embeds else { return Ok(()) };
    if unet.class_embed_type.is_none() {
        return tensors.same("class_embedding.weight", "classes.weight".into());
    }
    if network.fourier {
        return Err("class_embed_type with time_embedding_type = \"fourier\": class 0 has no logarithm".into());
    }
    let width = network.channels.first().copied().unwrap_or(0);
    let ([hidden, inputs], first) = tensors.matrix("class_embedding.linear_1.weight")?;
    let first_bias = tensors.vector("class_embedding.linear_1.bias", hidden)?;
    let ([outputs, inner], second) = tensors.matrix("class_embedding.linear_2.weight")?;
    let second_bias = tensors.vector("class_embedding.linear_2.bias", outputs)?;
    if inputs == 0 || inputs != width || inner == 0 || inner != hidden || classes > MOST_CLASSES {
        return Err("class_embedding: its layers do not fit the network's sizes".into());
    }
    let mut table = Vec::with_capacity(classes * outputs);
    for class in 0..classes {
        let hidden = affine(&first, &first_bias, &waves(class, width, network));
        let hidden: Vec<f64> = hidden.into_iter().map(|x| x / (1.0 + (-x).exp())).collect();
        table.extend(affine(&second, &second_bias, &hidden).into_iter().map(|x| x as f32));
    }
    tensors.put("classes.weight".into(), vec![classes, outputs], table);
    Ok(())
}

/// The most classes whose embeddings are computed.
const MOST_CLASSES: usize = 1 << 15;

/// The sinusoids of a class's number: those of a noise level.
fn waves(class: usize, width: usize, network: &DiffusersUnetConfig) -> Vec<f64> {
    let half = width / 2;
    let over = half as f64 - network.frequency_shift;
    let angles: Vec<f64> = (0..half).map(|k| class as f64 * 10_000_f64.powf(-(k as f64) / over)).collect();
    let (sines, cosines) = (angles.iter().map(|angle| angle.sin()), angles.iter().map(|angle| angle.cos()));
    let mut waves: Vec<f64> =
        if network.cosine_first { cosines.chain(sines).collect() } else { sines.chain(cosines).collect() };
    waves.resize(width, 0.0);
    waves
}

/// `W x + b`.
fn affine(weight: &[f32], bias: &[f32], x: &[f64]) -> Vec<f64> {
    let dot = |row: &[f32]| row.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum::<f64>();
    weight.chunks_exact(x.len()).zip(bias).map(|(row, &bias)| dot(row) + f64::from(bias)).collect()
}

/// Takes a residual block. Those of autoencoders have no embedding of a noise level.
pub fn take_block(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    tensors.norm(&format!("{from}.norm1"), &format!("{to}.norm0"))?;
    tensors.conv(&format!("{from}.conv1"), &format!("{to}.conv0"))?;
    if tensors.has(&format!("{from}.time_emb_proj.")) {
        tensors.linear(&format!("{from}.time_emb_proj"), &format!("{to}.embedding"))?;
    }
    tensors.norm(&format!("{from}.norm2"), &format!("{to}.norm1"))?;
    tensors.conv(&format!("{from}.conv2"), &format!("{to}.conv1"))?;
    if tensors.has(&format!("{from}.conv_shortcut.")) {
        tensors.conv(&format!("{from}.conv_shortcut"), &format!("{to}.skip"))?;
    }
    Ok(())
}

/// Queries, keys and values are three linear layers there, and one convolution here. Older files call the layers otherwise.
pub fn take_attention(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    if tensors.has(&format!("{from}.group_norm.")) {
        tensors.norm(&format!("{from}.group_norm"), &format!("{to}.norm"))?;
    }
    let (mut sizes, mut weights, mut bias) = (Vec::new(), Vec::new(), Vec::new());
    for [name, older] in [["to_q", "query"], ["to_k", "key"], ["to_v", "value"]] {
        let name = if tensors.has(&format!("{from}.{name}.")) { name } else { older };
        let ([outputs, inputs], values) = tensors.matrix(&format!("{from}.{name}.weight"))?;
        sizes.push([outputs, inputs]);
        weights.push(transposed(&values, outputs));
        bias.extend(tensors.vector(&format!("{from}.{name}.bias"), outputs)?);
    }
    let [outputs, inputs] = sizes[0];
    if sizes.iter().any(|size| *size != sizes[0]) {
        return Err(format!("`{from}`: queries, keys and values have different sizes"));
    }
    let row = |input: usize| weights.iter().flat_map(move |values| &values[input * outputs..][..outputs]);
    let joined: Vec<f32> = (0..inputs).flat_map(row).copied().collect();
    tensors.put(format!("{to}.qkv.weight"), vec![1, 1, inputs, 3 * outputs], joined);
    tensors.put(format!("{to}.qkv.bias"), vec![3 * outputs], bias);
    let name = if tensors.has(&format!("{from}.to_out.")) { "to_out.0" } else { "proj_attn" };
    let ([outputs, inputs], values) = tensors.matrix(&format!("{from}.{name}.weight"))?;
    tensors.put(format!("{to}.project.weight"), vec![1, 1, inputs, outputs], transposed(&values, outputs));
    tensors.same(&format!("{from}.{name}.bias"), format!("{to}.project.bias"))
}
