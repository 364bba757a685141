//! Interpolation, encoding, decoding and denoising.

use std::sync::Arc;

use axum::{Json, extract::State};
use pfgm::{
    latent,
    model::{Direction, IntegrationJob},
    restoration::estimate_noise,
};
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use crate::{
    api::{Answer, SampleResponse, quote},
    error::ApiError,
    extract::JsonBody,
    limits::MAX_ROWS,
    models::LoadedModel,
    queue::Task,
    request::{self, InputRows, SolverRequest, check_count},
    state::Studio,
};

/// Request for the interpolation between two samples.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InterpolateRequest {
    /// Name of the run.
    #[cfg_attr(test, schema(example = "digits"))]
    pub run: String,
    /// Seed of the first sample.
    pub from: u64,
    /// Seed of the last sample.
    pub to: u64,
    /// Number of samples, both ends included.
    #[cfg_attr(test, schema(minimum = 2, maximum = 256, example = 9))]
    pub pictures: u32,
    /// Name or number of the class of all samples; unconditional if it is omitted.
    #[serde(default)]
    pub class: Option<String>,
    /// Solver settings; the solver must be an ODE solver.
    #[serde(default)]
    pub solving: SolverRequest,
    /// Whether to return images as numbers, too.
    #[serde(default)]
    pub values: bool,
}

/// Request for the latents of rows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EncodeRequest {
    /// Name of the run.
    #[cfg_attr(test, schema(example = "digits"))]
    pub run: String,
    /// Rows to encode.
    #[serde(alias = "given")]
    pub input: InputRows,
    /// Name or number of the class of all rows; unconditional if it is omitted.
    #[serde(default)]
    pub class: Option<String>,
    /// Solver settings; rk45 by default.
    #[serde(default)]
    pub solving: SolverRequest,
}

/// Request for the rows of latents.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DecodeRequest {
    /// Name of the run.
    #[cfg_attr(test, schema(example = "digits"))]
    pub run: String,
    /// Latents, N finite numbers each.
    pub latents: Vec<Vec<f64>>,
    /// Name or number of the class of all rows; unconditional if it is omitted.
    #[serde(default)]
    pub class: Option<String>,
    /// Solver settings; rk45 by default.
    #[serde(default)]
    pub solving: SolverRequest,
    /// Whether to return images as numbers, too.
    #[serde(default)]
    pub values: bool,
}

/// Request for denoised images.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DenoiseRequest {
    /// Name of the run.
    #[cfg_attr(test, schema(example = "digits"))]
    pub run: String,
    /// Noisy images.
    #[serde(alias = "given")]
    pub input: InputRows,
    /// Standard deviation of the noise in the model's space, where images lie in [-1, 1]. Default: estimated from the first image.
    #[serde(default)]
    pub sigma: Option<f64>,
    /// Whether to return the posterior mean (one evaluation, smooth) instead of a posterior sample.
    #[serde(default, alias = "guess")]
    pub posterior_mean: bool,
    /// Name or number of the class of all images; unconditional if it is omitted.
    #[serde(default)]
    pub class: Option<String>,
    /// Solver settings.
    #[serde(default)]
    pub solving: SolverRequest,
    /// Whether to return images as numbers, too.
    #[serde(default)]
    pub values: bool,
}

/// Latents of rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct EncodeResponse {
    /// Latent of each row.
    pub latents: Vec<Vec<f64>>,
    /// Euclidean norm of each latent.
    pub norms: Vec<f64>,
    /// Median norm of 64 latents of the prior, for comparison.
    pub usual_norm: f64,
    /// Number of function evaluations (NFE) per row.
    pub nfe: f64,
    /// Computing time in seconds.
    pub seconds: f64,
}

/// Interpolates between two samples.
#[cfg_attr(test, utoipa::path(post, path = "/api/v1/interpolate", request_body = InterpolateRequest,
    responses((status = 200, body = SampleResponse), crate::openapi::ModelErrors)))]
