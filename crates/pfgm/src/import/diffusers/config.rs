//! `config.json` of `UNet2DModel`: each option is honored, or the error names it.

use pfgm_nn::{Activation, DiffusersLevel, DiffusersMiddle, DiffusersUnetConfig};
use serde::Deserialize;

/// The configuration of `UNet2DModel`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Unet {
    #[serde(rename = "_class_name")]
    class_name: String,
    #[serde(rename = "_diffusers_version")]
    _version: serde_json::Value,
    #[serde(rename = "_name_or_path")]
    _path: serde_json::Value,
    act_fn: String,
    add_attention: bool,
    pub attention_head_dim: Option<usize>,
    attn_norm_num_groups: Option<usize>,
    pub block_out_channels: Vec<usize>,
    center_input_sample: bool,
    pub class_embed_type: Option<String>,
    down_block_types: Vec<String>,
    downsample_padding: usize,
    downsample_type: Option<String>,
    dropout: f64,
    flip_sin_to_cos: bool,
    freq_shift: f64,
    pub in_channels: usize,
    pub layers_per_block: usize,
    mid_block_scale_factor: f64,
    mid_block_type: Option<String>,
    norm_eps: f64,
    norm_num_groups: usize,
    pub num_class_embeds: Option<usize>,
    #[serde(rename = "num_train_timesteps")]
    _steps: serde_json::Value,
    pub out_channels: usize,
    resnet_time_scale_shift: String,
    pub sample_size: Option<Size>,
    time_embedding_dim: Option<usize>,
    pub time_embedding_type: String,
    up_block_types: Vec<String>,
    upsample_type: Option<String>,
}

/// Height and width, or one number for both.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub enum Size {
    Square(usize),
    Rectangle([usize; 2]),
}

impl Default for Unet {
    fn default() -> Self {
        let types = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            class_name: String::new(),
            _version: serde_json::Value::Null,
            _path: serde_json::Value::Null,
            act_fn: "silu".into(),
            add_attention: true,
            attention_head_dim: Some(8),
            attn_norm_num_groups: None,
            block_out_channels: vec![224, 448, 672, 896],
            center_input_sample: false,
            class_embed_type: None,
            down_block_types: types(&["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"]),
            downsample_padding: 1,
            downsample_type: Some("conv".into()),
            dropout: 0.0,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            in_channels: 3,
            layers_per_block: 2,
            mid_block_scale_factor: 1.0,
            mid_block_type: Some("UNetMidBlock2D".into()),
            norm_eps: 1e-5,
            norm_num_groups: 32,
            num_class_embeds: None,
            _steps: serde_json::Value::Null,
            out_channels: 3,
            resnet_time_scale_shift: "default".into(),
            sample_size: None,
            time_embedding_dim: None,
            time_embedding_type: "positional".into(),
            up_block_types: types(&["AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"]),
            upsample_type: Some("conv".into()),
        }
    }
}

/// The error for an option that is not supported.
fn refused(key: &str, value: &dyn std::fmt::Debug, supported: &str) -> String {
    format!("{key} = {value:?} is not supported; {supported}")
}

impl Unet {
    /// The network in this crate's terms. The error names an option that is not supported.
    pub fn network(&self) -> Result<DiffusersUnetConfig, String> {
        self.check()?;
        let Some(&width) = self.block_out_channels.first() else {
            return Err(refused("block_out_channels", &self.block_out_channels, "give at least one number"));
        };
        let middle = match (self.mid_block_type.as_deref(), self.add_attention) {
            (None, _) => DiffusersMiddle::None,
            (Some("UNetMidBlock2D"), true) => DiffusersMiddle::Attention,
            (Some("UNetMidBlock2D"), false) => DiffusersMiddle::Plain,
            (Some(other), _) => return Err(refused("mid_block_type", &other, "UNetMidBlock2D and null are")),
        };
        let scale_shift = self.resnet_time_scale_shift == "scale_shift";
        Ok(DiffusersUnetConfig {
            channels: self.block_out_channels.clone(),
            blocks: self.layers_per_block,
            down: self.levels(&self.down_block_types, ["down_block_types", "Down", "Downsample"])?,
            up: self.levels(&self.up_block_types, ["up_block_types", "Up", "Upsample"])?,
            middle,
            head: self.attention_head_dim.unwrap_or(0),
            groups: self.norm_num_groups,
            // With scale_shift there is no normalization before the attention at the bottom unless its groups are given.
            middle_groups: self.attn_norm_num_groups.or(scale_shift.then_some(0)),
            middle_scale: self.mid_block_scale_factor,
            epsilon: self.norm_eps,
            activation: self.activation()?,
            embedding: self.time_embedding_dim.filter(|&values| values > 0).unwrap_or(width.saturating_mul(4)),
            fourier: self.is_fourier(),
            // The library ignores the order that is asked for where frequencies are random.
            cosine_first: self.flip_sin_to_cos && !self.is_fourier(),
            frequency_shift: self.freq_shift,
            scale_shift,
            pad_after: self.downsample_padding == 0,
            center: self.center_input_sample,
            dropout: self.dropout,
        })
    }

