//! A sampling as it happens: server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use pfgm::sample::to_data;
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use crate::{
    api::{Drawn, SampleRequest, Sampling, png},
    limits::{Body, Refusal},
    runs::Model,
    server::Studio,
    watched::Look,
};

/// Looks that wait for a slow reader at the most.
const WAITING: usize = 4;

/// The rows of a sampling on their way: the data of an event `look`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Looked {
    /// Evaluations so far.
    pub nfe: u64,
    /// Seconds since the first of them.
    pub seconds: f64,
    /// The noise level of each row.
    pub sigma: Vec<f64>,
    /// The norm of each row in the model's space.
    pub norm: Vec<f64>,
    /// `yhat` of each row, one below the other, as a PNG in base64; none of vectors.
    pub png: Option<String>,
    /// `yhat` of each row as numbers, of vectors.
    pub values: Option<Vec<Vec<f32>>>,
}

/// Draws samples and shows them on their way: events `look`, then `done` with what `POST /api/v1/sample` answers, or `refused`.
#[utoipa::path(post, path = "/api/v1/sample/events", request_body = SampleRequest,
    responses((status = 200, content_type = "text/event-stream", body = Looked), (status = 400, body = Refusal),
        (status = 404, body = Refusal), (status = 413, body = Refusal), (status = 415, body = Refusal),
        (status = 422, body = Refusal), (status = 429, body = Refusal), (status = 503, body = Refusal)))]
pub async fn sample(State(studio): State<Arc<Studio>>, Body(request): Body<SampleRequest>) -> Response {
    let (sender, looks) = mpsc::channel(WAITING);
    match Sampling::start(&studio, request, Some(sender)).await {
        Ok(sampling) => stream(sampling, looks),
        Err(refusal) => refusal.into_response(),
    }
}

/// The looks while there are any, then the end. The stream owns the sampling: when the client goes, both go.
fn stream(sampling: Sampling, looks: mpsc::Receiver<Look>) -> Response {
    let model = Arc::clone(&sampling.model);
    let looks = stream::unfold(looks, |mut looks| async move { looks.recv().await.map(|look| (look, looks)) });
    let looks = looks.map(move |look| match looked(&model, look) {
        Ok(looked) => event("look", &looked),
        Err(refusal) => event("refused", &refusal),
    });
    let end = stream::once(async move {
        let mut sampling = sampling;
        let done: Result<Drawn, Refusal> = sampling.finish().await;
        done.map_or_else(|refusal| event("refused", &refusal), |drawn| event("done", &drawn))
    });
    let keep = KeepAlive::new().interval(Duration::from_secs(10));
    Sse::new(looks.chain(end).map(Ok::<_, Infallible>)).keep_alive(keep).into_response()
}

fn looked(model: &Model, look: Look) -> Result<Looked, Refusal> {
    let rows: Vec<Vec<f32>> =
        look.yhat.chunks_exact(model.record.dim()).map(|point| to_data(&model.record, point)).collect();
    let png = png(model, &rows.concat())?;
    let values = png.is_none().then_some(rows);
    Ok(Looked { nfe: look.nfe, seconds: look.seconds, sigma: look.sigma, norm: look.norm, png, values })
}

/// An event of a name.
pub fn event(name: &str, data: &impl Serialize) -> Event {
    let text = serde_json::to_string(data).unwrap_or_else(|error| format!("{{\"reason\":\"{error}\"}}"));
    Event::default().event(name).data(text)
}
