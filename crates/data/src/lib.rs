//! Files in, arrays out: the data sets that a Poisson flow learns from.
//!
//! [`open`] takes a path (or the name of a built-in set) and finds out what lies there; each format has its own module.
//! What comes back is a [`Dataset`]: rows of one shape, labels if there are any, and the range of the values. A
//! [`Transform`] maps rows to the space that models learn in and back.

pub mod affine;
pub mod archive;
pub mod atomic;
pub mod cifar;
pub mod csv;
mod dataset;
pub mod digits;
mod error;
pub mod folder;
pub mod generate;
pub mod idx;
pub mod npz;
mod on_disk;
mod open;
pub mod resize;
mod tiff;
mod transform;

pub use dataset::{Dataset, Labels, Shape, Values};
pub use error::DataError;
pub use on_disk::{Load, OnDisk};
pub use open::{BUILT_IN, OpenOptions, open};
pub use transform::{Transform, flip_horizontally};
