//! Autoencoders that the library diffusers wrote (`AutoencoderKL`).

use std::path::{Path, PathBuf};

use pfgm_nn::{Activation, AutoencoderConfig};
use serde::Deserialize;

use super::{
    ImportError,
    diffusers::{take_attention, take_block},
    folder::{located, read_json, read_weights},
    tensors::Tensors,
};
use crate::weights::Weight;

/// Folders of the autoencoder in a pipeline's folder.
const FOLDERS: [&str; 3] = ["vae", ".", "vqvae"];

/// The configuration of `AutoencoderKL`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Kl {
    #[serde(rename = "_class_name")]
    class_name: String,
    #[serde(rename = "_diffusers_version")]
    _version: serde_json::Value,
    #[serde(rename = "_name_or_path")]
    _path: serde_json::Value,
    act_fn: String,
    block_out_channels: Vec<usize>,
    down_block_types: Vec<String>,
    #[serde(rename = "force_upcast")]
    _upcast: serde_json::Value,
    in_channels: usize,
    latent_channels: usize,
    latents_mean: Option<Vec<f64>>,
    latents_std: Option<Vec<f64>>,
    layers_per_block: usize,
    mid_block_add_attention: bool,
    norm_num_groups: usize,
    out_channels: usize,
    #[serde(rename = "sample_size")]
    _size: serde_json::Value,
    scaling_factor: f64,
    shift_factor: Option<f64>,
    up_block_types: Vec<String>,
    use_post_quant_conv: bool,
    use_quant_conv: bool,
}

impl Default for Kl {
    fn default() -> Self {
        Self {
            class_name: String::new(),
            _version: serde_json::Value::Null,
            _path: serde_json::Value::Null,
            act_fn: "silu".into(),
            block_out_channels: vec![64],
            down_block_types: vec!["DownEncoderBlock2D".into()],
            _upcast: serde_json::Value::Null,
            in_channels: 3,
            latent_channels: 4,
            latents_mean: None,
            latents_std: None,
            layers_per_block: 1,
            mid_block_add_attention: true,
            norm_num_groups: 32,
            out_channels: 3,
            _size: serde_json::Value::Null,
            scaling_factor: 0.18215,
            shift_factor: None,
            up_block_types: vec!["UpDecoderBlock2D".into()],
            use_post_quant_conv: true,
            use_quant_conv: true,
        }
    }
}

/// An autoencoder in this crate's terms.
pub struct ReadAutoencoder {
    /// The network.
    pub config: AutoencoderConfig,
    /// What is subtracted from each channel of the latents before they are divided by the scale.
    pub shift: Vec<f64>,
    /// What each channel of the latents is divided by.
    pub scale: Vec<f64>,
    /// The weights.
    pub weights: Vec<Weight>,
}

/// Shift and divisor of each channel of an autoencoder's latents.
pub struct LatentScale {
    /// What is subtracted from each channel before it is divided by the divisor.
    pub shift: Vec<f64>,
    /// What each channel is divided by.
    pub scale: Vec<f64>,
}

/// Reads the scale of an autoencoder's latents, without its weights.
///
/// # Errors
/// As [`read_autoencoder`].
pub fn read_scale(path: &Path) -> Result<LatentScale, ImportError> {
    read_config(path).map(|(.., scale)| scale)
}

/// Reads an autoencoder's folder, or that of a pipeline which has one; `hf:NAME` is looked for in the local cache.
///
/// # Errors
/// Returns an error if there is none, or one with an option that is not supported.
pub fn read_autoencoder(path: &Path) -> Result<ReadAutoencoder, ImportError> {
    let (folder, config, LatentScale { shift, scale }) = read_config(path)?;
    let (weights_path, mut tensors) = read_weights(&folder)?;
    let taken = take(&mut tensors, &config).and_then(|()| tensors.finish());
    let weights = taken.map_err(|problem| ImportError::Unsupported { path: weights_path, problem })?;
    Ok(ReadAutoencoder { config, shift, scale, weights })
}

/// The folder of an autoencoder's weights, its network, and the scale of its latents.
fn read_config(path: &Path) -> Result<(PathBuf, AutoencoderConfig, LatentScale), ImportError> {
    let folder = located(path)?;
    let unsupported = |path: &Path, problem: String| ImportError::Unsupported { path: path.to_owned(), problem };
    let found = FOLDERS.iter().map(|name| folder.join(name)).find(|folder| folder.join("config.json").is_file());
    let Some(network) = found else {
        let problem = "no config.json in this folder: not an autoencoder of diffusers";
        return Err(unsupported(&folder, problem.into()));
    };
    let config_path = network.join("config.json");
    let kl: Kl = read_json(&config_path)?;
    let config = kl.network().map_err(|problem| unsupported(&config_path, problem))?;
    let (shift, scale) = kl.affine().map_err(|problem| unsupported(&config_path, problem))?;
    Ok((network, config, LatentScale { shift, scale }))
}