pub async fn interpolate(
    State(studio): State<Arc<Studio>>,
    JsonBody(request): JsonBody<InterpolateRequest>,
) -> Answer<SampleResponse> {
    let model = studio.model(&request.run).await?;
    let values = request.values;
    let (own, seeds) = (Arc::clone(&model), vec![request.from, request.to]);
    let (job, command) = studio
        .offload(move || {
            let job = interpolation(&own, &request)?;
            let command = interpolate_command(&own, &request, &job);
            Ok((job, command))
        })
        .await?;
    let response = integrate(&studio, &model, job, values).await?;
    Ok(Json(SampleResponse { command: Some(command), seeds, ..response }))
}

fn interpolation(model: &LoadedModel, request: &InterpolateRequest) -> Result<IntegrationJob, ApiError> {
    let (spec, count) = (model.spec(), request.pictures as usize);
    if !(2..=MAX_ROWS).contains(&count) {
        return Err(ApiError::unprocessable(format!("pictures {count}: give 2 to {MAX_ROWS}")));
    }
    check_count("pictures", count, spec.dim())?;
    let x = model.latents([request.from]).interpolate(&model.latents([request.to]), count).x;
    invertible_job(model, Direction::Decode, x, request.class.as_deref(), &request.solving)
}

fn interpolate_command(model: &LoadedModel, request: &InterpolateRequest, job: &IntegrationJob) -> String {
    let InterpolateRequest { from, to, pictures, class, .. } = request;
    let class = class.as_ref().map_or_else(String::new, |class| format!(" --class {}", quote(class)));
    let (path, solver) = (quote(&model.path), request::solver_options(&job.solver));
    format!("pfgm interpolate {path} {from} {to} --pictures {pictures}{class}{solver}")
}

/// Creates a job over the whole range of noise levels, for rows of one class.
fn invertible_job(
    model: &LoadedModel,
    direction: Direction,
    x: Vec<f64>,
    class: Option<&str>,
    solving: &SolverRequest,
) -> Result<IntegrationJob, ApiError> {
    let spec = model.spec();
    let rows = x.len() / spec.dim();
    Ok(IntegrationJob {
        direction,
        sigma: spec.range().1,
        solver: solving.resolve_invertible(spec)?,
        guidance: request::guidance(spec, None)?,
        x,
        labels: vec![request::class(spec, class)?; rows],
        seeds: (0..rows as u64).collect(),
        authors_code: None,
    })
}

/// Integrates, and answers with rows in the units of the data.
async fn integrate(
    studio: &Studio,
    model: &Arc<LoadedModel>,
    job: IntegrationJob,
    values: bool,
) -> Result<SampleResponse, ApiError> {
    let (own, labels) = (Arc::clone(model), job.labels.clone());
    let output = studio.queue.submit(Arc::clone(model), Task::Integrate(job), None)?.wait().await?;
    studio.offload(move || SampleResponse::new(&own, &output, &labels, values)).await
}

/// Decodes latents: integrates the flow from the prior to the data.
#[cfg_attr(test, utoipa::path(post, path = "/api/v1/decode", request_body = DecodeRequest,
    responses((status = 200, body = SampleResponse), crate::openapi::ModelErrors)))]
pub async fn decode(
    State(studio): State<Arc<Studio>>,
    JsonBody(request): JsonBody<DecodeRequest>,
) -> Answer<SampleResponse> {
    let model = studio.model(&request.run).await?;
    let dim = model.dim();
    check_count("latents", request.latents.len(), dim)?;
    let is_valid = |latent: &Vec<f64>| latent.len() == dim && latent.iter().all(|x| x.is_finite() && x.abs() < 1e12);
    if let Some(at) = request.latents.iter().position(|latent| !is_valid(latent)) {
        return Err(ApiError::unprocessable(format!("latents[{at}]: give {dim} finite numbers")));
    }
    let x = request.latents.concat();
    let job = invertible_job(&model, Direction::Decode, x, request.class.as_deref(), &request.solving)?;
    integrate(&studio, &model, job, request.values).await.map(Json)
}

