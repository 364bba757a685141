//! `pfgm export`

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow};
use pfgm::{
    bundled,
    checkpoint::{Checkpoint, Group},
    import::released_names,
    weights::{self, Weight},
};
use safetensors::{Dtype, tensor::TensorView};

use crate::{
    args::{ExportArgs, ExportNames},
    render::{self, display, line},
};

/// Writes a checkpoint of averaged weights alone.
fn write_run(args: &ExportArgs, checkpoint: &Checkpoint) -> Result<()> {
    let average: Vec<Weight> = checkpoint.group(Group::Average).values().cloned().collect();
    let count = average.len();
    let checkpoint = Checkpoint::new(checkpoint.step, checkpoint.record.clone(), [(Group::Average, average)]);
    render::write_by(&args.out, |path| Ok(checkpoint.write(path)?))?;
    line(format!("{count} averaged weights: {}", display(&args.out)));
    Ok(())
}

pub fn run(args: &ExportArgs) -> Result<()> {
    render::check_writable(&args.out)?;
    let checkpoint = bundled::open(&args.run)?;
    let average = checkpoint.group(Group::Average);
    let weights: Vec<Weight> = match args.names {
        ExportNames::Run => return write_run(args, &checkpoint),
        ExportNames::Own => {
            let device = pfgm::device::open("cpu")?;
            let names = weights::names_and_shapes(&checkpoint.record.network(&device)?);
            let find =
                |(name, _): &(String, _)| average.get(name).cloned().with_context(|| format!("`{name}` is missing"));
            names.iter().map(find).collect::<Result<_>>()?
        }
        ExportNames::Pfgm => released_names(&checkpoint.record.config.network, average)
            .map_err(|problem| anyhow!("{}: {problem}", args.run.display()))?,
    };
    let bytes: Vec<Vec<u8>> =
        weights.iter().map(|weight| weight.values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let view = |(weight, bytes)| -> Result<(String, TensorView)> {
        let weight: &Weight = weight;
        let bytes: &Vec<u8> = bytes;
        Ok((weight.name.clone(), TensorView::new(Dtype::F32, weight.shape.clone(), bytes)?))
    };
    let views: Vec<_> = weights.iter().zip(&bytes).map(view).collect::<Result<_>>()?;
    let record = serde_json::to_string(&checkpoint.record).context("the record")?;
    let metadata = HashMap::from([("pfgm".to_owned(), record), ("step".to_owned(), checkpoint.step.to_string())]);
    let file = safetensors::serialize(views, Some(metadata)).context("the weights")?;
    render::write(&args.out, &file)?;
    line(format!("{} averaged weights: {}", weights.len(), display(&args.out)));
    Ok(())
}
