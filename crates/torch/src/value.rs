//! The values of a checkpoint.

use std::{fmt, sync::Arc};

use crate::{DType, File, Tensor, TorchError, source::Span};

/// A value's place in the arena.
///
/// Values point at each other by their places, so that shared values are stored once, and cycles neither leak nor
/// make anything recurse.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(pub u32);

impl Id {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What lies in the arena.
pub enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number beyond 64 bits, in decimals.
    BigInt(String),
    Float(f64),
    Str(String),
    /// Bytes stay where they are in the file.
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

/// An instance of a class that means nothing here, or what an unknown function would have returned.
pub struct Object {
    pub class: Arc<str>,
    /// A tuple.
    pub arguments: Id,
    pub state: Option<Id>,
    /// What was appended to it, where it is a kind of list.
    pub items: Vec<Id>,
    /// What was set in it, where it is a kind of dictionary.
    pub entries: Vec<(Id, Id)>,
}

/// What sort of thing a [`Value`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `None`.
    None,
    /// See [`Value::as_bool`].
    Bool,
    /// See [`Value::as_int`].
    Int,
    /// A whole number beyond 64 bits: see [`Value::as_big_int`].
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
    /// See [`Value::as_tensor`]. NumPy's arrays and bare storages are tensors, too.
    Tensor,
    /// See [`Value::as_dtype`].
    DType,
    /// A class or function that is named but not called: see [`Value::class`].
    Class,
    /// An instance of any other class: see [`Value::class`], [`Value::arguments`], [`Value::state`], [`Value::entries`]
    /// and [`Value::as_list`].
    Object,
}

/// A value of a checkpoint: a cheap handle into its [`File`].
///
/// The values may form cycles. Whoever walks them by hand must bound the depth; [`Value::tensors`] and
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

    /// What sort of thing it is.
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

    /// Whether both are the very same value of the file, as Python's `is` tells.
    pub fn is_same(self, other: Value) -> bool {
        std::ptr::eq(self.file, other.file) && self.id == other.id
    }

    /// Whether it is `None`.
    pub fn is_none(self) -> bool {
        matches!(self.node(), Node::None)
    }

    /// The truth value, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        if let Node::Bool(value) = self.node() { Some(*value) } else { None }
    }

    /// The whole number, if it is one of 64 bits.
    pub fn as_int(self) -> Option<i64> {
        if let Node::Int(value) = self.node() { Some(*value) } else { None }
    }

    /// The decimals of a whole number beyond 64 bits, if it is one.
    pub fn as_big_int(self) -> Option<&'a str> {
        if let Node::BigInt(decimals) = self.node() { Some(decimals) } else { None }
    }

    /// The number, if it is a float or a whole number (rounded to double precision).
    pub fn as_f64(self) -> Option<f64> {
        match self.node() {
            Node::Float(value) => Some(*value),
            Node::Int(value) => Some(*value as f64),
            Node::BigInt(decimals) => decimals.parse().ok(),
            _ => None,
        }
    }

    /// The text, if it is a string.
    pub fn as_str(self) -> Option<&'a str> {
        if let Node::Str(text) = self.node() { Some(text) } else { None }
    }

    /// The tensor, if it is one.
    pub fn as_tensor(self) -> Option<&'a Tensor> {
        if let Node::Tensor(tensor) = self.node() { Some(tensor) } else { None }
    }

    /// The type of elements (`torch.float32`), if it is one.
    pub fn as_dtype(self) -> Option<DType> {
        if let Node::DType(dtype) = self.node() { Some(*dtype) } else { None }
    }

    /// The bytes, read from the file now; `None` when it is no `bytes` or `bytearray`.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn read_bytes(self) -> Result<Option<Vec<u8>>, TorchError> {
        if let Node::Bytes(span) = self.node() { span.to_vec().map(Some) } else { Ok(None) }
    }

    /// The items of a list, tuple or set, or those appended to an object.
    pub fn as_list(self) -> Option<impl ExactSizeIterator<Item = Value<'a>> + use<'a>> {
        let items = match self.node() {
            Node::List(items) | Node::Tuple(items) | Node::Set(items) => items,
            Node::Object(object) if !object.items.is_empty() => &object.items,
            _ => return None,
        };
        Some(items.iter().map(move |&id| self.at(id)))
    }

    /// The keys and values of a dictionary, in their order; of an object: those set in it, then its attributes.
    ///
    /// Empty for everything else. A key that was set twice comes twice.
    pub fn entries(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> + use<'a> {
        self.dicts().into_iter().flatten().map(move |&(key, value)| (self.at(key), self.at(value)))
    }

    /// The value at a key that is a string: of a dictionary, or of an object (an attribute, for one).
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        self.find(|name| matches!(name, Node::Str(name) if name == key))
    }

    /// The value at a key that is a whole number, as an optimizer's state has them.
    pub fn get_int(self, key: i64) -> Option<Value<'a>> {
        self.find(|name| matches!(name, Node::Int(name) if *name == key))
    }

    fn find(self, is: impl Fn(&Node) -> bool) -> Option<Value<'a>> {
        let nodes = &self.file.nodes;
        // What was set last holds.
        let found = |entries: &[(Id, Id)]| entries.iter().rev().find(|(key, _)| is(&nodes[key.index()])).copied();
        self.dicts().into_iter().find_map(found).map(|(_, value)| self.at(value))
    }

    /// The dictionaries that make up this value: an object has its entries, its state, and the state of its slots.
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

    /// The class ("module.name") of an object, or the name of a class or function itself.
    ///
    /// A class that EDM pickled together with its source has only its own name.
    pub fn class(self) -> Option<&'a str> {
        match self.node() {
            Node::Object(object) => Some(&object.class),
            Node::Class(name) => Some(name),
            _ => None,
        }
    }

    /// What an object's class was called with: a tuple.
    pub fn arguments(self) -> Option<Value<'a>> {
        if let Node::Object(object) = self.node() { Some(self.at(object.arguments)) } else { None }
    }

    /// An object's state: most often the dictionary of its attributes.
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
            // What a container holds may be anything, itself included.
            _ => self.kind().fmt(f),
        }
    }
}
