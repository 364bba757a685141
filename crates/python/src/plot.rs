//! Pictures of arrays as PNG files.

use numpy::PyReadonlyArray1;
use pfgm_plot::{Column, Curve, Dot, Picture, Series};
use pyo3::{prelude::*, types::PyBytes};

use crate::failure::{Failure, Result};

/// A flat array of single precision.
type Singles<'py> = PyReadonlyArray1<'py, f32>;

fn slice<'a>(array: &'a Singles<'_>) -> Result<&'a [f32]> {
    Ok(array.as_slice().map_err(PyErr::from)?)
}

/// Draws images in rows of `columns`; `size` is height, width and channels.
#[pyfunction]
pub fn grid<'py>(
    py: Python<'py>,
    values: Singles<'py>,
    size: [usize; 3],
    range: (f32, f32),
    columns: usize,
) -> Result<Bound<'py, PyBytes>> {
    let [height, width, channels] = size;
    let png = pfgm_plot::grid(Picture { height, width, channels, range }, slice(&values)?, columns)?;
    Ok(PyBytes::new(py, &png))
}

/// Draws points of two columns, each named series in its color.
#[pyfunction]
pub fn scatter<'py>(
    py: Python<'py>,
    series: Vec<(String, Singles<'py>)>,
    axes: [String; 2],
    title: &str,
) -> Result<Bound<'py, PyBytes>> {
    let series = named(&series)?;
    Ok(PyBytes::new(py, &pfgm_plot::scatter(&series, [&axes[0], &axes[1]], title)?.png()?))
}

/// Draws a histogram of each column.
#[pyfunction]
pub fn histograms<'py>(
    py: Python<'py>,
    series: Vec<(String, Singles<'py>)>,
    columns: Vec<String>,
) -> Result<Bound<'py, PyBytes>> {
    let columns: Vec<Column> = columns.into_iter().map(Column::numbers).collect();
    Ok(PyBytes::new(py, &pfgm_plot::histograms(&named(&series)?, &columns)?.png()?))
}

fn named<'a>(series: &'a [(String, Singles<'_>)]) -> Result<Vec<Series<'a>>> {
    series.iter().map(|(name, values)| Ok(Series { name, values: slice(values)? })).collect()
}

/// Draws curves of named points.
#[pyfunction]
pub fn curve<'py>(
    py: Python<'py>,
    curves: Vec<(String, Vec<f64>, Vec<f64>)>,
    axes: [String; 2],
    title: &str,
) -> Result<Bound<'py, PyBytes>> {
    let curve = |(name, x, y): (String, Vec<f64>, Vec<f64>)| {
        let dots = x.into_iter().zip(y).map(|(x, y)| Dot { x, y, error: 0.0 }).collect();
        Curve { name, dots }
    };
    let curves: Vec<Curve> = curves.into_iter().map(curve).collect();
    if curves.iter().all(|curve| curve.dots.is_empty()) {
        return Err(Failure::of("history", "there is nothing to draw"));
    }
    Ok(PyBytes::new(py, &pfgm_plot::curves(&curves, [&axes[0], &axes[1]], title)?.png()?))
}
