//! `pfgm export`

use std::path::PathBuf;

use anyhow::{Result, bail};
use pfgm::{Model, autoencoder::AutoencoderPart, model::WeightNames, network::onnx::OPSET};

use crate::{
    args::{ExportArgs, ExportFormat, ExportNames, ExportPart},
    render::{self, display, line},
};

pub fn run(args: &ExportArgs) -> Result<()> {
    if args.part != ExportPart::Flow && args.format != ExportFormat::Onnx {
        bail!("--part: only ONNX has parts; add --format onnx, or omit it");
    }
    if args.format == ExportFormat::Diffusers {
        let model = Model::load(&args.run)?;
        model.export_diffusers(&args.out)?;
        line(format!("{} averaged weights: {}", model.weights(), display(&args.out)));
        return Ok(());
    }
    render::check_writable(&args.out)?;
    let model = Model::load(&args.run)?;
    if args.format == ExportFormat::Onnx {
        return onnx(&model, args);
    }
    let names = match args.names {
        ExportNames::Run => WeightNames::Checkpoint,
        ExportNames::Own => WeightNames::Own,
        ExportNames::Pfgm => WeightNames::Pfgm,
    };
    render::write_by(&args.out, |path| Ok(model.export(path, names)?))?;
    line(format!("{} averaged weights: {}", model.weights(), display(&args.out)));
    Ok(())
}

fn onnx(model: &Model, args: &ExportArgs) -> Result<()> {
    let part = match args.part {
        ExportPart::Flow => return flow(model, args),
        ExportPart::Encoder => AutoencoderPart::Encoder,
        ExportPart::Decoder => AutoencoderPart::Decoder,
    };
    let written = model.export_autoencoder(&args.out, part)?;
    let signature = if part == AutoencoderPart::Encoder { "mean, std = (image)" } else { "image = (latents)" };
    line(format!("{signature}, opset {OPSET}: {}", display(&args.out)));
    weights(&written);
    Ok(())
}

fn flow(model: &Model, args: &ExportArgs) -> Result<()> {
    let (written, spec) = (model.export_onnx(&args.out)?, model.spec());
    let mut inputs = vec!["x", "sigma"];
    if !model.classes().is_empty() {
        inputs.push("labels");
    }
    if spec.config.upscale.is_some() {
        inputs.extend(["low_resolution", "low_resolution_noise"]);
    }
    let signature = format!("{}({})", spec.graph_output(), inputs.join(", "));
    line(format!("{signature}, opset {OPSET}, {} averaged weights: {}", model.weights(), display(&args.out)));
    weights(&written);
    if spec.config.data.autoencoder.is_some() {
        line("note       the flow is one of latents; --part encoder and --part decoder write its autoencoder");
    }
    Ok(())
}

/// Prints the file of the weights, if there is one.
fn weights(written: &[PathBuf]) {
    for weights in written.iter().skip(1) {
        line(format!("its weights, to be kept in the same folder: {}", display(weights)));
    }
}