impl Kl {
    fn network(&self) -> Result<AutoencoderConfig, String> {
        if self.class_name != "AutoencoderKL" {
            return Err(format!("_class_name = {:?} is not supported; AutoencoderKL is", self.class_name));
        }
        for (key, types, wanted) in [
            ("down_block_types", &self.down_block_types, "DownEncoderBlock2D"),
            ("up_block_types", &self.up_block_types, "UpDecoderBlock2D"),
        ] {
            if let Some(other) = types.iter().find(|name| *name != wanted) {
                return Err(format!("{key}: the block type {other} is not supported; {wanted} is"));
            }
            if types.len() != self.block_out_channels.len() {
                return Err(format!("{key}: give one for each of block_out_channels"));
            }
        }
        if self.out_channels != self.in_channels {
            return Err(format!("out_channels = {}: give as many as in_channels", self.out_channels));
        }
        let activation = match self.act_fn.to_lowercase().as_str() {
            "silu" | "swish" => Activation::Silu,
            "relu" => Activation::Relu,
            "gelu" => Activation::Gelu,
            "mish" => Activation::Mish,
            other => return Err(format!("act_fn = {other:?} is not supported; silu, swish, relu, gelu and mish are")),
        };
        Ok(AutoencoderConfig {
            image: self.in_channels,
            latent: self.latent_channels,
            channels: self.block_out_channels.clone(),
            blocks: self.layers_per_block,
            groups: self.norm_num_groups,
            activation,
            attention: self.mid_block_add_attention,
            quant: self.use_quant_conv,
            post_quant: self.use_post_quant_conv,
        })
    }

    /// The shift and the divisor of each channel of the latents.
    fn affine(&self) -> Result<(Vec<f64>, Vec<f64>), String> {
        let channels = self.latent_channels.min(1 << 20);
        let of_channels = |key: &str, list: &Option<Vec<f64>>, default: f64| match list {
            None => Ok(vec![default; channels]),
            Some(list) if list.len() == channels => Ok(list.clone()),
            Some(list) => Err(format!("{key} has {} numbers for {channels} channels", list.len())),
        };
        let shift = of_channels("latents_mean", &self.latents_mean, self.shift_factor.unwrap_or(0.0))?;
        let std = of_channels("latents_std", &self.latents_std, 1.0)?;
        let scale: Vec<f64> = std.iter().map(|std| std / self.scaling_factor).collect();
        if shift.iter().any(|value| !value.is_finite())
            || scale.iter().any(|value| !(*value > 0.0 && value.is_finite()))
        {
            return Err(
                "scaling_factor, shift_factor, latents_mean and latents_std: give finite numbers above 0".into()
            );
        }
        Ok((shift, scale))
    }
}

/// Takes the tensors under this crate's names.
fn take(tensors: &mut Tensors, config: &AutoencoderConfig) -> Result<(), String> {
    for (half, side, blocks, resample) in [
        ("encoder", "down_blocks", config.blocks, "downsamplers"),
        ("decoder", "up_blocks", config.blocks.saturating_add(1), "upsamplers"),
    ] {
        tensors.conv(&format!("{half}.conv_in"), &format!("{half}.input"))?;
        let mut count = 0;
        for level in 0..config.channels.len() {
            let from = format!("{half}.{side}.{level}");
            for block in 0..blocks {
                take_block(tensors, &format!("{from}.resnets.{block}"), &format!("{half}.layers.{count}.block"))?;
                count += 1;
            }
            if tensors.has(&format!("{from}.{resample}.")) {
                tensors.conv(&format!("{from}.{resample}.0.conv"), &format!("{half}.layers.{count}.conv"))?;
                count += 1;
            }
        }
        for block in 0..2 {
            let from = format!("{half}.mid_block.resnets.{block}");
            take_block(tensors, &from, &format!("{half}.middle.{block}.block"))?;
        }
        if config.attention {
            take_attention(tensors, &format!("{half}.mid_block.attentions.0"), &format!("{half}.attention"))?;
        }
        tensors.norm(&format!("{half}.conv_norm_out"), &format!("{half}.norm"))?;
        tensors.conv(&format!("{half}.conv_out"), &format!("{half}.output"))?;
    }
    for (name, to, given) in
        [("quant_conv", "quant", config.quant), ("post_quant_conv", "post_quant", config.post_quant)]
    {
        if given {
            tensors.conv(name, to)?;
        }
    }
    Ok(())
}
