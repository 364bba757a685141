//! Tensors of a pickle, and the storages that they look into.

use super::Builder;
use crate::{
    DType, Tensor, TorchError,
    file::{
        tensor::Storage,
        value::{Id, Node},
    },
    limits,
    source::Span,
    zipped::Entry,
};

impl Builder {
    /// The storage in a checkpoint inside this one, as plain pickles hold them.
    pub(super) fn load(&mut self, bytes: Id) -> Result<Id, TorchError> {
        if let Some(&value) = self.loaded.get(&bytes) {
            return Ok(value);
        }
        let Node::Bytes(span) = self.node(bytes) else {
            return Err(self.span.malformed("a checkpoint inside it is not made of bytes"));
        };
        let span = span.clone();
        if self.nested >= limits::NESTED_FILES {
            return Err(self.span.too_much("checkpoints inside checkpoints inside checkpoints"));
        }
        let value = (self.read)(self, span)?;
        self.loaded.insert(bytes, value);
        Ok(value)
    }

    /// A tensor that looks into a storage; of `dtype`, or of what the storage holds.
    pub(super) fn tensor(
        &mut self,
        dtype: Option<DType>,
        storage: Id,
        offset: Id,
        shape: Id,
        strides: Id,
    ) -> Result<Id, TorchError> {
        let Node::Tensor(storage) = self.node(storage) else {
            return Err(self.span.malformed("a tensor without a storage"));
        };
        let (own, storage, base) = (storage.dtype, storage.storage, storage.offset);
        let offset = match *self.node(offset) {
            Node::Int(offset) => usize::try_from(offset).ok().and_then(|offset| offset.checked_add(base)),
            _ => None,
        };
        let Some(offset) = offset else {
            return Err(self.span.malformed("a tensor's offset is no number of elements"));
        };
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        self.checked(Tensor { dtype: dtype.unwrap_or(own), shape, strides, offset, storage })
    }

    /// Adds a tensor, if its storage has a place for it.
    fn checked(&mut self, tensor: Tensor) -> Result<Id, TorchError> {
        let storage = self.storages.get(tensor.storage);
        let bytes = storage.map_or(0, |storage| storage.bytes);
        // A compressed storage is inflated for each tensor that looks into it.
        let inflated = storage.and_then(|storage| storage.data.as_ref()).map_or(0, Entry::inflated);
        let read = tensor.bytes_read(bytes).map_err(|problem| self.span.malformed(problem))?;
        self.expand(inflated.saturating_add(read))?;
        self.charge(3)?;
        self.add(Node::Tensor(Box::new(tensor)))
    }

    /// A storage by itself: a tensor of one dimension, which other tensors then look into.
    pub fn storage(&mut self, storage: usize, dtype: DType, offset: usize, elements: usize) -> Result<Id, TorchError> {
        let key = (storage, dtype, offset, elements);
        if let Some(&known) = self.referred.get(&key) {
            return Ok(known);
        }
        let id = self.checked(Tensor::contiguous(dtype, vec![elements], offset, storage))?;
        self.referred.insert(key, id);
        Ok(id)
    }

    /// A tensor of a storage of its own.
    pub fn array(&mut self, dtype: DType, shape: Vec<usize>, fortran: bool, data: Span) -> Result<Id, TorchError> {
        let mut tensor = Tensor::contiguous(dtype, shape, 0, self.storages.len());
        if fortran {
            tensor.shape.reverse();
            tensor = Tensor::contiguous(dtype, tensor.shape, 0, tensor.storage);
            tensor.shape.reverse();
            tensor.strides.reverse();
        }
        self.charge(3)?;
        self.storages.push(Storage { dtype, bytes: data.len(), data: Some(Entry::stored(data)) });
        self.checked(tensor)
    }

    /// The sizes or strides in a tuple.
    pub fn sizes(&self, id: Id) -> Result<Vec<usize>, TorchError> {
        let items = self.sequence(id).ok_or_else(|| self.span.malformed("a tensor's shape is no tuple"))?;
        if items.len() > limits::DIMENSIONS {
            return Err(self.span.too_much(format!("a tensor of {} dimensions", items.len())));
        }
        items
            .iter()
            .map(|&item| match self.node(item) {
                Node::Int(size) => usize::try_from(*size)
                    .map_err(|_| self.span.malformed(format!("a tensor's shape or strides contain {size}"))),
                _ => Err(self.span.malformed("a tensor's shape or strides contain what is no whole number")),
            })
            .collect()
    }
}
