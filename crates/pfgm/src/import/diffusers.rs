//! Folders of the library diffusers: `UNet2DModel` with the schedule of its training.
//!
//! Each option of the network's configuration is supported, or the error names it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pfgm_data::{Shape, Transform};
use pfgm_nn::DiffusersUnetConfig;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    ImportError, Imported, Problem, Request, check,
    tensors::{Tensors, transposed},
};
use crate::{
    config::{Config, DataConfig, FlowConfig, SampleConfig, TrainConfig},
    extra_dims::ExtraDims,
    network::NetworkConfig,
    prediction::{DiscreteSchedule, Output, Quantity},
    solver::Solver,
    spec::{DataInfo, ModelSpec},
};

/// Maximum size of a configuration file.
const MOST_BYTES: u64 = 1 << 20;

/// Folders of the network in a pipeline's folder; averages first.
const FOLDERS: [&str; 3] = ["unet_ema", "unet", "."];

/// Files of weights.
const WEIGHTS: [&str; 3] =
    ["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.bin"];

/// The configuration of `UNet2DModel`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Unet {
    #[serde(rename = "_class_name")]
    class_name: String,
    #[serde(rename = "_diffusers_version")]
    _version: serde_json::Value,
    #[serde(rename = "_name_or_path")]
    _path: serde_json::Value,
    act_fn: String,
    add_attention: bool,
    attention_head_dim: Option<usize>,
    attn_norm_num_groups: Option<usize>,
    block_out_channels: Vec<usize>,
    center_input_sample: bool,
    class_embed_type: Option<String>,
    down_block_types: Vec<String>,
    downsample_padding: usize,
    downsample_type: String,
    dropout: f64,
    flip_sin_to_cos: bool,
    freq_shift: f64,
    in_channels: usize,
    layers_per_block: usize,
    mid_block_scale_factor: f64,
    mid_block_type: Option<String>,
    norm_eps: f64,
    norm_num_groups: usize,
    num_class_embeds: Option<usize>,
    #[serde(rename = "num_train_timesteps")]
    _steps: serde_json::Value,
    out_channels: usize,
    resnet_time_scale_shift: String,
    sample_size: Option<Size>,
    time_embedding_dim: Option<usize>,
    time_embedding_type: String,
    up_block_types: Vec<String>,
    upsample_type: String,
}

/// Height and width, or one number for both.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Size {
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
            downsample_type: "conv".into(),
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
            upsample_type: "conv".into(),
        }
    }
}

/// Training options of a scheduler's configuration. Other options are for sampling.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Scheduler {
    #[serde(rename = "_class_name")]
    class_name: String,
    beta_start: f64,
    beta_end: f64,
    beta_schedule: String,
    num_train_timesteps: usize,
    prediction_type: String,
    trained_betas: Option<serde_json::Value>,
    rescale_betas_zero_snr: bool,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            class_name: "DDPMScheduler".into(),
            beta_start: 1e-4,
            beta_end: 0.02,
            beta_schedule: "linear".into(),
            num_train_timesteps: 1000,
            prediction_type: "epsilon".into(),
            trained_betas: None,
            rescale_betas_zero_snr: false,
        }
    }
}

/// Imports a folder: that of a pipeline with `unet` and `scheduler`, or that of a network.
pub fn import(folder: &Path, request: &Request) -> Result<Imported, ImportError> {
    let unsupported = |path: &Path, problem: String| ImportError::Unsupported { path: path.to_owned(), problem };
    let found = FOLDERS.iter().map(|name| folder.join(name)).find(|folder| folder.join("config.json").is_file());
    let Some(network) = found else {
        return Err(unsupported(folder, "no unet/config.json in this folder: not a pipeline of diffusers".into()));
    };
    let config_path = network.join("config.json");
    let unet: Unet = read(&config_path)?;
    let config = unet.network().map_err(|problem| unsupported(&config_path, problem))?;
    let mut notes = vec![format!("weights: those of `{}`", network.display())];
    let scheduler_path = folder.join("scheduler/scheduler_config.json");
    let scheduler = if scheduler_path.is_file() {
        read(&scheduler_path)?
    } else {
        notes.push("no scheduler: 1000 steps, beta from 1e-4 to 0.02, noise predicted, as DDPM is published".into());
        Scheduler::default()
    };
    let output = scheduler.output().map_err(|problem| unsupported(&scheduler_path, problem))?;
    check_request(request).map_err(|problem| problem.at(folder))?;
    let size = request.size.or(unet.sample_size.map(|size| match size {
        Size::Square(side) => [side, side],
        Size::Rectangle(sides) => sides,
    }));
    let Some(size) = size else {
        let problem = "the configuration has no sample_size; give height and width".into();
        return Err(Problem::Missing("size", problem).at(folder));
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let spec = specification(&name, &unet, output, config, size);
    let weights_path = weights_file(&network)?;
    let weights = take(&weights_path, &unet)?.finish().map_err(|problem| unsupported(&weights_path, problem))?;
    check(folder, &spec, &weights)?;
    Ok(Imported { spec, step: 0, average: weights, assumed: notes })
}

/// Reads a configuration file.
fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ImportError> {
    let unsupported = |problem: String| ImportError::Unsupported { path: path.to_owned(), problem };
    let length = fs::metadata(path).map_err(|error| unsupported(format!("cannot be read: {error}")))?.len();
    if length > MOST_BYTES {
        return Err(unsupported(format!("{length} bytes: no configuration is as long")));
    }
    let text = fs::read(path).map_err(|error| unsupported(format!("cannot be read: {error}")))?;
    serde_json::from_slice(&text).map_err(|error| unsupported(format!("is not understood: {error}")))
}

fn weights_file(folder: &Path) -> Result<PathBuf, ImportError> {
    let found = WEIGHTS.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let problem = format!("none of the files {}", WEIGHTS.join(", "));
        ImportError::Unsupported { path: folder.to_owned(), problem }
    })
}

