//! Layout of values and tensor storages in each file format.

use std::collections::HashMap;

use crate::{
    DType, Format, TorchError,
    build::Builder,
    pickle,
    source::Span,
    tensor::Storage,
    value::{Id, Node},
    zipped::{Archive, Entry},
};

/// First number in a stream of `torch.save`, in decimals.
const MAGIC: &str = "119547037146038801333356";
const PROTOCOL: i64 = 1001;

/// Location of the storages that a pickle refers to.
pub struct Storages {
    place: Place,
    /// Indices of the storages that were referred to, by their keys.
    known: HashMap<String, usize>,
}

enum Place {
    /// No storages outside the pickle, for plain pickles.
    Nowhere,
    /// In the stream, after the pickle.
    After,
    Zip(Archive),
}

impl Storages {
    fn new(place: Place) -> Self {
        Self { place, known: HashMap::new() }
    }

    /// Meaning of a persistent id: a storage or, in old files, the class of a module.
    pub fn persistent(&mut self, build: &mut Builder, id: Id) -> Result<Id, TorchError> {
        let malformed = |build: &Builder, problem: &str| build.span.malformed(problem);
        if matches!(self.place, Place::Nowhere) {
            return Err(malformed(build, "a plain pickle that refers to storages outside of it"));
        }
        let items = build.sequence(id).unwrap_or_default();
        let kind = items.first().and_then(|&kind| build.str(kind));
        let (class, key, count, view) = match (kind, items) {
            (Some("module"), &[_, class, ..]) => return Ok(class),
            (Some("storage"), &[_, class, key, _, count]) => (class, key, count, None),
            (Some("storage"), &[_, class, key, _, count, view]) => (class, key, count, Some(view)),
            _ => return Err(malformed(build, "a persistent id that names no storage")),
        };
        let Node::Class(class) = build.node(class) else {
            return Err(malformed(build, "a storage without a type"));
        };
        let Some(dtype) = DType::of_storage(class) else {
            let problem = format!("a storage of type {class}, which is not supported");
            return Err(malformed(build, &problem));
        };
        let (Some(key), Node::Int(count)) = (build.str(key), build.node(count)) else {
            return Err(malformed(build, "a storage without a key or size"));
        };
        let key = key.to_owned();
        let count = usize::try_from(*count).ok();
        let bytes = count.and_then(|count| count.checked_mul(dtype.size()));
        let (Some(count), Some(bytes)) = (count, bytes) else {
            return Err(malformed(build, "a storage of an impossible size"));
        };
        let number = match self.known.get(&key) {
            Some(&number) => number,
            None => self.add(build, key.clone(), dtype, bytes as u64)?,
        };
        let storage = &build.storages[number];
        if storage.bytes != bytes as u64 {
            let problem = format!("storage {key} has {} bytes where {bytes} are due", storage.bytes);
            return Err(malformed(build, &problem));
        }
        let (offset, count) = match view.map(|view| build.node(view)) {
            None | Some(Node::None) => (0, count),
            Some(_) => view_of(build, view)?,
        };
        build.storage(number, dtype, offset, count)
    }

    fn add(&mut self, build: &mut Builder, key: String, dtype: DType, bytes: u64) -> Result<usize, TorchError> {
        let data = match &mut self.place {
            Place::Zip(archive) => match archive.entry(&format!("data/{key}"))? {
                None if bytes == 0 => Some(Entry::stored(Span::of_memory(build.span.path(), Vec::new()))),
                None => return Err(build.span.malformed(format!("lacks the numbers of storage {key}"))),
                Some(entry) if entry.len() != bytes => {
                    let problem = format!("storage {key} has {} bytes where {bytes} are due", entry.len());
                    return Err(build.span.malformed(problem));
                }
                entry => entry,
            },
            Place::Nowhere | Place::After => None,
        };
        build.storages.push(Storage { dtype, bytes, data });
        self.known.insert(key, build.storages.len() - 1);
        Ok(build.storages.len() - 1)
    }
}

/// View of a part of another storage: (key of the view, offset, number of elements).
fn view_of(build: &Builder, view: Option<Id>) -> Result<(usize, usize), TorchError> {
    let numbers = view.and_then(|view| build.sequence(view)).and_then(|view| match view {
        &[_, offset, count] => match (build.node(offset), build.node(count)) {
            (&Node::Int(offset), &Node::Int(count)) => Some((offset.try_into().ok()?, count.try_into().ok()?)),
            _ => None,
        },
        _ => None,
    });
    numbers.ok_or_else(|| build.span.malformed("a view of a storage that is not understood"))
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
