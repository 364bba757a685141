//! Weights and a header as a safetensors file.

use std::{
    collections::HashMap,
    io::{self, BufWriter, Write},
};

use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};

use crate::weights::Weight;

/// The header's length is padded to a multiple of this many bytes.
const ALIGNMENT: usize = 8;

/// Writes named weights and the `pfgm` entry of the metadata, one weight after another, so that no second copy of them is in memory.
///
/// # Errors
/// Returns the error of `out`, or an error if two weights have the same name.
pub(super) fn write(out: &mut impl Write, header: String, mut weights: Vec<(String, &Weight)>) -> io::Result<()> {
    weights.sort_by(|a, b| a.0.cmp(&b.0));
    let mut end = 0;
    let infos = weights.iter().map(|(name, weight)| {
        let start = end;
        end += size_of_val(weight.values.as_slice());
        (name.clone(), TensorInfo { dtype: Dtype::F32, shape: weight.shape.clone(), data_offsets: (start, end) })
    });
    let entries = HashMap::from([("pfgm".to_owned(), header)]);
    let metadata = Metadata::new(Some(entries), infos.collect()).map_err(io::Error::other)?;
    let mut text = serde_json::to_vec(&metadata)?;
    text.resize(text.len().next_multiple_of(ALIGNMENT), b' ');
    let mut out = BufWriter::with_capacity(1 << 20, out);
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(&text)?;
    for (_, weight) in weights {
        for value in &weight.values {
            out.write_all(&value.to_le_bytes())?;
        }
    }
    out.flush()
}
