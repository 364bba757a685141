//! EDM2's U-Net (arXiv 2312.02696): modules named by their resolution, as in EDM, and weights that are normalized at use.

use std::path::Path;

use pfgm_torch::Value;

use super::{
    Converted,
    edm::{Level, levels},
    tensors::{Tensors, transposed},
};
use crate::network::{Edm2UnetConfig, NetworkConfig};

/// What the modules of a network say about their sums, apart from the tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Magnitudes {
    label_balance: f64,
    concat_balance: f64,
    residual_balance: f64,
    attention_balance: f64,
    clip: f64,
    /// Channels of an attention head.
    head: usize,
}

impl Magnitudes {
    /// Reads a module; None if it is no network of EDM2's.
    ///
    /// The error says what is not supported.
    pub fn read(module: Value<'_>) -> Result<Option<Self>, String> {
        let Some(unet) = module.get("_modules").and_then(|modules| modules.get("unet")) else { return Ok(None) };
        let Some(decoder) = unet.get("_modules").and_then(|modules| modules.get("dec")?.get("_modules")) else {
            return Ok(None);
        };
        // The first block of the decoder always attends.
        let is_first = |key: Value<'_>| key.as_str().is_some_and(|name| name.ends_with("_in0"));
        let Some((_, block)) = decoder.entries().find(|(key, _)| is_first(*key)) else { return Ok(None) };
        let number = |value: Value<'_>, name: &str| {
            value.get(name).and_then(Value::as_f64).ok_or_else(|| format!("its network has no number `{name}`"))
        };
        let filter: Vec<f64> = block
            .get("resample_filter")
            .and_then(Value::as_list)
            .into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .collect();
        if filter != [1.0, 1.0] {
            return Err(format!("its resample_filter {filter:?} is not supported; [1, 1] is"));
        }
        let (channels, heads) = (number(block, "out_channels")?, number(block, "num_heads")?);
        if !(heads >= 1.0 && channels >= heads && channels <= 1e6) {
            return Err(format!("its blocks have {heads} heads for {channels} channels"));
        }
        Ok(Some(Self {
            label_balance: number(unet, "label_balance")?,
            concat_balance: number(unet, "concat_balance")?,
            residual_balance: number(block, "res_balance")?,
            attention_balance: number(block, "attn_balance")?,
            clip: block.get("clip_act").and_then(Value::as_f64).unwrap_or(f64::MAX),
            head: (channels / heads) as usize,
        }))
    }
}

impl Magnitudes {
    /// A configuration with these sums.
    fn of(self, config: Edm2UnetConfig) -> Edm2UnetConfig {
        let Self { label_balance, concat_balance, residual_balance, attention_balance, clip, head } = self;
        Edm2UnetConfig { label_balance, concat_balance, residual_balance, attention_balance, clip, head, ..config }
    }
}

/// Training time in thousands of images and relative width of the average of a snapshot, from its name:
/// `edm2-img512-xs-2147483-0.135.pkl`. `None` if the name does not end with them.
///
/// ```
/// use pfgm::import::snapshot_name;
///
/// assert_eq!(snapshot_name("edm2-img512-xs-2147483-0.135.pkl"), Some((2147483.0, 0.135)));
/// assert_eq!(snapshot_name("network-snapshot-0016777-0.050.pkl"), Some((16777.0, 0.05)));
/// assert_eq!(snapshot_name("network-snapshot-0016777.pkl"), None);
/// ```
pub fn snapshot_name(path: impl AsRef<Path>) -> Option<(f64, f64)> {
    let stem = path.as_ref().file_stem()?.to_str()?;
    let (rest, width) = stem.rsplit_once('-')?;
    let (_, time) = rest.rsplit_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = width.split_once('.')?;
    if !(is_number(time) && is_number(whole) && is_number(part)) {
        return None;
    }
    let time: f64 = time.parse().ok()?;
    (time > 0.0).then_some((time, width.parse().ok()?))
}

/// The names of the two sides.
const ENCODER: &str = "unet.enc";
const DECODER: &str = "unet.dec";