    /// Whether the network embeds the logarithm of the step, which the first step, 0, does not have.
    pub fn is_fourier(&self) -> bool {
        self.time_embedding_type == "fourier"
    }

    /// Whether half of the outputs are a variance.
    pub fn has_variance(&self) -> bool {
        self.out_channels == self.in_channels.saturating_mul(2)
    }

    fn check(&self) -> Result<(), String> {
        if self.class_name != "UNet2DModel" {
            return Err(refused("_class_name", &self.class_name, "UNet2DModel is"));
        }
        for (key, value, wanted) in [
            ("time_embedding_type", &self.time_embedding_type, ["positional", "fourier"]),
            ("resnet_time_scale_shift", &self.resnet_time_scale_shift, ["default", "scale_shift"]),
        ] {
            if !wanted.contains(&value.as_str()) {
                return Err(refused(key, value, &format!("{} are", wanted.join(" and "))));
            }
        }
        match (self.class_embed_type.as_deref(), self.num_class_embeds) {
            (None, _) | (Some("timestep"), Some(1..)) => {}
            (Some("timestep"), _) => {
                return Err(
                    "class_embed_type = \"timestep\" needs num_class_embeds: the number of classes is not known".into(),
                );
            }
            (Some(other), _) => return Err(refused("class_embed_type", &other, "null and \"timestep\" are")),
        }
        if !(self.out_channels == self.in_channels || self.has_variance()) {
            return Err(refused("out_channels", &self.out_channels, "in_channels and twice as many are"));
        }
        if self.downsample_padding > 1 {
            return Err(refused("downsample_padding", &self.downsample_padding, "0 and 1 are"));
        }
        Ok(())
    }

    fn activation(&self) -> Result<Activation, String> {
        match self.act_fn.to_lowercase().as_str() {
            "silu" | "swish" => Ok(Activation::Silu),
            "relu" => Ok(Activation::Relu),
            "gelu" => Ok(Activation::Gelu),
            "mish" => Ok(Activation::Mish),
            _ => Err(refused("act_fn", &self.act_fn, "silu, swish, relu, gelu and mish are")),
        }
    }

    /// The kinds of the levels. `names` are the key, and the parts of the names of block types.
    fn levels(&self, types: &[String], [key, plain, resnet]: [&str; 3]) -> Result<Vec<DiffusersLevel>, String> {
        if types.len() != self.block_out_channels.len() {
            return Err(format!("{key}: give one for each of block_out_channels"));
        }
        let (resampling, resample_key) = match plain {
            "Down" => (&self.downsample_type, "downsample_type"),
            _ => (&self.upsample_type, "upsample_type"),
        };
        let level = |name: &String| {
            let short = name.strip_prefix("UNetRes").unwrap_or(name);
            if short == format!("{plain}Block2D") {
                Ok(DiffusersLevel::Plain)
            } else if short == format!("Resnet{resnet}Block2D") {
                Ok(DiffusersLevel::Resnet)
            } else if short == format!("Attn{plain}Block2D") {
                match resampling.as_deref() {
                    None | Some("conv" | "") => Ok(DiffusersLevel::Attention),
                    Some("resnet") => Ok(DiffusersLevel::AttentionResnet),
                    Some(other) => Err(refused(resample_key, &other, "conv and resnet are")),
                }
            } else {
                let known = format!("{plain}Block2D, Attn{plain}Block2D and Resnet{resnet}Block2D are");
                Err(format!("{key}: the block type {name} is not supported; {known}"))
            }
        };
        types.iter().map(level).collect()
    }
}
