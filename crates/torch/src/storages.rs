//! Storages of numbers that a pickle refers to by persistent ids.

use std::collections::HashMap;

use crate::{
    DType, TorchError,
    build::Builder,
    file::{
        tensor::Storage,
        value::{Id, Node},
    },
    source::Span,
    zipped::{Archive, Entry},
};

/// Location of the storages that a pickle refers to.
pub struct Storages {
    place: Place,
    /// Indices of the storages that were referred to, by their keys.
    pub known: HashMap<String, usize>,
}

/// Where storages are.
pub enum Place {
    /// No storages outside the pickle, for plain pickles.
    Nowhere,
    /// In the stream, after the pickle.
    After,
    Zip(Archive),
}

impl Storages {
    pub fn new(place: Place) -> Self {
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
