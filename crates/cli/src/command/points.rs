//! Points in npz archives, with channels first as in PyTorch.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail};
use pfgm::spec::ModelSpec;
use pfgm_data::{
    Shape,
    npz::{Floats, read_arrays},
};

/// Reads the arrays of an archive.
pub fn read(path: &Path) -> Result<BTreeMap<String, Floats>> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    Ok(read_arrays(path, &bytes)?)
}

/// Channels, height and width of a run's rows; a vector is one pixel with a channel for each column.
pub fn layout(spec: &ModelSpec) -> [usize; 3] {
    match spec.data.shape {
        Shape::Image { height, width, channels } => [channels, height, width],
        Shape::Vector { len } => [len, 1, 1],
    }
}

/// The shape of an array of a run's rows.
pub fn array_shape(spec: &ModelSpec, rows: usize) -> Vec<usize> {
    match spec.data.shape {
        Shape::Image { height, width, channels } => vec![rows, channels, height, width],
        Shape::Vector { len } => vec![rows, len],
    }
}

/// Rows and their classes.
pub struct Points {
    pub rows: usize,
    /// The rows, `[rows, N]`, with channels last.
    pub x: Vec<f64>,
    pub labels: Vec<Option<u32>>,
}

impl Points {
    /// Finds the array `x`, and `labels` if there are any.
    pub fn find(path: &Path, arrays: &BTreeMap<String, Floats>, spec: &ModelSpec) -> Result<Self> {
        let ([channels, height, width], classes) = (layout(spec), spec.data.classes.len());
        let path = path.display();
        let Some(x) = arrays.get("x") else { bail!("{path}: no array `x`") };
        let rows = x.shape.first().copied().unwrap_or(0);
        if rows == 0 {
            bail!("{path}: `x` has no rows; give at least one");
        }
        if x.values.iter().any(|value| !value.is_finite()) {
            bail!("{path}: `x` has values that are not finite; give numbers");
        }
        if x.shape != array_shape(spec, rows) {
            bail!("{path}: `x` is {:?}; expected {:?}, for any number of rows", x.shape, array_shape(spec, rows));
        }
        let labels = match arrays.get("labels") {
            None => vec![None; rows],
            Some(labels) if classes == 0 => {
                bail!("{path}: `labels` {:?}, but the run is not conditioned on classes", labels.shape)
            }
            Some(labels) if labels.shape == [rows] => {
                let label = |&value: &f32| {
                    (value >= 0.0 && value.fract() == 0.0 && (value as usize) < classes).then_some(value as u32)
                };
                let found: Option<Vec<_>> = labels.values.iter().map(label).collect();
                let Some(found) = found else {
                    bail!("{path}: `labels` must be whole numbers from 0 to {}", classes - 1)
                };
                found.into_iter().map(Some).collect()
            }
            Some(labels) if labels.shape == [rows, classes] => {
                let class = |row: &[f32]| row.iter().position(|value| *value > 0.5).map(|class| class as u32);
                labels.values.chunks_exact(classes).map(class).collect()
            }
            Some(labels) => bail!("{path}: `labels` is {:?}; write [{rows}] or [{rows}, {classes}]", labels.shape),
        };
        let x = channels_last(&x.values, [channels, height, width]).into_iter().map(f64::from).collect();
        Ok(Self { rows, x, labels })
    }
}

/// Rows of `[batch, channels, height, width]` with channels last.
pub fn channels_last(values: &[f32], [channels, height, width]: [usize; 3]) -> Vec<f32> {
    let plane = height * width;
    let image = |image: &[f32]| -> Vec<f32> {
        (0..plane * channels).map(|at| image[at % channels * plane + at / channels]).collect()
    };
    values.chunks_exact(plane * channels).flat_map(image).collect()
}

/// Rows with channels last as `[batch, channels, height, width]`.
pub fn channels_first(values: &mut dyn Iterator<Item = f64>, [_, channels, height, width]: [usize; 4]) -> Vec<f32> {
    let values: Vec<f32> = values.map(|value| value as f32).collect();
    let plane = height * width;
    let image = |image: &[f32]| -> Vec<f32> {
        (0..plane * channels).map(|at| image[at % plane * channels + at / plane]).collect()
    };
    values.chunks_exact(plane * channels).flat_map(image).collect()
}
