//! Networks of score-based models and of PFGM: a list of numbered modules without names.

use super::{Converted, tensors::Tensors};
use crate::network::{LevelEmbedding, NetworkConfig, ScoreUnetConfig};

/// Type of a module in the list, from the names of its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Module {
    Frequencies,
    Linear,
    Conv,
    /// A residual block and its channels; `resized` if it halves or doubles.
    Block {
        inputs: usize,
        outputs: usize,
        resized: bool,
    },
    Attention,
    Rung,
    Norm,
}

fn name(index: usize) -> String {
    format!("all_modules.{index}")
}

/// The modules in order.
fn modules(tensors: &Tensors) -> Result<Vec<Module>, String> {
    let mut modules = Vec::new();
    loop {
        let name = name(modules.len());
        if !tensors.has(&format!("{name}.")) {
            return Ok(modules);
        }
        let shape = |part: &str| tensors.shape(&format!("{name}.{part}"));
        let module = match (shape("Conv_0.weight"), shape("weight")) {
            (Some([outputs, inputs, _, _]), _) => {
                // A block with equal input and output channels has a skip convolution only if it resamples.
                let resized = inputs == outputs && shape("Conv_2.weight").is_some();
                Module::Block { inputs: *inputs, outputs: *outputs, resized }
            }
            (None, Some([_, _])) => Module::Linear,
            (None, Some([_, _, _, _])) => Module::Conv,
            (None, Some([_])) => Module::Norm,
            _ if shape("W").is_some() => Module::Frequencies,
            _ if shape("NIN_0.W").is_some() => Module::Attention,
            _ if shape("Conv2d_0.weight").is_some() => Module::Rung,
            _ => return Err(format!("`{name}` is no module of DDPM++ or NCSN++ (BigGAN blocks, no other pyramids)")),
        };
        modules.push(module);
    }
}

/// Start of each part of the list.
struct Sections {
    /// The input convolution, after the layers of the noise level.
    input: usize,
    /// The two blocks at the bottom, with attention between them.
    middle: usize,
    up: usize,
    /// The output convolution, after a norm.
    output: usize,
}

impl Sections {
    fn find(modules: &[Module]) -> Result<Self, String> {
        let head = usize::from(modules.first() == Some(&Module::Frequencies));
        let expected = [Module::Linear, Module::Linear, Module::Conv];
        if modules.get(head..head + 3) != Some(&expected[..]) {
            return Err("it does not begin with the layers of a noise level and a convolution".into());
        }
        let (input, output) = (head + 2, modules.len() - 1);
        if modules[output - 1..] != [Module::Norm, Module::Conv] {
            return Err("it does not end with a norm and a convolution".into());
        }
        // The way up starts with the first block that concatenates a stored image, after two blocks and attention.
        let joins = |module: &Module| matches!(module, Module::Block { inputs, outputs, .. } if inputs > outputs);
        let up = modules.iter().position(joins).ok_or("no block joins what the way down stored")?;
        let middle = up.checked_sub(3).filter(|&at| at > input).ok_or("the way down is missing")?;
        Ok(Self { input, middle, up, output })
    }
}

/// One level of the way down.
#[derive(Clone, Copy, Default)]
struct Level {
    blocks: usize,
    multiplier: usize,
    attends: bool,
}

/// Returns the levels of the way down, and whether it has an input pyramid.
fn levels(way_down: &[Module], width: usize) -> Result<(Vec<Level>, bool), String> {
    let (mut levels, mut level, mut pyramid) = (Vec::new(), Level::default(), false);
    for module in way_down {
        match *module {
            Module::Block { resized: true, .. } => levels.push(std::mem::take(&mut level)),
            Module::Block { outputs, .. } => {
                level = Level { blocks: level.blocks + 1, multiplier: outputs / width.max(1), ..level };
            }
            Module::Attention => level.attends = true,
            Module::Rung => pyramid = true,
            module => return Err(format!("{module:?} on the way down is not understood")),
        }
    }
    levels.push(level);
    if levels[0].blocks == 0 || levels.iter().any(|level| level.blocks != levels[0].blocks) {
        return Err("its levels have different numbers of blocks".into());
    }
    Ok((levels, pyramid))
}

