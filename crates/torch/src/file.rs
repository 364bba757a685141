//! A checkpoint that is open.

use std::{fmt, path::Path};

use crate::{
    TorchError, Value,
    build::Builder,
    layout,
    safetensors::{self, Metadata},
    source::Span,
    tensor::Storage,
    value::{Id, Node},
};

/// Which of the formats a checkpoint has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The zip that `torch.save` writes since PyTorch 1.6.
    Zip,
    /// The stream of pickles that it wrote before.
    Legacy,
    /// A pickle that `torch.save` has no part in.
    Pickle,
    /// A safetensors file: a dictionary of tensors.
    Safetensors,
}

/// An open checkpoint: its values in memory, the numbers of its tensors still where they were.
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
/// When the file cannot be read, is no checkpoint, is damaged, calls what is known to run things, or asks for more
/// memory than its size explains.
pub fn open(path: &Path) -> Result<File, TorchError> {
    File::new(Span::of_file(path)?)
}

/// Opens a checkpoint in memory. Messages call it `<bytes>`.
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
        let mut build = Builder::new(span.clone());
        let ((root, format), metadata) = if safetensors::starts_one(&span)? {
            let (root, metadata) = safetensors::read(&mut build, &span)?;
            ((root, Format::Safetensors), metadata)
        } else {
            (layout::read(&mut build, span.clone())?, Metadata::new())
        };
        Ok(Self { span, nodes: build.nodes, storages: build.storages, root, format, metadata })
    }

    /// What messages call the file.
    pub fn path(&self) -> &str {
        self.span.path()
    }

    /// The value that was saved.
    pub fn root(&self) -> Value<'_> {
        Value::new(self, self.root)
    }

    /// What a safetensors file says about itself under a key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Which format the file has.
    pub fn format(&self) -> Format {
        self.format
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({}, {:?})", self.span.path(), self.format)
    }
}
