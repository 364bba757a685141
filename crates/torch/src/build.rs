//! What the instructions of a pickle make: values in the arena, never anything that runs.

mod numpy;
mod tensors;

use std::{collections::HashMap, sync::Arc};

use crate::{
    DType, TorchError,
    file::{
        tensor::Storage,
        value::{Id, Node, Object},
    },
    limits, policy,
    source::Span,
    text,
};

/// The arena while it is filled, and what the file may still ask for.
pub struct Builder {
    /// The whole file.
    pub span: Span,
    pub nodes: Vec<Node>,
    pub storages: Vec<Storage>,
    /// Instructions so far.
    pub steps: u64,
    /// How many checkpoints inside each other are being read.
    pub nested: usize,
    /// Values and bytes of text that may still be made.
    values_left: u64,
    copies_left: u64,
    /// Bytes that tensors and compressed entries may still take.
    expanded_left: u64,
    /// Storages that were referred to: what the same reference stands for again.
    referred: HashMap<(usize, DType, usize, usize), Id>,
    /// Reads a checkpoint that is inside this one.
    read: fn(&mut Self, Span) -> Result<Id, TorchError>,
    /// Checkpoints inside this one that have been read, by the bytes that hold them.
    loaded: HashMap<Id, Id>,
}

/// These need no arena to grow.
pub const NONE: Id = Id(0);
pub const FALSE: Id = Id(1);
pub const TRUE: Id = Id(2);
/// The empty tuple.
pub const EMPTY: Id = Id(3);

impl Builder {
    /// An arena for a file. `read` reads a checkpoint that is inside it.
    pub fn new(span: Span, read: fn(&mut Self, Span) -> Result<Id, TorchError>) -> Self {
        Self {
            read,
            expanded_left: limits::expanded(span.len()),
            referred: HashMap::new(),
            span,
            nodes: vec![Node::None, Node::Bool(false), Node::Bool(true), Node::Tuple(Vec::new())],
            storages: Vec::new(),
            steps: 0,
            nested: 0,
            values_left: 0,
            copies_left: 0,
            loaded: HashMap::new(),
        }
    }

    /// Lets a pickle of so many bytes make a number of values that is in proportion to it.
    pub fn allow(&mut self, bytes: u64) {
        let more = bytes.saturating_mul(2).saturating_add(1000);
        self.values_left = self.values_left.saturating_add(more).min(limits::VALUES);
        self.copies_left = self.copies_left.saturating_add(more).min(limits::COPIED);
    }

    /// Accounts for values that are made, or copied from one container to another.
    fn charge(&mut self, values: usize) -> Result<(), TorchError> {
        let left = self.values_left.checked_sub(values as u64);
        self.values_left = left.ok_or_else(|| self.span.too_much("more values than its size explains"))?;
        Ok(())
    }

    /// Accounts for bytes that a tensor or a compressed entry takes.
    pub fn expand(&mut self, bytes: u64) -> Result<(), TorchError> {
        let left = self.expanded_left.checked_sub(bytes);
        let problem = "its tensors and compressed entries take more bytes than its size explains";
        self.expanded_left = left.ok_or_else(|| self.span.too_much(problem))?;
        Ok(())
    }

