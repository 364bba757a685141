//! `pfgm export`

use anyhow::Result;
use pfgm::{Model, model::WeightNames};

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
    let names = match args.names {
        ExportNames::Run => WeightNames::Checkpoint,
        ExportNames::Own => WeightNames::Own,
        ExportNames::Pfgm => WeightNames::Pfgm,
    };
    render::write_by(&args.out, |path| Ok(model.export(path, names)?))?;
    line(format!("{} averaged weights: {}", model.weights(), display(&args.out)));
    Ok(())
}
