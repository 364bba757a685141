//! Arrays in files, and data sets made of them.

mod choose;
#[cfg(feature = "hdf5")]
pub(crate) mod hdf5;
mod labels;
mod mat;
mod nifti;
mod npy;
pub mod npz;

use std::path::{Path, PathBuf};

pub(crate) use choose::{are_named, dataset, rows};
use labels::labels_of;
#[cfg(feature = "hdf5")]
pub(crate) use mat::is_hdf5 as is_mat_hdf5;
pub(crate) use mat::{open as open_mat, recognizes as is_mat};
pub(crate) use nifti::{open as open_nifti, recognizes as is_nifti};
pub(crate) use npy::{open as open_npy, recognizes as is_npy};

use crate::{
    DataError, NumberType, Shape,
    dataset::on_disk::Rows,
    limits,
    source::{Source, Span},
};

/// An array whose elements are in a file, in row-major order.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub name: String,
    pub shape: Vec<usize>,
    /// Type of the elements; `None` for text.
    pub number: Option<NumberType>,
    /// Bytes per character and characters per string, for text.
    pub text: Option<(usize, usize)>,
    /// What the elements are if they are neither, with the way to save them.
    pub unread: Option<String>,
    pub big_endian: bool,
    pub source: Source,
    /// Position of the first element.
    pub start: u64,
}

impl Array {
    /// Bytes of an element.
    fn element(&self) -> usize {
        match (self.number, self.text) {
            (Some(number), _) => number.size(),
            (None, Some((size, count))) => size * count,
            (None, None) => 1,
        }
    }

    /// Number of elements. Sizes were checked when the array was opened.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns an error if the source has fewer bytes than the shape needs.
    pub(crate) fn check_size(&self, path: &Path) -> Result<(), DataError> {
        let bytes = limits::bytes(&self.shape, self.element());
        let end = bytes.and_then(|bytes| self.start.checked_add(bytes as u64));
        if end.is_some_and(|end| end <= self.source.len()) {
            return Ok(());
        }
        let problem =
            format!("array {} of shape {:?} is cut short; save it again with numpy.save", self.name, self.shape);
        Err(DataError::malformed(path, problem))
    }

    fn bytes(&self, path: &Path) -> Result<Vec<u8>, DataError> {
        let span = Span { at: self.start, size: (self.len() * self.element()) as u64 };
        self.source.span(span).map_err(|error| DataError::read(path, error))
    }

    /// Returns the array with permuted axes, in memory. Axis `i` of the result is axis `order[i]` of the array.
    fn permuted(&self, path: &Path, order: &[usize]) -> Result<Self, DataError> {
        let (bytes, size) = (self.bytes(path)?, self.element());
        let mut strides = vec![size; self.shape.len()];
        for axis in (0..self.shape.len().saturating_sub(1)).rev() {
            strides[axis] = strides[axis + 1] * self.shape[axis + 1];
        }
        let shape: Vec<usize> = order.iter().map(|&axis| self.shape[axis]).collect();
        let strides: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
        let mut moved = Vec::with_capacity(bytes.len());
        let mut index = vec![0; shape.len()];
        for _ in 0..self.len() {
            let at: usize = index.iter().zip(&strides).map(|(index, stride)| index * stride).sum();
            moved.extend_from_slice(&bytes[at..at + size]);
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Ok(Self { shape, source: Source::Bytes(moved.into()), start: 0, ..self.clone() })
    }

    /// Converts an array in Fortran order to C order.
    pub(crate) fn transposed(mut self, path: &Path) -> Result<Self, DataError> {
        if self.shape.len() < 2 {
            return Ok(self);
        }
        self.shape.reverse();
        let order: Vec<usize> = (0..self.shape.len()).rev().collect();
        self.permuted(path, &order)
    }

    /// The type of the numbers, or an error if there are none.
    pub(crate) fn numbers(&self, path: &Path) -> Result<NumberType, DataError> {
        self.number.ok_or_else(|| {
            let what = self.unread.as_deref().unwrap_or("text where numbers are due");
            DataError::malformed(path, format!("array {} holds {what}", self.name))
        })
    }

    /// Reads all elements in double precision.
    pub(crate) fn values(&self, path: &Path) -> Result<Vec<f64>, DataError> {
        let number = self.numbers(path)?;
        let bytes = self.bytes(path)?;
        let mut values = vec![0.0; self.len()];
        number.decode_wide(self.big_endian, &bytes, &mut values);
        Ok(values)
    }
}

/// Rows of equal size in a source, at a constant stride.
#[derive(Debug)]
pub(crate) struct Flat {
    pub path: PathBuf,
    pub source: Source,
    /// Position of the first row, and distance between rows.
    pub start: u64,
    pub stride: u64,
    pub number: NumberType,
    pub big_endian: bool,
    /// Number of channels if images are channels-first (planes); 0 if they are channels-last.
    pub planes: usize,
}

impl Flat {
    fn bytes(&self, row: usize, values: usize) -> Result<Vec<u8>, DataError> {
        let mut bytes = vec![0; values * self.number.size()];
        let at = self.start + row as u64 * self.stride;
        self.source.read_at(at, &mut bytes).map_err(|error| DataError::read(&self.path, error))?;
        Ok(bytes)
    }
}

impl Rows for Flat {
    fn held_bytes(&self) -> u64 {
        match &self.source {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::File(..) => 0,
        }
    }

    fn read(&self, row: usize, out: &mut [f32]) -> Result<(), DataError> {
        let bytes = self.bytes(row, out.len())?;
        if self.planes == 0 {
            self.number.decode(self.big_endian, &bytes, out);
            return Ok(());
        }
        let mut planes = vec![0.0; out.len()];
        self.number.decode(self.big_endian, &bytes, &mut planes);
        let pixels = out.len() / self.planes;
        for (pixel, values) in out.chunks_exact_mut(self.planes).enumerate() {
            values.iter_mut().enumerate().for_each(|(channel, value)| *value = planes[channel * pixels + pixel]);
        }
        Ok(())
    }

    fn read_wide(&self, row: usize, out: &mut [f64]) -> Result<(), DataError> {
        if self.planes == 0 {
            let bytes = self.bytes(row, out.len())?;
            self.number.decode_wide(self.big_endian, &bytes, out);
            return Ok(());
        }
        let mut narrow = vec![0.0; out.len()];
        self.read(row, &mut narrow)?;
        out.iter_mut().zip(narrow).for_each(|(out, value)| *out = value.into());
        Ok(())
    }
}

/// Returns the shape of the rows of an array, and whether its images are channels-first.
pub(crate) fn row_shape(path: &Path, array: &str, sizes: &[usize]) -> Result<(Shape, bool), DataError> {
    if sizes.contains(&0) || sizes.is_empty() {
        return Err(DataError::empty(path, format!("array {array} has the shape {sizes:?}")));
    }
    Ok(match *sizes {
        [_] => (Shape::Vector { len: 1 }, false),
        [_, len] => (Shape::Vector { len }, false),
        [_, height, width] => (Shape::Image { height, width, channels: 1 }, false),
        [_, height, width, channels @ 1..=4] => (Shape::Image { height, width, channels }, false),
        [_, channels @ 1..=4, height, width] => (Shape::Image { height, width, channels }, true),
        _ => {
            let problem = format!(
                "array {array} has the shape {sizes:?}; expected [rows, columns], [images, height, width], \
                 [images, height, width, channels] or [images, channels, height, width] with at most 4 channels"
            );
            return Err(DataError::malformed(path, problem));
        }
    })
}
