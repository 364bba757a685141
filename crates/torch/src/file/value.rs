//! The values of a checkpoint.

use std::{fmt, sync::Arc};

use crate::{DType, File, Tensor, TorchError, source::Span};

/// Index of a value in the arena.
///
/// Values refer to each other by index. Shared values are therefore stored once, and cycles cause neither leaks nor
/// unbounded recursion.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(pub u32);

impl Id {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A value in the arena.
pub enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// Integer beyond 64 bits, in decimals.
    BigInt(String),
    Float(f64),
    Str(String),
    /// Bytes, which are read from the file when needed.
    Bytes(Span),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Tensor(Box<Tensor>),
    DType(DType),
    Class(Arc<str>),
    Object(Box<Object>),
}

/// Instance of a class that is not interpreted, or the result of a function that is not interpreted.
pub struct Object {
    pub class: Arc<str>,
    /// A tuple.
    pub arguments: Id,
    pub state: Option<Id>,
    /// Appended items, if it derives from a list.
    pub items: Vec<Id>,
    /// Items set in it, if it derives from a dictionary.
    pub entries: Vec<(Id, Id)>,
}

/// Kind of a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `None`.
    None,
    /// See [`Value::as_bool`].
    Bool,
    /// See [`Value::as_int`].
    Int,
    /// Integer beyond 64 bits: see [`Value::as_big_int`].
    BigInt,
    /// See [`Value::as_f64`].
    Float,
    /// See [`Value::as_str`].
    Str,
    /// See [`Value::read_bytes`].
    Bytes,
    /// See [`Value::as_list`].
    List,
    /// See [`Value::as_list`].
    Tuple,
    /// See [`Value::as_list`].
    Set,
    /// See [`Value::entries`] and [`Value::get`].
    Dict,
    /// See [`Value::as_tensor`]. NumPy arrays and storages are tensors, too.
    Tensor,
    /// See [`Value::as_dtype`].
    DType,
    /// Class or function that is referred to but not called: see [`Value::class`].
    Class,
    /// Instance of any other class: see [`Value::class`], [`Value::arguments`], [`Value::state`], [`Value::entries`]
    /// and [`Value::as_list`].
    Object,
}

/// A value of a checkpoint: a cheap handle into its [`File`].
///
/// The values may form cycles. Code that walks them must bound the depth, as [`Value::tensors`] and
/// [`Value::state_dict`] do.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    pub(crate) file: &'a File,
    pub(crate) id: Id,
}

impl<'a> Value<'a> {
    pub(crate) fn new(file: &'a File, id: Id) -> Self {
        Self { file, id }
    }

