//! Sampling from seeds.

use std::sync::Arc;

use axum::{Json, extract::State};
use pfgm::{
    model::{Direction, IntegrationJob},
    solver::Solver,
};
use serde::Deserialize;
use tokio::sync::mpsc::Sender;

use crate::{
    api::{Answer, SampleResponse, quote},
    error::ApiError,
    extract::JsonBody,
    models::LoadedModel,
    progress::Snapshot,
    queue::{Pending, Task},
    request::{self, SolverRequest, check_count},
    state::Studio,
};

/// Request for samples.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SampleRequest {
    /// Name of the run, as in `GET /api/v1/runs`.
    #[cfg_attr(test, schema(example = "digits"))]
    pub run: String,
    /// Seeds, one sample each. A sample depends on its seed and class alone.
    #[cfg_attr(test, schema(example = json!([0, 1, 2, 3])))]
    pub seeds: Vec<u64>,
    /// Name or number of the class of all samples. If it is omitted, sample `i` has class `seeds[i]` modulo the number of classes.
    #[serde(default)]
    pub class: Option<String>,
    /// Classifier-free guidance scale; 1 disables it. Default: that of the run.
    #[serde(default)]
    pub guidance: Option<f64>,
    /// Factor of the latents (temperature), in (0, 100]. Default: 1.
    #[serde(default)]
    #[cfg_attr(test, schema(example = 1.0))]
    pub scale: Option<f64>,
    /// Solver settings.
    #[serde(default)]
    pub solving: SolverRequest,
    /// Whether to return images as numbers, too.
    #[serde(default)]
    pub values: bool,
}

/// Draws samples.
#[cfg_attr(test, utoipa::path(post, path = "/api/v1/sample", request_body = SampleRequest,
    responses((status = 200, body = SampleResponse), crate::openapi::ModelErrors)))]
pub async fn sample(
    State(studio): State<Arc<Studio>>,
    JsonBody(request): JsonBody<SampleRequest>,
) -> Answer<SampleResponse> {
    Sampling::start(&studio, request, None).await?.finish(&studio).await.map(Json)
}

/// A submitted sampling.
pub struct Sampling {
    /// Model that is sampled.
    pub model: Arc<LoadedModel>,
    request: SampleRequest,
    labels: Vec<Option<u32>>,
    solver: Solver,
    pending: Pending,
}

impl Sampling {
    /// Validates a request and submits it to the queue.
    ///
    /// # Errors
    /// If the request is invalid or the queue is full.
    pub async fn start(
        studio: &Arc<Studio>,
        request: SampleRequest,
        snapshots: Option<Sender<Snapshot>>,
    ) -> Result<Self, ApiError> {
        let model = studio.model(&request.run).await?;
        let own = (Arc::clone(&model), request.clone());
        let job = studio.offload(move || prepare(&own.0, &own.1)).await?;
        let (labels, solver) = (job.labels.clone(), job.solver.clone());
        let pending = studio.queue.submit(Arc::clone(&model), Task::Integrate(job), snapshots)?;
        Ok(Self { model, request, labels, solver, pending })
    }

    /// Waits for the samples.
    ///
    /// # Errors
    /// If the integration failed or was given up.
    pub async fn finish(self, studio: &Studio) -> Result<SampleResponse, ApiError> {
        let Self { model, request, labels, solver, mut pending } = self;
        let output = pending.wait().await?;
        studio
            .offload(move || {
                let response = SampleResponse::new(&model, &output, &labels, request.values)?;
                let line = CommandLine { model: &model, request: &request, solver: &solver };
                let of_one = |(seed, class): (&u64, &Option<String>)| line.of(&[*seed], class.as_deref());
                let commands = request.seeds.iter().zip(&response.classes).map(of_one).collect();
                let command = line.of_all();
                Ok(SampleResponse { command, commands, seeds: request.seeds, ..response })
            })
            .await
    }
}

/// Validates a request and draws its latents.
fn prepare(model: &LoadedModel, request: &SampleRequest) -> Result<IntegrationJob, ApiError> {
    let spec = model.spec();
    check_count("seeds", request.seeds.len(), spec.dim())?;
    let class = request.class.as_deref().map(|name| spec.trained_class(name)).transpose()?;
    let labels = class.map(|class| vec![Some(class); request.seeds.len()]);
    Ok(IntegrationJob {
        direction: Direction::Decode,
        sigma: spec.range().1,
        solver: request.solving.resolve(spec)?,
        guidance: request::guidance(spec, request.guidance)?,
        x: request::latents(model, &request.seeds, request.scale.unwrap_or(1.0))?,
        labels: labels.unwrap_or_else(|| spec.classes_in_turn(&request.seeds)),
        seeds: request.seeds.clone(),
        authors_code: None,
    })
}

/// Parts of a command line that draws the same samples.
struct CommandLine<'a> {
    model: &'a LoadedModel,
    request: &'a SampleRequest,
    solver: &'a Solver,
}

impl CommandLine<'_> {
    /// Returns the command line of all samples; None if `pfgm temperature` cannot draw several classes at once.
    fn of_all(&self) -> Option<String> {
        let has_many_classes = self.request.class.is_none() && !self.model.classes().is_empty();
        (!has_many_classes || self.scale().is_none())
            .then(|| self.of(&self.request.seeds, self.request.class.as_deref()))
    }

    fn scale(&self) -> Option<f64> {
        self.request.scale.filter(|scale| *scale != 1.0)
    }

    fn of(&self, seeds: &[u64], class: Option<&str>) -> String {
        let (run, seeds) = (quote(&self.model.path), seed_list(seeds));
        let class = class.map_or_else(String::new, |class| format!(" --class {}", quote(class)));
        let solver = request::solver_options(self.solver);
        match self.scale() {
            Some(scale) => format!("pfgm temperature {run} --seeds {seeds} --scale {scale}{class}{solver}"),
            None => {
                let guidance =
                    self.request.guidance.map_or_else(String::new, |guidance| format!(" --guidance {guidance}"));
                // The program draws classes in the shares of the training data by default.
                let in_turn = class.is_empty() && !self.model.classes().is_empty();
                let balanced = if in_turn { " --balanced" } else { "" };
                format!("pfgm sample {run} --seeds {seeds}{class}{balanced}{guidance}{solver}")
            }
        }
    }
}

/// Formats seeds for `--seeds`: `0-9` if they are consecutive, else `0,5,7`.
fn seed_list(seeds: &[u64]) -> String {
    let is_consecutive = seeds.len() > 2 && seeds.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]));
    match (seeds.first(), seeds.last()) {
        (Some(first), Some(last)) if is_consecutive => format!("{first}-{last}"),
        _ => seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(","),
    }
}
