//! Parts that requests have in common, and their validation.

use std::io::Cursor;

use base64::{Engine, prelude::BASE64_STANDARD};
use image::{DynamicImage, ImageReader, Limits, imageops::FilterType};
use pfgm::{
    config::check_guidance,
    model::Rows,
    solver::{Method, Solver, SolverOverrides, Tolerance},
    spec::ModelSpec,
};
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use crate::{
    error::ApiError,
    limits::{MAX_PIXELS, MAX_ROWS, MAX_STEPS, MAX_VALUES},
    models::LoadedModel,
};

/// Solver settings; the run's own hold for what is omitted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SolverRequest {
    /// Name of the solver, as in `pfgm sample --solver`.
    #[cfg_attr(test, schema(example = "heun"))]
    pub solver: Option<String>,
    /// Number of steps, 1 to 1000.
    #[cfg_attr(test, schema(minimum = 1, maximum = 1000, example = 18))]
    pub steps: Option<u32>,
    /// Relative and absolute tolerance of rk45, at least 1e-9.
    #[cfg_attr(test, schema(example = 1e-4))]
    pub tolerance: Option<f64>,
}

/// Rows of data: image files, or values in the units of the data.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct InputRows {
    /// Image files (PNG, JPEG, ...) in base64, resized and cropped to the run's size.
    pub images: Vec<String>,
    /// Rows of numbers.
    pub rows: Vec<Vec<f32>>,
}

/// Returns the method of a name.
///
/// # Errors
/// If there is no such method.
pub fn method(name: &str) -> Result<Method, ApiError> {
    name.parse().map_err(|_| {
        let names = Method::NAMES.join(", ");
        ApiError::unprocessable(format!("solver `{name}` is unknown; choose one of {names}"))
    })
}

impl SolverRequest {
    /// Applies the settings to the run's own solver.
    ///
    /// # Errors
    /// If the result is out of range or does not fit the run.
    pub fn resolve(&self, spec: &ModelSpec) -> Result<Solver, ApiError> {
        Ok(spec.solver_or(Some(self.apply(spec)?))?)
    }

    /// Applies the settings for an integration that begins below the highest noise level.
    ///
    /// # Errors
    /// As [`SolverRequest::resolve`].
    pub fn resolve_partial(&self, spec: &ModelSpec) -> Result<Solver, ApiError> {
        Ok(spec.partial_solver_or(Some(self.apply(spec)?))?)
    }

    /// Applies the settings for encoding and exact inversion; rk45 if no solver is named.
    ///
    /// # Errors
    /// As [`SolverRequest::resolve`], and if the solver cannot be run backwards.
    pub fn resolve_invertible(&self, spec: &ModelSpec) -> Result<Solver, ApiError> {
        let named = Self { solver: self.solver.clone().or(Some("rk45".into())), ..self.clone() };
        let mut solver = named.apply(spec)?;
        solver.set_denoise(false);
        Ok(spec.invertible_solver_or(Some(solver))?)
    }

    fn apply(&self, spec: &ModelSpec) -> Result<Solver, ApiError> {
        let (method, steps) = (self.solver.as_deref().map(method).transpose()?, self.steps.map(|steps| steps as usize));
        let overrides =
            SolverOverrides { method, steps, rtol: self.tolerance, atol: self.tolerance, ..SolverOverrides::default() };
        // Clients may send steps and a tolerance whatever the solver is.
        let solver = overrides
            .apply_lenient(&spec.config.sample.solver)
            .map_err(|wrong| ApiError::unprocessable(wrong.to_string()))?;
        if let Some(steps) = solver.steps().filter(|steps| *steps > MAX_STEPS) {
            return Err(ApiError::unprocessable(format!("steps {steps}: give 1 to {MAX_STEPS}")));
        }
        // With a tolerance below rounding errors, the step size would shrink forever.
        if let Some(Tolerance { rtol, .. }) = solver.tolerance().filter(|tolerance| tolerance.rtol < 1e-9) {
            return Err(ApiError::unprocessable(format!("tolerance {rtol}: give at least 1e-9")));
        }
        Ok(solver)
    }
}

/// Returns the command-line options that select a solver.
pub fn solver_options(solver: &Solver) -> String {
    let method = solver.method();
    match (solver.steps(), solver.tolerance()) {
        (Some(steps), _) => format!(" --solver {method} --steps {steps}"),
        (None, Some(Tolerance { rtol, atol })) => format!(" --solver {method} --rtol {rtol} --atol {atol}"),
        (None, None) => format!(" --solver {method}"),
    }
}

