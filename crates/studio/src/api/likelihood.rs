//! Log-likelihood of rows.

use std::sync::Arc;

use axum::{Json, extract::State};
use pfgm::model::DensityUnit;
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use crate::{
    api::Answer,
    error::ApiError,
    extract::JsonBody,
    limits::MAX_LIKELIHOOD_ROWS,
    models::LoadedModel,
    queue::{LikelihoodJob, Task},
    request::{InputRows, SolverRequest},
    state::Studio,
};

/// Request for the log-likelihood of rows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LikelihoodRequest {
    /// Name of the run.
    #[cfg_attr(test, schema(example = "digits"))]
    pub run: String,
    /// Rows, at most 64.
    #[serde(alias = "given")]
    pub input: InputRows,
    /// Name or number of the class of all rows; unconditional if it is omitted.
    #[serde(default)]
    pub class: Option<String>,
    /// Number of Hutchinson probes of the divergence. Default: exact divergence for N <= 128, one probe above.
    #[serde(default)]
    #[cfg_attr(test, schema(minimum = 1, maximum = 64))]
    pub probes: Option<u32>,
    /// Solver settings; rk45 by default.
    #[serde(default)]
    pub solving: SolverRequest,
}

/// Log-likelihood of rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct LikelihoodResponse {
    /// `ln p` of each row in nats, in the units of the data.
    pub log_densities: Vec<f64>,
    /// `-log2 p / N` of each row; null unless rows are images.
    pub bits_per_dim: Option<Vec<f64>>,
    /// Number of evaluations of the network and its divergence per row.
    pub nfe: f64,
    /// Computing time in seconds.
    pub seconds: f64,
}

/// Computes the log-likelihood of rows.
#[cfg_attr(test, utoipa::path(post, path = "/api/v1/likelihood", request_body = LikelihoodRequest,
    responses((status = 200, body = LikelihoodResponse), crate::openapi::ModelErrors)))]
pub async fn likelihood(
    State(studio): State<Arc<Studio>>,
    JsonBody(request): JsonBody<LikelihoodRequest>,
) -> Answer<LikelihoodResponse> {
    let model = studio.model(&request.run).await?;
    let own = Arc::clone(&model);
    let job = studio.offload(move || prepare(&own, &request)).await?;
    let data = &model.spec().data;
    let (is_image, dim) = (matches!(data.shape, Shape::Image { .. }), data.shape.dim());
    let output = studio.queue.submit(model, Task::Likelihood(job), None)?.wait().await?;
    let bits = |&nats: &f64| DensityUnit::BitsPerDim.of_log_density(nats, dim);
    Ok(Json(LikelihoodResponse {
        bits_per_dim: is_image.then(|| output.values.iter().map(bits).collect()),
        log_densities: output.values,
        nfe: output.nfe,
        seconds: output.seconds,
    }))
}

fn prepare(model: &LoadedModel, request: &LikelihoodRequest) -> Result<LikelihoodJob, ApiError> {
    let rows = request.input.rows(model.spec(), request.class.as_deref())?;
    if rows.len() > MAX_LIKELIHOOD_ROWS {
        return Err(ApiError::unprocessable(format!("input: {} rows; give at most {MAX_LIKELIHOOD_ROWS}", rows.len())));
    }
    let probes = request.probes.map(|probes| probes as usize);
    if probes.is_some_and(|probes| !(1..=64).contains(&probes)) {
        return Err(ApiError::unprocessable("probes: give 1 to 64"));
    }
    Ok(LikelihoodJob { rows, solver: request.solving.resolve_invertible(model.spec())?, probes })
}
