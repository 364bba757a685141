//! Sampling with snapshots, as server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    api::{
        SampleResponse,
        sample::{SampleRequest, Sampling},
        stacked_png,
    },
    error::ApiError,
    extract::JsonBody,
    models::LoadedModel,
    progress::Snapshot,
    state::Studio,
};

/// Largest number of snapshots that wait for a slow reader.
const BUFFERED_SNAPSHOTS: usize = 4;

/// State of the samples during integration: data of the event `look`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct SnapshotEvent {
    /// Number of function evaluations so far.
    pub nfe: u64,
    /// Seconds since the integration began.
    pub seconds: f64,
    /// Noise level of each row.
    pub sigma: Vec<f64>,
    /// Euclidean norm of each row, in the model's space.
    pub norm: Vec<f64>,
    /// `yhat` of all rows in one PNG, stacked vertically, in base64; null for vectors.
    pub png: Option<String>,
    /// `yhat` of each row as numbers; null for images.
    pub values: Option<Vec<Vec<f32>>>,
}

/// Draws samples and reports progress. Events: `look` (a snapshot) any number of times, then `done` with the answer of
/// `POST /api/v1/sample`, or `refused` with an error.
#[cfg_attr(test, utoipa::path(post, path = "/api/v1/sample/events", request_body = SampleRequest,
    responses((status = 200, content_type = "text/event-stream", body = SnapshotEvent), crate::openapi::ModelErrors)))]
pub async fn sample(State(studio): State<Arc<Studio>>, JsonBody(request): JsonBody<SampleRequest>) -> Response {
    let (sender, snapshots) = mpsc::channel(BUFFERED_SNAPSHOTS);
    match Sampling::start(&studio, request, Some(sender)).await {
        Ok(sampling) => stream(studio, sampling, snapshots),
        Err(error) => error.into_response(),
    }
}

/// Streams snapshots, then the result. The stream owns the sampling: when the client disconnects, both are dropped.
fn stream(studio: Arc<Studio>, sampling: Sampling, snapshots: mpsc::Receiver<Snapshot>) -> Response {
    let (model, own) = (Arc::clone(&sampling.model), Arc::clone(&studio));
    let snapshots = stream::unfold(snapshots, |mut snapshots| async move {
        snapshots.recv().await.map(|snapshot| (snapshot, snapshots))
    });
    let snapshots = snapshots.then(move |snapshot| {
        let (model, studio) = (Arc::clone(&model), Arc::clone(&own));
        async move {
            let result = studio.offload(move || SnapshotEvent::new(&model, snapshot)).await;
            result.map_or_else(|error| event("refused", &error), |data| event("look", &data))
        }
    });
    let end = stream::once(async move {
        let result: Result<SampleResponse, ApiError> = sampling.finish(&studio).await;
        result.map_or_else(|error| event("refused", &error), |response| event("done", &response))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(10));
    Sse::new(snapshots.chain(end).map(Ok::<_, Infallible>)).keep_alive(keep_alive).into_response()
}

impl SnapshotEvent {
    fn new(model: &LoadedModel, snapshot: Snapshot) -> Result<Self, ApiError> {
        let Snapshot { nfe, seconds, sigma, norm, yhat } = snapshot;
        let points = model.spec().to_data_units(&yhat);
        let png = stacked_png(model, &points)?;
        let rows = || points.chunks_exact(model.dim()).map(<[f32]>::to_vec).collect();
        let values = png.is_none().then(rows);
        Ok(Self { nfe, seconds, sigma, norm, png, values })
    }
}

/// Creates a named event with JSON data.
pub fn event(name: &str, data: &impl Serialize) -> Event {
    let text = serde_json::to_string(data).unwrap_or_else(|error| format!("{{\"reason\":\"{error}\"}}"));
    Event::default().event(name).data(text)
}