/// Converts a network of PFGM, VE, VP or sub-VP.
pub fn convert(mut tensors: Tensors) -> Result<Converted, String> {
    let modules = modules(&tensors)?;
    let sections = Sections::find(&modules)?;
    let shape = |index: usize| tensors.shape(&format!("{}.weight", name(index))).unwrap_or_default();
    let [width, channels, _, _] = *shape(sections.input) else { return Err("the first convolution is none".into()) };
    let radial = match *shape(sections.output).first().unwrap_or(&0) {
        outputs if outputs == channels => false,
        outputs if outputs == channels + 1 => true,
        outputs => return Err(format!("{outputs} channels come out where {channels} go in")),
    };
    let (levels, pyramid) = levels(&modules[sections.input + 1..sections.middle], width)?;
    let mut notes = Vec::new();
    if !pyramid {
        notes.push("images are resampled by 2x2 boxes, as DDPM++ is published".into());
    }
    let fourier = modules[0] == Module::Frequencies;
    let config = ScoreUnetConfig {
        width,
        multipliers: levels.iter().map(|level| level.multiplier).collect(),
        blocks: levels[0].blocks,
        // Levels for now; heights once the size of the image is known.
        attention: (0..levels.len()).filter(|&level| levels[level].attends).collect(),
        dropout: 0.1,
        embedding: if fourier { LevelEmbedding::Fourier } else { LevelEmbedding::Positional },
        fourier_scale: 16.0,
        fir: pyramid,
        pyramid,
        radial,
    };
    take(&mut tensors, &modules, &sections)?;
    Ok(Converted {
        network: NetworkConfig::ScoreUnet(config),
        channels,
        size: None,
        preconditioned: false,
        preconditioner: None,
        classes: 0,
        has_variance: false,
        levels: None,
        latents: None,
        weights: tensors.finish()?,
        notes,
    })
}

/// Renames every tensor.
fn take(tensors: &mut Tensors, modules: &[Module], sections: &Sections) -> Result<(), String> {
    let Sections { input, middle, up, output } = *sections;
    tensors.drop("sigmas");
    if modules[0] == Module::Frequencies {
        tensors.same("all_modules.0.W", "frequencies".into())?;
    }
    tensors.linear(&name(input - 2), "first")?;
    tensors.linear(&name(input - 1), "second")?;
    tensors.conv(&name(input), "input")?;
    let (mut block_count, mut rungs) = (0_usize, 0);
    for (index, module) in modules.iter().enumerate().take(middle).skip(input + 1) {
        match module {
            Module::Attention => {
                attention(tensors, &name(index), &format!("down.{}.attention", block_count.saturating_sub(1)))?
            }
            Module::Rung => {
                tensors.conv(&format!("{}.Conv2d_0", name(index)), &format!("pyramid.{rungs}"))?;
                rungs += 1;
            }
            _ => {
                block(tensors, &name(index), &format!("down.{block_count}"))?;
                block_count += 1;
            }
        }
    }
    block(tensors, &name(middle), "middle.0")?;
    attention(tensors, &name(middle + 1), "middle_attention")?;
    block(tensors, &name(middle + 2), "middle.1")?;
    let mut block_count = 0_usize;
    for (index, module) in modules.iter().enumerate().take(output - 1).skip(up) {
        if *module == Module::Attention {
            attention(tensors, &name(index), &format!("up.{}.attention", block_count.saturating_sub(1)))?;
        } else {
            block(tensors, &name(index), &format!("up.{block_count}"))?;
            block_count += 1;
        }
    }
    tensors.norm(&name(output - 1), "norm")?;
    tensors.conv(&name(output), "output")
}

fn block(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    tensors.norm(&format!("{from}.GroupNorm_0"), &format!("{to}.norm0"))?;
    tensors.conv(&format!("{from}.Conv_0"), &format!("{to}.conv0"))?;
    tensors.linear(&format!("{from}.Dense_0"), &format!("{to}.embedding"))?;
    tensors.norm(&format!("{from}.GroupNorm_1"), &format!("{to}.norm1"))?;
    tensors.conv(&format!("{from}.Conv_1"), &format!("{to}.conv1"))?;
    if tensors.has(&format!("{from}.Conv_2.")) {
        tensors.conv(&format!("{from}.Conv_2"), &format!("{to}.skip"))?;
    }
    Ok(())
}

/// Combines the three matrices for queries, keys and values into one convolution.
fn attention(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    tensors.norm(&format!("{from}.GroupNorm_0"), &format!("{to}.norm"))?;
    let (mut weights, mut bias) = (Vec::new(), Vec::new());
    for part in 0..3 {
        let (shape, values) = tensors.take(&format!("{from}.NIN_{part}.W"))?;
        let [_, outputs] = shape[..] else { return Err(format!("`{from}.NIN_{part}.W` is no matrix")) };
        weights.push((outputs, values));
        bias.extend(tensors.take(&format!("{from}.NIN_{part}.b"))?.1);
    }
    let inputs = weights[0].1.len() / weights[0].0;
    let row = |input: usize| weights.iter().flat_map(move |(outputs, values)| &values[input * outputs..][..*outputs]);
    let joined: Vec<f32> = (0..inputs).flat_map(row).copied().collect();
    tensors.put(format!("{to}.qkv.weight"), vec![1, 1, inputs, bias.len()], joined);
    let outputs = bias.len();
    tensors.put(format!("{to}.qkv.bias"), vec![outputs], bias);
    let (shape, values) = tensors.take(&format!("{from}.NIN_3.W"))?;
    let [inputs, outputs] = shape[..] else { return Err(format!("`{from}.NIN_3.W` is no matrix")) };
    tensors.put(format!("{to}.project.weight"), vec![1, 1, inputs, outputs], values);
    tensors.same(&format!("{from}.NIN_3.b"), format!("{to}.project.bias"))
}