    pub(crate) fn node(self) -> &'a Node {
        &self.file.nodes[self.id.index()]
    }

    pub(crate) fn at(self, id: Id) -> Self {
        Self { file: self.file, id }
    }

    /// Returns the kind of the value.
    pub fn kind(self) -> Kind {
        match self.node() {
            Node::None => Kind::None,
            Node::Bool(_) => Kind::Bool,
            Node::Int(_) => Kind::Int,
            Node::BigInt(_) => Kind::BigInt,
            Node::Float(_) => Kind::Float,
            Node::Str(_) => Kind::Str,
            Node::Bytes(_) => Kind::Bytes,
            Node::List(_) => Kind::List,
            Node::Tuple(_) => Kind::Tuple,
            Node::Set(_) => Kind::Set,
            Node::Dict(_) => Kind::Dict,
            Node::Tensor(_) => Kind::Tensor,
            Node::DType(_) => Kind::DType,
            Node::Class(_) => Kind::Class,
            Node::Object(_) => Kind::Object,
        }
    }

    /// Whether both are the same object of the file, as Python's `is`.
    pub fn is_same(self, other: Value) -> bool {
        std::ptr::eq(self.file, other.file) && self.id == other.id
    }

    /// Whether it is `None`.
    pub fn is_none(self) -> bool {
        matches!(self.node(), Node::None)
    }

    /// Returns the boolean, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        if let Node::Bool(value) = self.node() { Some(*value) } else { None }
    }

    /// Returns the integer, if it is one that fits 64 bits.
    pub fn as_int(self) -> Option<i64> {
        if let Node::Int(value) = self.node() { Some(*value) } else { None }
    }

    /// Returns the decimals, if it is an integer beyond 64 bits.
    pub fn as_big_int(self) -> Option<&'a str> {
        if let Node::BigInt(decimals) = self.node() { Some(decimals) } else { None }
    }

    /// Returns the number, if it is a float or an integer (rounded to double precision).
    pub fn as_f64(self) -> Option<f64> {
        match self.node() {
            Node::Float(value) => Some(*value),
            Node::Int(value) => Some(*value as f64),
            Node::BigInt(decimals) => decimals.parse().ok(),
            _ => None,
        }
    }

    /// Returns the text, if it is a string.
    pub fn as_str(self) -> Option<&'a str> {
        if let Node::Str(text) = self.node() { Some(text) } else { None }
    }

    /// Returns the tensor, if it is one.
    pub fn as_tensor(self) -> Option<&'a Tensor> {
        if let Node::Tensor(tensor) = self.node() { Some(tensor) } else { None }
    }

    /// Returns the element type, if it is one (`torch.float32`).
    pub fn as_dtype(self) -> Option<DType> {
        if let Node::DType(dtype) = self.node() { Some(*dtype) } else { None }
    }

    /// Reads the bytes from the file; `None` if it is not `bytes` or `bytearray`.
    ///
    /// # Errors
    /// Returns an error if the file can no longer be read.
    pub fn read_bytes(self) -> Result<Option<Vec<u8>>, TorchError> {
        if let Node::Bytes(span) = self.node() { span.to_vec().map(Some) } else { Ok(None) }
    }

    /// Returns the items of a list, tuple or set, or those appended to an object.
    pub fn as_list(self) -> Option<impl ExactSizeIterator<Item = Value<'a>> + use<'a>> {
        let items = match self.node() {
            Node::List(items) | Node::Tuple(items) | Node::Set(items) => items,
            Node::Object(object) if !object.items.is_empty() => &object.items,
            _ => return None,
        };
        Some(items.iter().map(move |&id| self.at(id)))
    }

    /// Returns the keys and values of a dictionary in order; for an object, the items set in it, then its attributes.
    ///
    /// Empty for all other values. A key that was set twice occurs twice.
    pub fn entries(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> + use<'a> {
        self.dicts().into_iter().flatten().map(move |&(key, value)| (self.at(key), self.at(value)))
    }

    /// Returns the value of a string key in a dictionary or an object (for example an attribute).
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        self.find(|name| matches!(name, Node::Str(name) if name == key))
    }

    /// Returns the value of an integer key, as in the state of an optimizer.
    pub fn get_int(self, key: i64) -> Option<Value<'a>> {
        self.find(|name| matches!(name, Node::Int(name) if *name == key))
    }

    fn find(self, is: impl Fn(&Node) -> bool) -> Option<Value<'a>> {
        let nodes = &self.file.nodes;
        // The last value set for a key counts.
        let found = |entries: &[(Id, Id)]| entries.iter().rev().find(|(key, _)| is(&nodes[key.index()])).copied();
        self.dicts().into_iter().find_map(found).map(|(_, value)| self.at(value))
    }

    /// Returns the dictionaries of this value: for an object its entries, its state, and the state of its slots.
    pub(crate) fn dicts(self) -> [&'a [(Id, Id)]; 3] {
        let dict = |id: Id| match &self.file.nodes[id.index()] {
            Node::Dict(entries) => entries.as_slice(),
            _ => &[],
        };
        match self.node() {
            Node::Dict(entries) => [entries, &[], &[]],
            Node::Object(object) => match object.state.map(|id| (id, &self.file.nodes[id.index()])) {
                Some((_, Node::Tuple(parts))) if parts.len() == 2 => [&object.entries, dict(parts[0]), dict(parts[1])],
                Some((state, _)) => [&object.entries, dict(state), &[]],
                None => [&object.entries, &[], &[]],
            },
            _ => [&[], &[], &[]],
        }
    }

    /// Returns the class ("module.name") of an object, or the name of a class or function.
    ///
    /// A class that EDM pickled with its source has no module name.
    pub fn class(self) -> Option<&'a str> {
        match self.node() {
            Node::Object(object) => Some(&object.class),
            Node::Class(name) => Some(name),
            _ => None,
        }
    }

    /// Returns the arguments of the constructor of an object, as a tuple.
    pub fn arguments(self) -> Option<Value<'a>> {
        if let Node::Object(object) = self.node() { Some(self.at(object.arguments)) } else { None }
    }

    /// Returns the state of an object, usually the dictionary of its attributes.
    pub fn state(self) -> Option<Value<'a>> {
        if let Node::Object(object) = self.node() { object.state.map(|id| self.at(id)) } else { None }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node() {
            Node::Bool(value) => value.fmt(f),
            Node::Int(value) => value.fmt(f),
            Node::BigInt(decimals) => f.write_str(decimals),
            Node::Float(value) => value.fmt(f),
            Node::Str(text) => text.fmt(f),
            Node::Tensor(tensor) => write!(f, "Tensor({:?}, {:?})", tensor.dtype, tensor.shape),
            Node::DType(dtype) => dtype.fmt(f),
            Node::Class(name) => write!(f, "Class({name})"),
            Node::Object(object) => write!(f, "Object({})", object.class),
            // A container may hold any value, including itself.
            _ => self.kind().fmt(f),
        }
    }
}