fn check_request(request: &Request) -> Result<(), Problem> {
    let Request { method, size: _, extra_dims, images, like } = request;
    let given = [
        ("method", method.is_some()),
        ("extra_dims", extra_dims.is_some()),
        ("images", images.is_some()),
        ("like", like.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((field, _)) => Err(Problem::Contradiction(field, "the folder's scheduler says it; omit it".into())),
        None => Ok(()),
    }
}

impl Unet {
    /// Returns the network without the heights of its attention. The error names an unsupported option.
    fn network(&self) -> Result<DiffusersUnetConfig, String> {
        let refuse = |key: &str, value: &dyn std::fmt::Debug, supported: &str| {
            Err(format!("{key} = {value:?} is not supported; {supported}"))
        };
        if self.class_name != "UNet2DModel" {
            return refuse("_class_name", &self.class_name, "UNet2DModel is");
        }
        for (key, value, wanted) in [
            ("act_fn", &self.act_fn, ["silu", "swish"]),
            ("downsample_type", &self.downsample_type, ["conv", "conv"]),
            ("upsample_type", &self.upsample_type, ["conv", "conv"]),
            ("time_embedding_type", &self.time_embedding_type, ["positional", "positional"]),
            ("resnet_time_scale_shift", &self.resnet_time_scale_shift, ["default", "scale_shift"]),
        ] {
            if !wanted.contains(&value.as_str()) {
                return refuse(key, value, &format!("{} is", wanted[0]));
            }
        }
        if self.mid_block_type.as_deref() != Some("UNetMidBlock2D") {
            return refuse("mid_block_type", &self.mid_block_type, "UNetMidBlock2D is");
        }
        for (key, given) in [
            ("center_input_sample", self.center_input_sample),
            ("class_embed_type", self.class_embed_type.is_some()),
            ("attn_norm_num_groups", self.attn_norm_num_groups.is_some_and(|groups| groups != self.norm_num_groups)),
            ("add_attention", !self.add_attention),
            ("mid_block_scale_factor", self.mid_block_scale_factor != 1.0),
            ("out_channels", self.out_channels != self.in_channels),
            ("downsample_padding", self.downsample_padding > 1),
        ] {
            if given {
                return Err(format!("{key}: this value is not supported"));
            }
        }
        self.attending()?;
        let Some(&width) = self.block_out_channels.first().filter(|width| **width > 0) else {
            return refuse("block_out_channels", &self.block_out_channels, "give at least one positive number");
        };
        if self.block_out_channels.iter().any(|channels| channels % width != 0) {
            return refuse("block_out_channels", &self.block_out_channels, "multiples of the first are");
        }
        Ok(DiffusersUnetConfig {
            width,
            multipliers: self.block_out_channels.iter().map(|channels| channels / width).collect(),
            blocks: self.layers_per_block,
            attention: Vec::new(),
            head: self.attention_head_dim.unwrap_or(0),
            groups: self.norm_num_groups,
            epsilon: self.norm_eps,
            embedding: self.time_embedding_dim.unwrap_or(width.saturating_mul(4)),
            cosine_first: self.flip_sin_to_cos,
            frequency_shift: self.freq_shift,
            scale_shift: self.resnet_time_scale_shift == "scale_shift",
            pad_after: self.downsample_padding == 0,
            dropout: self.dropout,
        })
    }

    /// Whether the blocks of each level attend.
    fn attending(&self) -> Result<Vec<bool>, String> {
        let attends = |name: &String| match name.as_str() {
            "DownBlock2D" | "UpBlock2D" => Ok(false),
            "AttnDownBlock2D" | "AttnUpBlock2D" => Ok(true),
            other => Err(format!("the block type {other} is not supported; (Attn)DownBlock2D and (Attn)UpBlock2D are")),
        };
        let down = self.down_block_types.iter().map(attends).collect::<Result<Vec<_>, _>>()?;
        let up = self.up_block_types.iter().rev().map(attends).collect::<Result<Vec<_>, _>>()?;
        if down.len() != self.block_out_channels.len() {
            return Err("down_block_types: give one for each of block_out_channels".into());
        }
        if down != up {
            return Err("up_block_types: attention at other levels than on the way down is not supported".into());
        }
        Ok(down)
    }
}

impl Scheduler {
    fn output(&self) -> Result<Output, String> {
        let Self { beta_start, beta_end, num_train_timesteps: steps, .. } = *self;
        if ["Sde", "Karras", "EDM", "FlowMatch", "CMStochastic"].iter().any(|name| self.class_name.contains(name)) {
            return Err(format!("the scheduler {} is not supported; those of DDPM's kind are", self.class_name));
        }
        if self.trained_betas.is_some() {
            return Err("trained_betas are not supported".into());
        }
        if self.rescale_betas_zero_snr {
            return Err("rescale_betas_zero_snr: a schedule that ends without any signal is not supported".into());
        }
        let schedule = match self.beta_schedule.as_str() {
            "linear" => DiscreteSchedule::Linear { beta_start, beta_end, steps },
            "scaled_linear" => DiscreteSchedule::ScaledLinear { beta_start, beta_end, steps },
            "squaredcos_cap_v2" => DiscreteSchedule::SquaredCosine { steps },
            other => return Err(format!("beta_schedule {other} is not supported")),
        };
        let quantity = match self.prediction_type.as_str() {
            "epsilon" => Quantity::Epsilon,
            "v_prediction" => Quantity::V,
            "sample" => Quantity::Sample,
            other => return Err(format!("prediction_type {other} is not supported")),
        };
        Output::Discrete { schedule, quantity }.check().map_err(|error| error.to_string())?;
        Ok(Output::Discrete { schedule, quantity })
    }
}

fn specification(
    name: &str,
    unet: &Unet,
    output: Output,
    mut network: DiffusersUnetConfig,
    [height, width]: [usize; 2],
) -> ModelSpec {
    let attends = unet.attending().unwrap_or_default();
    let stride = 1_usize.checked_shl(attends.len().saturating_sub(1) as u32).unwrap_or(1);
    let padded = height.checked_next_multiple_of(stride).unwrap_or(height);
    network.attention =
        (0..attends.len().min(63)).filter(|&level| attends[level]).map(|level| padded >> level).collect();
    let levels = match output {
        Output::Discrete { schedule, .. } => schedule.levels(),
        _ => Vec::new(),
    };
    let classes = unet.num_class_embeds.unwrap_or(0);
    let config = Config {
        data: DataConfig { source: name.to_owned(), conditional: classes > 0, ..DataConfig::default() },
        flow: FlowConfig {
            extra_dims: ExtraDims::Infinite,
            sigma_min: levels.first().copied().unwrap_or(0.0),
            sigma_max: levels.last().copied(),
            sigma_data: Some(0.5),
            far_field: false,
            output,
            ..FlowConfig::default()
        },
        network: NetworkConfig::DiffusersUnet(network),
        // It was trained without label dropout.
        train: TrainConfig { label_dropout: 0.0, ..TrainConfig::default() },
        sample: SampleConfig { solver: Solver::heun(18).into(), ..SampleConfig::default() },
        ..Config::default()
    };
    let data = DataInfo {
        name: name.to_owned(),
        shape: Shape::Image { height, width, channels: unet.in_channels },
        // Bytes to [-1, 1].
        transform: Transform { offset: vec![127.5], scale: vec![127.5] },
        range: (0.0, 255.0),
        columns: Vec::new(),
        classes: (0..classes.min(1 << 20)).map(|class| class.to_string()).collect(),
        class_counts: Vec::new(),
        whole_columns: Vec::new(),
        rows: 0,
    };
    ModelSpec { config, data }
}

/// Reads the tensors of a file and renames them.
fn take(path: &Path, unet: &Unet) -> Result<Tensors, ImportError> {
    let file = pfgm_torch::open(path)?;
    let mut tensors = Tensors::read(&file, &file.root().state_dict()?, "")?;
    take_all(&mut tensors, unet).map_err(|problem| ImportError::unsupported(&file, problem))?;
    Ok(tensors)
}

fn take_all(tensors: &mut Tensors, unet: &Unet) -> Result<(), String> {
    tensors.conv("conv_in", "input")?;
    tensors.linear("time_embedding.linear_1", "first")?;
    tensors.linear("time_embedding.linear_2", "second")?;
    if unet.num_class_embeds.is_some() {
        tensors.same("class_embedding.weight", "classes.weight".into())?;
    }
    for (side, to, blocks, resample) in [
        ("down_blocks", "down", unet.layers_per_block, "downsamplers"),
        ("up_blocks", "up", unet.layers_per_block.saturating_add(1), "upsamplers"),
    ] {
        let mut count = 0;
        for level in 0..unet.block_out_channels.len() {
            let from = format!("{side}.{level}");
            for block in 0..blocks {
                let to = format!("{to}.{count}.block");
                take_block(tensors, &format!("{from}.resnets.{block}"), &to)?;
                let attention = format!("{from}.attentions.{block}");
                if tensors.has(&format!("{attention}.")) {
                    take_attention(tensors, &attention, &format!("{to}.attention"))?;
                }
                count += 1;
            }
            if tensors.has(&format!("{from}.{resample}.")) {
                tensors.conv(&format!("{from}.{resample}.0.conv"), &format!("{to}.{count}.conv"))?;
                count += 1;
            }
        }
    }
    take_block(tensors, "mid_block.resnets.0", "middle.0.block")?;
    take_attention(tensors, "mid_block.attentions.0", "middle_attention")?;
    take_block(tensors, "mid_block.resnets.1", "middle.1.block")?;
    tensors.norm("conv_norm_out", "norm")?;
    tensors.conv("conv_out", "output")
}

fn take_block(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    tensors.norm(&format!("{from}.norm1"), &format!("{to}.norm0"))?;
    tensors.conv(&format!("{from}.conv1"), &format!("{to}.conv0"))?;
    tensors.linear(&format!("{from}.time_emb_proj"), &format!("{to}.embedding"))?;
    tensors.norm(&format!("{from}.norm2"), &format!("{to}.norm1"))?;
    tensors.conv(&format!("{from}.conv2"), &format!("{to}.conv1"))?;
    if tensors.has(&format!("{from}.conv_shortcut.")) {
        tensors.conv(&format!("{from}.conv_shortcut"), &format!("{to}.skip"))?;
    }
    Ok(())
}

/// Combines the three linear layers for queries, keys and values into one convolution. Older files have other names.
fn take_attention(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    tensors.norm(&format!("{from}.group_norm"), &format!("{to}.norm"))?;
    let (mut weights, mut bias) = (Vec::new(), Vec::new());
    for [name, older] in [["to_q", "query"], ["to_k", "key"], ["to_v", "value"]] {
        let name = if tensors.has(&format!("{from}.{name}.")) { name } else { older };
        let ([outputs, inputs], values) = tensors.matrix(&format!("{from}.{name}.weight"))?;
        if outputs != inputs {
            return Err(format!("`{from}.{name}.weight` is {outputs}x{inputs}, not square"));
        }
        weights.push((outputs, transposed(&values, outputs)));
        bias.extend(tensors.vector(&format!("{from}.{name}.bias"), outputs)?);
    }
    let channels = weights[0].0;
    if weights.iter().any(|(outputs, _)| *outputs != channels) {
        return Err(format!("`{from}`: queries, keys and values have different sizes"));
    }
    let row = |input: usize| weights.iter().flat_map(move |(_, values)| &values[input * channels..][..channels]);
    let joined: Vec<f32> = (0..channels).flat_map(row).copied().collect();
    tensors.put(format!("{to}.qkv.weight"), vec![1, 1, channels, 3 * channels], joined);
    tensors.put(format!("{to}.qkv.bias"), vec![3 * channels], bias);
    let name = if tensors.has(&format!("{from}.to_out.")) { "to_out.0" } else { "proj_attn" };
    let ([outputs, inputs], values) = tensors.matrix(&format!("{from}.{name}.weight"))?;
    tensors.put(format!("{to}.project.weight"), vec![1, 1, inputs, outputs], transposed(&values, outputs));
    tensors.same(&format!("{from}.{name}.bias"), format!("{to}.project.bias"))
}