/// Checks how many rows of `dim` values are asked for.
///
/// # Errors
/// If there are none, or too many.
pub fn check_count(field: &str, count: usize, dim: usize) -> Result<(), ApiError> {
    let max = MAX_ROWS.min(MAX_VALUES / dim).max(1);
    if (1..=max).contains(&count) {
        return Ok(());
    }
    Err(ApiError::unprocessable(format!("{field}: {count} of them; give 1 to {max}")))
}

/// Returns the index of a class given by name or number.
///
/// # Errors
/// If the run has no such class.
pub fn class(spec: &ModelSpec, name: Option<&str>) -> Result<Option<u32>, ApiError> {
    Ok(name.map(|name| spec.class(name)).transpose()?)
}

/// Returns the classifier-free guidance scale; the run's own if the request has none.
///
/// # Errors
/// If the run was not trained for guidance.
pub fn guidance(spec: &ModelSpec, requested: Option<f64>) -> Result<f64, ApiError> {
    let guidance = requested.unwrap_or(spec.config.sample.guidance);
    check_guidance("guidance", guidance, &spec.config).map_err(|error| ApiError::unprocessable(error.to_string()))?;
    Ok(guidance)
}

/// Draws the latent of each seed and multiplies it by `scale`.
///
/// # Shapes
/// Returns `[seeds, N]`.
///
/// # Errors
/// If the scale is not in (0, 100].
pub fn latents(model: &LoadedModel, seeds: &[u64], scale: f64) -> Result<Vec<f64>, ApiError> {
    if !(scale > 0.0 && scale <= 100.0) {
        return Err(ApiError::unprocessable(format!("scale {scale}: give a number above 0, at most 100")));
    }
    Ok(model.latents(seeds.iter().copied()).scaled(scale).x)
}

impl InputRows {
    /// Returns the rows in the units of the data.
    ///
    /// # Shapes
    /// `[rows, N]`.
    ///
    /// # Errors
    /// If an image cannot be decoded, or a row does not have N finite values.
    pub fn values(&self, spec: &ModelSpec) -> Result<Vec<f32>, ApiError> {
        let dim = spec.dim();
        check_count("images and rows", self.images.len() + self.rows.len(), dim)?;
        let mut values = Vec::new();
        for (at, text) in self.images.iter().enumerate() {
            let image = decode(text).map_err(|problem| ApiError::unprocessable(format!("images[{at}]: {problem}")))?;
            values.extend(fit(&image, spec)?);
        }
        for (at, row) in self.rows.iter().enumerate() {
            if row.len() != dim || row.iter().any(|value| !value.is_finite()) {
                let found = row.len();
                return Err(ApiError::unprocessable(format!("rows[{at}]: {found} values; give {dim} finite numbers")));
            }
            values.extend(row);
        }
        Ok(values)
    }

    /// Returns the rows with their class, for the library. Images of integers are rounded: resizing makes fractions of them.
    ///
    /// # Errors
    /// As [`InputRows::values`], and if the run has no such class.
    pub fn rows(&self, spec: &ModelSpec, class_name: Option<&str>) -> Result<Rows, ApiError> {
        let mut values = self.values(spec)?;
        let is_integer = matches!(spec.data.shape, Shape::Image { .. }) && spec.data.range.1 > 1.0;
        if is_integer {
            values.iter_mut().for_each(|value| *value = value.round());
        }
        let labels = vec![class(spec, class_name)?; values.len() / spec.dim()];
        Ok(Rows::new(values, labels, is_integer))
    }
}

fn decode(text: &str) -> Result<DynamicImage, String> {
    // A data URL of a browser begins with `data:image/png;base64,`.
    let text = text.rsplit_once(";base64,").map_or(text, |(_, text)| text);
    let bytes = BASE64_STANDARD.decode(text.trim()).map_err(|error| format!("not base64: {error}"))?;
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_PIXELS), Some(MAX_PIXELS));
    limits.max_alloc = Some(256 << 20);
    reader.limits(limits);
    reader.decode().map_err(|error| format!("no image that can be decoded: {error}"))
}

/// Resizes an image to cover the run's size, crops it in the middle and maps it to the units of the data.
fn fit(image: &DynamicImage, spec: &ModelSpec) -> Result<Vec<f32>, ApiError> {
    let Shape::Image { height, width, channels } = spec.data.shape else {
        let shape = spec.data.shape;
        return Err(ApiError::unprocessable(format!("images: rows of this run are {shape}; send `rows`")));
    };
    let image = image.resize_to_fill(width as u32, height as u32, FilterType::Triangle);
    let values: Vec<f32> = match channels {
        1 => image.to_luma32f().into_raw(),
        3 => image.to_rgb32f().into_raw(),
        _ => {
            let reason = format!("images: those of this run have {channels} channels; send `rows`");
            return Err(ApiError::unprocessable(reason));
        }
    };
    let (low, high) = spec.data.range;
    Ok(values.into_iter().map(|value| low + value * (high - low)).collect())
}