    pub fn add(&mut self, node: Node) -> Result<Id, TorchError> {
        self.charge(1)?;
        // The limit on values keeps this far below 2^32.
        self.nodes.push(node);
        Ok(Id(self.nodes.len() as u32 - 1))
    }

    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id.index()]
    }

    /// The items of a tuple or list.
    pub fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn str(&self, id: Id) -> Option<&str> {
        if let Node::Str(text) = self.node(id) { Some(text) } else { None }
    }

    fn object(&mut self, class: &str, arguments: Id, state: Option<Id>) -> Result<Id, TorchError> {
        self.charge(3)?;
        let object = Object { class: Arc::from(class), arguments, state, items: Vec::new(), entries: Vec::new() };
        self.add(Node::Object(Box::new(object)))
    }

    /// A class or function, by name only.
    pub fn global(&mut self, module: &str, name: &str) -> Result<Id, TorchError> {
        if module.len().saturating_add(name.len()) > limits::NAME {
            return Err(self.span.too_much(format!("a class's name of more than {} bytes", limits::NAME)));
        }
        let name = policy::canonical(module, name);
        match name.strip_prefix("torch.").and_then(DType::of_torch) {
            Some(dtype) => self.add(Node::DType(dtype)),
            None => self.add(Node::Class(Arc::from(name))),
        }
    }

    /// The value that stands for `function(*arguments)`, or for an instance of the class `function`.
    ///
    /// The few names that have a meaning are these; all others make an inert object.
    pub fn call(&mut self, function: Id, arguments: Id) -> Result<Id, TorchError> {
        let (mut function, mut arguments) = (function, arguments);
        loop {
            let Node::Class(name) = self.node(function) else {
                return Err(self.span.malformed("calls a value that is neither a class nor a function"));
            };
            let name = Arc::clone(name);
            if policy::denied(&name) {
                return Err(TorchError::Refused { path: self.span.path().to_owned(), name: name.to_string() });
            }
            let Node::Tuple(items) = self.node(arguments) else {
                return Err(self.span.malformed(format!("calls {name} with arguments that are not a tuple")));
            };
            if let ("torch._tensor._rebuild_from_type_v2", &[inner, _, inner_arguments, _]) = (&*name, &items[..]) {
                // A tensor of a class of its own: what is called in its stead. A tuple cannot contain itself.
                (function, arguments) = (inner, inner_arguments);
                continue;
            }
            return match self.construct(&name, arguments)? {
                Some(value) => Ok(value),
                None => self.object(&name, arguments, None),
            };
        }
    }

    /// What the named constructor makes of its arguments, where both have a meaning here.
    fn construct(&mut self, name: &str, arguments: Id) -> Result<Option<Id>, TorchError> {
        // No constructor with a meaning looks at more than eight arguments.
        let mut first = [NONE; 8];
        let count = self.sequence(arguments).map_or(0, |items| {
            items.iter().zip(&mut first).for_each(|(&item, place)| *place = item);
            items.len()
        });
        let given = &first[..count.min(first.len())];
        match (name, given) {
            ("collections.OrderedDict" | "builtins.dict", _) => self.dict(given.first().copied()),
            ("collections.defaultdict", _) => self.dict(given.get(1).copied()),
            ("builtins.list", [] | [_]) => self.copied(given, Node::List),
            ("builtins.tuple" | "torch.Size", [] | [_]) => self.copied(given, Node::Tuple),
            ("builtins.set" | "builtins.frozenset", [] | [_]) => self.copied(given, Node::Set),
            ("builtins.int" | "builtins.float" | "builtins.str" | "builtins.bool", &[value]) => {
                let plain = !matches!(self.node(value), Node::Object(_) | Node::Class(_) | Node::Tensor(_));
                Ok(plain.then_some(value))
            }
            ("builtins.bytes" | "builtins.bytearray", []) => self.bytes(Vec::new()).map(Some),
            ("builtins.bytes" | "builtins.bytearray", &[value]) => {
                Ok(matches!(self.node(value), Node::Bytes(_)).then_some(value))
            }
            ("builtins.bytes" | "builtins.bytearray" | "_codecs.encode", &[text, encoding]) => {
                self.encode(text, encoding)
            }
            ("copyreg._reconstructor", &[class, _, state]) => self.reconstruct(class, state).map(Some),
            (
                "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
                &[storage, offset, shape, strides, ..],
            ) => self.tensor(None, storage, offset, shape, strides).map(Some),
            ("torch._utils._rebuild_tensor_v3", &[storage, offset, shape, strides, _, _, dtype, ..]) => {
                let Node::DType(dtype) = *self.node(dtype) else { return Ok(None) };
                self.tensor(Some(dtype), storage, offset, shape, strides).map(Some)
            }
            (
                "torch._utils._rebuild_parameter"
                | "torch._utils._rebuild_parameter_with_state"
                | "torch.nn.parameter.Parameter"
                | "torch.nn.Parameter"
                | "torch.nn.parameter.Buffer"
                | "torch.Tensor"
                | "torch._tensor.Tensor",
                &[tensor, ..],
            ) => Ok(matches!(self.node(tensor), Node::Tensor(_)).then_some(tensor)),
            ("torch.storage._load_from_bytes", &[bytes]) => self.load(bytes).map(Some),
            ("numpy._core.multiarray.scalar", &[dtype, bytes]) => numpy::scalar(self, dtype, bytes),
            ("numpy._core.numeric._frombuffer", &[bytes, dtype, shape, order]) => {
                let fortran = self.str(order) == Some("F");
                numpy::array(self, dtype, shape, fortran, bytes)
            }
            ("numpy._core.multiarray._reconstruct", &[class, ..]) => {
                let Node::Class(class) = self.node(class) else { return Ok(None) };
                let class = Arc::clone(class);
                self.object(&class, EMPTY, None).map(Some)
            }
            (_, &[meta]) if name.ends_with("persistence._reconstruct_persistent_obj") => {
                self.persistent(meta, arguments).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// A dictionary of the pairs in a list, or of those of another dictionary.
    fn dict(&mut self, content: Option<Id>) -> Result<Option<Id>, TorchError> {
        // Accounted for first: it takes its time even where it comes to nothing.
        self.charge(match content.map(|content| self.node(content)) {
            Some(Node::Dict(entries)) => entries.len(),
            Some(Node::List(items) | Node::Tuple(items)) => items.len(),
            _ => 0,
        })?;
        let pair = |&pair: &Id| Some(<(Id, Id)>::from(<[Id; 2]>::try_from(self.sequence(pair)?).ok()?));
        let entries = match content.map(|content| self.node(content)) {
            None => Some(Vec::new()),
            Some(Node::Dict(entries)) => Some(entries.clone()),
            Some(Node::List(items) | Node::Tuple(items)) => items.iter().map(pair).collect(),
            Some(_) => None,
        };
        entries.map(|entries| self.add(Node::Dict(entries))).transpose()
    }

    /// A container with the items of another.
    fn copied(&mut self, given: &[Id], make: fn(Vec<Id>) -> Node) -> Result<Option<Id>, TorchError> {
        let items = match given.first().map(|&content| self.node(content)) {
            None => Vec::new(),
            Some(Node::List(items) | Node::Tuple(items) | Node::Set(items)) => items.clone(),
            Some(_) => return Ok(None),
        };
        self.charge(items.len())?;
        self.add(make(items)).map(Some)
    }

    fn bytes(&mut self, bytes: Vec<u8>) -> Result<Id, TorchError> {
        let span = Span::of_memory(self.span.path(), bytes);
        self.add(Node::Bytes(span))
    }

    /// Bytes that an old protocol wrote as text.
    fn encode(&mut self, text: Id, encoding: Id) -> Result<Option<Id>, TorchError> {
        let (Some(text), Some(encoding)) = (self.str(text), self.str(encoding)) else { return Ok(None) };
        let left = self.copies_left.checked_sub(text.len() as u64);
        let left = left.ok_or_else(|| self.span.too_much("more bytes than its size explains"))?;
        let bytes = match encoding {
            "latin1" | "latin-1" | "iso-8859-1" => text::latin1(text),
            "utf-8" | "utf8" => Some(text.as_bytes().to_vec()),
            _ => None,
        };
        self.copies_left = left;
        bytes.map(|bytes| self.bytes(bytes)).transpose()
    }

    /// An instance of a class as Python 2 and the oldest protocols made them.
    fn reconstruct(&mut self, class: Id, state: Id) -> Result<Id, TorchError> {
        let arguments = if state == NONE { EMPTY } else { self.add(Node::Tuple(vec![state]))? };
        self.instance(class, arguments)
    }

    /// A new instance of a class, which is not initialized.
    pub fn instance(&mut self, class: Id, arguments: Id) -> Result<Id, TorchError> {
        match self.node(class) {
            Node::Class(name) if policy::denied(name) => {
                Err(TorchError::Refused { path: self.span.path().to_owned(), name: name.to_string() })
            }
            Node::Class(name) => {
                let name = Arc::clone(name);
                self.object(&name, arguments, None)
            }
            _ => Err(self.span.malformed("makes an instance of a value that is no class")),
        }
    }

    /// An object that EDM's `torch_utils.persistence` pickled with the source of its class. The source stays text.
    fn persistent(&mut self, meta: Id, arguments: Id) -> Result<Id, TorchError> {
        let Node::Dict(entries) = self.node(meta) else {
            return Err(self.span.malformed("a persistent object without its dictionary"));
        };
        let looked_at = entries.len();
        let entry = |name| entries.iter().rev().find(|(key, _)| self.str(*key) == Some(name)).map(|&(_, value)| value);
        let state = entry("state").filter(|&state| state != NONE);
        let class = entry("class_name").and_then(|class| self.str(class)).unwrap_or("a persistent class").to_owned();
        if class.len() > limits::NAME {
            return Err(self.span.too_much(format!("a class's name of more than {} bytes", limits::NAME)));
        }
        self.charge(looked_at)?;
        self.object(&class, arguments, state)
    }

    /// Appends to a list, a set, or an object that is a kind of list.
    pub fn extend(&mut self, target: Id, items: &[Id]) -> Result<(), TorchError> {
        match &mut self.nodes[target.index()] {
            Node::List(list) | Node::Set(list) => list.extend(items),
            Node::Object(object) => object.items.extend(items),
            _ => return Err(self.span.malformed("appends to what is no list")),
        }
        Ok(())
    }

    /// Sets keys, each followed by its value, in a dictionary or an object that is a kind of one.
    pub fn set(&mut self, target: Id, items: &[Id]) -> Result<(), TorchError> {
        let (pairs, odd) = items.as_chunks();
        let pairs = pairs.iter().map(|&[key, value]| (key, value));
        match &mut self.nodes[target.index()] {
            _ if !odd.is_empty() => return Err(self.span.malformed("a dictionary's last key has no value")),
            Node::Dict(entries) => entries.extend(pairs),
            Node::Object(object) => object.entries.extend(pairs),
            _ => return Err(self.span.malformed("sets keys of what is no dictionary")),
        }
        Ok(())
    }

    /// Gives an object its state.
    pub fn set_state(&mut self, target: Id, state: Id) -> Result<(), TorchError> {
        match &mut self.nodes[target.index()] {
            Node::Object(object) => object.state = Some(state),
            // Attributes of a dictionary, a set or a tensor (`state_dict._metadata`): nothing to do with its content.
            Node::Dict(_) | Node::List(_) | Node::Set(_) | Node::Tensor(_) => return Ok(()),
            _ => return Err(self.span.malformed("gives a state to what is no object")),
        }
        if let Some(array) = numpy::finished(self, target)? {
            self.nodes.swap(target.index(), array.index());
        }
        Ok(())
    }
}
