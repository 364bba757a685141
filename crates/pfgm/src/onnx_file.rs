//! Files of ONNX: a graph, with a second file if its weights are too many for one.

use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{
    autoencoder::{Autoencoder, AutoencoderPart},
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

impl Autoencoder {
    /// Writes half of the autoencoder as a graph of ONNX (opset 18), in single precision, for any batch size, height and width. Images are in
    /// [-1, 1], latents as flows have them ([`Autoencoder::scaled`]). The encoder is `mean, std = (image)`, whose sides the factor must divide;
    /// the decoder is `image = (latents)`. There are no tiles. Returns the paths of the files, as
    /// [`Model::export_onnx`](crate::Model::export_onnx) does.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn export_onnx(&self, path: impl AsRef<Path>, part: AutoencoderPart) -> Result<Vec<PathBuf>> {
        let (graph, name) = match part {
            AutoencoderPart::Encoder => (self.encoder_graph(), "encoder"),
            AutoencoderPart::Decoder => (self.decoder_graph(), "decoder"),
        };
        let metadata = [("factor", self.factor().to_string())];
        write(path.as_ref(), &graph, name, &metadata, MOST_BYTES)
    }
}