/// Converts a network of EDM2.
pub fn convert(mut tensors: Tensors, magnitudes: Option<Magnitudes>) -> Result<Converted, String> {
    let mut notes = Vec::new();
    let published = Edm2UnetConfig::default();
    let config = match magnitudes {
        Some(magnitudes) => magnitudes.of(published),
        None => published,
    };
    if magnitudes.is_none() {
        notes.push("balances of sums and heads of 64 channels as EDM2 publishes them".into());
    }
    let encoder: Vec<Level> = levels(&tensors, ENCODER).into_values().rev().collect();
    let decoder: Vec<Level> = levels(&tensors, DECODER).into_values().collect();
    let Some(top) = encoder.first() else { return Err("it has no encoder".into()) };
    let (size, input) = (top.resolution, top.path(ENCODER, "conv"));
    let Some(&[width, inputs, _, _]) = tensors.shape(&format!("{input}.weight")) else {
        return Err(format!("`{input}.weight` is missing, or no convolution"));
    };
    // One channel is ones.
    let channels = inputs.checked_sub(1).filter(|channels| *channels > 0);
    let channels = channels.ok_or_else(|| format!("`{input}.weight` has {inputs} inputs"))?;
    let config = network(&tensors, &encoder, Edm2UnetConfig { width, ..config })?;
    let classes = match tensors.shape("unet.emb_label.weight") {
        None => 0,
        Some(&[_, classes]) => classes,
        Some(other) => return Err(format!("`unet.emb_label.weight` is {other:?}, no matrix")),
    };
    take_embedding(&mut tensors, classes > 0)?;
    tensors.kernel(&input, "input")?;
    take_sides(&mut tensors, [&encoder, &decoder], config.head)?;
    tensors.kernel("unet.out_conv", "output")?;
    take_gain(&mut tensors, "unet.out_gain", "gain")?;
    Ok(Converted {
        network: NetworkConfig::Edm2Unet(config),
        channels,
        size: Some([size, size]),
        preconditioned: true,
        preconditioner: None,
        classes,
        has_variance: false,
        levels: None,
        latents: None,
        weights: tensors.finish()?,
        notes,
    })
}

/// Takes the blocks of the encoder and the decoder.
fn take_sides(tensors: &mut Tensors, [encoder, decoder]: [&[Level]; 2], head: usize) -> Result<(), String> {
    let mut blocks = 0;
    for level in encoder {
        for module in level.modules.iter().filter(|module| *module != "conv") {
            take_block(tensors, &level.path(ENCODER, module), &format!("down.{blocks}"), head)?;
            blocks += 1;
        }
    }
    let (mut middle, mut up) = (0, 0);
    for level in decoder {
        for module in &level.modules {
            let (name, count) = if module.starts_with("in") { ("middle", &mut middle) } else { ("up", &mut up) };
            take_block(tensors, &level.path(DECODER, module), &format!("{name}.{count}"), head)?;
            *count += 1;
        }
    }
    Ok(())
}

/// The network's configuration, with what the shapes of the tensors say.
fn network(tensors: &Tensors, encoder: &[Level], config: Edm2UnetConfig) -> Result<Edm2UnetConfig, String> {
    let width = config.width;
    if width == 0 {
        return Err("its first layer has no channels".into());
    }
    let blocks = encoder[0].blocks().count();
    let (mut multipliers, mut attention) = (Vec::new(), Vec::new());
    for level in encoder {
        let Some(last) = level.blocks().last() else { return Err(format!("no block at {}", level.resolution)) };
        let block = level.path(ENCODER, last);
        let channels = tensors.outputs(&format!("{block}.conv_res1.weight"))?;
        if channels % width != 0 || level.blocks().count() != blocks {
            return Err(format!(
                "{channels} channels at {0}x{0} are no multiple of {width}, or a block is missing",
                level.resolution
            ));
        }
        multipliers.push(channels / width);
        if tensors.has(&format!("{block}.attn_qkv.")) {
            attention.push(level.resolution);
        }
    }
    let variance = if tensors.has("logvar_fourier.") { tensors.outputs("logvar_fourier.freqs")? } else { 0 };
    Ok(Edm2UnetConfig {
        multipliers,
        blocks,
        attention,
        frequencies: tensors.outputs("unet.emb_fourier.freqs")?,
        embedding: tensors.outputs("unet.emb_noise.weight")?,
        variance,
        dropout: 0.0,
        ..config
    })
}

