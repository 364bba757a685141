//! Data sets for Poisson flow generative models: files in, arrays out.
//!
//! [`open`] takes the name of a built-in set or a path, and detects the format by first bytes and names. It returns a [`Dataset`]: rows of
//! equal shape, the nominal range of their values, labels if there are any, and [`Notice`]s about everything that was not used or was assumed.
//! [`Dataset::from_rows`] creates one from numbers in memory. A [`Transform`] maps rows to the model's space and back.
//!
//! An ambiguity is an error that names the field of [`OpenOptions`] to set. [`Limits`] prevent small files from allocating all
//! memory.

pub mod affine;
mod array;
pub mod atomic;
mod cifar;
mod classes;
mod dataset;
#[cfg(feature = "dicom")]
mod dicom;
mod digits;
mod error;
pub mod generate;
mod hint;
mod idx;
mod images;
mod limit;
mod limits;
mod listing;
pub mod memory;
mod notice;
mod number;
mod open;
mod options;
mod parquet;
mod picture;
pub mod resize;
mod source;
mod table;
mod tar;
mod transform;
mod zip;

pub use array::npz;
pub use dataset::{
    Dataset, Labels, Shape, Values,
    on_disk::{Load, OnDisk},
};
pub use error::DataError;
pub use limit::Limit;
pub use limits::{LimitOverrides, Limits};
pub use notice::Notice;
pub use number::NumberType;
pub use open::{BUILT_IN, is_text_table, open, open_table};
pub use options::{Alpha, Classes, Decimal, Header, Items, OpenOptions};
pub use table::{
    ColumnKind, KindChoice, Kinds, Missing, NumberFormat, TableColumn, TableFormat, TableRows, TableSchema,
};
pub use transform::{Transform, flip_horizontally};
