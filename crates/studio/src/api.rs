//! Handlers of the HTTP API, one file for each group of operations.

pub mod events;
pub mod latents;
pub mod likelihood;
pub mod points;
pub mod runs;
pub mod sample;
pub mod status;
pub mod training;

use axum::Json;
use base64::{Engine, prelude::BASE64_STANDARD};
use pfgm_data::Shape;
use pfgm_plot::Picture;
use serde::Serialize;

use crate::{error::ApiError, models::LoadedModel, queue::Output};

/// Result of a handler.
pub type Answer<T> = Result<Json<T>, ApiError>;

/// Rows in the units of the data.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct SampleResponse {
    /// Name of the run.
    pub run: String,
    /// Seed of each row; empty if rows do not come from seeds.
    pub seeds: Vec<u64>,
    /// Name of each row's class; null without class conditioning.
    pub classes: Vec<Option<String>>,
    /// Number of rows.
    pub count: usize,
    /// Height, width and channels of an image, or length of a vector.
    pub shape: Vec<usize>,
    /// All images in one PNG, stacked vertically, in base64; null for vectors.
    pub png: Option<String>,
    /// Rows as numbers; null for images unless `values` was true.
    pub values: Option<Vec<Vec<f32>>>,
    /// Number of function evaluations (NFE) per row.
    pub nfe: f64,
    /// Computing time in seconds.
    pub seconds: f64,
    /// Command line that reproduces all rows; null if one does not suffice.
    pub command: Option<String>,
    /// Command line that reproduces each row.
    pub commands: Vec<String>,
    /// Noise level at which the integration began.
    pub sigma: f64,
}

impl SampleResponse {
    /// Converts points of the model's space into an answer without seeds and command lines.
    ///
    /// # Errors
    /// If the images cannot be encoded.
    pub fn new(model: &LoadedModel, output: &Output, labels: &[Option<u32>], values: bool) -> Result<Self, ApiError> {
        let spec = model.spec();
        let points = spec.to_data_units(&output.values);
        let png = stacked_png(model, &points)?;
        let rows: Vec<Vec<f32>> = points.chunks_exact(spec.dim()).map(<[f32]>::to_vec).collect();
        let classes = model.classes();
        Ok(Self {
            run: model.name.clone(),
            seeds: Vec::new(),
            classes: labels.iter().map(|label| label.and_then(|label| classes.get(label as usize).cloned())).collect(),
            count: rows.len(),
            shape: dimensions(spec.data.shape),
            values: (values || png.is_none()).then_some(rows),
            png,
            nfe: output.nfe,
            seconds: output.seconds,
            command: None,
            commands: Vec::new(),
            sigma: spec.range().1,
        })
    }
}

/// Returns height, width and channels of an image, or the length of a vector.
pub fn dimensions(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Image { height, width, channels } => vec![height, width, channels],
        Shape::Vector { len } => vec![len],
    }
}

/// Encodes images, stacked vertically, as a PNG in base64; returns None for vectors.
///
/// # Shapes
/// `values` is `[rows, N]`.
///
/// # Errors
/// If the images cannot be encoded.
pub fn stacked_png(model: &LoadedModel, values: &[f32]) -> Result<Option<String>, ApiError> {
    let data = &model.spec().data;
    let Shape::Image { height, width, channels } = data.shape else { return Ok(None) };
    let count = values.len() / (height * width * channels);
    let picture = Picture { height: height * count, width, channels, range: data.range };
    let bytes = picture.png(values).map_err(|error| ApiError::unprocessable(error.to_string()))?;
    Ok(Some(BASE64_STANDARD.encode(bytes)))
}

/// Quotes a word for a POSIX shell, if necessary.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
