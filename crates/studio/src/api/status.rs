//! Health, metrics and the OpenAPI document.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use crate::state::Studio;

/// The OpenAPI document. A unit test generates it from the handlers and compares.
const DOCUMENT: &str = include_str!("../../openapi.json");

/// Returns `ok` while the server accepts requests.
#[cfg_attr(test, utoipa::path(get, path = "/healthz",
    responses((status = 200, content_type = "text/plain; charset=utf-8", body = String))))]
pub async fn health() -> &'static str {
    "ok\n"
}

/// Returns counters and histograms in OpenMetrics' text format, for Prometheus.
#[cfg_attr(test, utoipa::path(get, path = "/metrics",
    responses((status = 200, content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8", body = String))))]
pub async fn metrics(State(studio): State<Arc<Studio>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], studio.metrics.text()).into_response()
}

/// Returns this document.
#[cfg_attr(test, utoipa::path(get, path = "/openapi.json", responses((status = 200, body = Object))))]
pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
