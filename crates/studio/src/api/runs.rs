//! Available runs and their properties.

use std::sync::Arc;

use axum::{Json, extract::State};
use pfgm::solver::Method;
use serde::{Deserialize, Serialize};

use crate::{
    api::{Answer, dimensions},
    extract::QueryParams,
    models::LoadedModel,
    request::SolverRequest,
    runs::RunSummary,
    state::Studio,
};

/// Properties of a trained run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct RunDetails {
    /// Name of the run.
    pub name: String,
    /// Name of its data set.
    pub data: String,
    /// Height, width and channels of an image, or length of a vector.
    pub shape: Vec<usize>,
    /// Names of the classes; empty without class conditioning.
    pub classes: Vec<String>,
    /// Number of extra dimensions D; null for infinity.
    pub extra_dims: Option<f64>,
    /// Same as `extra_dims`, for older clients.
    pub augmentation: Option<f64>,
    /// Lowest and highest noise level.
    pub range: (f64, f64),
    /// Name of the run's own solver.
    pub solver: String,
    /// Number of steps of the run's own solver.
    pub steps: usize,
    /// Names of the solvers that this run supports.
    pub solvers: Vec<String>,
    /// Whether the run was trained for classifier-free guidance.
    pub guidance: bool,
}

/// Query of `GET /api/v1/run`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
pub struct RunQuery {
    /// Name of the run.
    run: String,
}

/// Lists the runs.
#[cfg_attr(test, utoipa::path(get, path = "/api/v1/runs", responses((status = 200, body = Vec<RunSummary>))))]
pub async fn runs(State(studio): State<Arc<Studio>>) -> Answer<Vec<RunSummary>> {
    Ok(Json(studio.runs.list().await))
}

/// Returns the properties of a run.
#[cfg_attr(test, utoipa::path(get, path = "/api/v1/run", params(RunQuery),
    responses((status = 200, body = RunDetails), crate::openapi::RunErrors)))]
pub async fn run(State(studio): State<Arc<Studio>>, QueryParams(query): QueryParams<RunQuery>) -> Answer<RunDetails> {
    studio.model(&query.run).await.map(|model| Json(details(&model)))
}

fn details(model: &LoadedModel) -> RunDetails {
    let spec = model.spec();
    let (data, sample) = (&spec.data, &spec.config.sample);
    let is_supported = |method: &Method| {
        let request = SolverRequest { solver: Some(method.to_string()), ..SolverRequest::default() };
        request.resolve(spec).is_ok()
    };
    let extra_dims = spec.extra_dims().to_string().parse().ok().filter(|d: &f64| d.is_finite());
    RunDetails {
        name: model.name.clone(),
        data: data.name.clone(),
        shape: dimensions(data.shape),
        classes: data.classes.clone(),
        extra_dims,
        augmentation: extra_dims,
        range: spec.range(),
        solver: sample.solver.method().to_string(),
        steps: sample.solver.steps().unwrap_or(sample.solver.method().default_steps()),
        solvers: Method::ALL.iter().filter(|method| is_supported(method)).map(Method::to_string).collect(),
        guidance: !data.classes.is_empty() && spec.config.train.label_dropout > 0.0,
    }
}
