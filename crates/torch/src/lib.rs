//! PyTorch checkpoints, read as data: nothing in a file is ever run.
//!
//! [`open`] reads what `torch.save` writes (the zip of today and the stream before it), plain pickles that hold
//! tensors, such as EDM's network snapshots, and safetensors files. What comes back is a [`File`]: an arena of values, walked by way of
//! [`Value`], in which shared and cyclic references are nothing special. Tensors are lazy: [`File::values`] reads the
//! numbers of one of them.
//!
//! A pickle is a small program that may name any function of Python's. Here a few names have a meaning (dictionaries,
//! tensors, NumPy's arrays), calls of names that are known to run things are refused, and every other name becomes an
//! inert object: its class, its arguments and its state.

mod build;
mod error;
mod file;
mod layout;
mod limits;
mod numpy;
mod pickle;
mod policy;
mod reader;
mod safetensors;
mod source;
mod tensor;
mod text;
mod value;
mod walk;
mod zipped;

pub use error::TorchError;
pub use file::{File, Format, from_bytes, open};
pub use tensor::{DType, Tensor};
pub use value::{Kind, Value};
