//! NCSNv2 in the layout of its authors' code: numbered levels and refinements.

use super::{Converted, tensors::Tensors};
use crate::network::{Ncsnv2Config, NetworkConfig};

/// The levels in order, with their published names; only networks for 256 pixels have the one between the third and the fourth.
const LEVELS: [&str; 6] = ["1", "2", "3", "31", "4", "5"];

/// A network for images below 96, up to 128 or up to 256 pixels.
pub fn convert(mut tensors: Tensors) -> Result<Converted, String> {
    let Some(&[width, channels, _, _]) = tensors.shape("begin_conv.weight") else {
        return Err("`begin_conv.weight` is no convolution".into());
    };
    let radial = match tensors.outputs("end_conv.weight")? {
        outputs if outputs == channels => false,
        outputs if outputs == channels + 1 => true,
        outputs => return Err(format!("{outputs} channels come out where {channels} go in")),
    };
    let levels: Vec<&str> = LEVELS.into_iter().filter(|level| tensors.has(&format!("res{level}."))).collect();
    let multiplier = |level: &&str| {
        // The name of the second convolution of a block has one more part if the block downsamples.
        let inner = ["", ".conv", ".conv.1"].map(|inner| format!("res{level}.1.conv1{inner}.weight"));
        let found = inner.iter().find_map(|name| tensors.outputs(name).ok());
        found.map(|outputs| outputs / width).ok_or_else(|| format!("`{}` is missing, or no layer", inner[0]))
    };
    let multipliers = levels.iter().map(multiplier).collect::<Result<Vec<usize>, _>>()?;
    tensors.drop("sigmas");
    tensors.conv("begin_conv", "input")?;
    for (index, level) in levels.iter().enumerate() {
        for block in 0..2 {
            residual(&mut tensors, &format!("res{level}.{block}"), &format!("down.{}", 2 * index + block))?;
        }
    }
    // Refinements are numbered from the smallest level up; the additional level has an additional refinement with its name.
    let refinements = LEVELS.into_iter().filter(|level| tensors.has(&format!("refine{level}."))).collect::<Vec<_>>();
    let place = |name: &&str| if *name == "31" { 5 } else { 2 * name.parse::<usize>().unwrap_or(0) };
    let mut refinements = refinements;
    refinements.sort_by_key(place);
    if refinements.len() != levels.len() {
        return Err(format!("it has {} refinements for {} levels", refinements.len(), levels.len()));
    }
    for (index, name) in refinements.iter().enumerate() {
        refine(&mut tensors, &format!("refine{name}"), &format!("up.{index}"))?;
    }
    norm(&mut tensors, "normalizer", "norm")?;
    tensors.conv("end_conv", "output")?;
    let weights = tensors.finish()?;
    let network = NetworkConfig::Ncsnv2(Ncsnv2Config { width, multipliers, radial });
    let notes = vec!["activations are ELU and pools take the largest pixel, as published".into()];
    Ok(Converted {
        network,
        channels,
        size: None,
        preconditioned: false,
        preconditioner: None,
        classes: 0,
        has_variance: false,
        levels: None,
        latents: None,
        weights,
        notes,
    })
}

fn norm(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    ["alpha", "gamma", "beta"]
        .into_iter()
        .try_for_each(|part| tensors.same(&format!("{from}.{part}"), format!("{to}.{part}")))
}

/// The names of convolutions before average pooling have one more part, or two if images of 28 pixels are padded.
fn conv(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    let inner = ["", ".conv", ".conv.1"].into_iter().map(|inner| format!("{from}{inner}"));
    let found = inner.into_iter().find(|name| tensors.shape(&format!("{name}.weight")).is_some());
    tensors.conv(&found.ok_or_else(|| format!("`{from}.weight` is missing"))?, to)
}

fn residual(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    norm(tensors, &format!("{from}.normalize1"), &format!("{to}.norm0"))?;
    conv(tensors, &format!("{from}.conv1"), &format!("{to}.conv0"))?;
    norm(tensors, &format!("{from}.normalize2"), &format!("{to}.norm1"))?;
    conv(tensors, &format!("{from}.conv2"), &format!("{to}.conv1"))?;
    if tensors.has(&format!("{from}.shortcut.")) {
        conv(tensors, &format!("{from}.shortcut"), &format!("{to}.skip"))?;
    }
    Ok(())
}

/// The convolutions `1_1_conv`, `1_2_conv`, `2_1_conv` ... of a chain of residuals.
fn residuals(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    let mut count = 0;
    while tensors.has(&format!("{from}.{}_{}_conv.", count / 2 + 1, count % 2 + 1)) {
        tensors.kernel(&format!("{from}.{}_{}_conv", count / 2 + 1, count % 2 + 1), &format!("{to}.convs.{count}"))?;
        count += 1;
    }
    Ok(())
}

fn refine(tensors: &mut Tensors, from: &str, to: &str) -> Result<(), String> {
    for image in 0..2 {
        if tensors.has(&format!("{from}.adapt_convs.{image}.")) {
            residuals(tensors, &format!("{from}.adapt_convs.{image}"), &format!("{to}.adapt.{image}"))?;
        }
        if tensors.has(&format!("{from}.msf.convs.{image}.")) {
            tensors.conv(&format!("{from}.msf.convs.{image}"), &format!("{to}.fuse.{image}"))?;
        }
        tensors.kernel(&format!("{from}.crp.convs.{image}"), &format!("{to}.pool.{image}"))?;
    }
    residuals(tensors, &format!("{from}.output_convs"), &format!("{to}.out"))
}
