//! NumPy arrays as rows of the library, and the library's readers as arrays.

use std::path::Path;

use numpy::{PyArray1, PyReadonlyArray1};
use pfgm_data::{BUILT_IN, Dataset, Labels, OpenOptions, Shape, Values};
use pyo3::{prelude::*, types::PyDict};

use crate::failure::{Failure, Result};

/// Flat values of one of the types that rows are made of.
#[derive(FromPyObject)]
pub enum Flat<'py> {
    /// 8-bit values.
    Bytes(PyReadonlyArray1<'py, u8>),
    /// Single precision.
    Single(PyReadonlyArray1<'py, f32>),
    /// Double precision; columns far from zero keep their digits.
    Double(PyReadonlyArray1<'py, f64>),
}

/// What is known about rows beside their values.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct About {
    name: String,
    shape: Vec<usize>,
    labels: Option<Vec<u32>>,
    classes: Vec<String>,
    columns: Vec<String>,
    whole: Vec<bool>,
    range: Option<(f32, f32)>,
}

/// Rows of data, in the data's own units.
#[pyclass(frozen, module = "pfgm._pfgm")]
pub struct Rows {
    pub set: Dataset,
}

/// The shape of a row.
pub fn shape_of(shape: &[usize]) -> Result<Shape> {
    match *shape {
        [len] => Ok(Shape::Vector { len }),
        [height, width] => Ok(Shape::Image { height, width, channels: 1 }),
        [height, width, channels] => Ok(Shape::Image { height, width, channels }),
        _ => Err(Failure::of("X", format!("rows of {} axes; give 1, 2 or 3", shape.len()))),
    }
}

/// The shape of a row as a list.
pub fn list_of(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Image { height, width, channels: 1 } => vec![height, width],
        Shape::Image { height, width, channels } => vec![height, width, channels],
        Shape::Vector { len } => vec![len],
    }
}

#[pymethods]
impl Rows {
    #[new]
    fn new(values: Flat<'_>, about: &Bound<'_, PyAny>) -> Result<Self> {
        let About { name, shape, labels, classes, columns, whole, range } = about.extract()?;
        let (path, shape) = (Path::new(&name), shape_of(&shape)?);
        let labels = labels.map(|of_row| Labels { of_row, names: classes });
        let mut set = match (&values, shape) {
            (Flat::Double(values), Shape::Vector { len }) => {
                let mut set = Dataset::from_rows_f64(path, values.as_slice().map_err(PyErr::from)?, len)?;
                set.labels = labels;
                set
            }
            _ => Dataset::new(path, shape, narrow(&values)?, range, labels)?,
        };
        set.columns = columns;
        set.whole_columns = whole;
        Ok(Self { set })
    }

    fn __len__(&self) -> usize {
        self.set.len()
    }
}

/// The values without more than single precision.
fn narrow(values: &Flat) -> Result<Values> {
    Ok(match values {
        Flat::Bytes(values) => Values::Bytes(values.as_slice().map_err(PyErr::from)?.to_vec()),
        Flat::Single(values) => Values::Floats(values.as_slice().map_err(PyErr::from)?.to_vec()),
        Flat::Double(values) => {
            Values::Floats(values.as_slice().map_err(PyErr::from)?.iter().map(|&value| value as f32).collect())
        }
    })
}

/// Names of the built-in data sets.
#[pyfunction]
pub fn sources() -> Vec<&'static str> {
    BUILT_IN.to_vec()
}

/// How a file is opened; what is None is decided by rule.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Opening {
    columns: Vec<String>,
    label: Option<String>,
    shrink: usize,
    side: usize,
    array: Option<String>,
    labels: Option<String>,
    range: Option<(f32, f32)>,
}

/// Opens a built-in data set by its name, or the file or folder at a path; returns its values and what is known about them.
#[pyfunction]
pub fn open<'py>(py: Python<'py>, source: String, how: &Bound<'py, PyAny>) -> Result<Bound<'py, PyDict>> {
    let Opening { columns, label, shrink, side, array, labels, range } = how.extract()?;
    let options = OpenOptions { columns, label, shrink, side, array, labels, range, ..OpenOptions::default() };
    let set = py.detach(|| pfgm_data::open(&source, &options))?;
    let found = PyDict::new(py);
    found.set_item("values", values_of(py, &set)?)?;
    found.set_item("shape", list_of(set.shape))?;
    found.set_item("range", set.range)?;
    found.set_item("columns", &set.columns)?;
    found.set_item("notices", set.notices.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let labels = set.labels.map(|labels| (PyArray1::from_vec(py, labels.of_row), labels.names));
    found.set_item("labels", labels)?;
    found.set_item("name", set.name)?;
    Ok(found)
}

/// All values: bytes if the file has bytes, double precision if single precision would round them, otherwise single precision.
fn values_of<'py>(py: Python<'py>, set: &Dataset) -> Result<Bound<'py, PyAny>> {
    if !set.origin.is_empty() {
        let mut values = vec![0.0; set.values.len()];
        for (index, row) in values.chunks_exact_mut(set.shape.dim()).enumerate() {
            set.read_wide(index, row)?;
        }
        return Ok(PyArray1::from_vec(py, values).into_any());
    }
    let values = set.values()?;
    if set.values.are_bytes() {
        let bytes = values.into_iter().map(|value| value as u8).collect();
        return Ok(PyArray1::from_vec(py, bytes).into_any());
    }
    Ok(PyArray1::from_vec(py, values).into_any())
}
