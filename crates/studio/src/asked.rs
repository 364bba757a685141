//! From what a request says to what can be computed: the one place where a request can be wrong.

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
use utoipa::ToSchema;

use crate::{
    limits::{MOST_PIXELS, MOST_ROWS, MOST_STEPS, MOST_VALUES, Refusal},
    runs::Model,
};

/// How to solve; what is left away is as the run has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Solving {
    /// The method, as `pfgm sample --solver` takes it.
    #[schema(example = "heun")]
    pub solver: Option<String>,
    /// Steps, up to 1000.
    #[schema(minimum = 1, maximum = 1000, example = 18)]
    pub steps: Option<u32>,
    /// The relative and absolute tolerance of rk45.
    #[schema(example = 1e-4)]
    pub tolerance: Option<f64>,
}

/// Rows of data: images as files, or values in the data's own units.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// Images (PNG, JPEG, ...) in base64; they are brought to the run's size.
    pub images: Vec<String>,
    /// Rows of numbers.
    pub rows: Vec<Vec<f32>>,
}

/// The name of a method.
pub fn method(name: &str) -> Result<Method, Refusal> {
    let found = Method::ALL.into_iter().find(|method| method.word() == name);
    found.ok_or_else(|| {
        let names: Vec<_> = Method::ALL.into_iter().map(Method::word).collect();
        Refusal::unprocessable(format!("solver `{name}`: there is no such method; there are {}", names.join(", ")))
    })
}

impl Solving {
    /// The solver that a request asks for.
    ///
    /// # Errors
    /// When it cannot work.
    pub fn resolve(&self, record: &ModelSpec) -> Result<SolverConfig, Refusal> {
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
        if solver.method.has_grid() && solver.steps > MOST_STEPS {
            return Err(Refusal::unprocessable(format!("steps {}: give 1 to {MOST_STEPS}", solver.steps)));
        }
        // A tolerance that arithmetic cannot meet would be computed at for ever.
        if solver.rtol < 1e-9 {
            return Err(Refusal::unprocessable(format!("tolerance {}: give at least 1e-9", solver.rtol)));
        }
        let solver = solver.for_process(record.config.flow.output.process());
        let wrong =
            |(key, value, problem): (&str, String, String)| Refusal::unprocessable(format!("{key} {value}: {problem}"));
        solver.check(record.extra_dims()).map_err(wrong)?;
        Ok(solver)
    }

    /// The same, for a way up: RK45 where nobody says otherwise.
    ///
    /// # Errors
    /// When it cannot work, or only leads down.
    pub fn way_up(&self, record: &ModelSpec) -> Result<SolverConfig, Refusal> {
        let named = Self { solver: self.solver.clone().or(Some("rk45".into())), ..self.clone() };
        let solver = SolverConfig { denoise: false, ..named.resolve(record)? };
        if solver.method.is_sde() || solver.churn > 0.0 || solver.noise > 0.0 {
            let name = solver.method.word();
            return Err(Refusal::unprocessable(format!(
                "solver `{name}`: it leads down only; name rk45, or another ODE's"
            )));
        }
        Ok(solver)
    }
}

/// A solver as a command line has it.
pub fn typed(solver: &SolverConfig) -> String {
    let name = solver.method.word();
    if solver.method.has_grid() || solver.method.is_sde() {
        return format!(" --solver {name} --steps {}", solver.steps);
    }
    format!(" --solver {name} --rtol {} --atol {}", solver.rtol, solver.atol)
}

/// Whether so many rows may be asked for.
///
/// # Errors
/// When they are none, or too many.
pub fn check_count(what: &str, count: usize, dim: usize) -> Result<(), Refusal> {
    let most = MOST_ROWS.min(MOST_VALUES / dim).max(1);
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(Refusal::unprocessable(format!("{what}: {count} of them; give 1 to {most}")))
}

/// A class by name or number, of a run that knows some.
///
/// # Errors
/// When the run knows no such class.
pub fn class(record: &ModelSpec, name: Option<&str>) -> Result<Option<u32>, Refusal> {
    let Some(name) = name else { return Ok(None) };
    let classes = &record.data.classes;
    let number = || name.parse::<usize>().ok().filter(|number| *number < classes.len());
    match classes.iter().position(|class| class == name).or_else(number) {
        Some(class) => Ok(Some(class as u32)),
        None if classes.is_empty() => Err(Refusal::unprocessable("class: this run knows no classes; leave it away")),
        None => Err(Refusal::unprocessable(format!("class `{name}`: this run knows {}", classes.join(", ")))),
    }
}

