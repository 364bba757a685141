//! Files of ONNX: a graph, with a second file if its weights are too many for one.

use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    network::onnx::Graph,
};

/// Most bytes of weights in one file of ONNX, whose format allows 2^31 in all.
pub(crate) const MOST_BYTES: usize = 2_000_000_000;

/// Writes a graph. If it has more than `most_bytes` of weights, they are written to `NAME.data` in the folder of `NAME`. Returns the paths of the
/// files.
pub(crate) fn write(
    path: &Path,
    graph: &Graph,
    name: &str,
    metadata: &[(&str, String)],
    most_bytes: usize,
) -> Result<Vec<PathBuf>> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| Error::io(&path, error)
    };
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let weights = (graph.weight_bytes() > most_bytes).then(|| format!("{file_name}.data"));
    let mut written = vec![path.to_owned()];
    if let Some(weights) = &weights {
        let file = path.with_file_name(weights);
        let write = |file: &mut std::fs::File| graph.write_weights(file);
        pfgm_data::atomic::write_with(&file, write).map_err(failed(&file))?;
        written.push(file);
    }
    pfgm_data::atomic::write_with(path, |file| {
        let mut out = BufWriter::new(file);
        graph.write(name, metadata, weights.as_deref(), &mut out)?;
        out.flush()
    })
    .map_err(failed(path))?;
    Ok(written)
}
