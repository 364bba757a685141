//! Runs as folders of diffusers: the way back.

use std::collections::HashMap;

use pfgm_data::Shape;
use pfgm_nn::{Activation, DiffusersLevel, DiffusersMiddle, DiffusersUnetConfig};
use serde_json::{Map, Value, json};

use super::super::{export::Writer, tensors::transposed};
use crate::{
    network::NetworkConfig,
    prediction::{DiscreteSchedule, Output, Quantity},
    spec::ModelSpec,
    weights::Weight,
};

/// The contents of a pipeline's folder.
#[derive(Clone, Debug)]
pub struct DiffusersFolder {
    /// Configurations: a path below the folder, and its text.
    pub files: Vec<(&'static str, String)>,
    /// Tensors of `unet/diffusion_pytorch_model.safetensors`.
    pub weights: Vec<Weight>,
}

/// Returns a model as a pipeline of diffusers (`UNet2DModel` with a `DDPMScheduler`).
///
/// # Errors
/// Returns an error if the library has no such network or no such schedule.
pub fn diffusers_folder(spec: &ModelSpec, weights: &HashMap<String, Weight>) -> Result<DiffusersFolder, String> {
    let NetworkConfig::DiffusersUnet(network) = &spec.config.network else {
        return Err("diffusers has no block-for-block equal of this network; only `diffusers-unet` has".into());
    };
    let Output::Discrete { schedule, quantity } = &spec.config.flow.output else {
        return Err("the schedulers of diffusers need flow.output.kind = \"discrete\"".into());
    };
    if spec.config.upscale.is_some() || spec.config.train.patch > 0 || spec.config.train.augment > 0.0 {
        return Err("UNet2DModel has no input for upscale, train.patch and train.augment".into());
    }
    let Shape::Image { height, width, channels } = spec.data.shape else {
        return Err(format!("rows of {} are not images", spec.data.shape));
    };
    let mut unet = unet(network)?;
    unet.insert("sample_size".into(), if height == width { json!(height) } else { json!([height, width]) });
    unet.insert("in_channels".into(), json!(channels));
    unet.insert("out_channels".into(), json!(channels));
    let classes = spec.data.classes.len();
    unet.insert("num_class_embeds".into(), if classes > 0 { json!(classes) } else { Value::Null });
    let index = json!({
        "_class_name": "DDPMPipeline",
        "scheduler": ["diffusers", "DDPMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    });
    let text = |value: &Value| format!("{value:#}\n");
    Ok(DiffusersFolder {
        files: vec![
            ("model_index.json", text(&index)),
            ("scheduler/scheduler_config.json", text(&scheduler(schedule, *quantity))),
            ("unet/config.json", text(&Value::Object(unet))),
        ],
        weights: named(network, weights)?,
    })
}

/// `unet/config.json` apart from what the data decide.
fn unet(network: &DiffusersUnetConfig) -> Result<Map<String, Value>, String> {
    let groups = match (network.middle_groups, network.scale_shift) {
        (Some(0), false) if network.middle == DiffusersMiddle::Attention => {
            return Err("UNet2DModel always normalizes before the attention at the bottom without scale_shift".into());
        }
        (Some(0), _) | (None, false) => Value::Null,
        (None, true) => json!(network.groups),
        (Some(groups), _) => json!(groups),
    };
    let activation = match network.activation {
        Activation::Silu => "silu",
        Activation::Relu => "relu",
        Activation::Gelu => "gelu",
        Activation::Mish => "mish",
    };
    let Value::Object(unet) = json!({
        "_class_name": "UNet2DModel",
        "act_fn": activation,
        "add_attention": network.middle == DiffusersMiddle::Attention,
        "attention_head_dim": if network.head == 0 { Value::Null } else { json!(network.head) },
        "attn_norm_num_groups": groups,
        "block_out_channels": network.channels,
        "center_input_sample": network.center,
        "down_block_types": types(&network.down, ["Down", "Downsample"]),
        "downsample_padding": u8::from(!network.pad_after),
        "downsample_type": resampling(&network.down)?,
        "dropout": network.dropout,
        "flip_sin_to_cos": network.cosine_first,
        "freq_shift": network.frequency_shift,
        "layers_per_block": network.blocks,
        "mid_block_scale_factor": network.middle_scale,
        "mid_block_type": if network.middle == DiffusersMiddle::None { Value::Null } else { json!("UNetMidBlock2D") },
        "norm_eps": network.epsilon,
        "norm_num_groups": network.groups,
        "resnet_time_scale_shift": if network.scale_shift { "scale_shift" } else { "default" },
        "time_embedding_dim": network.embedding,
        "time_embedding_type": if network.fourier { "fourier" } else { "positional" },
        "up_block_types": types(&network.up, ["Up", "Upsample"]),
        "upsample_type": resampling(&network.up)?,
    }) else {
        unreachable!("an object is an object")
    };
    Ok(unet)
}

/// Names of block types, in the order of the walk.
fn types(levels: &[DiffusersLevel], [plain, resnet]: [&str; 2]) -> Vec<String> {
    let name = |level: &DiffusersLevel| match level {
        DiffusersLevel::Plain => format!("{plain}Block2D"),
        DiffusersLevel::Resnet => format!("Resnet{resnet}Block2D"),
        DiffusersLevel::Attention | DiffusersLevel::AttentionResnet => format!("Attn{plain}Block2D"),
    };
    levels.iter().map(name).collect()
}

/// How levels that attend resample: one way for all of them. The last level of each way does not resample.
fn resampling(levels: &[DiffusersLevel]) -> Result<&'static str, String> {
    let resampled = &levels[..levels.len().saturating_sub(1)];
    let has = |kind: DiffusersLevel| resampled.contains(&kind);
    match (has(DiffusersLevel::Attention), has(DiffusersLevel::AttentionResnet)) {
        (true, true) => Err("UNet2DModel resamples all levels that attend in one way".into()),
        (_, true) => Ok("resnet"),
        _ => Ok("conv"),
    }
}

/// `scheduler_config.json`.
fn scheduler(schedule: &DiscreteSchedule, quantity: Quantity) -> Value {
    let (schedule, zero_snr) = match schedule {
        DiscreteSchedule::ZeroTerminalSnr { of } => (&**of, true),
        other => (other, false),
    };
    let mut config = json!({
        "_class_name": "DDPMScheduler",
        "clip_sample": false,
        "num_train_timesteps": schedule.steps(),
        "prediction_type": match quantity {
            Quantity::Epsilon => "epsilon",
            Quantity::V => "v_prediction",
            Quantity::Sample => "sample",
        },
        "rescale_betas_zero_snr": zero_snr,
        "trained_betas": null,
    });
    let name = match schedule {
        DiscreteSchedule::Linear { beta_start, beta_end, .. }
        | DiscreteSchedule::ScaledLinear { beta_start, beta_end, .. }
        | DiscreteSchedule::Sigmoid { beta_start, beta_end, .. } => {
            config["beta_start"] = json!(beta_start);
            config["beta_end"] = json!(beta_end);
            match schedule {
                DiscreteSchedule::Linear { .. } => "linear",
                DiscreteSchedule::ScaledLinear { .. } => "scaled_linear",
                _ => "sigmoid",
            }
        }
        DiscreteSchedule::SquaredCosine { .. } => "squaredcos_cap_v2",
        DiscreteSchedule::Laplace { .. } => "laplace",
        DiscreteSchedule::Trained { betas } => {
            config["trained_betas"] = json!(betas);
            "linear"
        }
        DiscreteSchedule::ZeroTerminalSnr { .. } => "linear",
    };
    config["beta_schedule"] = json!(name);
    config
}

/// The weights under the library's names.
fn named(network: &DiffusersUnetConfig, weights: &HashMap<String, Weight>) -> Result<Vec<Weight>, String> {
    let mut writer = Writer::new(weights);
    writer.conv("input", "conv_in")?;
    if network.fourier {
        writer.same("frequencies", "time_proj.weight")?;
    }
    writer.linear("first", "time_embedding.linear_1")?;
    writer.linear("second", "time_embedding.linear_2")?;
    if weights.contains_key("classes.weight") {
        writer.same("classes.weight", "class_embedding.weight")?;
    }
    let levels = network.channels.len();
    for (to, from, blocks, resample) in
        [("down_blocks", "down", network.blocks, "downsamplers"), ("up_blocks", "up", network.blocks + 1, "upsamplers")]
    {
        let mut count = 0;
        for level in 0..levels {
            for block in 0..blocks {
                let place = [format!("resnets.{block}"), format!("attentions.{block}")];
                let [resnet, attention] = place.map(|place| format!("{to}.{level}.{place}"));
                block_to(&mut writer, &format!("{from}.{count}.block"), &resnet, Some(&attention))?;
                count += 1;
            }
            if level + 1 < levels {
                let (from, to) = (format!("{from}.{count}"), format!("{to}.{level}.{resample}.0"));
                if weights.contains_key(&format!("{from}.conv.weight")) {
                    writer.conv(&format!("{from}.conv"), &format!("{to}.conv"))?;
                } else {
                    block_to(&mut writer, &format!("{from}.block"), &to, None)?;
                }
                count += 1;
            }
        }
    }
    if network.middle != DiffusersMiddle::None {
        block_to(&mut writer, "middle.0.block", "mid_block.resnets.0", None)?;
        block_to(&mut writer, "middle.1.block", "mid_block.resnets.1", None)?;
    }
    if network.middle == DiffusersMiddle::Attention {
        attention_to(&mut writer, "middle_attention", "mid_block.attentions.0")?;
    }
    writer.norm("norm", "conv_norm_out")?;
    writer.conv("output", "conv_out")?;
    Ok(writer.out)
}

fn block_to(writer: &mut Writer, from: &str, to: &str, attention: Option<&str>) -> Result<(), String> {
    writer.norm(&format!("{from}.norm0"), &format!("{to}.norm1"))?;
    writer.conv(&format!("{from}.conv0"), &format!("{to}.conv1"))?;
    writer.linear(&format!("{from}.embedding"), &format!("{to}.time_emb_proj"))?;
    writer.norm(&format!("{from}.norm1"), &format!("{to}.norm2"))?;
    writer.conv(&format!("{from}.conv1"), &format!("{to}.conv2"))?;
    if writer.has(&format!("{from}.skip.weight")) {
        writer.conv(&format!("{from}.skip"), &format!("{to}.conv_shortcut"))?;
    }
    match attention {
        Some(to) if writer.has(&format!("{from}.attention.qkv.weight")) => {
            attention_to(writer, &format!("{from}.attention"), to)
        }
        _ => Ok(()),
    }
}

/// One convolution for queries, keys and values becomes three linear layers.
fn attention_to(writer: &mut Writer, from: &str, to: &str) -> Result<(), String> {
    if writer.has(&format!("{from}.norm.gamma")) {
        writer.norm(&format!("{from}.norm"), &format!("{to}.group_norm"))?;
    }
    let weight = writer.take(&format!("{from}.qkv.weight"))?.clone();
    let bias = writer.take(&format!("{from}.qkv.bias"))?.clone();
    let (inputs, all) = (weight.shape[2], weight.shape[3]);
    let outputs = all / 3;
    for (part, name) in ["to_q", "to_k", "to_v"].into_iter().enumerate() {
        let columns = part * outputs..(part + 1) * outputs;
        let rows: Vec<f32> =
            weight.values.chunks_exact(all).flat_map(|row| row[columns.clone()].iter().copied()).collect();
        writer.put(format!("{to}.{name}.weight"), vec![outputs, inputs], transposed(&rows, inputs));
        writer.put(format!("{to}.{name}.bias"), vec![outputs], bias.values[columns].to_vec());
    }
    let project = writer.take(&format!("{from}.project.weight"))?.clone();
    let (inputs, outputs) = (project.shape[2], project.shape[3]);
    writer.put(format!("{to}.to_out.0.weight"), vec![outputs, inputs], transposed(&project.values, inputs));
    writer.same(&format!("{from}.project.bias"), &format!("{to}.to_out.0.bias"))
}