/// Takes the layers of the noise level, the class, and the variance of the loss.
fn take_embedding(tensors: &mut Tensors, has_classes: bool) -> Result<(), String> {
    tensors.same("unet.emb_fourier.freqs", "fourier.frequencies".into())?;
    tensors.same("unet.emb_fourier.phases", "fourier.phases".into())?;
    take_linear(tensors, "unet.emb_noise", "noise")?;
    if has_classes {
        take_linear(tensors, "unet.emb_label", "classes")?;
    }
    if tensors.has("logvar_fourier.") {
        tensors.same("logvar_fourier.freqs", "variance_fourier.frequencies".into())?;
        tensors.same("logvar_fourier.phases", "variance_fourier.phases".into())?;
        take_linear(tensors, "logvar_linear", "variance")?;
    }
    Ok(())
}

fn take_linear(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    let ([outputs, inputs], values) = tensors.matrix(&format!("{from}.weight"))?;
    tensors.put(format!("{to}.weight"), vec![inputs, outputs], transposed(&values, outputs));
    Ok(())
}

fn take_gain(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    match tensors.take(from)? {
        (_, values) if values.len() == 1 => {
            tensors.put(to.to_owned(), vec![1], values);
            Ok(())
        }
        (shape, _) => Err(format!("`{from}` is {shape:?}, no number")),
    }
}

fn take_block(tensors: &mut Tensors, from: &str, to: &str, head: usize) -> Result<(), String> {
    for name in ["conv_res0", "conv_res1", "conv_skip"] {
        // Versions that keep their filter as a tensor: it is [1, 1].
        tensors.drop(&format!("{from}.{name}.resample_filter"));
    }
    tensors.kernel(&format!("{from}.conv_res0"), &format!("{to}.conv0"))?;
    take_linear(tensors, &format!("{from}.emb_linear"), &format!("{to}.embedding"))?;
    take_gain(tensors, &format!("{from}.emb_gain"), &format!("{to}.gain"))?;
    tensors.kernel(&format!("{from}.conv_res1"), &format!("{to}.conv1"))?;
    if tensors.has(&format!("{from}.conv_skip.")) {
        tensors.kernel(&format!("{from}.conv_skip"), &format!("{to}.skip"))?;
    }
    if tensors.has(&format!("{from}.attn_qkv.")) {
        take_qkv(tensors, &format!("{from}.attn_qkv.weight"), &format!("{to}.qkv.weight"), head)?;
        tensors.kernel(&format!("{from}.attn_proj"), &format!("{to}.project"))?;
    }
    Ok(())
}

/// Queries, keys and values: there they take turns for each channel of a head, here they stand one after another.
fn take_qkv(tensors: &mut Tensors, from: &str, to: &str, head: usize) -> Result<(), String> {
    let (shape, weight) = tensors.take(from)?;
    let (outputs, inputs) = match shape[..] {
        [outputs, inputs, 1, 1] if outputs % 3 == 0 && head > 0 && (outputs / 3) % head == 0 => (outputs, inputs),
        _ => return Err(format!("`{from}` is {shape:?}: no whole number of heads of {head}")),
    };
    let channels = outputs / 3;
    let place = |output: usize| {
        let (which, channel) = (output / channels, output % channels);
        3 * head * (channel / head) + 3 * (channel % head) + which
    };
    let weight = transposed(&weight, outputs);
    let rows = weight.chunks_exact(outputs).flat_map(|row| (0..outputs).map(|output| row[place(output)])).collect();
    tensors.put(to.to_owned(), vec![1, 1, inputs, outputs], rows);
    Ok(())
}
