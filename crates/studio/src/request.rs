//! Parts that requests have in common, and their validation.

use std::io::Cursor;

use base64::{Engine, prelude::BASE64_STANDARD};
use image::{DynamicImage, ImageReader, Limits, imageops::FilterType};
use pfgm::{
    config::check_guidance,
    flow::Flow,
    latent,
    random::{Purpose, stream},
    solver::{Method, SolverConfig},
    spec::ModelSpec,
};
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use crate::{
    error::ApiError,
    limits::{MAX_PIXELS, MAX_ROWS, MAX_STEPS, MAX_VALUES},
    models::Model,
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
    let found = Method::ALL.into_iter().find(|method| method.word() == name);
    found.ok_or_else(|| {
        let names: Vec<_> = Method::ALL.into_iter().map(Method::word).collect();
        ApiError::unprocessable(format!("solver `{name}` is unknown; choose one of {}", names.join(", ")))
    })
}

impl SolverRequest {
    /// Applies the settings to the run's own solver.
    ///
    /// # Errors
    /// If the result is out of range or does not fit the run.
    pub fn resolve(&self, record: &ModelSpec) -> Result<SolverConfig, ApiError> {
        let kept = &record.config.sample.solver;
        let mut solver = match self.solver.as_deref().map(method).transpose()? {
            Some(method) if method != kept.method => {
                let steps = if method.is_sde() || kept.method.is_sde() { method.usual_steps() } else { kept.steps };
                SolverConfig { method, steps, denoise: kept.denoise, ..SolverConfig::default() }
            }
            _ => kept.clone(),
        };
        if let Some(steps) = self.steps {
            solver.steps = steps as usize;
            solver.levels.clear();
        }
        if let Some(tolerance) = self.tolerance {
            (solver.rtol, solver.atol) = (tolerance, tolerance);
        }
        if solver.method.has_grid() && solver.steps > MAX_STEPS {
            return Err(ApiError::unprocessable(format!("steps {}: give 1 to {MAX_STEPS}", solver.steps)));
        }
        // The step size of a tolerance below rounding errors never ends to shrink.
        if solver.rtol < 1e-9 {
            return Err(ApiError::unprocessable(format!("tolerance {}: give at least 1e-9", solver.rtol)));
        }
        let solver = solver.for_output(record.config.flow.output);
        let wrong = |(key, value, problem): (&str, String, String)| {
            ApiError::unprocessable(format!("{key} {value}: {problem}"))
        };
        solver.check(record.augmentation()).map_err(wrong)?;
        Ok(solver)
    }

    /// Resolves settings for encoding and exact inversion; rk45 if no solver is named.
    ///
    /// # Errors
    /// As [`SolverRequest::resolve`], and if the solver cannot be run backwards.
    pub fn resolve_reversible(&self, record: &ModelSpec) -> Result<SolverConfig, ApiError> {
        let named = Self { solver: self.solver.clone().or(Some("rk45".into())), ..self.clone() };
        let solver = SolverConfig { denoise: false, ..named.resolve(record)? };
        if solver.method.is_sde() || solver.churn > 0.0 || solver.noise > 0.0 {
            let name = solver.method.word();
            let reason =
                format!("solver `{name}` adds noise and cannot be run backwards; choose an ODE solver, as rk45");
            return Err(ApiError::unprocessable(reason));
        }
        Ok(solver)
    }
}

/// Returns the command-line options that select a solver.
pub fn solver_options(solver: &SolverConfig) -> String {
    let name = solver.method.word();
    if solver.method.has_grid() || solver.method.is_sde() {
        return format!(" --solver {name} --steps {}", solver.steps);
    }
    format!(" --solver {name} --rtol {} --atol {}", solver.rtol, solver.atol)
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
pub fn class(record: &ModelSpec, name: Option<&str>) -> Result<Option<u32>, ApiError> {
    let Some(name) = name else { return Ok(None) };
    let classes = &record.data.classes;
    let number = || name.parse::<usize>().ok().filter(|number| *number < classes.len());
    match classes.iter().position(|class| class == name).or_else(number) {
        Some(class) => Ok(Some(class as u32)),
        None if classes.is_empty() => Err(ApiError::unprocessable("class: this run has no classes; omit it")),
        None => {
            Err(ApiError::unprocessable(format!("class `{name}` is unknown; the classes are {}", classes.join(", "))))
        }
    }
}

/// Returns the classifier-free guidance scale; the run's own if the request has none.
///
/// # Errors
/// If the run was not trained for guidance.
pub fn guidance(record: &ModelSpec, requested: Option<f64>) -> Result<f64, ApiError> {
    let guidance = requested.unwrap_or(record.config.sample.guidance);
    check_guidance("guidance", guidance, &record.config).map_err(|error| ApiError::unprocessable(error.to_string()))?;
    Ok(guidance)
}

/// Draws the latent of each seed and multiplies it by `scale`.
///
/// # Shapes
/// Returns `[seeds, N]`.
///
/// # Errors
/// If the scale is not in (0, 100].
pub fn latents(model: &Model, seeds: &[u64], scale: f64) -> Result<Vec<f64>, ApiError> {
    if !(scale > 0.0 && scale <= 100.0) {
        return Err(ApiError::unprocessable(format!("scale {scale}: give a number above 0, at most 100")));
    }
    let denoiser = model.record.denoiser(&model.network, Vec::new(), 1.0, 1, &model.device);
    let flow = Flow { denoiser: &denoiser, augmentation: model.record.augmentation() };
    let latent = |&seed: &u64| flow.latent(model.record.range().1, &mut stream(seed, Purpose::Latent, 0, 0));
    Ok(seeds.iter().flat_map(latent).map(|value| scale * value).collect())
}

/// Interpolates between two latents at `count` equidistant places, both ends included.
///
/// # Shapes
/// `[N]` and `[N]` -> `[count, N]`.
pub fn interpolate(from: &[f64], to: &[f64], count: usize) -> Vec<f64> {
    let weight = |index: usize| index as f64 / (count - 1).max(1) as f64;
    (0..count).flat_map(|index| latent::interpolate(from, to, weight(index))).collect()
}

impl InputRows {
    /// Returns the rows in the units of the data.
    ///
    /// # Shapes
    /// `[rows, N]`.
    ///
    /// # Errors
    /// If an image cannot be decoded, or a row does not have N finite values.
    pub fn values(&self, record: &ModelSpec) -> Result<Vec<f32>, ApiError> {
        let dim = record.dim();
        check_count("images and rows", self.images.len() + self.rows.len(), dim)?;
        let mut values = Vec::new();
        for (at, text) in self.images.iter().enumerate() {
            let image = decode(text).map_err(|problem| ApiError::unprocessable(format!("images[{at}]: {problem}")))?;
            values.extend(fit(&image, record)?);
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

    /// Returns the rows in the model's space.
    ///
    /// # Shapes
    /// `[rows, N]`.
    ///
    /// # Errors
    /// As [`InputRows::values`].
    pub fn points(&self, record: &ModelSpec) -> Result<Vec<f64>, ApiError> {
        let mut values = self.values(record)?;
        values.chunks_exact_mut(record.dim()).for_each(|row| record.data.transform.forward(row));
        Ok(values.into_iter().map(f64::from).collect())
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
fn fit(image: &DynamicImage, record: &ModelSpec) -> Result<Vec<f32>, ApiError> {
    let Shape::Image { height, width, channels } = record.data.shape else {
        let shape = record.data.shape;
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
    let (low, high) = record.data.range;
    Ok(values.into_iter().map(|value| low + value * (high - low)).collect())
}