/// The strength of guidance; the run's own where nobody says.
///
/// # Errors
/// When the run was not trained for it.
pub fn guidance(record: &ModelSpec, asked: Option<f64>) -> Result<f64, Refusal> {
    let guidance = asked.unwrap_or(record.config.sample.guidance);
    check_guidance("guidance", guidance, &record.config).map_err(|error| Refusal::unprocessable(error.to_string()))?;
    Ok(guidance)
}

/// The latents of seeds, scaled.
///
/// # Errors
/// When the scale makes no sense.
pub fn latents(model: &Model, seeds: &[u64], scale: f64) -> Result<Vec<f64>, Refusal> {
    if !(scale > 0.0 && scale <= 100.0) {
        return Err(Refusal::unprocessable(format!("scale {scale}: give a number above 0, at most 100")));
    }
    let denoiser = model.record.denoiser(&model.network, Vec::new(), 1.0, 1, &model.device);
    let flow = Flow { denoiser: &denoiser, extra_dims: model.record.extra_dims() };
    let latent = |&seed: &u64| flow.latent(model.record.range().1, &mut stream(seed, Purpose::Latent, 0, 0));
    Ok(seeds.iter().flat_map(latent).map(|value| scale * value).collect())
}

/// Latents on the way from one to another.
pub fn between(from: &[f64], to: &[f64], pictures: usize) -> Vec<f64> {
    let share = |index: usize| index as f64 / (pictures - 1).max(1) as f64;
    (0..pictures).flat_map(|index| latent::interpolate(from, to, share(index))).collect()
}

impl Given {
    /// The rows in the data's own units, `[rows, N]`.
    ///
    /// # Errors
    /// When they are no rows of the run's.
    pub fn values(&self, record: &ModelSpec) -> Result<Vec<f32>, Refusal> {
        let dim = record.dim();
        check_count("images and rows", self.images.len() + self.rows.len(), dim)?;
        let mut values = Vec::new();
        for (at, text) in self.images.iter().enumerate() {
            let image = decoded(text).map_err(|problem| Refusal::unprocessable(format!("images[{at}]: {problem}")))?;
            values.extend(fitted(&image, record)?);
        }
        for (at, row) in self.rows.iter().enumerate() {
            if row.len() != dim || row.iter().any(|value| !value.is_finite()) {
                let found = row.len();
                return Err(Refusal::unprocessable(format!("rows[{at}]: {found} values; give {dim} finite numbers")));
            }
            values.extend(row);
        }
        Ok(values)
    }

    /// The rows as points of the model's space.
    ///
    /// # Errors
    /// As [`Given::values`].
    pub fn points(&self, record: &ModelSpec) -> Result<Vec<f64>, Refusal> {
        let mut values = self.values(record)?;
        values.chunks_exact_mut(record.dim()).for_each(|row| record.data.transform.forward(row));
        Ok(values.into_iter().map(f64::from).collect())
    }
}

fn decoded(text: &str) -> Result<DynamicImage, String> {
    // A page's `data:image/png;base64,` may stand before it.
    let text = text.rsplit_once(";base64,").map_or(text, |(_, text)| text);
    let bytes = BASE64_STANDARD.decode(text.trim()).map_err(|error| format!("no base64: {error}"))?;
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MOST_PIXELS), Some(MOST_PIXELS));
    limits.max_alloc = Some(256 << 20);
    reader.limits(limits);
    reader.decode().map_err(|error| format!("no image that can be read: {error}"))
}

/// An image in the run's size and units: scaled as a whole and cut in the middle.
fn fitted(image: &DynamicImage, record: &ModelSpec) -> Result<Vec<f32>, Refusal> {
    let Shape::Image { height, width, channels } = record.data.shape else {
        let shape = record.data.shape;
        return Err(Refusal::unprocessable(format!("images: the run's rows are {shape}; send `rows`")));
    };
    let image = image.resize_to_fill(width as u32, height as u32, FilterType::Triangle);
    let values: Vec<f32> = match channels {
        1 => image.to_luma32f().into_raw(),
        3 => image.to_rgb32f().into_raw(),
        _ => return Err(Refusal::unprocessable(format!("images: the run's have {channels} channels; send `rows`"))),
    };
    let (low, high) = record.data.range;
    Ok(values.into_iter().map(|value| low + value * (high - low)).collect())
}
