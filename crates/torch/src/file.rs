//! Open checkpoints.

pub mod tensor;
pub mod value;

use std::{fmt, path::Path};

use self::{
    tensor::Storage,
    value::{Id, Node},
};
use crate::{
    Format, TorchError, Value,
    build::Builder,
    layout,
    safetensors::{self, Metadata},
    source::Span,
};

/// An open checkpoint. Its values are in memory; the elements of its tensors are read from the file when needed.
pub struct File {
    /// The whole file.
    pub(crate) span: Span,
    pub(crate) nodes: Vec<Node>,
    pub(crate) storages: Vec<Storage>,
    root: Id,
    format: Format,
    metadata: Metadata,
}

/// Opens a checkpoint. The file must not change as long as it is open.
///
/// # Errors
/// Returns an error if the file cannot be read, is not a checkpoint, is damaged, calls a function that is known to execute
/// code, or needs more memory than the limits for its size.
pub fn open(path: &Path) -> Result<File, TorchError> {
    File::new(Span::of_file(path)?)
}

/// Opens a checkpoint in memory. Error messages name it `<bytes>`.
///
/// # Errors
/// As [`open`].
pub fn from_bytes(bytes: Vec<u8>) -> Result<File, TorchError> {
    File::new(Span::of_memory("<bytes>", bytes))
}

impl File {
    fn new(span: Span) -> Result<Self, TorchError> {
        if span.len() == 0 {
            return Err(span.malformed("is empty"));
        }
        let mut build = Builder::new(span.clone(), |build, span| layout::read(build, span).map(|(id, _)| id));
        let ((root, format), metadata) = if safetensors::starts_one(&span)? {
            let (root, metadata) = safetensors::read(&mut build, &span)?;
            ((root, Format::Safetensors), metadata)
        } else {
            (layout::read(&mut build, span.clone())?, Metadata::new())
        };
        Ok(Self { span, nodes: build.nodes, storages: build.storages, root, format, metadata })
    }

    /// Name of the file in error messages.
    pub fn path(&self) -> &str {
        self.span.path()
    }

    /// The value that was saved.
    pub fn root(&self) -> Value<'_> {
        Value::new(self, self.root)
    }

    /// Value of a key in the metadata of a safetensors file.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Format of the file.
    pub fn format(&self) -> Format {
        self.format
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({}, {:?})", self.span.path(), self.format)
    }
}