/// Encodes rows: integrates the flow from the data to the prior.
#[cfg_attr(test, utoipa::path(post, path = "/api/v1/encode", request_body = EncodeRequest,
    responses((status = 200, body = EncodeResponse), crate::openapi::ModelErrors)))]
pub async fn encode(
    State(studio): State<Arc<Studio>>,
    JsonBody(request): JsonBody<EncodeRequest>,
) -> Answer<EncodeResponse> {
    let model = studio.model(&request.run).await?;
    let own = Arc::clone(&model);
    let (job, usual_norm) = studio
        .offload(move || {
            let x = own.spec().to_model_space(&request.input.values(own.spec())?);
            let job = invertible_job(&own, Direction::Encode, x, request.class.as_deref(), &request.solving)?;
            Ok((job, median_norm(&own)?))
        })
        .await?;
    let dim = model.dim();
    let output = studio.queue.submit(model, Task::Integrate(job), None)?.wait().await?;
    let latents: Vec<Vec<f64>> = output.values.chunks_exact(dim).map(<[f64]>::to_vec).collect();
    let norms = latents.iter().map(|latent| latent::norm(latent)).collect();
    Ok(Json(EncodeResponse { norms, usual_norm, latents, nfe: output.nfe, seconds: output.seconds }))
}

/// Returns the median norm of 64 latents of the prior. For small D their mean depends on a few outliers.
fn median_norm(model: &LoadedModel) -> Result<f64, ApiError> {
    let seeds: Vec<u64> = (0..64).collect();
    let latents = request::latents(model, &seeds, 1.0)?;
    let mut norms: Vec<f64> = latents.chunks_exact(model.dim()).map(latent::norm).collect();
    norms.sort_by(f64::total_cmp);
    Ok(norms[norms.len() / 2])
}

/// Removes noise from images.
#[cfg_attr(test, utoipa::path(post, path = "/api/v1/denoise", request_body = DenoiseRequest,
    responses((status = 200, body = SampleResponse), crate::openapi::ModelErrors)))]
pub async fn denoise(
    State(studio): State<Arc<Studio>>,
    JsonBody(request): JsonBody<DenoiseRequest>,
) -> Answer<SampleResponse> {
    let model = studio.model(&request.run).await?;
    let (own, values) = (Arc::clone(&model), request.values);
    let job = studio.offload(move || denoising(&own, &request)).await?;
    let sigma = job.sigma;
    Ok(Json(SampleResponse { sigma, ..integrate(&studio, &model, job, values).await? }))
}

fn denoising(model: &LoadedModel, request: &DenoiseRequest) -> Result<IntegrationJob, ApiError> {
    let spec = model.spec();
    let Shape::Image { height, width, channels } = spec.data.shape else {
        return Err(ApiError::unprocessable("denoise: rows of this run are no images"));
    };
    let x = spec.to_model_space(&request.input.values(spec)?);
    let (min, max) = spec.range();
    let estimate = || estimate_noise(&x[..spec.dim()], [height, width, channels]).unwrap_or(min);
    let sigma = request.sigma.unwrap_or_else(|| estimate().clamp(1.01 * min, max));
    if !(sigma > min && sigma <= max) {
        return Err(ApiError::unprocessable(format!("sigma {sigma}: give a number above {min}, at most {max}")));
    }
    let rows = x.len() / spec.dim();
    Ok(IntegrationJob {
        direction: if request.posterior_mean { Direction::PosteriorMean } else { Direction::Decode },
        sigma,
        solver: request.solving.resolve_partial(spec)?,
        guidance: request::guidance(spec, None)?,
        seeds: (0..rows as u64).collect(),
        labels: vec![request::class(spec, request.class.as_deref())?; rows],
        x,
        authors_code: None,
    })
}
