//! Layout of values and tensor storages in each file format.

use crate::{
    TorchError,
    build::Builder,
    file::value::{Id, Node},
    pickle,
    source::Span,
    storages::{Place, Storages},
    zipped::{Archive, Entry},
};

/// First number in a stream of `torch.save`, in decimals.
const MAGIC: &str = "119547037146038801333356";
const PROTOCOL: i64 = 1001;

/// File format of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Zip archive, as `torch.save` writes since PyTorch 1.6.
    Zip,
    /// Stream of pickles, as older versions wrote.
    Legacy,
    /// Plain pickle, not written by `torch.save`.
    Pickle,
    /// A safetensors file: a dictionary of tensors.
    Safetensors,
}

/// Reads a checkpoint of any format. Returns its value and its format.
pub fn read(build: &mut Builder, span: Span) -> Result<(Id, Format), TorchError> {
    let mut start = [0; 8];
    let known = span.len().min(8) as usize;
    span.read_at(0, &mut start[..known])?;
    let start = &start[..known];
    build.nested += 1;
    let read = if start.starts_with(b"PK\x03\x04") { zip(build, &span) } else { stream(build, &span, start) };
    build.nested -= 1;
    read
}

fn zip(build: &mut Builder, span: &Span) -> Result<(Id, Format), TorchError> {
    let mut archive = Archive::new(span.clone())?;
    if archive.entry("constants.pkl")?.is_some() {
        return Err(span.malformed("a TorchScript program; save the module's state_dict() with torch.save instead"));
    }
    if let Some(entry) = archive.entry("byteorder")? {
        if entry.len() > 16 {
            return Err(span.malformed("a byte order of more than 16 bytes"));
        }
        let order = entry.open()?;
        if order.to_vec()? != b"little" {
            return Err(span.malformed("saved on a big-endian machine, which is not supported"));
        }
    }
    let Some(entry) = archive.entry("data.pkl")? else { return Err(span.malformed("a zip without data.pkl")) };
    build.expand(entry.inflated())?;
    let data = entry.open()?;
    build.allow(data.len());
    let (value, _) = pickle::read(build, &mut Storages::new(Place::Zip(archive)), &data, 0)?;
    Ok((value, Format::Zip))
}

/// Reads a plain pickle, or a stream of pickles followed by the storages.
fn stream(build: &mut Builder, span: &Span, start: &[u8]) -> Result<(Id, Format), TorchError> {
    build.allow(span.len());
    let mut nowhere = Storages::new(Place::Nowhere);
    let (value, end) = match pickle::read(build, &mut nowhere, span, 0) {
        Err(TorchError::Malformed { .. }) if start.first() != Some(&0x80) => {
            let problem = "not a checkpoint known here (torch.save's zip or its stream, or a pickle)";
            return Err(span.malformed(problem));
        }
        read => read?,
    };
    if !matches!(build.node(value), Node::BigInt(magic) if magic == MAGIC) {
        return Ok((value, Format::Pickle));
    }
    let (protocol, end) = pickle::read(build, &mut nowhere, span, end)?;
    if !matches!(build.node(protocol), Node::Int(PROTOCOL)) {
        return Err(span.malformed("an unknown protocol of torch.save"));
    }
    let (system, end) = pickle::read(build, &mut nowhere, span, end)?;
    if !is_little_endian(build, system) {
        return Err(span.malformed("saved on a big-endian machine, which is not supported"));
    }
    let mut storages = Storages::new(Place::After);
    let (value, end) = pickle::read(build, &mut storages, span, end)?;
    let (keys, end) = pickle::read(build, &mut nowhere, span, end)?;
    place_storages(build, &storages, span, keys, end)?;
    Ok((value, Format::Legacy))
}

fn is_little_endian(build: &Builder, system: Id) -> bool {
    let Node::Dict(entries) = build.node(system) else { return false };
    let entry = entries.iter().find(|(key, _)| build.str(*key) == Some("little_endian"));
    entry.is_some_and(|(_, value)| matches!(build.node(*value), Node::Bool(true)))
}

/// Locates the storages at the end of a stream: for each key the number of elements, then the elements.
fn place_storages(
    build: &mut Builder,
    storages: &Storages,
    span: &Span,
    keys: Id,
    start: u64,
) -> Result<(), TorchError> {
    let Node::List(keys) = build.node(keys) else { return Err(span.malformed("the list of storages is no list")) };
    let mut position = start;
    let mut placed = Vec::new();
    for &key in keys {
        let Some((key, &number)) = build.str(key).and_then(|key| storages.known.get_key_value(key)) else {
            return Err(span.malformed("lists a storage that no tensor has"));
        };
        let storage = &build.storages[number];
        let mut count = [0; 8];
        span.read_at(position, &mut count)?;
        let bytes = u64::from_le_bytes(count).checked_mul(storage.dtype.size() as u64);
        if bytes != Some(storage.bytes) {
            let problem = format!("storage {key} does not have the {} bytes that are due", storage.bytes);
            return Err(span.malformed(problem));
        }
        let Some(data) = span.part(position + 8, storage.bytes) else {
            return Err(span.malformed(format!("storage {key} is cut off")));
        };
        position += 8 + storage.bytes;
        placed.push((number, data));
    }
    for (number, data) in placed {
        build.storages[number].data = Some(Entry::stored(data));
    }
    match storages.known.iter().find(|&(_, &number)| build.storages[number].data.is_none()) {
        Some((key, _)) => Err(span.malformed(format!("lacks the numbers of storage {key}"))),
        None => Ok(()),
    }
}
