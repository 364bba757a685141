//! Reader of PyTorch checkpoints that executes nothing from the file.
//!
//! [`open`] reads files of `torch.save` (the zip format and the older stream), plain pickles that contain
//! tensors, such as EDM's network snapshots, and safetensors files. It returns a [`File`]: an arena of values, accessed through
//! [`Value`], which may contain shared and cyclic references. Tensors are lazy: [`File::values`] reads the
//! elements of one of them.
//!
//! A pickle is a small program that may call any Python function. This reader interprets a few names (dictionaries,
//! tensors, NumPy arrays). A call of a name that is known to execute code is an error. Every other name becomes an
//! inert object with its class, its arguments and its state.

mod build;
mod error;
mod file;
mod layout;
mod limits;
mod pickle;
mod policy;
mod reader;
mod safetensors;
mod source;
mod storages;
mod text;
mod walk;
mod zipped;

pub use error::TorchError;
pub use file::{
    File, from_bytes, open,
    tensor::{DType, Tensor},
    value::{Kind, Value},
};
pub use layout::Format;
