//! `pfgm export`

use anyhow::Result;
use pfgm::{Model, model::WeightNames, network::onnx::OPSET};

use crate::{
    args::{ExportArgs, ExportFormat, ExportNames},
    render::{self, display, line},
};

pub fn run(args: &ExportArgs) -> Result<()> {
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
    let written = model.export_onnx(&args.out)?;
    let inputs = if model.classes().is_empty() { "x, sigma" } else { "x, sigma, labels" };
    line(format!("yhat({inputs}), opset {OPSET}, {} averaged weights: {}", model.weights(), display(&args.out)));
    for weights in written.iter().skip(1) {
        line(format!("its weights, to be kept in the same folder: {}", display(weights)));
    }
    Ok(())
}
