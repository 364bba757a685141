//! safetensors: a JSON header with the position of each tensor, followed by the elements.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::{
    DType, TorchError,
    build::Builder,
    file::value::{Id, Node},
    limits,
    source::Span,
};

/// Metadata of a file.
pub type Metadata = BTreeMap<String, String>;

/// Bytes before the header: its length.
const PREFIX: u64 = 8;

/// Whether a file of this length starts like a safetensors file: with the length of its header and the brace of a JSON object.
pub fn starts_one(span: &Span) -> Result<bool, TorchError> {
    let mut start = [0; 9];
    if span.len() < PREFIX + 2 {
        return Ok(false);
    }
    span.read_at(0, &mut start)?;
    Ok(start[8] == b'{' && header_length(&start) <= span.len() - PREFIX)
}

fn header_length(start: &[u8; 9]) -> u64 {
    let [a, b, c, d, e, f, g, h, _] = *start;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Reads a file. Returns a dictionary of its tensors in the order of their positions, and the metadata.
pub fn read(build: &mut Builder, span: &Span) -> Result<(Id, Metadata), TorchError> {
    let mut start = [0; 9];
    span.read_at(0, &mut start)?;
    let length = header_length(&start);
    if length > limits::HEADER {
        return Err(span.too_much(format!("a header of {length} bytes")));
    }
    let part = |start: u64, len: u64| span.part(start, len).ok_or_else(|| span.malformed("is cut off"));
    let text = part(PREFIX, length)?.to_vec()?;
    let header: Map<String, Json> =
        serde_json::from_slice(&text).map_err(|error| span.malformed(format!("its header: {error}")))?;
    let numbers = part(PREFIX + length, span.len() - PREFIX - length)?;
    build.allow(length);
    let (mut entries, mut metadata) = (Vec::new(), Metadata::new());
    for (name, value) in header {
        if name == "__metadata__" {
            let texts = value.as_object().into_iter().flatten();
            metadata.extend(texts.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))));
            continue;
        }
        let entry = Entry::parse(&value).map_err(|problem| span.malformed(format!("its tensor `{name}` {problem}")))?;
        entries.push((name, entry));
    }
    entries.sort_by_key(|(_, entry)| entry.start);
    let mut pairs = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let Some(data) = numbers.part(entry.start, entry.bytes) else {
            return Err(span.malformed(format!("its tensor `{name}` is cut off")));
        };
        let key = build.add(Node::Str(name))?;
        pairs.push((key, build.array(entry.dtype, entry.shape, false, data)?));
    }
    Ok((build.add(Node::Dict(pairs))?, metadata))
}

/// Position of a tensor.
struct Entry {
    dtype: DType,
    shape: Vec<usize>,
    /// The first byte, counted from the end of the header.
    start: u64,
    bytes: u64,
}

impl Entry {
    fn parse(value: &Json) -> Result<Self, String> {
        let name = value.get("dtype").and_then(Json::as_str).ok_or("has no type")?;
        let dtype = DType::of_safetensors(name).ok_or_else(|| format!("is of type {name}, which is not supported"))?;
        let numbers = |key: &str| {
            let items = value.get(key)?.as_array()?;
            items.iter().map(Json::as_u64).collect::<Option<Vec<u64>>>()
        };
        let shape = numbers("shape").ok_or("has no shape")?;
        if shape.len() > limits::DIMENSIONS {
            return Err(format!("has {} dimensions", shape.len()));
        }
        let Some([start, end]) = numbers("data_offsets").and_then(|offsets| <[u64; 2]>::try_from(offsets).ok()) else {
            return Err("has no place".into());
        };
        let wanted = shape.iter().try_fold(dtype.size() as u64, |all, &size| all.checked_mul(size));
        let bytes = end.checked_sub(start);
        let (Some(bytes), true) = (bytes, bytes == wanted) else {
            return Err(format!("does not have the bytes of its shape {shape:?}"));
        };
        Ok(Self { dtype, shape: shape.into_iter().map(|size| size as usize).collect(), start, bytes })
    }
}
